//! `alveary man`: the manual pages, made from the same words as `--help`.

use crate::{arguments::Arguments, failure::Failure, output};
use alveary_diag::{Diagnostic, Place};
use clap::{Args, Command, ValueHint};
use clap_mangen::Man as Page;
use std::path::{Path, PathBuf};

/// Print the manual page, that of a verb, or write all of them into a directory
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary man | man -l -
  alveary man btf dump | man -l -
  alveary man ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// A verb, whose page is printed; or a directory that alveary.1, alveary-run.1 … are written into (one that is not
    /// there yet, or is named like a verb, as `./btf`)
    #[arg(value_name = "VERB|DIR", value_hint = ValueHint::DirPath)]
    words: Vec<PathBuf>,
}

impl Man {
    pub(crate) fn run(&self, _json: bool) -> Result<(), Failure> {
        let mut command = Arguments::command();
        // Verbs learn what holds for all of them, and their full names.
        command.build();
        match (self.verb(&command), &*self.words) {
            (None, [directory]) if is_directory(directory) => {
                std::fs::create_dir_all(directory).map_err(|why| Failure::directory(directory, &why))?;
                clap_mangen::generate_to(Arguments::command(), directory)
                    .map_err(|why| Failure::file("write", directory, &why))
            }
            (None, _) => {
                let said = self.words.iter().map(|word| word.display().to_string()).collect::<Vec<_>>().join(" ");
                Err(Diagnostic::new("usage", format!("there is no verb `{said}`"), Place::Nowhere)
                    .help(
                        "`alveary --help` lists them; a directory that is to be made is written with a slash: `./man`",
                    )
                    .into())
            }
            (Some(verb), _) => {
                let mut page = Vec::new();
                Page::new(verb.clone()).render(&mut page)?;
                output::write(|out| out.write_all(&page))
            }
        }
    }

    /// The verb that the words name; all of them without words.
    fn verb<'a>(&self, all: &'a Command) -> Option<&'a Command> {
        self.words.iter().try_fold(all, |command, word| command.find_subcommand(word))
    }
}

/// Whether a word that is no verb means a directory: a misspelt verb makes none.
fn is_directory(word: &Path) -> bool {
    word.is_dir() || word.components().count() > 1 || word.has_root() || word.starts_with(".")
}

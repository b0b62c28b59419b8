//! `alveary man`: the manual pages, made from the same words as `--help`.

use crate::{arguments::Arguments, failure::Failure, output};
use alveary_diag::{Diagnostic, Place};
use clap::{Args, Command, ValueHint};
use clap_mangen::Man as Page;
use std::path::PathBuf;

/// Print the manual page, that of a verb, or write all of them into a directory
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary man | man -l -
  alveary man btf dump | man -l -
  alveary man ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// A verb, whose page is printed; or a directory that alveary.1, alveary-run.1 … are written into (one that is named
    /// like a verb as `./btf`)
    #[arg(value_name = "VERB|DIR", value_hint = ValueHint::DirPath)]
    words: Vec<PathBuf>,
}

impl Man {
    pub(crate) fn run(&self, _json: bool) -> Result<(), Failure> {
        let mut command = Arguments::command();
        // Verbs learn what holds for all of them, and their full names.
        command.build();
        match (self.verb(&command), &*self.words) {
            (None, [directory]) => {
                let command = Arguments::command();
                let fail = |why| Failure::file("write", directory, &why);
                std::fs::create_dir_all(directory).map_err(fail)?;
                clap_mangen::generate_to(command, directory).map_err(fail)
            }
            (None, _) => {
                let said = self.words.iter().map(|word| word.display().to_string()).collect::<Vec<_>>().join(" ");
                Err(Diagnostic::new("usage", format!("there is no verb `{said}`"), Place::Nowhere)
                    .help("`alveary --help` lists them")
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

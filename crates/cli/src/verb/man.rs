//! `alveary man`: the manual pages, made from the same words as `--help`.

use crate::{arguments::Arguments, failure::Failure, output};
use clap::{Args, ValueHint};
use clap_mangen::Man as Page;
use std::path::PathBuf;

/// Print the manual page, or write one for each verb
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary man | man -l -
  alveary man ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// Write alveary.1, alveary-run.1 … into this directory
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    directory: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(&self, _json: bool) -> Result<(), Failure> {
        let command = Arguments::command();
        match &self.directory {
            Some(directory) => {
                let fail = |why| Failure::file("write", directory, &why);
                std::fs::create_dir_all(directory).map_err(fail)?;
                clap_mangen::generate_to(command, directory).map_err(fail)
            }
            None => {
                let mut page = Vec::new();
                Page::new(command).render(&mut page)?;
                output::write(|out| out.write_all(&page))
            }
        }
    }
}

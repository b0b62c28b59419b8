//! `alveary completions`: what a shell needs to complete our command lines.

use crate::{arguments::Arguments, failure::Failure, output};
use clap::Args;
use clap_complete::Shell;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary completions bash > ~/.local/share/bash-completion/completions/alveary
  alveary completions fish > ~/.config/fish/completions/alveary.fish")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self, _json: bool) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "alveary", &mut script);
        output::write(|out| out.write_all(&script))
    }
}

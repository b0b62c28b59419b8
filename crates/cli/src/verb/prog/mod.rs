//! `alveary prog`: programs in the running kernel, as bpftool shows and handles them.

mod dump;
mod run;
mod show;
mod top;

use crate::{bpftool::options::Options, failure::Failure};
use clap::{Args, Subcommand};

/// Show and handle the programs that are loaded in the kernel
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary prog list
  alveary prog show name count --json
  alveary prog dump xlated name count linum
  alveary prog show pinned /sys/fs/bpf/count
  alveary prog top")]
pub(crate) struct Prog {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Action {
    #[command(visible_alias = "list")]
    Show(show::Show),
    Dump(dump::Dump),
    Run(run::Run),
    Top(top::Top),
}

impl Prog {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        match &self.action {
            Action::Show(show) => show.run(self.options, json),
            Action::Dump(dump) => dump.run(self.options, json),
            Action::Run(run) => run.run(self.options, json),
            Action::Top(top) => top.run(self.options, json),
        }
    }
}

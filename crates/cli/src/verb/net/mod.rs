//! `alveary net`: programs on network devices, as bpftool shows and handles them.

mod attach;
mod routes;
mod show;

use crate::{bpftool::options::Options, failure::Failure};
use clap::{Args, Subcommand};

/// Show and handle the programs on network devices of this network namespace
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary net list
  alveary net show dev eth0 --json
  alveary net attach xdpgeneric name count dev eth0
  alveary net detach xdpgeneric dev eth0")]
pub(crate) struct Net {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Action {
    #[command(visible_alias = "list")]
    Show(show::Show),
    Attach(attach::Attach),
    Detach(attach::Detach),
}

impl Net {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let shape = self.options.shape(json);
        match &self.action {
            Action::Show(show) => show.run(shape),
            Action::Attach(attach) => attach.run(shape),
            Action::Detach(detach) => detach.run(shape),
        }
    }
}

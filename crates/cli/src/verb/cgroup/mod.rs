//! `alveary cgroup`: programs on cgroups, as bpftool shows and handles them.

mod attach;
mod place;
mod show;

use crate::{bpftool::options::Options, failure::Failure};
use clap::{Args, Subcommand};

/// Show and handle the programs on cgroups
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary cgroup tree
  alveary cgroup show /sys/fs/cgroup/system.slice effective
  alveary cgroup attach /sys/fs/cgroup/mine cgroup_inet_egress name count multi
  alveary cgroup detach /sys/fs/cgroup/mine cgroup_inet_egress name count")]
pub(crate) struct Cgroup {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Action {
    #[command(visible_alias = "list")]
    Show(show::Show),
    Tree(show::Tree),
    Attach(attach::Attach),
    Detach(attach::Detach),
}

impl Cgroup {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let shape = self.options.shape(json);
        match &self.action {
            Action::Show(show) => show.run(shape),
            Action::Tree(tree) => tree.run(shape),
            Action::Attach(attach) => attach.run(shape),
            Action::Detach(detach) => detach.run(shape),
        }
    }
}

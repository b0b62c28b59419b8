//! `alveary prog`: programs in the running kernel, as bpftool shows and handles them.

mod attach;
mod dump;
mod load;
mod pin;
mod profile;
mod run;
mod show;
mod top;
mod tracelog;

use crate::{bpftool::options::Options, failure::Failure};
use clap::{Args, Subcommand};

/// Show and handle the programs that are loaded in the kernel
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary prog list
  alveary prog show name count --json
  alveary prog dump xlated name count linum
  alveary prog load count.bpf.o /sys/fs/bpf/count
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
    /// Load an object, and pin its first program
    Load(load::Load),
    /// Load an object, and pin its programs in a directory
    #[command(name = "loadall")]
    LoadAll(load::Load),
    Pin(pin::Pin),
    /// Attach a program to a map of sockets, or as the flow dissector
    Attach(attach::Attached),
    /// Detach a program from a map of sockets, or as the flow dissector
    Detach(attach::Attached),
    Tracelog(tracelog::Tracelog),
    Profile(profile::Measure),
}

impl Prog {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        match &self.action {
            Action::Show(show) => show.run(self.options, json),
            Action::Dump(dump) => dump.run(self.options, json),
            Action::Run(run) => run.run(self.options, json),
            Action::Top(top) => top.run(self.options, json),
            Action::Load(load) => load.run(false, self.options, json),
            Action::LoadAll(load) => load.run(true, self.options, json),
            Action::Pin(pin) => pin.run(self.options, json),
            Action::Attach(attach) => attach.attach(self.options, json),
            Action::Detach(attach) => attach.detach(self.options, json),
            Action::Profile(profile) => profile.run(self.options, json),
            Action::Tracelog(tracelog) => tracelog.run(self.options, json),
        }
    }
}

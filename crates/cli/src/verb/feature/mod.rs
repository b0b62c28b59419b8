//! `alveary feature`: what the running kernel can do, as bpftool shows it.

mod builtins;
mod config;
mod print;
mod probe;

use crate::{bpftool::options::Options, failure::Failure};
use clap::{Args, Subcommand};

/// Find out what the running kernel can do
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary feature probe
  alveary feature probe kernel macros prefix MY_ > features.h
  alveary feature list_builtins helpers")]
pub(crate) struct Feature {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Action {
    Probe(probe::Probe),
    #[command(name = "list_builtins")]
    ListBuiltins(builtins::ListBuiltins),
}

impl Feature {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let shape = self.options.shape(json);
        match &self.action {
            Action::Probe(probe) => probe.run(shape),
            Action::ListBuiltins(list) => list.run(shape),
        }
    }
}

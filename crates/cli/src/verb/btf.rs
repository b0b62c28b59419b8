//! `alveary btf`: types in BTF, shown and worked on.

mod dump;
mod raw;
mod source;

use crate::failure::Failure;
use clap::{Args, Subcommand};

/// Show and work on types (BTF)
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary btf dump kernel format c > vmlinux.h
  alveary btf dump file filter.bpf.o")]
pub(crate) struct Btf {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Dump(dump::Dump),
}

impl Btf {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        match &self.action {
            Action::Dump(dump) => dump.run(json),
        }
    }
}

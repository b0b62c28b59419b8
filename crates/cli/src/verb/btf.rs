//! `alveary btf`: types in BTF, shown and worked on.

mod combine;
mod diff;
mod dump;
mod raw;

use crate::failure::Failure;
use clap::{Args, Subcommand};

/// Show and work on types (BTF)
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary btf dump kernel format c > vmlinux.h
  alveary btf dump file filter.bpf.o
  alveary btf dedup one.bpf.o two.bpf.o -o types.btf")]
pub(crate) struct Btf {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Dump(dump::Dump),
    Diff(diff::Diff),
    Merge(combine::Merge),
    Dedup(combine::Dedup),
    Split(combine::Split),
}

impl Btf {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        match &self.action {
            Action::Dump(dump) => dump.run(json),
            Action::Diff(diff) => diff.run(json),
            Action::Merge(merge) => merge.run(json),
            Action::Dedup(dedup) => dedup.run(json),
            Action::Split(split) => split.run(json),
        }
    }
}

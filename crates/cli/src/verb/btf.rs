//! `alveary btf`: types in BTF, shown and worked on.

mod combine;
mod diff;
mod dump;
mod raw;
mod show;

use crate::{
    bpftool::options::{Options, Shape},
    failure::Failure,
};
use clap::{Args, Subcommand};

/// Show and work on types (BTF)
// Types are neither pinned nor mounted: bpftool's options for that are taken and say nothing.
#[derive(Debug, Args)]
#[command(mut_args(|arg| match arg.get_id().as_str() {
    "pinned" | "nomount" => arg.hide(true),
    _ => arg,
}))]
#[command(after_help = "Examples:
  alveary btf dump kernel format c > vmlinux.h
  alveary btf dump file filter.bpf.o
  alveary btf list
  alveary btf dump map name services
  alveary btf dedup one.bpf.o two.bpf.o -o types.btf")]
pub(crate) struct Btf {
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
    Diff(diff::Diff),
    Merge(combine::Merge),
    Dedup(combine::Dedup),
    Split(combine::Split),
}

impl Btf {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let shape = self.options.shape(json);
        let json = shape != Shape::Text;
        match &self.action {
            Action::Show(show) => show.run(shape),
            Action::Dump(dump) => dump.run(shape),
            Action::Diff(diff) => diff.run(json),
            Action::Merge(merge) => merge.run(json),
            Action::Dedup(dedup) => dedup.run(json),
            Action::Split(split) => split.run(json),
        }
    }
}

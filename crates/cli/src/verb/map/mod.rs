//! `alveary map`: maps in the running kernel, as bpftool shows and handles them.

mod dump;
mod element;
mod entry;
mod show;
mod walk;

use crate::{bpftool::options::Options, failure::Failure};
use clap::{Args, Subcommand};

/// Show and handle the maps of the kernel
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary map list
  alveary map dump name services
  alveary map update name kinds key 1 0 0 0 value hex 0a 00 00 00")]
pub(crate) struct Map {
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
    Lookup(element::Lookup),
    #[command(name = "getnext")]
    GetNext(element::GetNext),
    Update(element::Update),
    Delete(element::Delete),
}

impl Map {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        match &self.action {
            Action::Show(show) => show.run(self.options, json),
            Action::Dump(dump) => dump.run(self.options, json),
            Action::Lookup(lookup) => lookup.run(self.options, json),
            Action::GetNext(next) => next.run(self.options, json),
            Action::Update(update) => update.run(self.options, json),
            Action::Delete(delete) => delete.run(self.options, json),
        }
    }
}

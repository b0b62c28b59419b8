//! `alveary map`: maps in the running kernel, as bpftool shows and handles them.

mod create;
mod dump;
mod element;
mod entry;
mod events;
mod queue;
mod show;
mod transfer;
mod walk;
mod watch;

use crate::{bpftool::options::Options, failure::Failure};
use clap::{Args, Subcommand};

/// Show and handle the maps of the kernel
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary map list
  alveary map dump name services
  alveary map update name kinds key 1 0 0 0 value hex 0a 00 00 00
  alveary map create /sys/fs/bpf/seen type hash key 4 value 8 entries 1024 name seen
  alveary map export name seen > seen.json
  alveary map watch name seen")]
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
    Create(create::Create),
    Pin(create::Pin),
    Freeze(create::Freeze),
    #[command(visible_alias = "enqueue")]
    Push(queue::Push),
    #[command(visible_alias = "dequeue")]
    Pop(queue::Pop),
    /// Print the next value of a queue or stack, which stays
    Peek(element::Lookup),
    #[command(name = "event_pipe")]
    EventPipe(events::EventPipe),
    Export(transfer::Export),
    Import(transfer::Import),
    Watch(watch::Watch),
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
            Action::Create(create) => create.run(self.options, json),
            Action::Pin(pin) => pin.run(self.options, json),
            Action::Freeze(freeze) => freeze.run(self.options, json),
            Action::Push(push) => push.run(self.options, json),
            Action::Pop(pop) => pop.run(self.options, json),
            Action::Peek(peek) => peek.run(self.options, json),
            Action::EventPipe(pipe) => pipe.run(self.options, json),
            Action::Export(export) => export.run(self.options),
            Action::Import(import) => import.run(self.options, json),
            Action::Watch(watch) => watch.run(self.options, json),
        }
    }
}

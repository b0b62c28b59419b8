//! `alveary gen`: files made from objects. The module is not called `gen`, which is a word of the language.

mod min_core_btf;
mod object;
mod skeleton;

use crate::failure::Failure;
use clap::{Args, Subcommand};

/// Make files from objects
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary gen object all.bpf.o one.bpf.o two.bpf.o
  alveary gen skeleton count.bpf.o > count.skel.h
  alveary gen min_core_btf kernel least.btf trace.bpf.o")]
pub(crate) struct Generate {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Object(object::Object),
    Skeleton(skeleton::Skeleton),
    Subskeleton(skeleton::Subskeleton),
    #[command(name = "min_core_btf")]
    MinCoreBtf(min_core_btf::MinCoreBtf),
}

impl Generate {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        match &self.action {
            Action::Object(verb) => verb.run(json),
            Action::Skeleton(verb) => verb.run(json),
            Action::Subskeleton(verb) => verb.run(json),
            Action::MinCoreBtf(verb) => verb.run(json),
        }
    }
}

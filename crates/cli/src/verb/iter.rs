//! `alveary iter`: iterators of an object, pinned, so that reading their file runs them.

use crate::{
    bpftool::{options::Options, pins, select, words::Words},
    failure::Failure,
};
use alveary::{Object, Target as On};
use alveary_abi::AttachType;
use alveary_diag::{Diagnostic, Place};
use alveary_linux::sys::{self, IterTarget, LinkCreate, LinkOptions, PathFlags, Target};
use clap::{Args, Subcommand};
use std::{os::fd::AsFd, path::Path};

/// Pin iterators: programs that go over what the kernel has, and write files of it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary iter pin tasks.bpf.o /sys/fs/bpf/tasks
  alveary iter pin elements.bpf.o /sys/fs/bpf/services map name services
  cat /sys/fs/bpf/tasks")]
pub(crate) struct Iter {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Action {
    Pin(Pin),
}

/// Load an object's first program, an iterator, and pin it
#[derive(Debug, Args)]
struct Pin {
    /// The object, and the path in a BPF file system; then, for an iterator over a map's elements, `map MAP`
    #[arg(value_name = "OBJ FILE [map MAP]", required = true)]
    words: Vec<String>,
}

impl Iter {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let Action::Pin(Pin { words }) = &self.action;
        let mut words = Words::new(words);
        let object = words.must("an object file")?;
        let path = words.must("a path in a BPF file system")?;
        let map = if words.is("map") { Some(select::map(&mut words)?) } else { None };
        words.end()?;
        pins::ready(Path::new(path), self.options.nomount)?;
        let loaded = Object::open(object)?.load(On::linux())?;
        let Some(program) = loaded.programs().next() else {
            return Err(Diagnostic::new("not-found", "the object has no program", Place::Nowhere)
                .in_file(object.to_owned())
                .into());
        };
        let over = map.as_ref().map_or(IterTarget::All, |map| IterTarget::Map(map.as_fd()));
        let create = LinkCreate::new(program.handle().as_fd(), Target::None, AttachType::TRACE_ITER);
        let link = LinkCreate { options: LinkOptions::Iter(over), ..create }.create()?;
        sys::obj_pin(link.as_fd(), Path::new(path), PathFlags::default())?;
        self.options.shape(json).done()
    }
}

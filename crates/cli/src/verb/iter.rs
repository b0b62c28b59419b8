//! `alveary iter`: iterators of an object, pinned, so that reading their file runs them.

use crate::{
    bpftool::{options::Options, over::Over, pins::Pins, words::Words},
    failure::Failure,
    kernel::KernelOptions,
};
use alveary::{Linux, Object, kernel::attach::Place};
use alveary_diag::{Diagnostic, Place as At};
use clap::{Args, Subcommand};
use std::path::Path;

/// Pin iterators: programs that go over what the kernel has, and write files of it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary iter pin tasks.bpf.o /sys/fs/bpf/tasks
  alveary iter pin elements.bpf.o /sys/fs/bpf/services map name services
  alveary iter pin tasks.bpf.o /sys/fs/bpf/mine pid 1234
  alveary iter pin groups.bpf.o /sys/fs/bpf/groups cgroup /sys/fs/cgroup/system.slice ancestors
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
    /// The object, and the path in a BPF file system; then what it goes over: `map MAP` (an iterator over elements needs
    /// it), `cgroup DIR [self|descendants|descendants_post|ancestors]`, `task TID`, `pid PID`
    #[arg(value_name = "OBJ FILE [OVER]", required = true)]
    words: Vec<String>,

    #[command(flatten)]
    kernel: KernelOptions,
}

impl Iter {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let Action::Pin(Pin { words, kernel }) = &self.action;
        let mut words = Words::new(words);
        let object = words.must("an object file")?;
        let path = words.must("a path in a BPF file system")?;
        let over = Over::read(&mut words)?;
        let mut pins = Pins::default();
        pins.ready_name(Path::new(path), self.options.nomount)?;
        let loaded = Object::open(object)?.load(kernel.linux(Linux::builder())?.build())?;
        let Some(program) = loaded.programs().next() else {
            return Err(Diagnostic::new("not-found", "the object has no program", At::Nowhere)
                .in_file(object.to_owned())
                .into());
        };
        loaded.attach_to(&program.spec().name, &Place::Iter(over.target()))?.pin(Path::new(path))?;
        pins.stay();
        self.options.shape(json).done()
    }
}

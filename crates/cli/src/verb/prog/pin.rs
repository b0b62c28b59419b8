//! `alveary prog pin`: keeps a program alive by a name.

use crate::{
    bpftool::{options::Options, pins, select, words::Words},
    failure::Failure,
};
use alveary_linux::sys::{self, PathFlags};
use clap::Args;
use std::{os::fd::AsFd, path::Path};

/// Keep a program loaded under a name in a BPF file system
#[derive(Debug, Args)]
#[command(after_help = "Example:
  alveary prog pin id 7 /sys/fs/bpf/filter")]
pub(super) struct Pin {
    /// The program (`id ID`, `name NAME`, `tag TAG` or `pinned FILE`), then the path
    #[arg(value_name = "WORD", required = true)]
    words: Vec<String>,
}

impl Pin {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let program = select::prog(&mut words)?;
        let path = Path::new(words.must("a path in a BPF file system")?);
        words.end()?;
        pins::pin(path, options.nomount, || sys::obj_pin(program.as_fd(), path, PathFlags::default()))?;
        options.shape(json).done()
    }
}

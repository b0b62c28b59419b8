//! `alveary link`: what is attached in the running kernel by links, as bpftool shows and handles it.

mod json;
mod show;
mod text;

pub(crate) use text::netfilter as netfilter_text;

use crate::{
    bpftool::{options::Options, pins, select, words::Words},
    failure::Failure,
};
use alveary_linux::sys::{self, PathFlags};
use clap::{Args, Subcommand};
use std::{os::fd::AsFd, path::Path};

/// Show and handle the links of the kernel: what is attached, and where
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary link list
  alveary link pin id 12 /sys/fs/bpf/firewall
  alveary link detach pinned /sys/fs/bpf/firewall")]
pub(crate) struct Link {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Action {
    #[command(visible_alias = "list")]
    Show(show::Show),
    /// Keep a link alive under a name in a BPF file system
    Pin(Named),
    /// Detach a link from what it is attached to; it stays until nobody holds it
    Detach(Named),
}

/// A link, and for `pin` a path.
#[derive(Debug, Args)]
struct Named {
    /// `id ID` or `pinned FILE`; to pin, then the path
    #[arg(value_name = "LINK", required = true)]
    words: Vec<String>,
}

impl Link {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let shape = self.options.shape(json);
        match &self.action {
            Action::Show(show) => show.run(self.options, json),
            Action::Pin(Named { words }) => {
                let mut words = Words::new(words);
                let link = select::link(&mut words)?;
                let path = words.must("a path in a BPF file system")?;
                words.end()?;
                let path = Path::new(path);
                pins::pin(path, self.options.nomount, || sys::obj_pin(link.as_fd(), path, PathFlags::default()))?;
                shape.done()
            }
            Action::Detach(Named { words }) => {
                let mut words = Words::new(words);
                let link = select::link(&mut words)?;
                words.end()?;
                sys::link_detach(link.as_fd())?;
                shape.done()
            }
        }
    }
}

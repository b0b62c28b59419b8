//! `alveary cgroup attach` and `detach`: without links, so that programs stay until they are detached or the cgroup goes.

use super::place;
use crate::{
    bpftool::{options::Shape, select, words::Words},
    failure::Failure,
};
use alveary_abi::flags::{BPF_F_ALLOW_MULTI, BPF_F_ALLOW_OVERRIDE};
use alveary_linux::sys::{ProgAttach, Target};
use clap::Args;
use std::{os::fd::AsFd, path::Path};

/// Attach a program to a cgroup
#[derive(Debug, Args)]
pub(super) struct Attach {
    /// The cgroup, where (`cgroup_inet_egress`, or `egress`), the program (`id ID`, `name NAME`, `tag TAG`, `pinned FILE`);
    /// then `multi`, beside others, or `override`, which cgroups below may replace
    #[arg(value_name = "CGROUP TYPE PROG", required = true)]
    words: Vec<String>,
}

impl Attach {
    pub(super) fn run(&self, shape: Shape) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let cgroup = place::open(Path::new(words.must("a cgroup's path")?))?;
        let ty = place::take(&mut words)?;
        let prog = select::prog(&mut words)?;
        let mut flags = 0;
        while !words.is_empty() {
            if words.is("multi") {
                flags |= BPF_F_ALLOW_MULTI;
            } else if words.is("override") {
                flags |= BPF_F_ALLOW_OVERRIDE;
            } else {
                return Err(words.unexpected("`multi` or `override`"));
            }
        }
        let target = Target::Fd(cgroup.as_fd());
        ProgAttach { flags, ..ProgAttach::new(target, Some(prog.as_fd()), ty) }.attach()?;
        shape.done()
    }
}

/// Take a program off a cgroup
#[derive(Debug, Args)]
pub(super) struct Detach {
    /// The cgroup, where (`cgroup_inet_egress`, or `egress`), the program (`id ID`, `name NAME`, `tag TAG`, `pinned FILE`)
    #[arg(value_name = "CGROUP TYPE PROG", required = true)]
    words: Vec<String>,
}

impl Detach {
    pub(super) fn run(&self, shape: Shape) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let cgroup = place::open(Path::new(words.must("a cgroup's path")?))?;
        let ty = place::take(&mut words)?;
        let prog = select::prog(&mut words)?;
        words.end()?;
        ProgAttach::new(Target::Fd(cgroup.as_fd()), Some(prog.as_fd()), ty).detach()?;
        shape.done()
    }
}

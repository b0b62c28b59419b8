//! `alveary net attach` and `detach`: XDP by netlink and tcx without links, so that programs stay until they are detached.

use crate::{
    bpftool::{device, options::Shape, select, words::Words},
    failure::Failure,
};
use alveary_abi::{AttachType, Errno};
use alveary_diag::{Diagnostic, Place};
use alveary_linux::{
    netlink::{Refusal, SetXdp, set_xdp},
    sys::{ProgAttach, Target},
};
use clap::Args;
use std::os::fd::AsFd;

/// Attach a program to a network device; it stays there until it is detached
#[derive(Debug, Args)]
pub(super) struct Attach {
    /// `xdp`, `xdpgeneric`, `xdpdrv`, `xdpoffload`, `tcx_ingress` or `tcx_egress`; then the program (`id ID`, `name NAME`,
    /// `tag TAG`, `pinned FILE`) and `dev NAME`; `overwrite` takes the place of an XDP program
    #[arg(value_name = "TYPE PROG dev NAME", required = true)]
    words: Vec<String>,
}

impl Attach {
    pub(super) fn run(&self, shape: Shape) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let way = Way::read(&mut words)?;
        let prog = select::prog(&mut words)?;
        let device = device::behind_dev(&mut words)?;
        let overwrite = words.is("overwrite");
        words.end()?;
        let prog = Some(prog.as_fd());
        match way {
            Way::Xdp(flags) => {
                let flags = flags | if overwrite { 0 } else { XDP_FLAGS_UPDATE_IF_NOEXIST };
                set_xdp(&SetXdp { device, program: prog, flags, expected: None }).map_err(refused)?;
            }
            Way::Tcx(ty) => ProgAttach::new(Target::Device(device), prog, ty).attach()?,
        }
        shape.done()
    }
}

/// Take a program off a network device
#[derive(Debug, Args)]
pub(super) struct Detach {
    /// `xdp`, `xdpgeneric`, `xdpdrv`, `xdpoffload`, `tcx_ingress` or `tcx_egress`; then `dev NAME`
    #[arg(value_name = "TYPE dev NAME", required = true)]
    words: Vec<String>,
}

impl Detach {
    pub(super) fn run(&self, shape: Shape) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let way = Way::read(&mut words)?;
        let device = device::behind_dev(&mut words)?;
        words.end()?;
        match way {
            Way::Xdp(flags) => {
                set_xdp(&SetXdp { device, program: None, flags, expected: None }).map_err(refused)?;
            }
            Way::Tcx(ty) => ProgAttach::new(Target::Device(device), None, ty).detach()?,
        }
        shape.done()
    }
}

const XDP_FLAGS_UPDATE_IF_NOEXIST: u32 = 1 << 0;

/// How a program is attached, by bpftool's word for it.
#[derive(Clone, Copy)]
enum Way {
    /// By netlink, with `XDP_FLAGS_…`.
    Xdp(u32),
    Tcx(AttachType),
}

const WAYS: [(&str, Way); 6] = [
    ("xdp", Way::Xdp(0)),
    ("xdpgeneric", Way::Xdp(1 << 1)),
    ("xdpdrv", Way::Xdp(1 << 2)),
    ("xdpoffload", Way::Xdp(1 << 3)),
    ("tcx_ingress", Way::Tcx(AttachType::TCX_INGRESS)),
    ("tcx_egress", Way::Tcx(AttachType::TCX_EGRESS)),
];

impl Way {
    fn read(words: &mut Words<'_>) -> Result<Way, Failure> {
        let found = WAYS.into_iter().find(|(name, _)| words.is(name));
        found.map(|(_, way)| way).ok_or_else(|| {
            words.unexpected("`xdp`, `xdpgeneric`, `xdpdrv`, `xdpoffload`, `tcx_ingress` or `tcx_egress`")
        })
    }
}

/// What the kernel says by netlink.
fn refused(why: Refusal) -> Failure {
    let text = if why.text.is_empty() { why.errno.to_string() } else { why.text };
    let diagnostic =
        Diagnostic::new("netlink", format!("the kernel refuses: {text}"), Place::Nowhere).found(why.errno.to_string());
    match why.errno {
        Errno::EPERM => diagnostic.help("this needs CAP_NET_ADMIN in the network namespace of the device"),
        Errno::EBUSY | Errno::EEXIST => {
            diagnostic.help("`alveary net show` tells what is there; `overwrite` behind the device takes its place")
        }
        _ => diagnostic,
    }
    .into()
}

//! `alveary link show`: what the kernel tells about its links.

use super::{json, text};
use crate::{
    bpftool::{json::Json, options::Options, owners::Owners, select, words::Words},
    failure::Failure,
};
use alveary_abi::{AttachType, Profile, ProgType};
use alveary_linux::sys::{self, LinkDetail, LinkInfo, Object, ProgParts};
use alveary_sort::Sort;
use clap::Args;
use rustix::net::{AddressFamily, SocketType, netdevice::index_to_name, socket};
use std::{
    fs,
    io::Write,
    os::fd::{AsFd, OwnedFd},
};

/// Show links: all, or the one that the words name
#[derive(Debug, Args)]
pub(super) struct Show {
    /// `id ID` or `pinned FILE`
    #[arg(value_name = "LINK")]
    words: Vec<String>,
}

impl Show {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let shape = options.shape(json);
        let mut words = Words::new(&self.words);
        let owners = Owners::of(Object::Link, options.pinned);
        let names = Profile::linux_6_18();
        let text = |seen: &Seen, out: &mut dyn Write| text::link(seen, &owners, &names, out);
        let json = |seen: &Seen, json: &mut Json<'_>| json::link(seen, &owners, &names, json);
        if words.is_empty() {
            return shape.each(select::all(Object::Link).map(|fd| Seen::of(&fd?)), false, text, json);
        }
        let link = select::link(&mut words)?;
        words.end()?;
        shape.each([Seen::of(&link)], true, text, json)
    }
}

/// A link as it is shown.
pub(super) struct Seen {
    pub(super) info: LinkInfo,
    /// What kind of program it is, where its own kind does not say it.
    pub(super) prog_type: Option<ProgType>,
    /// The name of the device that it is attached to.
    pub(super) device: Option<String>,
    /// The functions that it is attached to.
    pub(super) functions: Vec<Function>,
}

/// A function of the kernel that a link is attached to.
pub(super) struct Function {
    pub(super) address: u64,
    pub(super) cookie: u64,
    pub(super) name: String,
    /// Empty for the kernel's own.
    pub(super) module: String,
}

impl Seen {
    fn of(fd: &OwnedFd) -> Result<Seen, Failure> {
        let info = sys::link_info(fd.as_fd())?;
        let prog_type = match info.detail {
            LinkDetail::Tracing { .. } => Some(prog_type(info.prog)?),
            _ => None,
        };
        let device = match info.detail {
            LinkDetail::Xdp { ifindex } | LinkDetail::Tcx { ifindex, .. } | LinkDetail::Netkit { ifindex, .. } => {
                device(ifindex)
            }
            _ => None,
        };
        let functions = match &info.detail {
            LinkDetail::KprobeMulti { addresses, cookies, .. } => functions(addresses, cookies),
            _ => Vec::new(),
        };
        Ok(Seen { info, prog_type, device, functions })
    }
}

fn prog_type(id: u32) -> Result<ProgType, Failure> {
    let prog = sys::open_id(Object::Prog, id, 0, None)?;
    Ok(sys::prog_info(prog.as_fd(), ProgParts::default())?.ty)
}

/// The name of a device of this network namespace.
fn device(index: u32) -> Option<String> {
    let any = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    index_to_name(any, index).ok()
}

/// Names of addresses, in their order. The kernel tells no addresses to those who may not see them.
fn functions(addresses: &[u64], cookies: &[u64]) -> Vec<Function> {
    let mut wanted: Vec<_> =
        addresses.iter().enumerate().map(|(i, at)| (*at, cookies.get(i).copied().unwrap_or(0))).collect();
    wanted.order();
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let mut found = Vec::new();
    for line in symbols.lines() {
        let mut parts = line.split_ascii_whitespace();
        let Some(address) = parts.next().and_then(|at| u64::from_str_radix(at, 16).ok()) else { continue };
        let Ok(at) = wanted.binary_search_by_key(&address, |(at, _)| *at) else { continue };
        let name = parts.nth(1).unwrap_or_default().to_owned();
        let module = parts.next().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        // Aliases have the same address.
        if !found.iter().any(|f: &Function| f.address == address) {
            found.push(Function { address, cookie: wanted[at].1, name, module });
        }
    }
    found.order_by_key(|f| f.address);
    found
}

/// The name of an attach type, if it has one.
pub(super) fn attach_name(ty: AttachType, names: &Profile) -> Option<&'static str> {
    names.attach_type(ty).map(|row| row.name)
}

//! Links: what is attached, where.

use super::get;
use crate::sys::{
    Result,
    attr::layout,
    call::{address_mut, text},
};
use alveary_abi::AttachType;
use alveary_btf::TypeId;
use std::os::fd::BorrowedFd;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// `enum bpf_link_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u32);

impl LinkType {
    /// Names as bpftool writes them, by number.
    pub const NAMES: [&str; 15] = [
        "unspec",
        "raw_tracepoint",
        "tracing",
        "cgroup",
        "iter",
        "netns",
        "xdp",
        "perf_event",
        "kprobe_multi",
        "struct_ops",
        "netfilter",
        "tcx",
        "uprobe_multi",
        "netkit",
        "sockmap",
    ];

    /// Its name, if this version knows it.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Self::NAMES.get(self.0 as usize).copied()
    }
}

/// A link, as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// Its kind.
    pub ty: LinkType,
    /// Its id.
    pub id: u32,
    /// Id of its program; 0 of a `struct_ops` link.
    pub prog: u32,
    /// What is told of this kind.
    pub detail: LinkDetail,
}

/// What the kernel tells of each kind of link.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub enum LinkDetail {
    RawTracepoint {
        name: String,
        cookie: u64,
    },
    Tracing {
        attach_type: AttachType,
        target_obj: u32,
        target_btf: TypeId,
        cookie: u64,
    },
    /// A detached link has id 0.
    Cgroup {
        id: u64,
        attach_type: AttachType,
    },
    /// Which of map, cgroup and task is told depends on the target.
    Iter {
        target: String,
        map: u32,
        cgroup: u64,
        order: u32,
        tid: u32,
        pid: u32,
    },
    /// A detached link has inode 0.
    Netns {
        inode: u32,
        attach_type: AttachType,
    },
    /// A detached link has device 0.
    Xdp {
        ifindex: u32,
    },
    StructOps {
        map: u32,
    },
    Netfilter {
        family: u32,
        hook: u32,
        priority: i32,
        flags: u32,
    },
    KprobeMulti {
        flags: u32,
        missed: u64,
        addresses: Vec<u64>,
        cookies: Vec<u64>,
    },
    UprobeMulti {
        path: String,
        flags: u32,
        pid: u32,
        offsets: Vec<u64>,
        ref_ctr_offsets: Vec<u64>,
        cookies: Vec<u64>,
    },
    PerfEvent(PerfDetail),
    Tcx {
        ifindex: u32,
        attach_type: AttachType,
    },
    Netkit {
        ifindex: u32,
        attach_type: AttachType,
    },
    Sockmap {
        map: u32,
        attach_type: AttachType,
    },
    /// A kind that this version does not know.
    Unknown,
}

/// What a link of a perf event hangs on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub enum PerfDetail {
    Uprobe {
        returns: bool,
        file: String,
        offset: u32,
        cookie: u64,
        ref_ctr_offset: u64,
    },
    Kprobe {
        returns: bool,
        function: String,
        offset: u32,
        address: u64,
        missed: u64,
        cookie: u64,
    },
    Tracepoint {
        name: String,
        cookie: u64,
    },
    /// A counter: `perf_event_attr`'s type and config.
    Event {
        ty: u32,
        config: u64,
        cookie: u64,
    },
    Unknown,
}

layout! { pub(in crate::sys) RawLink at "bpf_link_info" {
    r#type: u32,
    id: u32,
    prog_id: u32,
    _pad: u32,
    _detail: [u64; 6],
} }

layout! { pub(in crate::sys) RawTracepoint at "bpf_link_info.raw_tracepoint" {
    tp_name: u64,
    tp_name_len: u32,
    _pad: u32,
    cookie: u64,
} }

layout! { pub(in crate::sys) RawTracing at "bpf_link_info.tracing" {
    attach_type: u32,
    target_obj_id: u32,
    target_btf_id: u32,
    _pad: u32,
    cookie: u64,
} }

layout! { pub(in crate::sys) RawCgroup at "bpf_link_info.cgroup" {
    cgroup_id: u64,
    attach_type: u32,
    _pad: u32,
} }

layout! { pub(in crate::sys) RawIter at "bpf_link_info.iter" {
    target_name: u64,
    target_name_len: u32,
    _map_id: u32,
    _unit: [u32; 4],
} }

layout! { pub(in crate::sys) RawNetns at "bpf_link_info.netns" {
    netns_ino: u32,
    attach_type: u32,
} }

layout! { pub(in crate::sys) RawXdp at "bpf_link_info.xdp" {
    ifindex: u32,
} }

layout! { pub(in crate::sys) RawStructOps at "bpf_link_info.struct_ops" {
    map_id: u32,
} }

layout! { pub(in crate::sys) RawNetfilter at "bpf_link_info.netfilter" {
    pf: u32,
    hooknum: u32,
    priority: i32,
    flags: u32,
} }

layout! { pub(in crate::sys) RawKprobeMulti at "bpf_link_info.kprobe_multi" {
    addrs: u64,
    count: u32,
    flags: u32,
    missed: u64,
    cookies: u64,
} }

layout! { pub(in crate::sys) RawUprobeMulti at "bpf_link_info.uprobe_multi" {
    path: u64,
    offsets: u64,
    ref_ctr_offsets: u64,
    cookies: u64,
    path_size: u32,
    count: u32,
    flags: u32,
    pid: u32,
} }

layout! { pub(in crate::sys) RawPerf at "bpf_link_info.perf_event" {
    r#type: u32,
    _pad: u32,
    _event: [u64; 5],
} }

layout! { pub(in crate::sys) RawUprobe at "bpf_link_info.perf_event.uprobe" {
    file_name: u64,
    name_len: u32,
    offset: u32,
    cookie: u64,
    ref_ctr_offset: u64,
} }

layout! { pub(in crate::sys) RawKprobe at "bpf_link_info.perf_event.kprobe" {
    func_name: u64,
    name_len: u32,
    offset: u32,
    addr: u64,
    missed: u64,
    cookie: u64,
} }

layout! { pub(in crate::sys) RawPerfTracepoint at "bpf_link_info.perf_event.tracepoint" {
    tp_name: u64,
    name_len: u32,
    _pad: u32,
    cookie: u64,
} }

layout! { pub(in crate::sys) RawEvent at "bpf_link_info.perf_event.event" {
    config: u64,
    r#type: u32,
    _pad: u32,
    cookie: u64,
} }

layout! { pub(in crate::sys) RawDevice at "bpf_link_info.tcx" {
    ifindex: u32,
    attach_type: u32,
} }

layout! { pub(in crate::sys) RawSockmap at "bpf_link_info.sockmap" {
    map_id: u32,
    attach_type: u32,
} }

/// Room for names: symbols have at most 512 bytes, paths 4096.
const NAME: usize = 4096;

/// What the kernel tells about a link.
///
/// # Errors
/// `EINVAL` if the descriptor is no link's.
pub fn link_info(fd: BorrowedFd<'_>) -> Result<LinkInfo> {
    let mut raw = RawLink::default();
    // SAFETY: no address is given.
    unsafe { get(fd, &mut raw)? };
    let detail = detail(fd, &raw)?;
    Ok(LinkInfo { ty: LinkType(raw.r#type), id: raw.id, prog: raw.prog_id, detail })
}

fn detail(fd: BorrowedFd<'_>, raw: &RawLink) -> Result<LinkDetail> {
    Ok(match raw.r#type {
        1 => {
            let (name, tp) =
                named(fd, |at, len| RawTracepoint { tp_name: at, tp_name_len: len, ..Default::default() })?;
            LinkDetail::RawTracepoint { name, cookie: tp.cookie }
        }
        2 => {
            let t: RawTracing = view(&raw._detail);
            LinkDetail::Tracing {
                attach_type: AttachType(t.attach_type),
                target_obj: t.target_obj_id,
                target_btf: TypeId(t.target_btf_id),
                cookie: t.cookie,
            }
        }
        3 => {
            let c: RawCgroup = view(&raw._detail);
            LinkDetail::Cgroup { id: c.cgroup_id, attach_type: AttachType(c.attach_type) }
        }
        4 => {
            let (target, iter) =
                named(fd, |at, len| RawIter { target_name: at, target_name_len: len, ..Default::default() })?;
            let [low, high, order, _] = iter._unit;
            let cgroup = u64::read_from_bytes(&iter._unit.as_bytes()[..8]).unwrap_or_default();
            LinkDetail::Iter { target, map: iter._map_id, cgroup, order, tid: low, pid: high }
        }
        5 => {
            let n: RawNetns = view(&raw._detail);
            LinkDetail::Netns { inode: n.netns_ino, attach_type: AttachType(n.attach_type) }
        }
        6 => LinkDetail::Xdp { ifindex: view::<RawXdp>(&raw._detail).ifindex },
        7 => LinkDetail::PerfEvent(perf_event(fd, view(&raw._detail))?),
        8 => kprobe_multi(fd, view(&raw._detail))?,
        9 => LinkDetail::StructOps { map: view::<RawStructOps>(&raw._detail).map_id },
        10 => {
            let RawNetfilter { pf, hooknum, priority, flags } = view(&raw._detail);
            LinkDetail::Netfilter { family: pf, hook: hooknum, priority, flags }
        }
        11 => {
            let RawDevice { ifindex, attach_type } = view(&raw._detail);
            LinkDetail::Tcx { ifindex, attach_type: AttachType(attach_type) }
        }
        12 => uprobe_multi(fd, view(&raw._detail))?,
        13 => {
            let RawDevice { ifindex, attach_type } = view(&raw._detail);
            LinkDetail::Netkit { ifindex, attach_type: AttachType(attach_type) }
        }
        14 => {
            let RawSockmap { map_id, attach_type } = view(&raw._detail);
            LinkDetail::Sockmap { map: map_id, attach_type: AttachType(attach_type) }
        }
        _ => LinkDetail::Unknown,
    })
}

fn perf_event(fd: BorrowedFd<'_>, perf: RawPerf) -> Result<PerfDetail> {
    /// The type, and what stands behind it.
    fn with<T: IntoBytes + Immutable>(ty: u32, of: &T) -> RawPerf {
        let mut perf = RawPerf { r#type: ty, ..RawPerf::default() };
        put(&mut perf._event, of);
        perf
    }
    Ok(match perf.r#type {
        ty @ (1 | 2) => {
            let (file, told) =
                named(fd, |at, len| with(ty, &RawUprobe { file_name: at, name_len: len, ..Default::default() }))?;
            let RawUprobe { offset, cookie, ref_ctr_offset, .. } = view(&told._event);
            PerfDetail::Uprobe { returns: ty == 2, file, offset, cookie, ref_ctr_offset }
        }
        ty @ (3 | 4) => {
            let (function, told) =
                named(fd, |at, len| with(ty, &RawKprobe { func_name: at, name_len: len, ..Default::default() }))?;
            let RawKprobe { offset, addr: address, missed, cookie, .. } = view(&told._event);
            PerfDetail::Kprobe { returns: ty == 4, function, offset, address, missed, cookie }
        }
        5 => {
            let (name, told) =
                named(fd, |at, len| with(5, &RawPerfTracepoint { tp_name: at, name_len: len, ..Default::default() }))?;
            PerfDetail::Tracepoint { name, cookie: view::<RawPerfTracepoint>(&told._event).cookie }
        }
        6 => {
            let RawEvent { config, r#type, cookie, .. } = view(&perf._event);
            PerfDetail::Event { ty: r#type, config, cookie }
        }
        _ => PerfDetail::Unknown,
    })
}

fn kprobe_multi(fd: BorrowedFd<'_>, first: RawKprobeMulti) -> Result<LinkDetail> {
    let mut addresses = vec![0u64; first.count as usize];
    let mut cookies = addresses.clone();
    let wanted = RawKprobeMulti {
        addrs: address_mut(&mut addresses),
        cookies: address_mut(&mut cookies),
        count: first.count,
        ..Default::default()
    };
    // SAFETY: both lists have room for `count` numbers.
    let RawKprobeMulti { flags, missed, .. } = unsafe { again(fd, &wanted)? };
    Ok(LinkDetail::KprobeMulti { flags, missed, addresses, cookies })
}

fn uprobe_multi(fd: BorrowedFd<'_>, first: RawUprobeMulti) -> Result<LinkDetail> {
    let mut offsets = vec![0u64; first.count as usize];
    let (mut ref_ctr_offsets, mut cookies) = (offsets.clone(), offsets.clone());
    let mut path = vec![0u8; NAME];
    let wanted = RawUprobeMulti {
        path: address_mut(&mut path),
        path_size: NAME as u32,
        offsets: address_mut(&mut offsets),
        ref_ctr_offsets: address_mut(&mut ref_ctr_offsets),
        cookies: address_mut(&mut cookies),
        count: first.count,
        ..Default::default()
    };
    // SAFETY: each list has room for `count` numbers, the path for `path_size` bytes.
    let RawUprobeMulti { flags, pid, .. } = unsafe { again(fd, &wanted)? };
    Ok(LinkDetail::UprobeMulti { path: text(&path), flags, pid, offsets, ref_ctr_offsets, cookies })
}

/// Asks once more, with room for a name.
fn named<T>(fd: BorrowedFd<'_>, wanted: impl FnOnce(u64, u32) -> T) -> Result<(String, T)>
where
    T: FromBytes + IntoBytes + Immutable,
{
    let mut name = vec![0u8; NAME];
    let wanted = wanted(address_mut(&mut name), NAME as u32);
    // SAFETY: callers put the address and the length where this kind of link has them.
    let told = unsafe { again(fd, &wanted)? };
    Ok((text(&name), told))
}

/// Asks once more, with addresses of lists.
///
/// # Safety
/// As for [`get`]; and `wanted` must be what this kind of link tells.
unsafe fn again<T: FromBytes + IntoBytes + Immutable>(fd: BorrowedFd<'_>, wanted: &T) -> Result<T> {
    let mut raw = RawLink::default();
    put(&mut raw._detail, wanted);
    // SAFETY: the caller's.
    unsafe { get(fd, &mut raw)? };
    Ok(view(&raw._detail))
}

fn put<T: IntoBytes + Immutable>(words: &mut [u64], of: &T) {
    let bytes = of.as_bytes();
    words.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
}

/// The beginning of the words as a struct, all of which are shorter than they.
fn view<T: FromBytes>(words: &[u64]) -> T {
    let (head, _) = T::read_from_prefix(words.as_bytes()).unwrap_or_else(|_| unreachable!("the words are longer"));
    head
}

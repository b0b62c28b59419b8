//! Links: attachments that are objects.

use super::{
    About, Command, Error, Result, Target,
    attr::{
        IterAttr, IterCgroupInfo, IterMapInfo, IterTaskInfo, KprobeMultiAttr, LinkCreateAttr, LinkDetachAttr,
        LinkUpdateAttr, NetfilterAttr, OrderAttr, PerfEventAttr, TracingAttr, UprobeMultiAttr,
    },
    call::{address, call, call_fd, raw},
    error::OfCommand,
};
use alveary_abi::{
    AttachType,
    flags::{BPF_F_AFTER, BPF_F_BEFORE, BPF_F_ID, BPF_F_REPLACE},
};
use alveary_btf::TypeId;
use std::{
    ffi::CStr,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};
use zerocopy::{Immutable, IntoBytes};

/// The place of a program among others at the same hook (tcx, netkit, cgroups).
#[derive(Clone, Copy, Debug, Default)]
pub struct Order<'a> {
    /// Before that program; of none: first.
    pub before: bool,
    /// Behind that program; of none: last.
    pub after: bool,
    /// The program that is meant, by descriptor.
    pub prog: Option<BorrowedFd<'a>>,
    /// The program that is meant, by id; 0 is none.
    pub id: u32,
    /// The revision that is expected; 0 is any.
    pub revision: u64,
}

impl Order<'_> {
    pub(super) fn flags(&self) -> u32 {
        let bit = |set, bit| if set { bit } else { 0 };
        bit(self.before, BPF_F_BEFORE) | bit(self.after, BPF_F_AFTER) | bit(self.id != 0, BPF_F_ID)
    }

    pub(super) fn relative(&self) -> u32 {
        if self.id != 0 { self.id } else { raw(self.prog) }
    }
}

/// What a link is made from (`BPF_LINK_CREATE`).
#[derive(Clone, Copy, Debug)]
pub struct LinkCreate<'a> {
    /// The program; of a `struct_ops` link the map.
    pub prog: BorrowedFd<'a>,
    /// What it is attached to.
    pub target: Target<'a>,
    /// Where.
    pub ty: AttachType,
    /// Flags of the attach type (`XDP_FLAGS_…`).
    pub flags: u32,
    /// What else this attach type takes.
    pub options: LinkOptions<'a>,
}

/// What a link of some attach types takes besides.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub enum LinkOptions<'a> {
    None,
    /// The id of a function or hook in the kernel's BTF, for programs that can be attached to several.
    TargetBtf {
        id: TypeId,
    },
    /// tp_btf, fentry, fexit, fmod_ret, LSM: the id is 0 for what the program was loaded for.
    Tracing {
        target: TypeId,
        cookie: u64,
    },
    PerfEvent {
        cookie: u64,
    },
    Iter(IterTarget<'a>),
    /// By symbol or by address; cookies are as many as those, or none.
    KprobeMulti {
        flags: u32,
        symbols: &'a [&'a CStr],
        addresses: &'a [u64],
        cookies: &'a [u64],
    },
    /// As many reference counters and cookies as offsets, or none; process 0 is every one.
    UprobeMulti {
        flags: u32,
        path: &'a CStr,
        offsets: &'a [u64],
        ref_ctr_offsets: &'a [u64],
        cookies: &'a [u64],
        pid: u32,
    },
    Netfilter {
        family: u32,
        hook: u32,
        priority: i32,
        flags: u32,
    },
    /// tcx, netkit, cgroup.
    Order(Order<'a>),
}

/// What an iterator goes over, if not over everything.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub enum IterTarget<'a> {
    All,
    Map(BorrowedFd<'a>),
    /// `enum bpf_cgroup_iter_order`; the cgroup by descriptor or by id.
    Cgroup {
        order: u32,
        fd: Option<BorrowedFd<'a>>,
        id: u64,
    },
    Task {
        tid: u32,
        pid: u32,
        pid_fd: Option<BorrowedFd<'a>>,
    },
}

impl<'a> LinkCreate<'a> {
    /// A link without options.
    #[must_use]
    pub fn new(prog: BorrowedFd<'a>, target: Target<'a>, ty: AttachType) -> LinkCreate<'a> {
        LinkCreate { prog, target, ty, flags: 0, options: LinkOptions::None }
    }

    /// Attaches the program: until the last descriptor of the link is closed, unless it is pinned.
    ///
    /// # Errors
    /// `EINVAL` without asking the kernel if lists are not as long as each other; else the kernel's.
    pub fn create(&self) -> Result<OwnedFd> {
        let failed = |e: Error| e.about(About::Attach(self.ty));
        let invalid = || Error::new(Command::LinkCreate, alveary_abi::Errno::EINVAL).about(About::Attach(self.ty));
        let names: Vec<*const libc::c_char>;
        let (mut flags, mut options) = (self.flags, [0u64; 6]);
        match self.options {
            LinkOptions::None => {}
            LinkOptions::TargetBtf { id } => {
                set(&mut options, &TracingAttr { target_btf_id: id.0, ..Default::default() })
            }
            LinkOptions::Tracing { target, cookie } => {
                set(&mut options, &TracingAttr { target_btf_id: target.0, cookie, ..Default::default() });
            }
            LinkOptions::PerfEvent { cookie } => set(&mut options, &PerfEventAttr { bpf_cookie: cookie }),
            LinkOptions::Iter(over) => return self.iterator(over).map_err(failed),
            LinkOptions::KprobeMulti { flags, symbols, addresses, cookies } => {
                let count = symbols.len().max(addresses.len());
                if !symbols.is_empty() && !addresses.is_empty() || !fits(cookies, count) {
                    return Err(invalid());
                }
                names = symbols.iter().map(|name| name.as_ptr()).collect();
                set(
                    &mut options,
                    &KprobeMultiAttr {
                        flags,
                        cnt: count as u32,
                        syms: address(&names),
                        addrs: address(addresses),
                        cookies: address(cookies),
                    },
                );
            }
            LinkOptions::UprobeMulti { flags, path, offsets, ref_ctr_offsets, cookies, pid } => {
                if !fits(ref_ctr_offsets, offsets.len()) || !fits(cookies, offsets.len()) {
                    return Err(invalid());
                }
                let attr = UprobeMultiAttr {
                    path: path.as_ptr() as u64,
                    offsets: address(offsets),
                    ref_ctr_offsets: address(ref_ctr_offsets),
                    cookies: address(cookies),
                    cnt: offsets.len() as u32,
                    flags,
                    pid,
                    ..Default::default()
                };
                set(&mut options, &attr);
            }
            LinkOptions::Netfilter { family, hook, priority, flags } => {
                set(&mut options, &NetfilterAttr { pf: family, hooknum: hook, priority, flags });
            }
            LinkOptions::Order(order) => {
                flags |= order.flags();
                let (relative_fd, expected_revision) = (order.relative(), order.revision);
                set(&mut options, &OrderAttr { relative_fd, expected_revision, ..Default::default() });
            }
        }
        let mut attr = LinkCreateAttr {
            prog_fd: self.prog.as_raw_fd() as u32,
            target_fd: self.target.raw(),
            attach_type: self.ty.0,
            flags,
            _options: options,
        };
        // SAFETY: lists are as long as the count beside them, and names and paths end in a zero.
        unsafe { call_fd(Command::LinkCreate, &mut attr) }.of(Command::LinkCreate).map_err(failed)
    }

    fn iterator(&self, over: IterTarget<'_>) -> Result<OwnedFd> {
        let (map, cgroup, task);
        let (info, len) = match over {
            IterTarget::All => (0, 0),
            IterTarget::Map(fd) => {
                map = IterMapInfo { map_fd: fd.as_raw_fd() as u32 };
                place(&map)
            }
            IterTarget::Cgroup { order, fd, id } => {
                cgroup = IterCgroupInfo { order, cgroup_fd: raw(fd), cgroup_id: id };
                place(&cgroup)
            }
            IterTarget::Task { tid, pid, pid_fd } => {
                task = IterTaskInfo { tid, pid, pid_fd: raw(pid_fd) };
                place(&task)
            }
        };
        let mut attr = IterAttr {
            prog_fd: self.prog.as_raw_fd() as u32,
            target_fd: self.target.raw(),
            attach_type: self.ty.0,
            flags: self.flags,
            iter_info: info,
            iter_info_len: len,
            ..IterAttr::default()
        };
        // SAFETY: `iter_info` is as long as `iter_info_len` says, and lives in this function.
        unsafe { call_fd(Command::LinkCreate, &mut attr) }.of(Command::LinkCreate)
    }
}

/// Writes what an attach type takes over the bytes that all of them share.
fn set<T: IntoBytes + Immutable>(options: &mut [u64; 6], attr: &T) {
    let bytes = attr.as_bytes();
    options.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
}

fn place<T>(info: &T) -> (u64, u32) {
    (std::ptr::from_ref(info) as u64, size_of::<T>() as u32)
}

fn fits(list: &[u64], count: usize) -> bool {
    list.is_empty() || list.len() == count
}

/// Another program for a link (`BPF_LINK_UPDATE`).
#[derive(Clone, Copy, Debug)]
pub struct LinkUpdate<'a> {
    /// The link.
    pub link: BorrowedFd<'a>,
    /// The program that runs from now on; of a `struct_ops` link the map.
    pub new: BorrowedFd<'a>,
    /// What has to be there until now; sets `BPF_F_REPLACE`.
    pub old: Option<BorrowedFd<'a>>,
    /// Flags.
    pub flags: u32,
}

impl LinkUpdate<'_> {
    /// Swaps the program, at once for everyone.
    ///
    /// # Errors
    /// `EPERM` if another program is there than `old`; else the kernel's.
    pub fn update(&self) -> Result<()> {
        let mut attr = LinkUpdateAttr {
            link_fd: self.link.as_raw_fd() as u32,
            new_prog_fd: self.new.as_raw_fd() as u32,
            flags: self.flags | if self.old.is_some() { BPF_F_REPLACE } else { 0 },
            old_prog_fd: raw(self.old),
        };
        // SAFETY: there is no address.
        unsafe { call(Command::LinkUpdate, &mut attr) }.map(drop).of(Command::LinkUpdate)
    }
}

/// `BPF_LINK_DETACH`: takes the program off, whoever holds the link.
///
/// # Errors
/// `EOPNOTSUPP` for kinds of links that cannot; else the kernel's.
pub fn link_detach(link: BorrowedFd<'_>) -> Result<()> {
    let mut attr = LinkDetachAttr { link_fd: link.as_raw_fd() as u32 };
    // SAFETY: there is no address.
    unsafe { call(Command::LinkDetach, &mut attr) }.map(drop).of(Command::LinkDetach)
}

//! `BPF_PROG_ATTACH`, `BPF_PROG_DETACH`, `BPF_PROG_QUERY`: attachments that have no link.

use super::{
    About, Command, Error, Result,
    attr::{ProgAttachAttr, ProgQueryAttr},
    call::{address_mut, call, raw},
    link::Order,
};
use alveary_abi::{AttachType, Errno};
use std::os::fd::{AsRawFd, BorrowedFd};

/// What a program is attached to.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A cgroup, a sockmap, a network namespace, a LIRC device …
    Fd(BorrowedFd<'a>),
    /// A network device, by number.
    Device(u32),
    /// Nothing that the kernel would have to be told (the flow dissector of this network namespace).
    None,
}

impl Target<'_> {
    pub(super) fn raw(self) -> u32 {
        match self {
            Target::Fd(fd) => fd.as_raw_fd() as u32,
            Target::Device(index) => index,
            Target::None => 0,
        }
    }
}

/// A program, and where it goes or is taken from.
#[derive(Clone, Copy, Debug)]
pub struct ProgAttach<'a> {
    /// What it is attached to.
    pub target: Target<'a>,
    /// The program; to detach, `None` is whatever is there, for types that allow it.
    pub prog: Option<BorrowedFd<'a>>,
    /// Where.
    pub ty: AttachType,
    /// `BPF_F_ALLOW_MULTI` …
    pub flags: u32,
    /// The program whose place it takes; sets `BPF_F_REPLACE`.
    pub replace: Option<BorrowedFd<'a>>,
    /// Its place among others.
    pub order: Order<'a>,
}

impl<'a> ProgAttach<'a> {
    /// A program and its place, nothing else said.
    #[must_use]
    pub fn new(target: Target<'a>, prog: Option<BorrowedFd<'a>>, ty: AttachType) -> ProgAttach<'a> {
        ProgAttach { target, prog, ty, flags: 0, replace: None, order: Order::default() }
    }

    /// `BPF_PROG_ATTACH`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn attach(&self) -> Result<()> {
        self.call(Command::ProgAttach)
    }

    /// `BPF_PROG_DETACH`.
    ///
    /// # Errors
    /// `ENOENT` if it is not attached there; else the kernel's.
    pub fn detach(&self) -> Result<()> {
        self.call(Command::ProgDetach)
    }

    fn call(&self, command: Command) -> Result<()> {
        let replaces = if self.replace.is_some() { alveary_abi::flags::BPF_F_REPLACE } else { 0 };
        let mut attr = ProgAttachAttr {
            target_fd: self.target.raw(),
            attach_bpf_fd: raw(self.prog),
            attach_type: self.ty.0,
            attach_flags: self.flags | replaces | self.order.flags(),
            replace_bpf_fd: raw(self.replace),
            relative_fd: self.order.relative(),
            expected_revision: self.order.revision,
        };
        // SAFETY: there is no address.
        let done = unsafe { call(command, &mut attr) };
        done.map(drop).map_err(|errno| Error::new(command, errno).about(About::Attach(self.ty)))
    }
}

/// Asks what is attached somewhere.
#[derive(Clone, Copy, Debug)]
pub struct ProgQuery<'a> {
    /// What programs are attached to.
    pub target: Target<'a>,
    /// Where.
    pub ty: AttachType,
    /// `BPF_F_QUERY_EFFECTIVE` (1): those of the cgroups above as well.
    pub flags: u32,
}

/// What is attached somewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queried {
    /// Ids of the programs, in the order in which they run.
    pub progs: Vec<u32>,
    /// Flags of each, if the kernel says them.
    pub prog_flags: Vec<u32>,
    /// For each the id of its link, 0 if it has none; empty if the kernel does not say it.
    pub links: Vec<u32>,
    /// Flags of each link, if the kernel says them.
    pub link_flags: Vec<u32>,
    /// Flags of the place: with which its programs were attached.
    pub flags: u32,
    /// Changes with each attachment.
    pub revision: u64,
}

impl ProgQuery<'_> {
    /// `BPF_PROG_QUERY`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn query(&self) -> Result<Queried> {
        // Programs may come while we ask.
        let (mut room, mut per_prog) = (64, self.flags == 0);
        loop {
            match self.query_into(room, per_prog) {
                Err(e) if e.errno() == Errno::ENOSPC && room < 1 << 16 => room *= 4,
                // Before Linux 6.0 programs had no flags of their own.
                Err(e) if matches!(e.errno(), Errno::EINVAL | Errno::E2BIG) && per_prog => per_prog = false,
                done => return done,
            }
        }
    }

    fn query_into(&self, room: usize, per_prog: bool) -> Result<Queried> {
        let has_links = matches!(
            self.ty,
            AttachType::TCX_INGRESS | AttachType::TCX_EGRESS | AttachType::NETKIT_PRIMARY | AttachType::NETKIT_PEER
        );
        let array = |wanted: bool| vec![0; if wanted { room } else { 0 }];
        let (mut progs, mut prog_flags) = (array(true), array(per_prog));
        let (mut links, mut link_flags) = (array(has_links), array(has_links));
        let mut attr = ProgQueryAttr {
            target_fd: self.target.raw(),
            attach_type: self.ty.0,
            query_flags: self.flags,
            prog_ids: address_mut(&mut progs),
            count: room as u32,
            prog_attach_flags: address_mut(&mut prog_flags),
            link_ids: address_mut(&mut links),
            link_attach_flags: address_mut(&mut link_flags),
            ..ProgQueryAttr::default()
        };
        // SAFETY: each array that is given has room for `count` numbers.
        let done = unsafe { call(Command::ProgQuery, &mut attr) };
        done.map_err(|errno| Error::new(Command::ProgQuery, errno).about(About::Attach(self.ty)))?;
        for array in [&mut progs, &mut prog_flags, &mut links, &mut link_flags] {
            array.truncate(attr.count as usize);
        }
        Ok(Queried { progs, prog_flags, links, link_flags, flags: attr.attach_flags, revision: attr.revision })
    }
}

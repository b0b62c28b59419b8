//! Processes that hold objects of bpf(2) open, as far as `/proc` lets us look.
//!
//! One walk over all descriptors, in as few calls as it takes: where a link leads says what a descriptor is, and only
//! those of the wanted kind are asked for their id.

use crate::{fdinfo::FdInfo, sys::Object};
use alveary_sort::Sort;
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, Mode, OFlags, RawDir, openat, readlinkat_raw, statat},
    io::{Errno, read},
    path::Arg,
};
use std::{collections::BTreeMap, ffi::CStr, mem::MaybeUninit, ops::ControlFlow, sync::Arc};

/// A process that holds something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

/// An object that processes hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Who does, in the order of their numbers.
    pub by: Vec<Arc<Holder>>,
    /// What `/proc` tells about the first descriptor of it.
    pub info: FdInfo,
}

/// The objects that processes hold, by id.
pub type Holders = BTreeMap<u32, Held>;

/// The processes that hold objects of a kind, `without` that one.
///
/// By one thread: nearly all of it is the kernel's work, of which a second one takes half, but costs more than that in
/// memory and in time of processors.
#[must_use]
pub fn holders(object: Object, without: Option<u32>) -> Holders {
    let (kind, mut found) = (Kind::of(object), Holders::new());
    let Some(proc) = directory(rustix::fs::CWD, c"/proc") else { return found };
    let proc = proc.as_fd();
    // The directory of a process's descriptors says how many they are (Linux 6.2): we have some, so that 0 says nothing.
    let counted = count(proc, "self/fd").is_some_and(|count| count > 0);
    let idle = kernel_threads(proc);
    each(proc, |_, pid| {
        if Some(pid) != without && idle.binary_search(&pid).is_err() {
            let open = if counted { count(proc, format!("{pid}/fd")) } else { Some(usize::MAX) };
            if let Some(open @ 1..) = open {
                kind.of_process(pid, open, proc, &mut found);
            }
        }
        ControlFlow::Continue(())
    });
    found
}

/// The process that has all threads of the kernel for children, but in a PID namespace, where they are not seen.
const KTHREADD: u32 = 2;

/// Bit of a process's flags: it is a thread of the kernel.
const PF_KTHREAD: u64 = 0x0020_0000;

/// Which of the numbers in `/proc` are threads of the kernel, in order. They are more than half on many machines, and hold
/// nothing. Empty if it does not tell.
fn kernel_threads(proc: BorrowedFd<'_>) -> Vec<u32> {
    let told = || {
        let stat = content(proc, format!("{KTHREADD}/stat"))?;
        // Behind the name, which is whatever somebody called himself: state, parent, group, session, terminal, its group, flags.
        let flags: u64 = stat.rsplit(')').next()?.split_ascii_whitespace().nth(6)?.parse().ok()?;
        let children = content(proc, format!("{KTHREADD}/task/{KTHREADD}/children"))?;
        (flags & PF_KTHREAD != 0)
            .then(|| children.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect())
    };
    let mut threads: Vec<u32> = told().unwrap_or_default();
    threads.order();
    threads
}

/// How many entries a directory of descriptors says that it has.
fn count(at: BorrowedFd<'_>, name: impl Arg) -> Option<usize> {
    statat(at, name, AtFlags::empty()).ok()?.st_size.try_into().ok()
}

/// How descriptors of a kind are told.
struct Kind {
    /// Where their link leads: kernels differ.
    links: &'static [&'static [u8]],
    /// What the id is called in their description.
    id: &'static str,
}

impl Kind {
    fn of(object: Object) -> Kind {
        let (links, id): (&'static [&'static [u8]], _) = match object {
            Object::Prog => (&[b"anon_inode:bpf-prog"], "prog_id"),
            Object::Map => (&[b"anon_inode:bpf-map"], "map_id"),
            Object::Link => (&[b"anon_inode:bpf-link", b"anon_inode:bpf_link"], "link_id"),
            Object::Btf => (&[b"anon_inode:btf"], "btf_id"),
        };
        Kind { links, id }
    }

    /// Looks at the descriptors of a process, `open` at most.
    fn of_process(&self, pid: u32, open: usize, proc: BorrowedFd<'_>, found: &mut Holders) {
        let Some(descriptors) = directory(proc, format!("{pid}/fd")) else { return };
        let (mut descriptions, mut holder, mut seen) = (None, None, 0);
        each(descriptors.as_fd(), |name, _| {
            seen += 1;
            let next = if seen < open { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
            let mut target = [MaybeUninit::uninit(); 64];
            match readlinkat_raw(&descriptors, name, &mut target) {
                Ok((link, _)) if self.links.contains(&&*link) => {}
                // What we may not see of one we may not see of any.
                Err(Errno::ACCESS) => return ControlFlow::Break(()),
                _ => return next,
            }
            let descriptions = descriptions.get_or_insert_with(|| directory(proc, format!("{pid}/fdinfo")));
            let info = descriptions.as_ref().and_then(|all| FdInfo::read(all.as_fd(), name)).unwrap_or_default();
            let Some(id) = info.number(self.id).and_then(|id| u32::try_from(id).ok()) else { return next };
            let holder = holder.get_or_insert_with(|| {
                let name = content(proc, format!("{pid}/comm")).unwrap_or_default().trim_end().to_owned();
                Arc::new(Holder { pid, name })
            });
            let held = found.entry(id).or_insert_with(|| Held { by: Vec::with_capacity(1), info });
            // Several descriptors may be of one object.
            if held.by.last() != Some(holder) {
                held.by.push(Arc::clone(holder));
            }
            next
        });
    }
}

fn directory(at: BorrowedFd<'_>, name: impl Arg) -> Option<OwnedFd> {
    openat(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// Room for what is read of one directory at a time.
const ROOM: usize = 4096;

/// Gives the names in a directory that are numbers to `visit`, until that breaks off.
fn each(directory: BorrowedFd<'_>, mut visit: impl FnMut(&CStr, u32) -> ControlFlow<()>) {
    let mut room = [MaybeUninit::uninit(); ROOM];
    let mut entries = RawDir::new(directory, &mut room);
    // A process that ends meanwhile ends its directories.
    while let Some(Ok(entry)) = entries.next() {
        let name = entry.file_name();
        let Some(number) = name.to_str().ok().and_then(|name| name.parse().ok()) else { continue };
        if visit(name, number).is_break() {
            break;
        }
    }
}

/// A file in `/proc`, as text.
fn content(at: BorrowedFd<'_>, name: impl Arg) -> Option<String> {
    let file = openat(at, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut bytes = Vec::new();
    let mut room = [0; 512];
    loop {
        match read(&file, &mut room).ok()? {
            0 => break,
            length => bytes.extend_from_slice(room.get(..length)?),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

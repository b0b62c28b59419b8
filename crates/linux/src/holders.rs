//! Processes that hold objects of bpf(2) open, as far as `/proc` lets us look.
//!
//! One walk over all descriptors, in as few calls as it takes: where a link leads says what a descriptor is, and only
//! those of the wanted kind are asked for their id.

use crate::sys::Object;
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, Mode, OFlags, RawDir, openat, readlinkat_raw, statat},
    io::{Errno, read},
    path::Arg,
};
use std::{
    collections::BTreeMap,
    ffi::CStr,
    mem::MaybeUninit,
    ops::ControlFlow,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A process that holds something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
}

/// Room for what is read of one file, or of one directory at a time.
const ROOM: usize = 4096;

/// Who holds objects, by the objects' ids; of each object in the order of the processes' numbers.
pub type Holders = BTreeMap<u32, Vec<Holder>>;

/// The processes that hold objects of a kind, `without` that one.
#[must_use]
pub fn holders(object: Object, without: Option<u32>) -> Holders {
    Search::new(object, without).part()
}

/// A look through all processes, which threads may share.
#[derive(Debug)]
pub struct Search {
    kind: Kind,
    without: Option<u32>,
    proc: Option<OwnedFd>,
    processes: OnceLock<Vec<u32>>,
    /// How many processes were taken.
    taken: AtomicUsize,
    /// The directory of a process's descriptors says how many they are (Linux 6.2): that of one without any, as all
    /// threads of the kernel are, need not be opened.
    counted: bool,
}

impl Search {
    /// For objects of a kind, `without` that process.
    #[must_use]
    pub fn new(object: Object, without: Option<u32>) -> Search {
        let proc = directory(rustix::fs::CWD, c"/proc");
        // We have some, so that 0 says nothing.
        let counted = proc.as_ref().and_then(|proc| count(proc.as_fd(), "self/fd")).is_some_and(|count| count > 0);
        Search {
            kind: Kind::of(object),
            without,
            proc,
            processes: OnceLock::new(),
            taken: AtomicUsize::new(0),
            counted,
        }
    }

    /// Looks at processes that nobody has looked at, until there are none: what all threads found is the whole.
    #[must_use]
    pub fn part(&self) -> Holders {
        let mut found = Holders::new();
        let Some(proc) = self.proc.as_ref().map(AsFd::as_fd) else { return found };
        let processes = self.processes.get_or_init(|| processes(proc));
        while let Some(pid) = processes.get(self.taken.fetch_add(1, Ordering::Relaxed)) {
            let open = if self.counted { count(proc, format!("{pid}/fd")) } else { Some(usize::MAX) };
            if let Some(open @ 1..) = open.filter(|_| Some(*pid) != self.without) {
                self.kind.of_process(*pid, open, proc, &mut found);
            }
        }
        found
    }
}

/// The numbers of all processes.
fn processes(proc: BorrowedFd<'_>) -> Vec<u32> {
    let mut found = Vec::new();
    each(proc, |_, pid| {
        found.push(pid);
        ControlFlow::Continue(())
    });
    found
}

/// How many entries a directory of descriptors says that it has.
fn count(at: BorrowedFd<'_>, name: impl Arg) -> Option<usize> {
    statat(at, name, AtFlags::empty()).ok()?.st_size.try_into().ok()
}

/// How descriptors of a kind are told.
#[derive(Debug)]
struct Kind {
    /// Where their link leads: kernels differ.
    links: &'static [&'static [u8]],
    /// What is in front of the id in their description.
    id: &'static [u8],
}

impl Kind {
    fn of(object: Object) -> Kind {
        let (links, id): (&'static [&'static [u8]], &[u8]) = match object {
            Object::Prog => (&[b"anon_inode:bpf-prog"], b"prog_id:"),
            Object::Map => (&[b"anon_inode:bpf-map"], b"map_id:"),
            Object::Link => (&[b"anon_inode:bpf-link", b"anon_inode:bpf_link"], b"link_id:"),
            Object::Btf => (&[b"anon_inode:btf"], b"btf_id:"),
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
            if let Some(id) = descriptions.as_ref().and_then(|all| self.id_in(&content(all.as_fd(), name)?)) {
                let holder = holder.get_or_insert_with(|| Holder {
                    pid,
                    name: content(proc, format!("{pid}/comm")).map(|name| text(&name)).unwrap_or_default(),
                });
                let holders = found.entry(id).or_default();
                // Several descriptors may be of one object.
                if holders.last() != Some(&*holder) {
                    holders.push(holder.clone());
                }
            }
            next
        });
    }

    fn id_in(&self, description: &[u8]) -> Option<u32> {
        let line = description.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(self.id))?;
        std::str::from_utf8(line).ok()?.trim().parse().ok()
    }
}

fn directory(at: BorrowedFd<'_>, name: impl Arg) -> Option<OwnedFd> {
    openat(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
}

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

/// The beginning of a file, which is all that matters of those in `/proc`.
fn content(at: BorrowedFd<'_>, name: impl Arg) -> Option<Vec<u8>> {
    let file = openat(at, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut bytes = vec![0; ROOM];
    let length = read(&file, &mut *bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

//! Processes that hold objects of bpf(2) open, as far as `/proc` lets us look.
//!
//! One walk over all descriptors, in as few calls as it takes: where a link leads says what a descriptor is, and only
//! those of the wanted kind are asked for their id.

use crate::sys::Object;
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{Mode, OFlags, RawDir, openat, readlinkat_raw},
    io::{Errno, read},
    path::Arg,
};
use std::{collections::BTreeMap, ffi::CStr, mem::MaybeUninit, ops::ControlFlow};

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

/// The processes that hold objects of a kind, by the objects' ids: in the order in which `/proc` has them, `without`
/// that one.
#[must_use]
pub fn holders(object: Object, without: Option<u32>) -> BTreeMap<u32, Vec<Holder>> {
    let kind = Kind::of(object);
    let mut found = BTreeMap::new();
    let Some(proc) = directory(rustix::fs::CWD, c"/proc") else { return found };
    each(proc.as_fd(), |_, pid| {
        if Some(pid) != without {
            kind.of_process(pid, proc.as_fd(), &mut found);
        }
        ControlFlow::Continue(())
    });
    found
}

/// How descriptors of a kind are told.
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

    fn of_process(&self, pid: u32, proc: BorrowedFd<'_>, found: &mut BTreeMap<u32, Vec<Holder>>) {
        let Some(descriptors) = directory(proc, format!("{pid}/fd")) else { return };
        let (mut descriptions, mut holder) = (None, None);
        each(descriptors.as_fd(), |name, _| {
            let mut target = [MaybeUninit::uninit(); 64];
            match readlinkat_raw(&descriptors, name, &mut target) {
                Ok((link, _)) if self.links.contains(&&*link) => {}
                // What we may not see of one we may not see of any.
                Err(Errno::ACCESS) => return ControlFlow::Break(()),
                _ => return ControlFlow::Continue(()),
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
            ControlFlow::Continue(())
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

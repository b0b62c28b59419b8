//! What an attachment is to its holder.

use super::Program;
use crate::sys::{self, LinkUpdate, PathFlags};
use alveary_diag::{Diagnostic, Place as At};
use std::{
    fmt, fs,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

/// An attachment. Dropped, the program is detached; pinned, it stays.
#[derive(Debug)]
pub struct Link {
    /// What has to be undone: several probes, or the same event on several CPUs, are several.
    parts: Vec<Box<dyn Part>>,
    /// Where the program is, for messages.
    place: String,
    /// What its holder should know: that the generic XDP is used, who else is there.
    notes: Vec<String>,
}

/// What became of an attachment that was pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pinned {
    /// It stands there in a BPF file system; removing it detaches.
    At(PathBuf),
    /// It has no file: it stays until it is taken off by what it hangs on (a filter, a route, XDP by netlink).
    Without,
}

/// One thing that is undone at once.
pub(super) trait Part: fmt::Debug + Send + Sync {
    /// Undoes it; called once.
    fn detach(&mut self) -> Result<(), Diagnostic>;

    /// Swaps the program; `None` if this kind cannot.
    fn replace(&mut self, program: Program<'_>) -> Option<Result<(), Diagnostic>>;

    /// Its descriptor, if it lives by one.
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// It stays when this process ends.
    fn outlives_us(&self) -> bool {
        false
    }
}

impl Link {
    pub(super) fn of(place: impl fmt::Display, part: impl Part + 'static) -> Link {
        Link { parts: vec![Box::new(part)], place: place.to_string(), notes: Vec::new() }
    }

    /// A kernel's link.
    pub(super) fn of_fd(place: impl fmt::Display, fd: OwnedFd) -> Link {
        Link::of(place, KernelLink(Some(fd)))
    }

    /// All of them as one.
    pub(super) fn all(place: impl fmt::Display, links: Vec<Link>) -> Link {
        let mut all = Link { parts: Vec::new(), place: place.to_string(), notes: Vec::new() };
        for mut link in links {
            all.parts.append(&mut link.parts);
            all.notes.append(&mut link.notes);
        }
        all
    }

    pub(super) fn noting(mut self, note: impl Into<String>) -> Link {
        self.notes.push(note.into());
        self
    }

    /// What its holder should know: that the generic XDP is used, who else is there.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Where the program is, as a sentence names it.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The descriptors of the kernel's links that it consists of.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.parts.iter().filter_map(|part| part.fd())
    }

    /// Puts another program there, without a gap.
    ///
    /// # Errors
    /// For places that cannot (probes, sockets), and the kernel's.
    pub fn replace(&mut self, program: Program<'_>) -> Result<(), Diagnostic> {
        let place = &self.place;
        for part in &mut self.parts {
            part.replace(program).unwrap_or_else(|| {
                let message = format!("the program at {place} cannot be exchanged");
                Err(Diagnostic::new("link-replace", message, At::Nowhere)
                    .help("attach the other one, then drop this one"))
            })?;
        }
        Ok(())
    }

    /// Keeps the attachment: `path` is made in a BPF file system. Several links become files `0`, `1` … in a folder of
    /// that name. What has no link and outlives its maker anyway stays without a file.
    ///
    /// # Errors
    /// The kernel's, and for what neither has a link nor can stay. Then it is detached.
    pub fn pin(mut self, path: &Path) -> Result<Pinned, Diagnostic> {
        let links = self.fds().count();
        if links == 0 && self.parts.iter().all(|part| part.outlives_us()) {
            self.parts.clear();
            return Ok(Pinned::Without);
        }
        if links < self.parts.len() {
            let message = format!("the attachment to {} cannot be pinned: this kernel has no link for it", self.place);
            return Err(Diagnostic::new("link-pin", message, At::Nowhere).help("keep the process that holds it"));
        }
        if links == 1 {
            for fd in self.fds() {
                sys::obj_pin(fd, path, PathFlags::default())?;
            }
        } else {
            fs::create_dir(path).map_err(|error| {
                Diagnostic::new("link-pin", format!("{} cannot be made: {error}", path.display()), At::Nowhere)
            })?;
            for (number, fd) in self.fds().enumerate() {
                sys::obj_pin(fd, &path.join(number.to_string()), PathFlags::default())?;
            }
        }
        // The descriptors may close now: the files hold the links.
        Ok(Pinned::At(path.to_owned()))
    }

    /// Detaches, and says what went wrong; dropping does the same in silence.
    ///
    /// # Errors
    /// The kernel's: somebody else may have detached it before.
    pub fn detach(mut self) -> Result<(), Diagnostic> {
        let mut parts = std::mem::take(&mut self.parts);
        let mut done = Ok(());
        for part in parts.iter_mut().rev() {
            done = part.detach().and(done);
        }
        done
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for part in self.parts.iter_mut().rev() {
            // Who wants to know calls `detach`.
            let _ = part.detach();
        }
    }
}

/// A link of the kernel: it detaches when its last descriptor and pin are gone.
#[derive(Debug)]
struct KernelLink(Option<OwnedFd>);

impl Part for KernelLink {
    fn detach(&mut self) -> Result<(), Diagnostic> {
        self.0 = None;
        Ok(())
    }

    fn replace(&mut self, program: Program<'_>) -> Option<Result<(), Diagnostic>> {
        let link = self.0.as_ref()?.as_fd();
        match (LinkUpdate { link, new: program.fd, old: None, flags: 0 }).update() {
            // Some kinds of links have no such operation.
            Err(e) if e.errno() == alveary_abi::Errno::EINVAL => None,
            done => Some(done.map_err(Diagnostic::from)),
        }
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }
}

//! Network namespaces: made, entered by threads of this process. One ends with its last descriptor and thread, and what is
//! in it (devices, routes, programs of routes) with it: a process that dies leaves nothing behind.

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    thread,
};

/// The network namespace of the calling thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace.
#[derive(Debug)]
pub struct Namespace {
    fd: OwnedFd,
}

impl Namespace {
    /// An empty one: a loopback device that is down, nothing else. The calling thread stays where it is.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SYS_ADMIN`; what else the system says.
    pub fn new() -> io::Result<Namespace> {
        aside(|| {
            // SAFETY: of a network namespace of its own no memory of the process learns: descriptors stay shared.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
            Namespace::own()
        })?
    }

    /// The one of the calling thread.
    ///
    /// # Errors
    /// The system's.
    pub fn own() -> io::Result<Namespace> {
        Ok(Namespace { fd: File::open(OWN)?.into() })
    }

    /// The same once more.
    ///
    /// # Errors
    /// The system's.
    pub fn try_clone(&self) -> io::Result<Namespace> {
        Ok(Namespace { fd: self.fd.try_clone()? })
    }

    /// Moves the calling thread, and those that it makes from now on, into it.
    ///
    /// # Errors
    /// The system's.
    pub fn enter(&self) -> io::Result<()> {
        Ok(move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network))?)
    }

    /// Does something in it, in a thread that ends with that.
    ///
    /// # Errors
    /// The system's, if it cannot be entered.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        aside(|| self.enter().map(|()| work()))?
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Does something in another thread. If it panics, so does this one.
fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let done = thread::Builder::new().spawn_scoped(scope, work)?;
        Ok(done.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

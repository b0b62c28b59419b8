//! Waiting for any of several buffers, by epoll.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    time::Duration,
};

/// Waits for descriptors to become readable. Who is dropped meanwhile is no longer waited for.
#[derive(Debug)]
pub struct Waiter {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Waiter {
    /// Waits for nothing yet.
    ///
    /// # Errors
    /// If there are too many open files.
    pub fn new() -> io::Result<Waiter> {
        // SAFETY: the call takes a number and gives a new descriptor.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor.
        Ok(Waiter { epoll: unsafe { OwnedFd::from_raw_fd(fd) }, events: Vec::new() })
    }

    /// Waits for this descriptor too; `token` is what [`Waiter::wait`] calls it.
    ///
    /// # Errors
    /// If it is waited for already, or cannot be.
    pub fn add(&mut self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        // SAFETY: the event lives until the call is over.
        let added =
            unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &raw mut event) };
        if added < 0 {
            return Err(io::Error::last_os_error());
        }
        self.events.push(libc::epoll_event { events: 0, u64: 0 });
        Ok(())
    }

    /// Waits until something is readable, no longer than `timeout`; gives the tokens of what is.
    ///
    /// # Errors
    /// The kernel's; a signal is none.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<impl Iterator<Item = u64> + '_> {
        let milliseconds = timeout.map_or(-1, |t| i32::try_from(t.as_millis()).unwrap_or(i32::MAX));
        let room = self.events.len().max(1) as i32;
        if self.events.is_empty() {
            self.events.push(libc::epoll_event { events: 0, u64: 0 });
        }
        // SAFETY: there is room for as many events as we say.
        let ready = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), self.events.as_mut_ptr(), room, milliseconds) };
        let ready = match usize::try_from(ready) {
            Ok(ready) => ready,
            Err(_) => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => 0,
                e => return Err(e),
            },
        };
        Ok(self.events[..ready].iter().map(|event| event.u64))
    }
}

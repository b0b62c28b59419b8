//! Waiting for the end that a user asks for, so that what is attached can be detached in order.

use std::{io, mem, time::Duration};

/// SIGINT and SIGTERM, held back from now on so that they end no process before it has cleaned up.
#[derive(Debug)]
pub struct Ending(());

const SIGNALS: [libc::c_int; 2] = [libc::SIGINT, libc::SIGTERM];

impl Ending {
    /// Holds the signals back in this thread and those that it makes: to be called before others are made.
    ///
    /// # Errors
    /// The system's.
    pub fn expect() -> io::Result<Ending> {
        let set = signals();
        // SAFETY: the set is filled in; nobody wants the old mask.
        let done = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        if done == 0 { Ok(Ending(())) } else { Err(io::Error::from_raw_os_error(done)) }
    }

    /// Waits until one of them comes.
    pub fn wait(&self) {
        let set = signals();
        let mut came = 0;
        // SAFETY: the set is filled in, and the number goes where there is room for it.
        while unsafe { libc::sigwait(&raw const set, &raw mut came) } != 0 {}
    }

    /// Whether one of them has come, without waiting.
    #[must_use]
    pub fn came(&self) -> bool {
        let (set, now) = (signals(), libc::timespec { tv_sec: 0, tv_nsec: 0 });
        // SAFETY: set and time are filled in; nobody wants to know more of the signal than its number.
        unsafe { libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const now) > 0 }
    }
}

/// What a user asks of a process that goes on until the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// SIGHUP: to read its configuration again.
    Reload,
    /// SIGINT, SIGTERM.
    End,
}

/// SIGHUP, held back as those of [`Ending`] are.
#[derive(Debug)]
pub struct Orders(Ending);

impl Orders {
    /// Holds the signals back in this thread and those that it makes: to be called before others are made.
    ///
    /// # Errors
    /// The system's.
    pub fn expect() -> io::Result<Orders> {
        let set = set(&[libc::SIGHUP]);
        // SAFETY: the set is filled in; nobody wants the old mask.
        let done = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        if done == 0 { Ending::expect().map(Orders) } else { Err(io::Error::from_raw_os_error(done)) }
    }

    /// What is asked, if anything is by then.
    #[must_use]
    pub fn wait(&self, most: Duration) -> Option<Asked> {
        let set = set(&[libc::SIGHUP, SIGNALS[0], SIGNALS[1]]);
        let most = libc::timespec { tv_sec: most.as_secs() as libc::time_t, tv_nsec: most.subsec_nanos().into() };
        // SAFETY: set and time are filled in; nobody wants to know more of the signal than its number.
        match unsafe { libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const most) } {
            libc::SIGHUP => Some(Asked::Reload),
            signal if signal > 0 => Some(Asked::End),
            _ => None,
        }
    }
}

fn signals() -> libc::sigset_t {
    set(&SIGNALS)
}

fn set(signals: &[libc::c_int]) -> libc::sigset_t {
    // SAFETY: an empty set is all that is needed for the calls, which fill it in.
    unsafe {
        let mut set = mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        set
    }
}

//! The files that a place is named by, open as long as they are needed.

use super::place::Options;
use crate::{
    bpftool::{over::Over, words::Words},
    failure::Failure,
};
use alveary::kernel::sys;
use alveary_diag::{Diagnostic, Place as At};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

/// A control group, a network namespace, a socket, a map: at most one, as the options are for one place.
pub(super) struct Held {
    fd: Option<OwnedFd>,
    over: Option<Over>,
}

impl Held {
    pub(super) fn open(options: &Options) -> Result<Held, Failure> {
        let fd = match options {
            Options { cgroup: Some(path), .. }
            | Options { netns: Some(path), .. }
            | Options { lirc: Some(path), .. } => Some(file(path)?),
            Options { sockmap: Some(path), .. } => Some(sys::obj_get(path, sys::PathFlags::default())?),
            Options { socket: Some(text), .. } | Options { reuseport: Some(text), .. } => Some(socket(text)?),
            _ => None,
        };
        let over = options.over.as_deref().map(|words| Over::read(&mut Words::new(words))).transpose()?;
        Ok(Held { fd, over })
    }

    /// The file that was named.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// What an iterator goes over.
    pub(super) fn over(&self) -> Option<&Over> {
        self.over.as_ref()
    }
}

fn file(path: &Path) -> Result<OwnedFd, Failure> {
    File::open(path).map(OwnedFd::from).map_err(|why| Failure::file("open", path, &why))
}

/// A socket of a process, as `PID:FD`.
fn socket(text: &str) -> Result<OwnedFd, Failure> {
    let wrong = |found: String| {
        Diagnostic::new("socket", "the socket cannot be had", At::Nowhere)
            .expected("a process and its descriptor, as 1234:5 (`ss -tlnp` lists them)")
            .found(found)
    };
    let numbers = text.split_once(':').and_then(|(pid, fd)| Some((pid.parse().ok()?, fd.parse().ok()?)));
    let (pid, fd): (i32, i32) = numbers.ok_or_else(|| wrong(format!("`{text}`")))?;
    let process = Pid::from_raw(pid).ok_or_else(|| wrong(format!("`{text}`")))?;
    let taken = pidfd_open(process, PidfdFlags::empty()).and_then(|of| pidfd_getfd(of, fd, PidfdGetfdFlags::empty()));
    Ok(taken.map_err(|why| wrong(format!("{why} of descriptor {fd} of process {pid}")))?)
}

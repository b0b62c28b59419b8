//! Processes that end with this one, and file systems that nobody else sees: what is tried in them leaves nothing behind,
//! however this process ends.

use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    process::{Signal, set_parent_process_death_signal},
    thread::{UnshareFlags, unshare_unsafe},
};
use std::{io, os::unix::process::CommandExt, path::Path, process::Command};

/// Has a process that is started from the calling thread end (by SIGKILL) when that thread does: with this process at the
/// latest.
pub fn ends_with_us(command: &mut Command) -> &mut Command {
    let parent = rustix::process::getpid();
    let tied = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // It may have ended before that was said.
        if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    };
    // SAFETY: between fork and exec two system calls are made; nothing is allocated, no lock is taken.
    unsafe { command.pre_exec(tied) }
}

/// Gives the calling thread, and those that it makes from now on, mounts of their own: what is mounted then is gone with
/// them. To be called before others are made.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN`; what else the system says.
pub fn own_mounts() -> io::Result<()> {
    // SAFETY: of mounts of its own no memory of the process learns: descriptors stay shared.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    Ok(mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?)
}

/// Mounts a file system of the kernel's (`tmpfs`, `bpf`) on a folder.
///
/// # Errors
/// The system's.
pub fn mount_on(kind: &str, folder: &Path) -> io::Result<()> {
    Ok(mount(kind, folder, kind, MountFlags::empty(), None)?)
}

//! What `/proc` tells about a descriptor of bpf(2), beyond what that itself does.

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{Mode, OFlags, open, openat},
    io::read,
    path::{Arg, DecInt},
};
use std::sync::LazyLock;

/// What `/proc/PID/fdinfo/N` says: lines of a name and a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FdInfo(Box<str>);

/// More bytes than the kernel tells about any object of bpf(2).
const ROOM: usize = 1024;

/// Looked up once: the way there leads over four directories, and a list asks for each of its objects.
static OURS: LazyLock<Option<OwnedFd>> =
    LazyLock::new(|| open("/proc/self/fdinfo", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok());

impl FdInfo {
    /// Of a descriptor of ours; empty without `/proc`.
    #[must_use]
    pub fn of(fd: BorrowedFd<'_>) -> FdInfo {
        OURS.as_ref().and_then(|ours| FdInfo::read(ours.as_fd(), DecInt::from_fd(fd))).unwrap_or_default()
    }

    /// A file of a process's directory `fdinfo`.
    pub(crate) fn read(directory: BorrowedFd<'_>, name: impl Arg) -> Option<FdInfo> {
        let file = openat(directory, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let mut bytes = [0; ROOM];
        let length = read(&file, &mut bytes).ok()?;
        Some(FdInfo(std::str::from_utf8(bytes.get(..length)?).ok()?.into()))
    }

    /// The number behind `name:`.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
    }
}

//! What `/proc` tells about a descriptor of ours, beyond what bpf(2) does.

use rustix::{
    fd::{BorrowedFd, OwnedFd},
    fs::{Mode, OFlags, open, openat},
    io::read,
    path::DecInt,
};
use std::sync::LazyLock;

/// The lines of `/proc/self/fdinfo/N`.
#[derive(Debug, Default)]
pub(crate) struct FdInfo(String);

/// More bytes than the kernel tells about any BPF object.
const ROOM: usize = 4096;

/// Looked up once: the way there leads over four directories, and a list asks for each of its objects.
static DIRECTORY: LazyLock<Option<OwnedFd>> =
    LazyLock::new(|| open("/proc/self/fdinfo", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok());

impl FdInfo {
    /// Of a descriptor; empty without `/proc`.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> FdInfo {
        let mut bytes = [0; ROOM];
        let length = DIRECTORY.as_ref().and_then(|directory| {
            let file = openat(directory, DecInt::from_fd(fd), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
            read(file, &mut bytes).ok()
        });
        let told = bytes.get(..length.unwrap_or_default()).unwrap_or_default();
        FdInfo(String::from_utf8_lossy(told).into_owned())
    }

    /// The number behind `name:`.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
    }
}

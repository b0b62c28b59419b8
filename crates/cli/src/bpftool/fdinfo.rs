//! What `/proc` tells about a descriptor of ours, beyond what bpf(2) does.

use std::{
    fs,
    os::fd::{AsRawFd, BorrowedFd},
};

/// The lines of `/proc/self/fdinfo/N`.
#[derive(Debug, Default)]
pub(crate) struct FdInfo(String);

impl FdInfo {
    /// Of a descriptor; empty without `/proc`.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> FdInfo {
        FdInfo(fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap_or_default())
    }

    /// The number behind a name.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        field(&self.0, name)
    }
}

/// The number behind `name:` in the lines of a descriptor's information.
pub(crate) fn field(lines: &str, name: &str) -> Option<u64> {
    lines.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
}

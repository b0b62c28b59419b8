//! What `/proc` tells about a descriptor of ours, beyond what bpf(2) does.

use std::{
    fs::File,
    io::Read,
    os::fd::{AsRawFd, BorrowedFd},
};

/// The lines of `/proc/self/fdinfo/N`.
#[derive(Debug, Default)]
pub(crate) struct FdInfo(String);

/// More bytes than the kernel tells about any BPF object.
const ROOM: usize = 4096;

impl FdInfo {
    /// Of a descriptor; empty without `/proc`.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> FdInfo {
        let mut bytes = [0; ROOM];
        let read =
            File::open(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).and_then(|mut file| file.read(&mut bytes));
        let told = read.ok().and_then(|length| bytes.get(..length)).unwrap_or_default();
        FdInfo(String::from_utf8_lossy(told).into_owned())
    }

    /// The number behind `name:`.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
    }
}

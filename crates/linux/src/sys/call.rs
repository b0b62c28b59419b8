//! The system call.

use super::Command;
use alveary_abi::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Calls bpf(2). Answers are in `attr`, where the command puts them there.
///
/// # Safety
/// Every address in `attr` must be that of a buffer that the command may read, or write, for as long as it will: as its
/// length in `attr` says, or the object's definition.
pub(super) unsafe fn call<A>(command: Command, attr: &mut A) -> Result<i32, Errno>
where
    A: IntoBytes + FromBytes + Immutable,
{
    // SAFETY: the attribute is as long as we say, any bytes are valid in it, and the caller answers for its addresses.
    let given = unsafe { libc::syscall(libc::SYS_bpf, command as i32, std::ptr::from_mut(attr), size_of::<A>()) };
    if given < 0 {
        Err(Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or_default()))
    } else {
        Ok(given as i32)
    }
}

/// [`call`], for commands that give back a descriptor.
///
/// # Safety
/// As for [`call`]; and the command must give a new descriptor.
pub(super) unsafe fn call_fd<A>(command: Command, attr: &mut A) -> Result<OwnedFd, Errno>
where
    A: IntoBytes + FromBytes + Immutable,
{
    // SAFETY: the caller's.
    let fd = unsafe { call(command, attr)? };
    // SAFETY: the kernel has just given us this descriptor, nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor as attributes hold it; none is 0.
pub(super) fn raw(fd: Option<BorrowedFd<'_>>) -> u32 {
    fd.map_or(0, |fd| fd.as_raw_fd() as u32)
}

/// The address of a buffer; of an empty one 0, which the kernel takes for none.
pub(super) fn address<T>(buffer: &[T]) -> u64 {
    if buffer.is_empty() { 0 } else { buffer.as_ptr() as u64 }
}

/// [`address`], of a buffer that the kernel writes to.
pub(super) fn address_mut<T>(buffer: &mut [T]) -> u64 {
    if buffer.is_empty() { 0 } else { buffer.as_mut_ptr() as u64 }
}

/// A name as the kernel takes it: the first 15 bytes, what it would refuse replaced by `_`.
pub(super) fn object_name(name: &str) -> [u8; 16] {
    let mut out = [0; 16];
    for (to, from) in out[..15].iter_mut().zip(name.bytes()) {
        *to = if from.is_ascii_alphanumeric() || matches!(from, b'_' | b'.') { from } else { b'_' };
    }
    out
}

/// A name as the kernel gives it.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

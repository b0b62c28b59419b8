//! Memory that is shared with the kernel. Whoever else maps it may change it at any time: it is read and written in
//! words and copies, never borrowed.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

/// A mapping, until it is dropped.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
    writable: bool,
}

// SAFETY: the memory belongs to the process, not to a thread, and is reached by atomic words and copies alone.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `len` bytes of a descriptor from `offset` on.
    pub(super) fn new(fd: BorrowedFd<'_>, offset: usize, len: usize, writable: bool) -> io::Result<Mapping> {
        let protection = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
        // SAFETY: a new mapping at an address that the kernel chooses touches nothing of ours.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), len, protection, libc::MAP_SHARED, fd.as_raw_fd(), offset as libc::off_t)
        };
        Mapping::of(start, len, writable)
    }

    /// Maps `len` bytes of a descriptor for writing, at this address if nothing of ours stands there; 0 leaves the
    /// address to the kernel.
    pub(super) fn at(fd: BorrowedFd<'_>, address: u64, len: usize) -> io::Result<Mapping> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | if address == 0 { 0 } else { libc::MAP_FIXED_NOREPLACE };
        let wanted = std::ptr::without_provenance_mut(address as usize);
        // SAFETY: a new mapping that replaces none touches nothing of ours.
        let start = unsafe { libc::mmap(wanted, len, protection, flags, fd.as_raw_fd(), 0) };
        Mapping::of(start, len, true)
    }

    /// What `mmap` gave.
    fn of(start: *mut libc::c_void, len: usize, writable: bool) -> io::Result<Mapping> {
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => Ok(Mapping { start, len, writable }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Where it begins.
    pub(super) fn address(&self) -> u64 {
        self.start.addr().get() as u64
    }

    /// Bytes of it.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A word of 8 bytes.
    ///
    /// # Panics
    /// If it is not inside, or not aligned.
    pub(super) fn word(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(8) && at + 8 <= self.len, "a word inside the mapping");
        // SAFETY: it is inside, aligned, and atomic; atomic loads may look at memory that is mapped for reading alone.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(at).cast()) }
    }

    /// A word of 4 bytes.
    ///
    /// # Panics
    /// If it is not inside, or not aligned.
    pub(super) fn half(&self, at: usize) -> u32 {
        assert!(at.is_multiple_of(4) && at + 4 <= self.len, "a word inside the mapping");
        // SAFETY: as above.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(at).cast()) }.load(Ordering::Acquire)
    }

    /// Appends a copy of `len` bytes.
    ///
    /// # Panics
    /// If they are not inside.
    pub(super) fn copy(&self, at: usize, len: usize, into: &mut Vec<u8>) {
        assert!(at <= self.len && len <= self.len - at, "bytes inside the mapping");
        into.reserve(len);
        // SAFETY: they are inside, and there is room for them, as `reserve` has seen to; the copy initialises them.
        unsafe {
            std::ptr::copy_nonoverlapping(self.start.as_ptr().add(at), into.as_mut_ptr().add(into.len()), len);
            into.set_len(into.len() + len);
        }
    }

    /// Copies bytes into it.
    ///
    /// # Panics
    /// If they do not fit, or it is mapped for reading alone.
    pub(super) fn write(&self, at: usize, bytes: &[u8]) {
        assert!(self.writable && at <= self.len && bytes.len() <= self.len - at, "bytes inside a writable mapping");
        // SAFETY: they fit, and the memory is writable; it is borrowed by nobody.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(at), bytes.len()) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `new` made, and nothing borrows from it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

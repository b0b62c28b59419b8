//! The memory of a map: one reserved mapping, zero at first, committed page by page as it is touched.
//!
//! Everything in it is reached by offset and by atomic words, since programs on other CPUs read and write at the same
//! time. Knows nothing of keys and values.

use crate::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::{
    ptr::{self, NonNull},
    sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
};

/// A cache line. What different CPUs write begins on lines of its own.
pub(crate) const LINE: u64 = 64;

/// Most bytes that one map may reserve (1 TiB of addresses; memory is only taken where it is touched).
pub(crate) const MOST: u64 = 1 << 40;

/// One reserved mapping, readable and writable, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Memory {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to this value alone; every access through it is atomic.
unsafe impl Send for Memory {}
// SAFETY: as above: shared access is atomic.
unsafe impl Sync for Memory {}

impl Memory {
    /// Reserves `len` bytes, which read as zero.
    pub(crate) fn reserve(len: u64) -> Result<Memory, Errno> {
        if len > MOST {
            return Err(Errno::E2BIG);
        }
        let len = usize::try_from(len.max(LINE)).map_err(|_| Errno::E2BIG)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the system's choice touches nothing that exists.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags) };
        let base = base.ok().and_then(|at| NonNull::new(at.cast::<u8>())).ok_or(Errno::ENOMEM)?;
        Ok(Memory { base, len })
    }

    /// First byte.
    pub(crate) fn base(&self) -> *const u8 {
        self.base.as_ptr()
    }

    /// Address of the `len` bytes at `at`.
    ///
    /// # Panics
    /// If they are not all inside: offsets are computed here, never taken from outside.
    pub(crate) fn address(&self, at: u64, len: usize) -> *mut u8 {
        let inside = (self.len as u64).checked_sub(at).is_some_and(|rest| len as u64 <= rest);
        assert!(inside, "offset {at} + {len} outside a map of {} bytes", self.len);
        // SAFETY: `at` is not behind the end of the mapping.
        unsafe { self.base.as_ptr().add(at as usize) }
    }

    /// The 32-bit word at `at`.
    pub(crate) fn word32(&self, at: u64) -> &AtomicU32 {
        debug_assert_eq!(at % 4, 0);
        // SAFETY: four bytes inside the mapping, which lives as long as `self`; the mapping is page-aligned and all
        // offsets of words are multiples of their size.
        unsafe { AtomicU32::from_ptr(self.address(at & !3, 4).cast()) }
    }

    /// The 64-bit word at `at`.
    pub(crate) fn word64(&self, at: u64) -> &AtomicU64 {
        debug_assert_eq!(at % 8, 0);
        // SAFETY: as for `word32`, with eight bytes.
        unsafe { AtomicU64::from_ptr(self.address(at & !7, 8).cast()) }
    }

    /// Copies `bytes` to `at`, a multiple of 8: whole words at once, what remains byte by byte.
    pub(crate) fn write(&self, at: u64, bytes: &[u8]) {
        let (words, tail) = self.cells(at, bytes.len());
        let (chunks, rest) = bytes.as_chunks();
        for (chunk, cell) in chunks.iter().zip(words) {
            cell.store(u64::from_ne_bytes(*chunk), Relaxed);
        }
        for (byte, cell) in rest.iter().zip(tail) {
            cell.store(*byte, Relaxed);
        }
    }

    /// Copies `bytes` to `at`, wherever that is, byte by byte.
    pub(crate) fn write_bytes(&self, at: u64, bytes: &[u8]) {
        let first = self.address(at, bytes.len());
        for (i, byte) in bytes.iter().enumerate() {
            // SAFETY: one of `bytes.len()` bytes inside the mapping.
            unsafe { AtomicU8::from_ptr(first.add(i)) }.store(*byte, Relaxed);
        }
    }

    /// Copies what is at `at`, a multiple of 8, into `out`.
    pub(crate) fn read(&self, at: u64, out: &mut [u8]) {
        let (words, tail) = self.cells(at, out.len());
        let (chunks, rest) = out.as_chunks_mut();
        for (chunk, cell) in chunks.iter_mut().zip(words) {
            *chunk = cell.load(Relaxed).to_ne_bytes();
        }
        for (byte, cell) in rest.iter_mut().zip(tail) {
            *byte = cell.load(Relaxed);
        }
    }

    /// Zeroes `len` bytes at `at`, a multiple of 8.
    pub(crate) fn zero(&self, at: u64, len: usize) {
        let (words, tail) = self.cells(at, len);
        words.iter().for_each(|cell| cell.store(0, Relaxed));
        tail.iter().for_each(|cell| cell.store(0, Relaxed));
    }

    /// Whether the bytes at `at`, a multiple of 8, are `key`.
    #[inline]
    pub(crate) fn equals(&self, at: u64, key: &[u8]) -> bool {
        if let Ok(key) = key.try_into() {
            return self.word32(at).load(Relaxed) == u32::from_ne_bytes(key);
        }
        let (words, tail) = self.cells(at, key.len());
        let (chunks, rest) = key.as_chunks();
        chunks.iter().zip(words).all(|(chunk, cell)| cell.load(Relaxed) == u64::from_ne_bytes(*chunk))
            && rest.iter().zip(tail).all(|(byte, cell)| cell.load(Relaxed) == *byte)
    }

    /// The `len` bytes at `at` as whole words and the bytes that remain.
    #[inline]
    fn cells(&self, at: u64, len: usize) -> (&[AtomicU64], &[AtomicU8]) {
        debug_assert_eq!(at % 8, 0);
        let first = self.address(at & !7, len);
        let whole = len & !7;
        // SAFETY: `len` bytes at `first` are inside the mapping, which lives as long as `self`; `first` is a multiple
        // of 8; atomics have the layout of their integers and may be shared.
        unsafe {
            (
                std::slice::from_raw_parts(first.cast::<AtomicU64>(), whole / 8),
                std::slice::from_raw_parts(first.add(whole).cast::<AtomicU8>(), len - whole),
            )
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `reserve` with this length and nobody borrows from it any more. Addresses
        // that were handed out are valid only as long as the map (`Value::addr`).
        let gone = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
        debug_assert!(gone.is_ok());
    }
}

/// The next multiple of `step`, a power of two.
pub(crate) const fn round_up(size: u64, step: u64) -> u64 {
    (size + step - 1) & !(step - 1)
}

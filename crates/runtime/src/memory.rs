//! Copies between a program's memory and ours. Other virtual CPUs may write to map values while we copy, so every
//! access here is atomic; nothing here knows whether an address may be touched.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Copies `out.len()` bytes from `addr`.
///
/// # Safety
/// They must be readable, and written by others only through atomics or by programs.
pub(crate) unsafe fn read(addr: u64, out: &mut [u8]) {
    let mut at = addr as usize;
    let mut rest = out;
    while !rest.is_empty() {
        if at.is_multiple_of(8) && rest.len() >= 8 {
            let (chunk, tail) = rest.split_at_mut(8);
            // SAFETY: eight readable bytes (the caller's promise), aligned (just tested).
            chunk.copy_from_slice(&unsafe { AtomicU64::from_ptr(at as *mut u64) }.load(Relaxed).to_ne_bytes());
            (at, rest) = (at + 8, tail);
        } else if at.is_multiple_of(4) && rest.len() >= 4 {
            let (chunk, tail) = rest.split_at_mut(4);
            // SAFETY: four readable bytes (the caller's promise), aligned (just tested).
            chunk.copy_from_slice(&unsafe { AtomicU32::from_ptr(at as *mut u32) }.load(Relaxed).to_ne_bytes());
            (at, rest) = (at + 4, tail);
        } else {
            // SAFETY: a readable byte, by the caller's promise.
            rest[0] = unsafe { AtomicU8::from_ptr(at as *mut u8) }.load(Relaxed);
            (at, rest) = (at + 1, &mut rest[1..]);
        }
    }
}

/// Copies `bytes` to `addr`.
///
/// # Safety
/// As many bytes there must be writable, and accessed by others only through atomics or by programs.
pub(crate) unsafe fn write(addr: u64, bytes: &[u8]) {
    let mut at = addr as usize;
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        match rest.split_first_chunk::<8>() {
            Some((chunk, tail)) if at.is_multiple_of(8) => {
                // SAFETY: eight writable bytes (the caller's promise), aligned (just tested).
                unsafe { AtomicU64::from_ptr(at as *mut u64) }.store(u64::from_ne_bytes(*chunk), Relaxed);
                (at, rest) = (at + 8, tail);
            }
            _ => {
                // SAFETY: a writable byte, by the caller's promise.
                unsafe { AtomicU8::from_ptr(at as *mut u8) }.store(*first, Relaxed);
                (at, rest) = (at + 1, tail);
            }
        }
    }
}

/// Bytes that were copied out of a program's memory; short ones without an allocation.
#[derive(Clone, Debug)]
pub struct Bytes {
    inline: [u8; Bytes::INLINE],
    len: usize,
    heap: Vec<u8>,
}

impl Bytes {
    const INLINE: usize = 64;

    /// `len` bytes from `addr`.
    ///
    /// # Safety
    /// As for [`read`].
    pub(crate) unsafe fn copy(addr: u64, len: usize) -> Bytes {
        let mut bytes = Bytes { inline: [0; Bytes::INLINE], len, heap: Vec::new() };
        if len > Bytes::INLINE {
            bytes.heap = vec![0; len];
        }
        let out = if len > Bytes::INLINE { &mut bytes.heap[..] } else { &mut bytes.inline[..len] };
        // SAFETY: the caller's promise.
        unsafe { read(addr, out) };
        bytes
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        if self.len > Bytes::INLINE { &self.heap } else { &self.inline[..self.len] }
    }
}

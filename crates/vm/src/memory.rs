//! Raw access to the program's memory. Knows widths and atomicity; whether an access is allowed was asked before.
//!
//! The memory is shared: map values are read and written by every virtual CPU at once, and eBPF gives plain accesses
//! no more than C gives them in the kernel. Plain accesses are therefore volatile (the compiler neither repeats,
//! tears nor invents them) and of alignment 1; what they read never decides over memory safety without being checked
//! after it was read. Accesses that must not be torn are eBPF's atomic ones, and those are real atomics.

use alveary_isa::{AtomicOp, Width};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::*};

#[repr(C, packed)]
struct Unaligned<T>(T);

/// Reads a `T`.
///
/// # Safety
/// `size_of::<T>()` bytes at `addr` must be readable.
#[inline(always)]
pub(crate) unsafe fn read<T: Copy>(addr: u64) -> T {
    // SAFETY: the caller's promise; the packed type has alignment 1. That another thread may write at the same time
    // is why this is volatile (see the head of this file).
    unsafe { (addr as usize as *const Unaligned<T>).read_volatile().0 }
}

/// Writes a `T`.
///
/// # Safety
/// `size_of::<T>()` bytes at `addr` must be writable.
#[inline(always)]
pub(crate) unsafe fn write<T: Copy>(addr: u64, value: T) {
    // SAFETY: as in `read`.
    unsafe { (addr as usize as *mut Unaligned<T>).write_volatile(Unaligned(value)) }
}

/// Reads `width` bytes, zero-extended.
///
/// # Safety
/// They must be readable.
pub(crate) unsafe fn read_width(addr: u64, width: Width) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        match width {
            Width::B1 => u64::from(read::<u8>(addr)),
            Width::B2 => u64::from(read::<u16>(addr)),
            Width::B4 => u64::from(read::<u32>(addr)),
            Width::B8 => read::<u64>(addr),
        }
    }
}

/// Writes the low `width` bytes of `value`.
///
/// # Safety
/// They must be writable.
pub(crate) unsafe fn write_width(addr: u64, width: Width, value: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        match width {
            Width::B1 => write(addr, value as u8),
            Width::B2 => write(addr, value as u16),
            Width::B4 => write(addr, value as u32),
            Width::B8 => write(addr, value),
        }
    }
}

/// Whether `addr` is a multiple of `width`.
pub(crate) fn is_aligned(addr: u64, width: Width) -> bool {
    addr.is_multiple_of(width.bytes() as u64)
}

/// The operations of the atomic instruction, numbered for [`crate::op::Op::imm`].
pub(crate) const ATOMIC_OPS: [AtomicOp; 10] = [
    AtomicOp::Add { fetch: false },
    AtomicOp::Or { fetch: false },
    AtomicOp::And { fetch: false },
    AtomicOp::Xor { fetch: false },
    AtomicOp::Add { fetch: true },
    AtomicOp::Or { fetch: true },
    AtomicOp::And { fetch: true },
    AtomicOp::Xor { fetch: true },
    AtomicOp::Xchg,
    AtomicOp::Cmpxchg,
];

macro_rules! read_modify_write {
    ($name:ident, $int:ty, $atomic:ty) => {
        /// Does `op` with `src` (and, for a compare-and-exchange, `expected`); gives back the old value.
        ///
        /// # Safety
        /// `addr` must be aligned, and readable and writable for the width, and accessed only atomically or by
        /// this engine as long as other threads use it.
        pub(crate) unsafe fn $name(op: AtomicOp, addr: u64, src: u64, expected: u64) -> u64 {
            let src = src as $int;
            // SAFETY: the caller's promise is what `from_ptr` asks for.
            let cell = unsafe { <$atomic>::from_ptr(addr as usize as *mut $int) };
            u64::from(match op {
                AtomicOp::Add { .. } => cell.fetch_add(src, SeqCst),
                AtomicOp::Or { .. } => cell.fetch_or(src, SeqCst),
                AtomicOp::And { .. } => cell.fetch_and(src, SeqCst),
                AtomicOp::Xor { .. } => cell.fetch_xor(src, SeqCst),
                AtomicOp::Xchg => cell.swap(src, SeqCst),
                AtomicOp::Cmpxchg => match cell.compare_exchange(expected as $int, src, SeqCst, SeqCst) {
                    Ok(old) | Err(old) => old,
                },
            })
        }
    };
}
read_modify_write!(atomic32, u32, AtomicU32);
read_modify_write!(atomic64, u64, AtomicU64);

/// A load-acquire.
///
/// # Safety
/// As [`atomic64`], for reading.
pub(crate) unsafe fn load_acquire(addr: u64, width: Width) -> u64 {
    let addr = addr as usize;
    // SAFETY: the caller's promise is what `from_ptr` asks for.
    unsafe {
        match width {
            Width::B1 => u64::from(AtomicU8::from_ptr(addr as *mut u8).load(Acquire)),
            Width::B2 => u64::from(AtomicU16::from_ptr(addr as *mut u16).load(Acquire)),
            Width::B4 => u64::from(AtomicU32::from_ptr(addr as *mut u32).load(Acquire)),
            Width::B8 => AtomicU64::from_ptr(addr as *mut u64).load(Acquire),
        }
    }
}

/// A store-release.
///
/// # Safety
/// As [`atomic64`], for writing.
pub(crate) unsafe fn store_release(addr: u64, width: Width, value: u64) {
    let addr = addr as usize;
    // SAFETY: the caller's promise is what `from_ptr` asks for.
    unsafe {
        match width {
            Width::B1 => AtomicU8::from_ptr(addr as *mut u8).store(value as u8, Release),
            Width::B2 => AtomicU16::from_ptr(addr as *mut u16).store(value as u16, Release),
            Width::B4 => AtomicU32::from_ptr(addr as *mut u32).store(value as u32, Release),
            Width::B8 => AtomicU64::from_ptr(addr as *mut u64).store(value, Release),
        }
    }
}

/// The width of `bytes`, which must be 1, 2, 4 or 8.
pub(crate) fn width(bytes: u64) -> Width {
    match bytes {
        1 => Width::B1,
        2 => Width::B2,
        4 => Width::B4,
        _ => Width::B8,
    }
}

/// Which register gets the value that an atomic operation found.
pub(crate) enum OldValue {
    Nowhere,
    Source,
    R0,
}

/// Where the old value goes.
pub(crate) fn result_of(op: AtomicOp) -> OldValue {
    match op {
        AtomicOp::Add { fetch } | AtomicOp::Or { fetch } | AtomicOp::And { fetch } | AtomicOp::Xor { fetch } => {
            if fetch { OldValue::Source } else { OldValue::Nowhere }
        }
        AtomicOp::Xchg => OldValue::Source,
        AtomicOp::Cmpxchg => OldValue::R0,
    }
}

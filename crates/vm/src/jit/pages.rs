//! Memory that holds native code: written once, then executable and never writable again, between pages that nothing
//! may touch. Knows nothing of what it holds.

use rustix::{
    mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap},
    param::page_size,
};
use std::{ffi::c_void, io, ptr};

/// Executable pages, with a guard page at each end; unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Pages {
    base: *mut c_void,
    mapped: usize,
    page: usize,
}

// SAFETY: nobody writes to the memory any more, and only its owner unmaps it.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Pages {
    /// Bytes of memory that so many bytes of code take.
    pub(crate) fn room(code: usize) -> usize {
        code.max(1).next_multiple_of(page_size())
    }

    /// Pages with a copy of `code` at their start.
    ///
    /// # Errors
    /// The system's refusal.
    pub(crate) fn new(code: &[u8]) -> io::Result<Pages> {
        let (page, room) = (page_size(), Pages::room(code.len()));
        let mapped = room + 2 * page;
        // SAFETY: a new mapping, wherever the system likes.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), mapped, ProtFlags::empty(), MapFlags::PRIVATE)? };
        let pages = Pages { base, mapped, page };
        let start = pages.start();
        // SAFETY: the inner pages of the mapping above, which nobody knows yet; `code` fits, and does not overlap them.
        unsafe {
            mprotect(start.cast(), room, MprotectFlags::READ | MprotectFlags::WRITE)?;
            ptr::copy_nonoverlapping(code.as_ptr(), start, code.len());
            mprotect(start.cast(), room, MprotectFlags::READ | MprotectFlags::EXEC)?;
        }
        synchronize(start, code.len());
        Ok(pages)
    }

    /// Where the code stands.
    pub(crate) fn start(&self) -> *mut u8 {
        // One page behind the base, which the mapping has.
        self.base.cast::<u8>().wrapping_add(self.page)
    }
}

/// Lets every processor see new instructions. Here they do so by themselves.
#[cfg(not(target_arch = "aarch64"))]
fn synchronize(_: *const u8, _: usize) {}

/// Lets every processor see new instructions: caches are cleaned (Arm ARM, B2.7.4), and what others have fetched already
/// is forgotten.
#[cfg(target_arch = "aarch64")]
fn synchronize(start: *const u8, len: usize) {
    use rustix::thread::{MembarrierCommand, membarrier};
    let sizes: u64;
    // SAFETY: reads a register that Linux lets programs read.
    unsafe { std::arch::asm!("mrs {}, ctr_el0", out(reg) sizes, options(nomem, nostack)) };
    let lines = |field: u64| (start as usize..start as usize + len).step_by(4 << (sizes >> field & 0xf));
    for at in lines(16) {
        // SAFETY: cleans a line of memory that is mapped and readable.
        unsafe { std::arch::asm!("dc cvau, {}", in(reg) at & !3, options(nostack)) };
    }
    // SAFETY: waits.
    unsafe { std::arch::asm!("dsb ish", options(nostack)) };
    for at in lines(0) {
        // SAFETY: as above.
        unsafe { std::arch::asm!("ic ivau, {}", in(reg) at & !3, options(nostack)) };
    }
    // SAFETY: waits.
    unsafe { std::arch::asm!("dsb ish", "isb", options(nostack)) };
    // Kernels without it are older than what this runs on; processors then see the instructions at their next exception.
    let _ = membarrier(MembarrierCommand::RegisterPrivateExpeditedSyncCore);
    let _ = membarrier(MembarrierCommand::PrivateExpeditedSyncCore);
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, which is this value's own; what ran in it has returned, for it borrowed the value.
        // An error leaves it mapped, which harms nobody.
        let _ = unsafe { munmap(self.base, self.mapped) };
    }
}

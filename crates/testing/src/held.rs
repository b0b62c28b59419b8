//! How much memory work holds at most: an allocator that counts, for each thread. What it says depends neither on other
//! threads nor on the machine's load.
//!
//! ```
//! use alveary_testing::{Counting, held};
//!
//! #[global_allocator]
//! static COUNTING: Counting = Counting;
//!
//! let (text, most) = held(|| "four".to_owned());
//! assert_eq!((text.len(), most), (4, 4));
//! ```

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
};

/// The system's allocator, and counts: a test that calls [`held`] makes it its `#[global_allocator]`.
#[derive(Debug)]
pub struct Counting;

thread_local! {
    /// Bytes that this thread has allocated and not freed; below zero if it frees what others allocated.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    /// The most that `LIVE` was since it was last asked for.
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// Runs `work`; gives what it gives, and how many bytes it held at most, beyond what this thread held before.
///
/// # Panics
/// If [`Counting`] does not allocate here: then nothing is counted.
pub fn held<R>(work: impl FnOnce() -> R) -> (R, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    drop(black_box(Box::new(0_u8)));
    assert!(PEAK.get() > before, "`Counting` is not the allocator here");
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before) as usize)
}

fn count(change: isize) {
    // A thread that ends has no counters any more: nobody asks for them.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: every call goes to the system's allocator as it came; counting touches plain cells, which allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // As if it were moved: old and new are held at once.
        count(size as isize);
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.realloc(at, layout, size) }
    }
}

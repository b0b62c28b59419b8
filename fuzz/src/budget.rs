//! Holds what a reader allocates against the size of what it reads.

use alveary_testing::{Counting, held};

#[global_allocator]
static COUNTING: Counting = Counting;

/// Runs `work` and gives back what it gives.
///
/// # Panics
/// If it held more than `most` bytes at once, beyond what was held before.
pub(crate) fn within<R>(most: usize, what: &str, work: impl FnOnce() -> R) -> R {
    let (result, held) = held(work);
    assert!(held <= most, "{what} held {held} bytes at once, at most {most} are in proportion");
    result
}

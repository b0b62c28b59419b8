//! The kernel's own time, by the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// When something was, in seconds since 1970, of which the kernel tells the nanoseconds `since_boot`.
#[must_use]
pub fn since_epoch(since_boot: u64) -> i64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut boot = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes what it is given, which lives until it returns.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut boot) };
    let nanoseconds = i64::from(wall.subsec_nanos()) - boot.tv_nsec + since_boot as i64;
    wall.as_secs() as i64 - boot.tv_sec + nanoseconds.div_euclid(1_000_000_000)
}

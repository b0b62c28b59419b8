//! The data plane's clocks: nanoseconds since the machine began, which nobody sets.

use rustix::time::{ClockId, clock_gettime};

/// `bpf_ktime_get_ns`.
pub(crate) fn fine() -> u64 {
    since(ClockId::Monotonic)
}

/// `bpf_ktime_get_coarse_ns`.
pub(crate) fn coarse() -> u64 {
    since(ClockId::MonotonicCoarse)
}

fn since(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    // Neither is below zero.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

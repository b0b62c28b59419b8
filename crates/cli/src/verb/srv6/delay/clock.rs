//! The time that packets carry: nanoseconds since 1970, by this machine's clock, which is compared with the kernel's own
//! one, that programs have.

use rustix::time::{ClockId, clock_gettime};

/// What has to be added to the kernel's time since its start (`bpf_ktime_get_ns`).
pub(super) fn offset() -> u64 {
    let now = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    };
    // The wall clock is read between two looks at the other one: who is interrupted between looks again.
    let look = || {
        let (before, wall, after) = (now(ClockId::Monotonic), now(ClockId::Realtime), now(ClockId::Monotonic));
        (after - before, wall.wrapping_sub(before.midpoint(after)))
    };
    (0..8).map(|_| look()).min().map_or(0, |(_, offset)| offset)
}

//! Clocks and timers.

use super::notation::{BASE, TRACE, calls_later, helper, of, takes};
use crate::{
    Arg::{Any, Map, Timer},
    CallbackArg as Called, Helper, ProgSet, ProgType as P, Right,
};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(5, "ktime_get_ns", (4, 1))
        .doc("Nanoseconds since boot, without the time that the machine slept (CLOCK_MONOTONIC).")
        .protos(&[takes(&[]).by(ProgSet::ALL)]),
    helper(118, "jiffies64", (5, 6))
        .right(Right::Bpf)
        .doc("The number of timer ticks, as 64 bits.")
        .protos(&[takes(&[])]),
    helper(125, "ktime_get_boot_ns", (5, 8))
        .doc("Nanoseconds since boot, with the time that the machine slept (CLOCK_BOOTTIME).")
        .protos(&[takes(&[]).by(ProgSet::ALL)]),
    helper(160, "ktime_get_coarse_ns", (5, 11))
        .doc("Nanoseconds since boot as of the last timer tick: cheap and coarse (CLOCK_MONOTONIC_COARSE).")
        .protos(&[takes(&[]).by(BASE.without(TRACE.or(of(&[P::CGROUP_DEVICE, P::CGROUP_SOCKOPT, P::NETFILTER]))))]),
    helper(169, "timer_init", (5, 15))
        .right(Right::Bpf)
        .doc("Prepares the timer in a map value. The flags name the clock.")
        .protos(&[takes(&[Timer, Map, Any]).gpl()]),
    helper(170, "timer_set_callback", (5, 15))
        .right(Right::Bpf)
        .doc("Sets the function that a timer calls with its map, key and value.")
        .protos(&[
            takes(&[Timer, calls_later(&[Called::Map, Called::MapKey, Called::MapValue])]).gpl(),
        ]),
    helper(171, "timer_start", (5, 15))
        .right(Right::Bpf)
        .doc("Arms a timer to fire after the given nanoseconds, or at that time with BPF_F_TIMER_ABS.")
        .protos(&[takes(&[Timer, Any, Any]).gpl()]),
    helper(172, "timer_cancel", (5, 15))
        .right(Right::Bpf)
        .doc("Disarms a timer and waits for its callback to end; gives 1 if it was armed.")
        .protos(&[takes(&[Timer]).gpl()]),
    helper(208, "ktime_get_tai_ns", (6, 1))
        .doc("Nanoseconds of international atomic time (CLOCK_TAI).")
        .protos(&[takes(&[])]),
];

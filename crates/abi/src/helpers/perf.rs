//! Perf events: counters, samples, buffers, call stacks.

use super::notation::{BASE, CTX, RAW_TRACE, SIZE, SIZE_OR_ZERO, TRACE, fill, helper, of, read, takes, update_or_null};
use crate::{
    Arg::{Any, Map},
    Helper, ProgType as P, Right,
};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(22, "perf_event_read", (4, 3))
        .right(Right::Perfmon)
        .doc("Reads a counter from a perf_event_array. A negative value is an error or a counter value: \
              perf_event_read_value tells them apart.")
        .protos(&[
            takes(&[Map, Any]).gpl().by(TRACE),
            takes(&[Map, Any]).gpl().since(6, 16),
        ]),
    helper(25, "perf_event_output", (4, 4))
        .doc("Writes a record to the perf buffer at an index of the map (BPF_F_CURRENT_CPU: this CPU). The flags' \
              upper half may ask for packet bytes behind it.")
        .protos(&[
            takes(&[CTX, Map, Any, read(4), SIZE_OR_ZERO]).gpl()
                .by(BASE.without(of(&[P::SK_REUSEPORT, P::FLOW_DISSECTOR, P::STRUCT_OPS, P::NETFILTER]))),
        ]),
    helper(27, "get_stackid", (4, 6))
        .doc("Walks the call stack, stores it in a stack_trace map and gives its number.")
        .protos(&[
            takes(&[CTX, Map, Any]).gpl().by(RAW_TRACE.or(of(&[P::KPROBE, P::TRACEPOINT]))),
            takes(&[CTX, Map, Any]).by(of(&[P::PERF_EVENT])),
        ]),
    helper(55, "perf_event_read_value", (4, 15))
        .right(Right::Perfmon)
        .doc("Reads a counter and for how long it was enabled and ran.")
        .protos(&[
            takes(&[Map, Any, fill(3), SIZE]).gpl().by(TRACE),
            takes(&[Map, Any, fill(3), SIZE]).gpl().since(6, 16),
        ]),
    helper(56, "perf_prog_read_value", (4, 15))
        .doc("Reads the counter whose overflow runs the program.")
        .protos(&[takes(&[CTX, fill(2), SIZE]).gpl().by(of(&[P::PERF_EVENT]))]),
    helper(67, "get_stack", (4, 18))
        .doc("Copies the call stack, of the kernel or with BPF_F_USER_STACK of user space; gives its size in bytes.")
        .protos(&[takes(&[CTX, fill(2), SIZE_OR_ZERO, Any]).gpl().by(TRACE)]),
    helper(119, "read_branch_records", (5, 7))
        .doc("Copies the branch records of a sample, or with BPF_F_GET_BRANCH_RECORDS_SIZE gives their size.")
        .protos(&[takes(&[CTX, update_or_null(2), SIZE_OR_ZERO, Any]).gpl().by(of(&[P::PERF_EVENT]))]),
    helper(176, "get_branch_snapshot", (5, 16))
        .right(Right::Perfmon)
        .doc("Copies the last branches that the hardware recorded; gives their size in bytes.")
        .protos(&[
            takes(&[fill(1), SIZE_OR_ZERO]).gpl().by(TRACE),
            takes(&[fill(1), SIZE_OR_ZERO]).gpl().since(6, 16),
        ]),
];

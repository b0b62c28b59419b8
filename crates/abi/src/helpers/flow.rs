//! Control flow, locks, and what the machine knows of itself.

use super::notation::{CTX, KPTR_OR_NULL, PER_CPU_VARIABLE, calls, helper, takes};
use crate::{
    Arg::{Any, CallbackCtx, Kptr, Map, SpinLock},
    CallbackArg as Called, Helper, ProgSet, Ret, Right,
};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(7, "get_prandom_u32", (4, 1))
        .doc("A pseudo-random number of 32 bits.")
        .protos(&[takes(&[]).by(ProgSet::ALL)]),
    helper(8, "get_smp_processor_id", (4, 1))
        .doc("Number of the CPU that the program runs on.")
        .protos(&[takes(&[])]),
    helper(12, "tail_call", (4, 2))
        .doc("Jumps into the program at an index of a prog_array, with the same context, and does not come back. If \
              it cannot, the program goes on.")
        .protos(&[takes(&[CTX, Map, Any]).gives(Ret::Void).changes_packet().by(ProgSet::ALL)]),
    helper(42, "get_numa_node_id", (4, 10))
        .doc("Number of the NUMA node of the CPU that the program runs on.")
        .protos(&[takes(&[])]),
    helper(93, "spin_lock", (5, 1))
        .right(Right::Bpf)
        .doc("Takes the lock in a map value. A program holds one lock at most and calls nothing but spin_unlock \
              with it.")
        .protos(&[takes(&[SpinLock]).gives(Ret::Void).takes_lock()]),
    helper(94, "spin_unlock", (5, 1))
        .right(Right::Bpf)
        .doc("Gives up the lock in a map value.")
        .protos(&[takes(&[SpinLock]).gives(Ret::Void).takes_lock().drops_lock()]),
    helper(153, "per_cpu_ptr", (5, 10))
        .right(Right::Bpf)
        .doc("Address of a per-CPU kernel variable on the given CPU, or NULL if there is no such CPU.")
        .protos(&[takes(&[PER_CPU_VARIABLE, Any]).gives(Ret::PerCpuVarOrNull)]),
    helper(154, "this_cpu_ptr", (5, 10))
        .right(Right::Bpf)
        .doc("Address of a per-CPU kernel variable on this CPU.")
        .protos(&[takes(&[PER_CPU_VARIABLE]).gives(Ret::PerCpuVar)]),
    helper(181, "loop", (5, 17))
        .right(Right::Bpf)
        .doc("Calls a function with 0, 1, 2 … up to a number of times, until it returns 1; gives the number of \
              calls.")
        .protos(&[takes(&[Any, calls(&[Called::Scalar, Called::CallbackCtx]), CallbackCtx, Any])]),
    helper(194, "kptr_xchg", (5, 19))
        .right(Right::Bpf)
        .doc("Puts a kernel pointer or NULL into a map value and gives the one that was there, which must be \
              released.")
        .protos(&[takes(&[Kptr, KPTR_OR_NULL]).gives(Ret::KptrOrNull).acquires().releases(1)]),
];

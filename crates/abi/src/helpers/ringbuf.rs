//! Ring buffers: records to user space, and from it.

use super::notation::{SIZE_OR_ZERO, calls, dynptr, dynptr_made, helper, read, takes};
use crate::{
    Arg::{AllocMem, AllocSize, Any, CallbackCtx, Map},
    CallbackArg as Called, DynptrKind, Helper, MemSize, Ret, Right,
};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(130, "ringbuf_output", (5, 8))
        .doc("Copies a record into a ring buffer.")
        .protos(&[takes(&[Map, read(2), SIZE_OR_ZERO, Any])]),
    helper(131, "ringbuf_reserve", (5, 8))
        .doc("Reserves a record in a ring buffer; it must be submitted or discarded.")
        .protos(&[takes(&[Map, AllocSize, Any]).gives(Ret::MemOrNull { size: MemSize::Arg(1) }).acquires()]),
    helper(132, "ringbuf_submit", (5, 8))
        .doc("Hands a reserved record over to user space.")
        .protos(&[takes(&[AllocMem, Any]).gives(Ret::Void).releases(0)]),
    helper(133, "ringbuf_discard", (5, 8))
        .doc("Drops a reserved record.")
        .protos(&[takes(&[AllocMem, Any]).gives(Ret::Void).releases(0)]),
    helper(134, "ringbuf_query", (5, 8))
        .doc("Asks a ring buffer for its size, its unread bytes, or a position.")
        .protos(&[takes(&[Map, Any])]),
    helper(198, "ringbuf_reserve_dynptr", (5, 19))
        .right(Right::Bpf)
        .doc("Reserves a record whose size is not known beforehand, as a dynptr. It must be submitted or discarded, \
              even after a failure.")
        .protos(&[takes(&[Map, Any, Any, dynptr_made(DynptrKind::Ringbuf)]).acquires()]),
    helper(199, "ringbuf_submit_dynptr", (5, 19))
        .right(Right::Bpf)
        .doc("Hands a record reserved as a dynptr over to user space.")
        .protos(&[takes(&[dynptr(DynptrKind::Ringbuf), Any]).gives(Ret::Void).releases(0)]),
    helper(200, "ringbuf_discard_dynptr", (5, 19))
        .right(Right::Bpf)
        .doc("Drops a record reserved as a dynptr.")
        .protos(&[takes(&[dynptr(DynptrKind::Ringbuf), Any]).gives(Ret::Void).releases(0)]),
    helper(209, "user_ringbuf_drain", (6, 1))
        .right(Right::Bpf)
        .doc("Calls a function with each record that user space wrote, until it returns 1; gives the number of \
              records.")
        .protos(&[takes(&[Map, calls(&[Called::Dynptr, Called::CallbackCtx]), CallbackCtx, Any])]),
];

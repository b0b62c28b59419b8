//! Dynptrs: memory whose bounds are checked when the program runs.

use super::notation::{DYNPTR_TO_READ, SIZE_OR_ZERO, dynptr_made, fill, helper, read, takes};
use crate::{
    Arg::{AllocSize, Any},
    DynptrKind, Helper, Ret, Right,
};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(197, "dynptr_from_mem", (5, 19))
        .right(Right::Bpf)
        .doc("Makes a dynptr to memory of a map value.")
        .protos(&[takes(&[fill(1), SIZE_OR_ZERO, Any, dynptr_made(DynptrKind::Local)])]),
    helper(201, "dynptr_read", (5, 19))
        .right(Right::Bpf)
        .doc("Copies from a dynptr, from an offset on.")
        .protos(&[takes(&[fill(1), SIZE_OR_ZERO, DYNPTR_TO_READ, Any, Any])]),
    helper(202, "dynptr_write", (5, 19))
        .right(Right::Bpf)
        .doc("Copies into a dynptr, from an offset on.")
        .protos(&[takes(&[DYNPTR_TO_READ, Any, read(3), SIZE_OR_ZERO, Any])]),
    helper(203, "dynptr_data", (5, 19))
        .right(Right::Bpf)
        .doc("Address of a constant number of bytes of a dynptr, or NULL if they are out of bounds or read-only.")
        .protos(&[takes(&[DYNPTR_TO_READ, Any, AllocSize]).gives(Ret::DynptrDataOrNull)]),
];

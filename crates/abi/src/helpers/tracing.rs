//! What a tracing program is attached to: arguments, return values, cookies.

use super::notation::{BTF_TRACE, CTX, SIZE_OR_ZERO, TRACE, fill_number, helper, object, of, takes, update};
use crate::{Arg::Any, AttachType as A, Helper, ProgType as P, Ret};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(58, "override_return", (4, 16))
        .doc("Makes the probed function return a value without running. Only functions that allow error injection.")
        .protos(&[takes(&[CTX, Any]).gpl().by(of(&[P::KPROBE]))]),
    helper(147, "d_path", (5, 10))
        .doc("Writes the full path of a struct path; gives its length with the NUL. Only in functions where that is \
              safe.")
        .protos(&[takes(&[object("path"), update(2), SIZE_OR_ZERO]).by(BTF_TRACE)]),
    helper(162, "sock_from_file", (5, 11))
        .doc("The socket behind a file, or NULL if it is none.")
        .protos(&[takes(&[object("file")]).gives(Ret::BtfOrNull("socket")).by(BTF_TRACE)]),
    helper(173, "get_func_ip", (5, 15))
        .doc("Address of the function that the program is attached to; 0 where there is none.")
        .protos(&[
            takes(&[CTX]).by(of(&[P::KPROBE])).at(MULTI),
            takes(&[CTX]).gpl().by(TRACE),
        ]),
    helper(174, "get_attach_cookie", (5, 15))
        .doc("The number that user space gave when it attached the program.")
        .protos(&[
            takes(&[CTX]).by(of(&[P::TRACING, P::LSM])).at(TRAMPOLINE).since(5, 19),
            takes(&[CTX]).by(of(&[P::TRACING])).at(&[A::TRACE_RAW_TP]).since(6, 10),
            takes(&[CTX]).by(of(&[P::KPROBE, P::TRACEPOINT, P::PERF_EVENT])),
            takes(&[CTX]).by(of(&[P::RAW_TRACEPOINT, P::RAW_TRACEPOINT_WRITABLE])).since(6, 10),
        ]),
    helper(183, "get_func_arg", (5, 17))
        .doc("Copies argument n of the traced function.")
        .protos(&[takes(&[CTX, Any, fill_number(8)]).by(of(&[P::TRACING, P::LSM])).at(TRAMPOLINE)]),
    helper(184, "get_func_ret", (5, 17))
        .doc("Copies the return value of the traced function; -EOPNOTSUPP at its entry.")
        .protos(&[takes(&[CTX, fill_number(8)]).by(of(&[P::TRACING, P::LSM])).at(TRAMPOLINE)]),
    helper(185, "get_func_arg_cnt", (5, 17))
        .doc("Number of arguments of the traced function.")
        .protos(&[takes(&[CTX]).by(of(&[P::TRACING, P::LSM])).at(TRAMPOLINE)]),
];

const MULTI: &[A] = &[A::TRACE_KPROBE_MULTI, A::TRACE_UPROBE_MULTI, A::TRACE_KPROBE_SESSION, A::TRACE_UPROBE_SESSION];

const TRAMPOLINE: &[A] = &[A::TRACE_FENTRY, A::TRACE_FEXIT, A::MODIFY_RETURN, A::LSM_MAC];

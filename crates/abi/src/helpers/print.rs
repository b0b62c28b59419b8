//! Texts: printing, formatting, parsing, comparing.

use super::notation::{
    SIZE, SIZE_OR_ZERO, fill_number, helper, object, of, read, read_or_null, takes, update, update_or_null,
};
use crate::{
    Arg::{Any, ConstStr},
    AttachType as A, Helper, ProgSet, ProgType as P, Right,
};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(6, "trace_printk", (4, 1))
        .right(Right::Perfmon)
        .doc("Prints to the trace pipe by a format with up to three arguments; gives the number of bytes. For \
              debugging.")
        .protos(&[takes(&[read(1), SIZE]).reads_more().gpl().by(ProgSet::ALL)]),
    helper(105, "strtol", (5, 2))
        .doc("Parses a signed number at the start of a text; gives the number of bytes it took.")
        .protos(&[takes(&[read(1), SIZE, Any, fill_number(8)])]),
    helper(106, "strtoul", (5, 2))
        .doc("Parses an unsigned number at the start of a text; gives the number of bytes it took.")
        .protos(&[takes(&[read(1), SIZE, Any, fill_number(8)])]),
    helper(126, "seq_printf", (5, 8))
        .doc("Prints to the file of an iterator, by a format and an array of 64-bit arguments.")
        .protos(&[
            takes(&[object("seq_file"), read(2), SIZE, read_or_null(4), SIZE_OR_ZERO]).gpl().by(of(&[P::TRACING]))
                .at(&[A::TRACE_ITER]),
        ]),
    helper(127, "seq_write", (5, 8))
        .doc("Writes bytes to the file of an iterator.")
        .protos(&[
            takes(&[object("seq_file"), read(2), SIZE_OR_ZERO]).gpl().by(of(&[P::TRACING])).at(&[A::TRACE_ITER]),
        ]),
    helper(149, "snprintf_btf", (5, 10))
        .right(Right::Perfmon)
        .doc("Formats a kernel object by its BTF type; gives the number of bytes.")
        .protos(&[takes(&[update(1), SIZE, read(3), SIZE, Any])]),
    helper(150, "seq_printf_btf", (5, 10))
        .doc("Prints a kernel object by its BTF type to the file of an iterator.")
        .protos(&[
            takes(&[object("seq_file"), read(2), SIZE_OR_ZERO, Any]).gpl().by(of(&[P::TRACING])).at(&[A::TRACE_ITER]),
        ]),
    helper(165, "snprintf", (5, 13))
        .right(Right::Perfmon)
        .doc("Formats by a constant format and an array of 64-bit arguments; gives the number of bytes with the NUL.")
        .protos(&[takes(&[update_or_null(1), SIZE_OR_ZERO, ConstStr, read_or_null(4), SIZE_OR_ZERO]).gpl()]),
    helper(177, "trace_vprintk", (5, 16))
        .right(Right::Perfmon)
        .doc("Prints to the trace pipe by a format and an array of 64-bit arguments.")
        .protos(&[takes(&[read(1), SIZE, read_or_null(3), SIZE_OR_ZERO]).gpl()]),
    helper(182, "strncmp", (5, 17))
        .doc("Compares a text with a constant one: negative, 0 or positive.")
        .protos(&[takes(&[read(1), SIZE, ConstStr])]),
];

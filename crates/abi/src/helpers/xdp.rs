//! Frames as XDP programs see them.

use super::notation::{BTF_TRACE, CTX, SIZE, SIZE_OR_ZERO, fill, helper, object, of, read, takes};
use crate::{
    Arg::{Any, Map},
    Helper, ProgType as P,
};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(44, "xdp_adjust_head", (4, 10))
        .doc("Moves the start of the frame: down to add a header, up to remove one.")
        .protos(&[takes(&[CTX, Any]).changes_packet().by(of(&[P::XDP]))]),
    helper(54, "xdp_adjust_meta", (4, 15))
        .doc("Moves the start of the metadata in front of the frame.")
        .protos(&[takes(&[CTX, Any]).changes_packet().by(of(&[P::XDP]))]),
    helper(65, "xdp_adjust_tail", (4, 18))
        .doc("Moves the end of the frame.")
        .protos(&[takes(&[CTX, Any]).changes_packet().by(of(&[P::XDP]))]),
    helper(111, "skb_output", (5, 5))
        .doc("Writes a record to a perf buffer, with bytes of an skb behind it, from a tracing program.")
        .protos(&[takes(&[object("sk_buff"), Map, Any, read(4), SIZE_OR_ZERO]).gpl().by(BTF_TRACE)]),
    helper(121, "xdp_output", (5, 7))
        .doc("Writes a record to a perf buffer, with bytes of a frame behind it, from a tracing program.")
        .protos(&[takes(&[object("xdp_buff"), Map, Any, read(4), SIZE_OR_ZERO]).gpl().by(BTF_TRACE)]),
    helper(188, "xdp_get_buff_len", (5, 18))
        .doc("Length of the frame, all of its fragments together.")
        .protos(&[
            takes(&[CTX]).by(of(&[P::XDP])),
            takes(&[object("xdp_buff")]).by(BTF_TRACE),
        ]),
    helper(189, "xdp_load_bytes", (5, 18))
        .doc("Copies bytes of the frame from an offset on, across fragments.")
        .protos(&[takes(&[CTX, Any, fill(3), SIZE]).by(of(&[P::XDP]))]),
    helper(190, "xdp_store_bytes", (5, 18))
        .doc("Writes bytes into the frame from an offset on, across fragments.")
        .protos(&[takes(&[CTX, Any, read(3), SIZE]).by(of(&[P::XDP]))]),
];

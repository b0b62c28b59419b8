//! Elements of maps.

use super::notation::{VALUE, VALUE_TO_FILL, calls, helper, takes};
use crate::{
    Arg::{self, Any, CallbackCtx, Map, MapKey},
    CallbackArg as Called, Helper, ProgSet, Ret, Right,
};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(1, "map_lookup_elem", (3, 19))
        .doc("Finds the value of a key. In a sockmap or sockhash it finds a socket, which must be released.")
        .protos(&[takes(&[Map, MapKey]).gives(Ret::MapValueOrNull).packet_memory().by(ProgSet::ALL)]),
    helper(2, "map_update_elem", (3, 19))
        .doc("Sets the value of a key. The flags are BPF_ANY, BPF_NOEXIST or BPF_EXIST, and BPF_F_LOCK.")
        .protos(&[takes(&[Map, MapKey, VALUE, Any]).packet_memory().by(ProgSet::ALL)]),
    helper(3, "map_delete_elem", (3, 19))
        .doc("Removes a key and its value.")
        .protos(&[takes(&[Map, MapKey]).packet_memory().by(ProgSet::ALL)]),
    helper(87, "map_push_elem", (4, 20))
        .doc("Adds a value to a queue, a stack or a bloom filter. With BPF_EXIST a full queue or stack drops its \
              oldest value.")
        .protos(&[takes(&[Map, VALUE, Any]).packet_memory().by(ProgSet::ALL)]),
    helper(88, "map_pop_elem", (4, 20))
        .doc("Takes the next value out of a queue or stack.")
        .protos(&[takes(&[Map, VALUE_TO_FILL]).by(ProgSet::ALL)]),
    helper(89, "map_peek_elem", (4, 20))
        .doc("Copies the next value of a queue or stack, or asks a bloom filter whether it holds the value.")
        .protos(&[takes(&[Map, VALUE_TO_FILL]).by(ProgSet::ALL)]),
    helper(164, "for_each_map_elem", (5, 13))
        .right(Right::Bpf)
        .doc("Calls a function for each element of a map until it returns 1; gives the number of calls.")
        .protos(&[takes(&[Map, ON_ELEMENT, CallbackCtx, Any])]),
    helper(195, "map_lookup_percpu_elem", (5, 19))
        .doc("Finds the value of a key in a per-CPU map on the given CPU.")
        .protos(&[takes(&[Map, MapKey, Any]).gives(Ret::MapValueOrNull).packet_memory()]),
];

const ON_ELEMENT: Arg = calls(&[Called::Map, Called::MapKey, Called::MapValue, Called::CallbackCtx]);

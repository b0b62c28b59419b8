//! Messages between sockets in sockmaps and sockhashes.

use super::notation::{CTX, helper, of, takes};
use crate::{
    Arg::{Any, Map, MapKey},
    Helper, ProgType as P,
};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(52, "sk_redirect_map", (4, 14))
        .doc("Sends the message to the socket at an index of a sockmap: the program returns what this gives.")
        .protos(&[takes(&[CTX, Map, Any, Any]).by(of(&[P::SK_SKB]))]),
    helper(53, "sock_map_update", (4, 14))
        .doc("Puts the socket of the event into a sockmap.")
        .protos(&[takes(&[CTX, Map, MapKey, Any]).packet_memory().by(of(&[P::SOCK_OPS]))]),
    helper(60, "msg_redirect_map", (4, 17))
        .doc("Sends the message to the socket at an index of a sockmap: the program returns what this gives.")
        .protos(&[takes(&[CTX, Map, Any, Any]).by(of(&[P::SK_MSG]))]),
    helper(61, "msg_apply_bytes", (4, 17))
        .doc("Lets the verdict hold for the next bytes of the stream.")
        .protos(&[takes(&[CTX, Any]).by(of(&[P::SK_MSG]))]),
    helper(62, "msg_cork_bytes", (4, 17))
        .doc("Holds the message back until there are so many bytes, then runs the program.")
        .protos(&[takes(&[CTX, Any]).by(of(&[P::SK_MSG]))]),
    helper(63, "msg_pull_data", (4, 17))
        .doc("Makes a range of the message directly accessible and writable.")
        .protos(&[takes(&[CTX, Any, Any, Any]).changes_packet().by(of(&[P::SK_MSG]))]),
    helper(70, "sock_hash_update", (4, 18))
        .doc("Puts the socket of the event into a sockhash.")
        .protos(&[takes(&[CTX, Map, MapKey, Any]).packet_memory().by(of(&[P::SOCK_OPS]))]),
    helper(71, "msg_redirect_hash", (4, 18))
        .doc("Sends the message to the socket at a key of a sockhash: the program returns what this gives.")
        .protos(&[takes(&[CTX, Map, MapKey, Any]).by(of(&[P::SK_MSG]))]),
    helper(72, "sk_redirect_hash", (4, 18))
        .doc("Sends the message to the socket at a key of a sockhash: the program returns what this gives.")
        .protos(&[takes(&[CTX, Map, MapKey, Any]).by(of(&[P::SK_SKB]))]),
    helper(90, "msg_push_data", (4, 20))
        .doc("Inserts bytes into the message.")
        .protos(&[takes(&[CTX, Any, Any, Any]).changes_packet().by(of(&[P::SK_MSG]))]),
    helper(91, "msg_pop_data", (5, 0))
        .doc("Removes bytes from the message.")
        .protos(&[takes(&[CTX, Any, Any, Any]).changes_packet().by(of(&[P::SK_MSG]))]),
];

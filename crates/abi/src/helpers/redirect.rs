//! Where a packet goes.

use super::notation::{CTX, SIZE, SIZE_OR_ZERO, TC, TC_XMIT, helper, of, read_or_null, takes, update};
use crate::{
    Arg::{Any, Map},
    Helper, ProgType as P,
};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(13, "clone_redirect", (4, 2))
        .doc("Sends a copy of the packet out of, or into, another device.")
        .protos(&[takes(&[CTX, Any, Any]).changes_packet().by(TC_XMIT)]),
    helper(23, "redirect", (4, 4))
        .doc("Sends the packet to another device: the program returns what this gives.")
        .protos(&[takes(&[Any, Any]).by(TC_XMIT.or(of(&[P::XDP])))]),
    helper(51, "redirect_map", (4, 14))
        .doc("Sends the frame to what an index of a map holds (device, CPU, AF_XDP socket): the program returns \
              what this gives. The flags' lowest bits are returned if there is nothing.")
        .protos(&[takes(&[Map, Any, Any]).by(of(&[P::XDP]))]),
    helper(69, "fib_lookup", (4, 18))
        .doc("Asks the routing and neighbour tables for the way of a packet: next hop, its device and MAC addresses.")
        .protos(&[takes(&[CTX, update(2), SIZE, Any]).gpl().by(TC.or(of(&[P::XDP])))]),
    helper(152, "redirect_neigh", (5, 10))
        .doc("Sends the packet to another device, which fills in the MAC address of the neighbour.")
        .protos(&[takes(&[Any, read_or_null(2), SIZE_OR_ZERO, Any]).by(TC)]),
    helper(155, "redirect_peer", (5, 10))
        .doc("Sends the packet into the peer of a veth or netkit device, in its namespace, without a detour through \
              the backlog.")
        .protos(&[takes(&[Any, Any]).by(TC)]),
];

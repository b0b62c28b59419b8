//! Tunnels: metadata of collecting tunnel devices, lightweight tunnels, SRv6.

use super::notation::{CTX, SIZE, TC_XMIT, fill, helper, of, read, takes};
use crate::{Arg::Any, Helper, ProgType as P};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(20, "skb_get_tunnel_key", (4, 3))
        .doc("Copies the tunnel metadata (addresses, id, TOS, TTL) that the packet came with.")
        .protos(&[takes(&[CTX, fill(2), SIZE, Any]).by(TC_XMIT)]),
    helper(21, "skb_set_tunnel_key", (4, 3))
        .doc("Sets the tunnel metadata that the packet leaves with.")
        .protos(&[takes(&[CTX, read(2), SIZE, Any]).by(TC_XMIT)]),
    helper(29, "skb_get_tunnel_opt", (4, 6))
        .doc("Copies the tunnel options that the packet came with; gives their size.")
        .protos(&[takes(&[CTX, fill(2), SIZE]).by(TC_XMIT)]),
    helper(30, "skb_set_tunnel_opt", (4, 6))
        .doc("Sets the tunnel options that the packet leaves with.")
        .protos(&[takes(&[CTX, read(2), SIZE]).by(TC_XMIT)]),
    helper(73, "lwt_push_encap", (4, 18))
        .doc("Puts a header around or into the packet: an SRv6 header, inserted or encapsulating, or an IP header.")
        .protos(&[takes(&[CTX, Any, read(3), SIZE]).changes_packet().by(of(&[P::LWT_IN, P::LWT_XMIT]))]),
    helper(74, "lwt_seg6_store_bytes", (4, 18))
        .doc("Writes into the flags, tag and TLVs of the outer SRv6 header.")
        .protos(&[takes(&[CTX, Any, read(3), SIZE]).changes_packet().by(of(&[P::LWT_SEG6LOCAL]))]),
    helper(75, "lwt_seg6_adjust_srh", (4, 18))
        .doc("Makes the TLVs of the outer SRv6 header longer or shorter.")
        .protos(&[takes(&[CTX, Any, Any]).changes_packet().by(of(&[P::LWT_SEG6LOCAL]))]),
    helper(76, "lwt_seg6_action", (4, 18))
        .doc("Does one of the kernel's SRv6 actions on the packet (End.X, End.T, End.B6, End.DT6 …).")
        .protos(&[takes(&[CTX, Any, read(3), SIZE]).changes_packet().by(of(&[P::LWT_SEG6LOCAL]))]),
];

//! Packets as sk_buffs: bytes, checksums, size, headers, metadata.

use super::notation::{
    CGROUP, CTX, SIZE, SIZE_OR_ZERO, SKB, TC, TC_LWT, TC_XMIT, fill, helper, of, read, read_or_null, takes,
    update_number,
};
use crate::{
    Arg::{Any, Map},
    Helper, ProgType as P,
};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(9, "skb_store_bytes", (4, 1))
        .doc("Writes bytes into the packet; BPF_F_RECOMPUTE_CSUM keeps the checksum of the skb right, \
              BPF_F_INVALIDATE_HASH drops the hash.")
        .protos(&[takes(&[CTX, Any, read(3), SIZE, Any]).changes_packet().by(TC_XMIT.or(of(&[P::SK_SKB])))]),
    helper(10, "l3_csum_replace", (4, 1))
        .doc("Adapts the checksum of the IP header after a change of 2 or 4 bytes.")
        .protos(&[takes(&[CTX, Any, Any, Any, Any]).changes_packet().by(TC_XMIT)]),
    helper(11, "l4_csum_replace", (4, 1))
        .doc("Adapts a TCP, UDP or ICMP checksum after a change of 2 or 4 bytes, or by a difference.")
        .protos(&[takes(&[CTX, Any, Any, Any, Any]).changes_packet().by(TC_XMIT)]),
    helper(17, "get_cgroup_classid", (4, 3))
        .doc("Class id of the sender (net_cls); without an skb as context, of the current task.")
        .protos(&[
            takes(&[CTX]).by(TC_LWT),
            takes(&[]).by(CGROUP.or(of(&[P::SK_MSG]))),
            takes(&[]).since(6, 16),
        ]),
    helper(18, "skb_vlan_push", (4, 3))
        .doc("Adds a VLAN tag.")
        .protos(&[takes(&[CTX, Any, Any]).changes_packet().by(TC)]),
    helper(19, "skb_vlan_pop", (4, 3))
        .doc("Removes the outer VLAN tag.")
        .protos(&[takes(&[CTX]).changes_packet().by(TC)]),
    helper(24, "get_route_realm", (4, 4))
        .doc("Realm of the route that the packet takes.")
        .protos(&[takes(&[CTX]).by(TC_LWT)]),
    helper(26, "skb_load_bytes", (4, 5))
        .doc("Copies bytes of the packet from an offset on, wherever they are.")
        .protos(&[takes(&[CTX, Any, fill(3), SIZE]).by(SKB.or(of(&[P::SK_REUSEPORT, P::FLOW_DISSECTOR])))]),
    helper(28, "csum_diff", (4, 6))
        .doc("Difference that replacing one range of memory by another makes to a checksum, added to a seed.")
        .protos(&[
            takes(&[read_or_null(1), SIZE_OR_ZERO, read_or_null(3), SIZE_OR_ZERO, Any]).packet_memory()
                .by(TC_LWT.or(of(&[P::XDP]))),
        ]),
    helper(31, "skb_change_proto", (4, 8))
        .doc("Turns an IPv4 packet into IPv6 or back. The headers' content is left to the program.")
        .protos(&[takes(&[CTX, Any, Any]).changes_packet().by(TC)]),
    helper(32, "skb_change_type", (4, 8))
        .doc("Changes whom the packet is for: this host, others, broadcast, multicast.")
        .protos(&[takes(&[CTX, Any]).by(TC)]),
    helper(33, "skb_under_cgroup", (4, 8))
        .doc("1 if the packet's socket is inside the control group at an index of a cgroup_array, 0 if not.")
        .protos(&[takes(&[CTX, Map, Any]).by(TC_LWT)]),
    helper(34, "get_hash_recalc", (4, 8))
        .doc("Hash of the packet's flow, computed if it is not there.")
        .protos(&[takes(&[CTX]).by(TC_LWT)]),
    helper(38, "skb_change_tail", (4, 9))
        .doc("Sets the length of the packet: cuts it, or adds zeroes.")
        .protos(&[takes(&[CTX, Any, Any]).changes_packet().by(TC_XMIT.or(of(&[P::SK_SKB])))]),
    helper(39, "skb_pull_data", (4, 9))
        .doc("Makes the first bytes of the packet (0: all) directly accessible and writable.")
        .protos(&[
            takes(&[CTX, Any]).changes_packet().by(TC_XMIT.or(of(&[P::LWT_IN, P::LWT_OUT, P::SK_SKB]))),
            takes(&[CTX, Any]).changes_packet().by(of(&[P::LWT_SEG6LOCAL])).since(6, 16),
        ]),
    helper(40, "csum_update", (4, 9))
        .doc("Adds to the checksum of the skb, if the device delivered a complete one.")
        .protos(&[takes(&[CTX, Any]).by(TC_XMIT)]),
    helper(41, "set_hash_invalid", (4, 9))
        .doc("Drops the hash of the packet's flow.")
        .protos(&[takes(&[CTX]).by(TC_XMIT)]),
    helper(43, "skb_change_head", (4, 10))
        .doc("Adds headroom in front of the packet, zeroed, which then begins there.")
        .protos(&[
            takes(&[CTX, Any, Any]).changes_packet().by(of(&[P::LWT_XMIT, P::SK_SKB])),
            takes(&[CTX, Any, Any]).changes_packet().by(TC).since(5, 8),
        ]),
    helper(48, "set_hash", (4, 13))
        .doc("Sets the hash of the packet's flow.")
        .protos(&[takes(&[CTX, Any]).by(TC)]),
    helper(50, "skb_adjust_room", (4, 13))
        .doc("Makes the packet longer or shorter behind its MAC or network header, for encapsulation.")
        .protos(&[takes(&[CTX, Any, Any, Any]).changes_packet().by(TC.or(of(&[P::SK_SKB])))]),
    helper(66, "skb_get_xfrm_state", (4, 18))
        .doc("Copies a transform (IPsec) that was applied to the packet.")
        .protos(&[takes(&[CTX, Any, fill(3), SIZE, Any]).by(TC)]),
    helper(68, "skb_load_bytes_relative", (4, 18))
        .doc("Copies bytes of the packet from an offset on that counts from the MAC or network header.")
        .protos(&[
            takes(&[CTX, Any, fill(3), SIZE, Any]).by(TC.or(of(&[P::SOCKET_FILTER, P::CGROUP_SKB, P::SK_REUSEPORT]))),
        ]),
    helper(79, "skb_cgroup_id", (4, 18))
        .doc("Id of the control group (version 2) of the packet's socket.")
        .protos(&[takes(&[CTX]).by(TC.or(of(&[P::CGROUP_SKB])))]),
    helper(83, "skb_ancestor_cgroup_id", (4, 19))
        .doc("Id of the control group above the one of the packet's socket, at a level counted from the root.")
        .protos(&[takes(&[CTX, Any]).by(TC.or(of(&[P::CGROUP_SKB])))]),
    helper(97, "skb_ecn_set_ce", (5, 1))
        .doc("Marks the packet as having met congestion, if it is ECN capable; gives 1 if the mark is set.")
        .protos(&[takes(&[CTX]).by(TC.or(of(&[P::CGROUP_SKB])))]),
    helper(135, "csum_level", (5, 8))
        .doc("Tells or changes how many checksums of the packet the device has verified.")
        .protos(&[takes(&[CTX, Any]).by(TC_XMIT)]),
    helper(151, "skb_cgroup_classid", (5, 10))
        .doc("Class id (net_cls) of the packet's socket.")
        .protos(&[takes(&[CTX]).by(TC)]),
    helper(163, "check_mtu", (5, 12))
        .doc("Checks the packet, changed by a length, against the MTU of a device, which it tells.")
        .protos(&[takes(&[CTX, Any, update_number(4), Any, Any]).gpl().by(TC.or(of(&[P::XDP])))]),
    helper(192, "skb_set_tstamp", (5, 18))
        .doc("Sets the time and the clock that say when the packet is to leave.")
        .protos(&[takes(&[CTX, Any, Any]).by(TC)]),
];

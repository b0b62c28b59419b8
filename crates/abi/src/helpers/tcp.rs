//! TCP: events of a connection, header options, SYN cookies.

use super::notation::{CTX, SIZE, SIZE_OR_ZERO, SOCK_COMMON, TC, helper, object, of, read, read_fixed, takes, update};
use crate::{Arg::Any, Helper, ProgType as P, Ret};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(59, "sock_ops_cb_flags_set", (4, 16))
        .doc("Chooses the events of a connection that the program is called for.")
        .protos(&[takes(&[CTX, Any]).by(of(&[P::SOCK_OPS]))]),
    helper(96, "tcp_sock", (5, 1))
        .doc("The TCP part of a socket, or NULL if it is none.")
        .protos(&[
            takes(&[SOCK_COMMON]).gives(Ret::TcpSockOrNull)
                .by(TC.or(of(&[P::CGROUP_SKB, P::SOCK_OPS, P::CGROUP_SOCKOPT]))),
        ]),
    helper(100, "tcp_check_syncookie", (5, 2))
        .doc("Whether an ACK answers a valid SYN cookie of a listening socket: 0 if so.")
        .protos(&[
            takes(&[SOCK_COMMON, read(2), SIZE, read(4), SIZE]).packet_memory().gpl().by(TC.or(of(&[P::XDP]))),
        ]),
    helper(110, "tcp_gen_syncookie", (5, 4))
        .doc("Makes a SYN cookie for a SYN to a listening socket: the cookie in the lower 32 bits, the MSS above.")
        .protos(&[takes(&[SOCK_COMMON, read(2), SIZE, read(4), SIZE]).packet_memory().gpl().by(TC.or(of(&[P::XDP])))]),
    helper(116, "tcp_send_ack", (5, 6))
        .doc("Sends an ACK. For congestion controls.")
        .protos(&[takes(&[object("tcp_sock"), Any]).by(of(&[P::STRUCT_OPS]))]),
    helper(142, "load_hdr_opt", (5, 10))
        .doc("Copies a TCP header option of the packet; gives its length.")
        .protos(&[takes(&[CTX, update(2), SIZE, Any]).by(of(&[P::SOCK_OPS]))]),
    helper(143, "store_hdr_opt", (5, 10))
        .doc("Writes a TCP header option into the packet that is being built.")
        .protos(&[takes(&[CTX, read(2), SIZE, Any]).changes_packet().by(of(&[P::SOCK_OPS]))]),
    helper(144, "reserve_hdr_opt", (5, 10))
        .doc("Reserves room for TCP header options in the packet that is being built.")
        .protos(&[takes(&[CTX, Any, Any]).by(of(&[P::SOCK_OPS]))]),
    helper(204, "tcp_raw_gen_syncookie_ipv4", (6, 0))
        .doc("Makes a SYN cookie for an IPv4 and a TCP header, without a socket.")
        .protos(&[takes(&[read_fixed(20), read(2), SIZE_OR_ZERO]).packet_memory().gpl().by(TC.or(of(&[P::XDP])))]),
    helper(205, "tcp_raw_gen_syncookie_ipv6", (6, 0))
        .doc("Makes a SYN cookie for an IPv6 and a TCP header, without a socket.")
        .protos(&[takes(&[read_fixed(40), read(2), SIZE_OR_ZERO]).packet_memory().gpl().by(TC.or(of(&[P::XDP])))]),
    helper(206, "tcp_raw_check_syncookie_ipv4", (6, 0))
        .doc("Checks the SYN cookie of an IPv4 and a TCP header, without a socket: 0 if it is valid.")
        .protos(&[takes(&[read_fixed(20), read_fixed(20)]).packet_memory().gpl().by(TC.or(of(&[P::XDP])))]),
    helper(207, "tcp_raw_check_syncookie_ipv6", (6, 0))
        .doc("Checks the SYN cookie of an IPv6 and a TCP header, without a socket: 0 if it is valid.")
        .protos(&[takes(&[read_fixed(40), read_fixed(20)]).packet_memory().gpl().by(TC.or(of(&[P::XDP])))]),
];

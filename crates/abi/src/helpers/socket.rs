//! Sockets: finding, holding, casting, tuning.

use super::notation::{
    BTF_TRACE, CTX, CTX_OR_NULL, SIZE, SIZE_OR_ZERO, SOCK_COMMON, SOCK_COMMON_OR_NULL, SOCKET_CASTS, SOCKET_OR_NULL,
    TC, fill, helper, of, read, takes,
};
use crate::{
    Arg::{Any, Map, MapKey},
    AttachType as A, Helper, ProgType as P, Ret, Right,
};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(46, "get_socket_cookie", (4, 12))
        .doc("A number that names the socket for as long as the system is up.")
        .protos(&[
            takes(&[CTX]).by(TC.or(of(&[P::SOCKET_FILTER, P::CGROUP_SKB, P::SK_SKB]))),
            takes(&[CTX]).by(of(&[P::CGROUP_SOCK, P::CGROUP_SOCK_ADDR, P::SOCK_OPS])),
            takes(&[SOCK_COMMON_OR_NULL]).by(BTF_TRACE.or(of(&[P::SK_REUSEPORT]))),
        ]),
    helper(47, "get_socket_uid", (4, 12))
        .doc("User id of the packet's socket.")
        .protos(&[takes(&[CTX]).by(TC.or(of(&[P::SOCKET_FILTER, P::CGROUP_SKB, P::SK_SKB])))]),
    helper(49, "setsockopt", (4, 13))
        .doc("Sets a socket option, as setsockopt(2) does, out of those that are allowed.")
        .protos(&[
            takes(&[CTX, Any, Any, read(4), SIZE]).by(of(&[P::CGROUP_SOCK_ADDR])).at(WITH_SOCKET_OPTIONS).since(5, 8),
            takes(&[SOCK_COMMON, Any, Any, read(4), SIZE]).by(of(&[P::LSM])).at(&[A::LSM_CGROUP]).since(6, 0),
            takes(&[SOCK_COMMON, Any, Any, read(4), SIZE]).by(of(&[P::CGROUP_SOCKOPT])).at(&[A::CGROUP_SETSOCKOPT])
                .since(5, 15),
            takes(&[SOCK_COMMON, Any, Any, read(4), SIZE]).by(of(&[P::TRACING])).at(&[A::TRACE_ITER]).since(5, 16),
            takes(&[CTX, Any, Any, read(4), SIZE]).by(of(&[P::SOCK_OPS])),
            takes(&[SOCK_COMMON, Any, Any, read(4), SIZE]).by(of(&[P::STRUCT_OPS])).since(5, 13),
            takes(&[CTX, Any, Any, read(4), SIZE]).by(of(&[P::CGROUP_SOCK_ADDR])).since(6, 16),
        ]),
    helper(57, "getsockopt", (4, 15))
        .doc("Reads a socket option, as getsockopt(2) does, out of those that are allowed.")
        .protos(&[
            takes(&[CTX, Any, Any, fill(4), SIZE]).by(of(&[P::CGROUP_SOCK_ADDR])).at(WITH_SOCKET_OPTIONS).since(5, 8),
            takes(&[SOCK_COMMON, Any, Any, fill(4), SIZE]).by(of(&[P::LSM])).at(&[A::LSM_CGROUP]).since(6, 0),
            takes(&[SOCK_COMMON, Any, Any, fill(4), SIZE]).by(of(&[P::CGROUP_SOCKOPT])).at(&[A::CGROUP_SETSOCKOPT])
                .since(5, 15),
            takes(&[SOCK_COMMON, Any, Any, fill(4), SIZE]).by(of(&[P::TRACING])).at(&[A::TRACE_ITER]).since(5, 16),
            takes(&[CTX, Any, Any, fill(4), SIZE]).by(of(&[P::SOCK_OPS])),
            takes(&[SOCK_COMMON, Any, Any, fill(4), SIZE]).by(of(&[P::STRUCT_OPS])).since(5, 13),
            takes(&[CTX, Any, Any, fill(4), SIZE]).by(of(&[P::CGROUP_SOCK_ADDR])).since(6, 16),
        ]),
    helper(64, "bind", (4, 17))
        .doc("Binds the socket to an address (not to a port) before it connects.")
        .protos(&[
            takes(&[CTX, read(2), SIZE]).by(of(&[P::CGROUP_SOCK_ADDR]))
                .at(&[A::CGROUP_INET4_CONNECT, A::CGROUP_INET6_CONNECT]),
        ]),
    helper(82, "sk_select_reuseport", (4, 19))
        .doc("Picks the socket at a key of the map for the packet or connection.")
        .protos(&[takes(&[CTX, Map, MapKey, Any]).by(of(&[P::SK_REUSEPORT]))]),
    helper(84, "sk_lookup_tcp", (4, 20))
        .doc("Finds a TCP socket, established or listening, by addresses and ports. It must be released.")
        .protos(&[
            takes(&[CTX, read(2), SIZE_OR_ZERO, Any, Any]).gives(Ret::SocketOrNull).acquires().packet_memory()
                .by(TC.or(of(&[P::XDP, P::CGROUP_SKB, P::SK_SKB]))),
            takes(&[CTX, read(2), SIZE_OR_ZERO, Any, Any]).gives(Ret::SocketOrNull).acquires()
                .by(of(&[P::CGROUP_SOCK_ADDR])),
        ]),
    helper(85, "sk_lookup_udp", (4, 20))
        .doc("Finds a UDP socket by addresses and ports. It must be released.")
        .protos(&[
            takes(&[CTX, read(2), SIZE_OR_ZERO, Any, Any]).gives(Ret::SocketOrNull).acquires().packet_memory()
                .by(TC.or(of(&[P::XDP, P::CGROUP_SKB, P::SK_SKB]))),
            takes(&[CTX, read(2), SIZE_OR_ZERO, Any, Any]).gives(Ret::SocketOrNull).acquires()
                .by(of(&[P::CGROUP_SOCK_ADDR])),
        ]),
    helper(86, "sk_release", (4, 20))
        .doc("Lets go of a socket that was found.")
        .protos(&[
            takes(&[SOCK_COMMON]).releases(0)
                .by(TC.or(of(&[P::XDP, P::CGROUP_SKB, P::SK_SKB, P::CGROUP_SOCK_ADDR, P::SK_LOOKUP]))),
        ]),
    helper(95, "sk_fullsock", (5, 1))
        .doc("The full socket that a socket pointer stands for, or NULL if it is none.")
        .protos(&[takes(&[SOCK_COMMON]).gives(Ret::SocketOrNull).by(TC.or(of(&[P::CGROUP_SKB])))]),
    helper(98, "get_listener_sock", (5, 1))
        .doc("The listening socket of a TCP socket, or NULL.")
        .protos(&[takes(&[SOCK_COMMON]).gives(Ret::SocketOrNull).by(TC.or(of(&[P::CGROUP_SKB])))]),
    helper(99, "skc_lookup_tcp", (5, 2))
        .doc("Finds a TCP socket of any kind, those of half-open and closing connections too. It must be released.")
        .protos(&[
            takes(&[CTX, read(2), SIZE_OR_ZERO, Any, Any]).gives(Ret::SockCommonOrNull).acquires().packet_memory()
                .by(TC.or(of(&[P::XDP, P::CGROUP_SKB, P::SK_SKB]))),
            takes(&[CTX, read(2), SIZE_OR_ZERO, Any, Any]).gives(Ret::SockCommonOrNull).acquires()
                .by(of(&[P::CGROUP_SOCK_ADDR])),
        ]),
    helper(122, "get_netns_cookie", (5, 7))
        .doc("A number that names the network namespace of the socket; of the initial one for a NULL context.")
        .protos(&[
            takes(&[CTX_OR_NULL])
                .by(of(&[P::CGROUP_SOCK, P::SOCK_OPS, P::SK_MSG, P::CGROUP_SOCK_ADDR, P::CGROUP_SOCKOPT])),
            takes(&[CTX_OR_NULL]).by(TC).since(6, 13),
            takes(&[CTX_OR_NULL]).by(of(&[P::SOCKET_FILTER, P::CGROUP_SKB])).since(6, 15),
        ]),
    helper(124, "sk_assign", (5, 7))
        .doc("Hands the packet or connection to a socket.")
        .protos(&[
            takes(&[CTX, SOCK_COMMON, Any]).by(TC),
            takes(&[CTX, SOCKET_OR_NULL, Any]).by(of(&[P::SK_LOOKUP])),
        ]),
    helper(128, "sk_cgroup_id", (5, 8))
        .doc("Id of the control group (version 2) of a socket.")
        .protos(&[takes(&[SOCK_COMMON]).by(of(&[P::CGROUP_SKB]))]),
    helper(129, "sk_ancestor_cgroup_id", (5, 8))
        .doc("Id of the control group above the one of a socket, at a level counted from the root.")
        .protos(&[takes(&[SOCK_COMMON, Any]).by(of(&[P::CGROUP_SKB]))]),
    helper(136, "skc_to_tcp6_sock", (5, 9))
        .right(Right::Perfmon)
        .doc("The socket as a tcp6_sock, or NULL if it is none.")
        .protos(&[takes(&[SOCK_COMMON]).gives(Ret::BtfOrNull("tcp6_sock")).by(SOCKET_CASTS)]),
    helper(137, "skc_to_tcp_sock", (5, 9))
        .right(Right::Perfmon)
        .doc("The socket as a tcp_sock, or NULL if it is none.")
        .protos(&[takes(&[SOCK_COMMON]).gives(Ret::BtfOrNull("tcp_sock")).by(SOCKET_CASTS)]),
    helper(138, "skc_to_tcp_timewait_sock", (5, 9))
        .right(Right::Perfmon)
        .doc("The socket as a tcp_timewait_sock, or NULL if it is none.")
        .protos(&[takes(&[SOCK_COMMON]).gives(Ret::BtfOrNull("tcp_timewait_sock")).by(SOCKET_CASTS)]),
    helper(139, "skc_to_tcp_request_sock", (5, 9))
        .right(Right::Perfmon)
        .doc("The socket as a tcp_request_sock, or NULL if it is none.")
        .protos(&[takes(&[SOCK_COMMON]).gives(Ret::BtfOrNull("tcp_request_sock")).by(SOCKET_CASTS)]),
    helper(140, "skc_to_udp6_sock", (5, 9))
        .right(Right::Perfmon)
        .doc("The socket as a udp6_sock, or NULL if it is none.")
        .protos(&[takes(&[SOCK_COMMON]).gives(Ret::BtfOrNull("udp6_sock")).by(SOCKET_CASTS)]),
    helper(178, "skc_to_unix_sock", (5, 16))
        .right(Right::Perfmon)
        .doc("The socket as a unix_sock, or NULL if it is none.")
        .protos(&[takes(&[SOCK_COMMON]).gives(Ret::BtfOrNull("unix_sock")).by(SOCKET_CASTS)]),
    helper(196, "skc_to_mptcp_sock", (5, 19))
        .right(Right::Perfmon)
        .doc("The socket as an mptcp_sock, or NULL if it is none.")
        .protos(&[takes(&[SOCK_COMMON]).gives(Ret::BtfOrNull("mptcp_sock")).by(SOCKET_CASTS)]),
];

const WITH_SOCKET_OPTIONS: &[A] = &[
    A::CGROUP_INET4_BIND,
    A::CGROUP_INET6_BIND,
    A::CGROUP_INET4_CONNECT,
    A::CGROUP_INET6_CONNECT,
    A::CGROUP_UDP4_SENDMSG,
    A::CGROUP_UDP6_SENDMSG,
    A::CGROUP_UDP4_RECVMSG,
    A::CGROUP_UDP6_RECVMSG,
    A::CGROUP_INET4_GETPEERNAME,
    A::CGROUP_INET6_GETPEERNAME,
    A::CGROUP_INET4_GETSOCKNAME,
    A::CGROUP_INET6_GETSOCKNAME,
    A::CGROUP_UNIX_CONNECT,
    A::CGROUP_UNIX_SENDMSG,
    A::CGROUP_UNIX_RECVMSG,
];

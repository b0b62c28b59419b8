//! Contexts of a control group's programs: addresses, TCP events, devices, sysctls, socket options.

use crate::{
    Access, AttachType as A, CtxLayout, FieldKind, ProgSet, ProgType as P, Scope, Sizes, Version,
    context::{Field, long, word},
};

/// `struct bpf_sock_addr`.
pub static SOCK_ADDR: CtxLayout = CtxLayout { name: "bpf_sock_addr", size: 72, fields: ADDRESS };
/// `struct bpf_sock_ops`.
pub static SOCK_OPS: CtxLayout = CtxLayout { name: "bpf_sock_ops", size: 224, fields: OPS };
/// `struct bpf_cgroup_dev_ctx`.
pub static CGROUP_DEVICE: CtxLayout = CtxLayout { name: "bpf_cgroup_dev_ctx", size: 12, fields: DEVICE };
/// `struct bpf_sysctl`.
pub static SYSCTL: CtxLayout = CtxLayout { name: "bpf_sysctl", size: 8, fields: CONTROL };
/// `struct bpf_sockopt`.
pub static SOCKOPT: CtxLayout = CtxLayout { name: "bpf_sockopt", size: 40, fields: OPTION };

const fn of(ty: P) -> Scope {
    Scope::of(ProgSet::of(&[ty]), Version(0, 0))
}

const fn at(ty: P, attach: &'static [A]) -> Scope {
    Scope { attach: Some(attach), ..of(ty) }
}

const READ_ADDR: &[(Scope, Access)] = &[(of(P::CGROUP_SOCK_ADDR), Access::Read)];
const PORT: &[(Scope, Access)] = &[(of(P::CGROUP_SOCK_ADDR), Access::ReadWrite)];
const IP4: &[(Scope, Access)] = &[(
    at(
        P::CGROUP_SOCK_ADDR,
        &[
            A::CGROUP_INET4_BIND,
            A::CGROUP_INET4_CONNECT,
            A::CGROUP_INET4_GETPEERNAME,
            A::CGROUP_INET4_GETSOCKNAME,
            A::CGROUP_UDP4_SENDMSG,
            A::CGROUP_UDP4_RECVMSG,
        ],
    ),
    Access::ReadWrite,
)];
const IP6: &[(Scope, Access)] = &[(
    at(
        P::CGROUP_SOCK_ADDR,
        &[
            A::CGROUP_INET6_BIND,
            A::CGROUP_INET6_CONNECT,
            A::CGROUP_INET6_GETPEERNAME,
            A::CGROUP_INET6_GETSOCKNAME,
            A::CGROUP_UDP6_SENDMSG,
            A::CGROUP_UDP6_RECVMSG,
        ],
    ),
    Access::ReadWrite,
)];
const SOURCE4: &[(Scope, Access)] = &[(at(P::CGROUP_SOCK_ADDR, &[A::CGROUP_UDP4_SENDMSG]), Access::ReadWrite)];
const SOURCE6: &[(Scope, Access)] = &[(at(P::CGROUP_SOCK_ADDR, &[A::CGROUP_UDP6_SENDMSG]), Access::ReadWrite)];

const ADDRESS: &[Field] = &[
    word("user_family", 0).by(READ_ADDR),
    word("user_ip4", 4).narrow().by(IP4),
    word("user_ip6", 8).times(4).sized(Sizes::WideStores).by(IP6),
    word("user_port", 24).narrow().by(PORT),
    word("family", 28).by(READ_ADDR),
    word("type", 32).by(READ_ADDR),
    word("protocol", 36).by(READ_ADDR),
    word("msg_src_ip4", 40).narrow().by(SOURCE4),
    word("msg_src_ip6", 44).times(4).sized(Sizes::WideStores).by(SOURCE6),
    long("sk", 64).gives(FieldKind::Socket).by(READ_ADDR),
];

const READ_OPS: &[(Scope, Access)] = &[(of(P::SOCK_OPS), Access::Read)];
const WRITE_OPS: &[(Scope, Access)] = &[(of(P::SOCK_OPS), Access::ReadWrite)];

const OPS: &[Field] = &[
    word("op", 0).by(READ_OPS),
    word("reply", 4).by(WRITE_OPS),
    word("replylong", 8).times(3).by(READ_OPS),
    word("family", 20).by(READ_OPS),
    word("remote_ip4", 24).by(READ_OPS),
    word("local_ip4", 28).by(READ_OPS),
    word("remote_ip6", 32).times(4).by(READ_OPS),
    word("local_ip6", 48).times(4).by(READ_OPS),
    word("remote_port", 64).by(READ_OPS),
    word("local_port", 68).by(READ_OPS),
    word("is_fullsock", 72).by(READ_OPS),
    word("snd_cwnd", 76).by(READ_OPS),
    word("srtt_us", 80).by(READ_OPS),
    word("bpf_sock_ops_cb_flags", 84).by(READ_OPS),
    word("state", 88).by(READ_OPS),
    word("rtt_min", 92).by(READ_OPS),
    word("snd_ssthresh", 96).by(READ_OPS),
    word("rcv_nxt", 100).by(READ_OPS),
    word("snd_nxt", 104).by(READ_OPS),
    word("snd_una", 108).by(READ_OPS),
    word("mss_cache", 112).by(READ_OPS),
    word("ecn_flags", 116).by(READ_OPS),
    word("rate_delivered", 120).by(READ_OPS),
    word("rate_interval_us", 124).by(READ_OPS),
    word("packets_out", 128).by(READ_OPS),
    word("retrans_out", 132).by(READ_OPS),
    word("total_retrans", 136).by(READ_OPS),
    word("segs_in", 140).by(READ_OPS),
    word("data_segs_in", 144).by(READ_OPS),
    word("segs_out", 148).by(READ_OPS),
    word("data_segs_out", 152).by(READ_OPS),
    word("lost_out", 156).by(READ_OPS),
    word("sacked_out", 160).by(READ_OPS),
    word("sk_txhash", 164).by(WRITE_OPS),
    long("bytes_received", 168).by(READ_OPS),
    long("bytes_acked", 176).by(READ_OPS),
    long("sk", 184).gives(FieldKind::SocketOrNull).by(READ_OPS),
    long("skb_data", 192).gives(FieldKind::PacketStart).by(READ_OPS),
    long("skb_data_end", 200).gives(FieldKind::PacketEnd).by(READ_OPS),
    word("skb_len", 208).by(READ_OPS),
    word("skb_tcp_flags", 212).sized(Sizes::NarrowLoadsAtStart).by(READ_OPS),
    long("skb_hwtstamp", 216).since(6, 2).by(READ_OPS),
];

const READ_DEVICE: &[(Scope, Access)] = &[(of(P::CGROUP_DEVICE), Access::Read)];

const DEVICE: &[Field] = &[
    word("access_type", 0).narrow().by(READ_DEVICE),
    word("major", 4).by(READ_DEVICE),
    word("minor", 8).by(READ_DEVICE),
];

const CONTROL: &[Field] = &[
    word("write", 0).narrow().by(&[(of(P::CGROUP_SYSCTL), Access::Read)]),
    word("file_pos", 4).narrow().by(&[(of(P::CGROUP_SYSCTL), Access::ReadWrite)]),
];

const READ_OPTION: &[(Scope, Access)] = &[(of(P::CGROUP_SOCKOPT), Access::Read)];
const SET_OPTION: &[(Scope, Access)] =
    &[(at(P::CGROUP_SOCKOPT, &[A::CGROUP_SETSOCKOPT]), Access::ReadWrite), (of(P::CGROUP_SOCKOPT), Access::Read)];

const OPTION: &[Field] = &[
    long("sk", 0).gives(FieldKind::Socket).by(READ_OPTION),
    long("optval", 8).gives(FieldKind::PacketStart).by(READ_OPTION),
    long("optval_end", 16).gives(FieldKind::PacketEnd).by(READ_OPTION),
    word("level", 24).by(SET_OPTION),
    word("optname", 28).by(SET_OPTION),
    word("optlen", 32).by(&[(of(P::CGROUP_SOCKOPT), Access::ReadWrite)]),
    word("retval", 36).by(&[(at(P::CGROUP_SOCKOPT, &[A::CGROUP_GETSOCKOPT]), Access::ReadWrite)]),
];

//! Sockets as programs see them: `struct bpf_sock` as a context and behind pointers, and its kin.

use crate::{
    Access, AttachType as A, CtxLayout, ProgSet, ProgType, Scope, Sizes, Version,
    context::{Field, long, word},
};

/// `struct bpf_sock` behind a pointer to a full socket: everything may be read.
pub static SOCK: CtxLayout = CtxLayout { name: "bpf_sock", size: 80, fields: FULL };

/// `struct bpf_sock` behind a pointer to the common part of a socket: what full sockets alone have is missing.
pub static SOCK_COMMON: CtxLayout = CtxLayout { name: "bpf_sock", size: 80, fields: COMMON };

/// `struct bpf_sock` as the context of a control group's socket programs.
pub static CGROUP_SOCK: CtxLayout = CtxLayout { name: "bpf_sock", size: 80, fields: CONTEXT };

/// `struct bpf_tcp_sock`.
pub static TCP_SOCK: CtxLayout = CtxLayout { name: "bpf_tcp_sock", size: 112, fields: TCP };

/// `struct bpf_xdp_sock`.
pub static XDP_SOCK: CtxLayout = CtxLayout { name: "bpf_xdp_sock", size: 4, fields: &[word("queue_id", 0).by(ANYONE)] };

const ANYONE: &[(Scope, Access)] = &[(Scope::of(ProgSet::ALL, Version(0, 0)), Access::Read)];

const FULL: &[Field] = &[
    word("bound_dev_if", 0).by(ANYONE),
    start("family", 4).by(ANYONE),
    start("type", 8).by(ANYONE),
    start("protocol", 12).by(ANYONE),
    word("mark", 16).by(ANYONE),
    word("priority", 20).by(ANYONE),
    word("src_ip4", 24).narrow().by(ANYONE),
    word("src_ip6", 28).times(4).narrow().by(ANYONE),
    start("src_port", 44).by(ANYONE),
    word("dst_port", 48).sized(Sizes::PaddedHalf).by(ANYONE),
    word("dst_ip4", 52).narrow().by(ANYONE),
    word("dst_ip6", 56).times(4).narrow().by(ANYONE),
    start("state", 72).by(ANYONE),
    start("rx_queue_mapping", 76).by(ANYONE),
];

const COMMON: &[Field] = &[
    word("bound_dev_if", 0).by(ANYONE),
    start("family", 4).by(ANYONE),
    word("src_ip4", 24).narrow().by(ANYONE),
    word("src_ip6", 28).times(4).narrow().by(ANYONE),
    start("src_port", 44).by(ANYONE),
    word("dst_port", 48).sized(Sizes::PaddedHalf).by(ANYONE),
    word("dst_ip4", 52).narrow().by(ANYONE),
    word("dst_ip6", 56).times(4).narrow().by(ANYONE),
    start("state", 72).by(ANYONE),
    start("rx_queue_mapping", 76).by(ANYONE),
];

const SCOPE: Scope = Scope::of(ProgSet::of(&[ProgType::CGROUP_SOCK]), Version(4, 10));
const ALWAYS: &[(Scope, Access)] = &[(SCOPE, Access::Read)];
const IN_CREATE: &[(Scope, Access)] =
    &[(Scope { attach: Some(&[A::CGROUP_INET_SOCK_CREATE, A::CGROUP_INET_SOCK_RELEASE]), ..SCOPE }, Access::ReadWrite)];
const IN_BIND4: &[(Scope, Access)] = &[(Scope { attach: Some(&[A::CGROUP_INET4_POST_BIND]), ..SCOPE }, Access::Read)];
const IN_BIND6: &[(Scope, Access)] = &[(Scope { attach: Some(&[A::CGROUP_INET6_POST_BIND]), ..SCOPE }, Access::Read)];
const IN_BIND: &[(Scope, Access)] =
    &[(Scope { attach: Some(&[A::CGROUP_INET4_POST_BIND, A::CGROUP_INET6_POST_BIND]), ..SCOPE }, Access::Read)];

const CONTEXT: &[Field] = &[
    word("bound_dev_if", 0).by(IN_CREATE),
    start("family", 4).by(ALWAYS),
    start("type", 8).by(ALWAYS),
    start("protocol", 12).by(ALWAYS),
    word("mark", 16).by(IN_CREATE),
    word("priority", 20).by(IN_CREATE),
    word("src_ip4", 24).narrow().by(IN_BIND4),
    word("src_ip6", 28).times(4).narrow().by(IN_BIND6),
    start("src_port", 44).by(IN_BIND),
    word("dst_port", 48).sized(Sizes::PaddedHalf).by(ALWAYS),
    word("dst_ip4", 52).narrow().by(ALWAYS),
    word("dst_ip6", 56).times(4).narrow().by(ALWAYS),
    start("state", 72).by(ALWAYS),
    start("rx_queue_mapping", 76).by(ALWAYS),
];

const TCP: &[Field] = &[
    word("snd_cwnd", 0).by(ANYONE),
    word("srtt_us", 4).by(ANYONE),
    word("rtt_min", 8).by(ANYONE),
    word("snd_ssthresh", 12).by(ANYONE),
    word("rcv_nxt", 16).by(ANYONE),
    word("snd_nxt", 20).by(ANYONE),
    word("snd_una", 24).by(ANYONE),
    word("mss_cache", 28).by(ANYONE),
    word("ecn_flags", 32).by(ANYONE),
    word("rate_delivered", 36).by(ANYONE),
    word("rate_interval_us", 40).by(ANYONE),
    word("packets_out", 44).by(ANYONE),
    word("retrans_out", 48).by(ANYONE),
    word("total_retrans", 52).by(ANYONE),
    word("segs_in", 56).by(ANYONE),
    word("data_segs_in", 60).by(ANYONE),
    word("segs_out", 64).by(ANYONE),
    word("data_segs_out", 68).by(ANYONE),
    word("lost_out", 72).by(ANYONE),
    word("sacked_out", 76).by(ANYONE),
    long("bytes_received", 80).by(ANYONE),
    long("bytes_acked", 88).by(ANYONE),
    word("dsack_dups", 96).by(ANYONE),
    word("delivered", 100).by(ANYONE),
    word("delivered_ce", 104).by(ANYONE),
    word("icsk_retransmits", 108).by(ANYONE),
];

const fn start(name: &'static str, off: u16) -> Field {
    word(name, off).sized(Sizes::NarrowLoadsAtStart)
}

//! What bpf(2) asks of those who load a program or make a map, beside `CAP_BPF`: rights by type.

use crate::{MapType as M, ProgSet, ProgType as P};

/// Types of programs that change the network: they ask for `CAP_NET_ADMIN`.
pub const NETWORK_PROGS: ProgSet = ProgSet::of(&[
    P::SCHED_CLS,
    P::SCHED_ACT,
    P::XDP,
    P::LWT_IN,
    P::LWT_OUT,
    P::LWT_XMIT,
    P::LWT_SEG6LOCAL,
    P::SK_SKB,
    P::SK_MSG,
    P::FLOW_DISSECTOR,
    P::CGROUP_DEVICE,
    P::CGROUP_SOCK,
    P::CGROUP_SOCK_ADDR,
    P::CGROUP_SOCKOPT,
    P::CGROUP_SYSCTL,
    P::SOCK_OPS,
    P::EXT,
    P::NETFILTER,
]);

/// Types of programs that see the kernel's memory: they ask for `CAP_PERFMON`.
pub const OBSERVING_PROGS: ProgSet = ProgSet::of(&[
    P::KPROBE,
    P::TRACEPOINT,
    P::PERF_EVENT,
    P::RAW_TRACEPOINT,
    P::RAW_TRACEPOINT_WRITABLE,
    P::TRACING,
    P::LSM,
    P::STRUCT_OPS,
    P::EXT,
]);

/// Types of maps that ask for `CAP_NET_ADMIN`.
pub const NETWORK_MAPS: &[M] = &[M::SOCKMAP, M::SOCKHASH, M::DEVMAP, M::DEVMAP_HASH, M::XSKMAP];

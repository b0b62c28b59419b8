//! Section names: how an object file says which type its programs have.
//!
//! Source: libbpf's `SEC_DEF` table as of 1.6, what libbpf before 1.0 read beyond it, and the default sections of
//! iproute2. The `?` before a name ("do not load by default") is the object reader's matter.

use crate::{
    AttachType as A, ProgType as P, SectionName,
    SectionRest::{
        self, Btf, Comment, Iter, Kprobe, KprobeMulti, Ksyscall, Nothing, RawTracepoint, Replace, Target, Tracepoint,
        Uprobe, UprobeMulti, Usdt,
    },
};

/// Every section name. Where several fit, the longest prefix counts.
pub(crate) static SECTIONS: &[SectionName] = &[
    comment("socket", P::SOCKET_FILTER),
    comment("sk_reuseport", P::SK_REUSEPORT).expects(A::SK_REUSEPORT_SELECT),
    exact("sk_reuseport/migrate", P::SK_REUSEPORT).expects(A::SK_REUSEPORT_SELECT_OR_MIGRATE),
    // Tracing by address or name.
    at("kprobe", Kprobe, P::KPROBE),
    at("kprobe.multi", KprobeMulti, P::KPROBE).expects(A::TRACE_KPROBE_MULTI),
    at("kprobe.session", KprobeMulti, P::KPROBE).expects(A::TRACE_KPROBE_SESSION),
    at("kretprobe", Kprobe, P::KPROBE).ret(),
    at("kretprobe.multi", KprobeMulti, P::KPROBE).ret().expects(A::TRACE_KPROBE_MULTI),
    at("ksyscall", Ksyscall, P::KPROBE),
    at("kretsyscall", Ksyscall, P::KPROBE).ret(),
    at("uprobe", Uprobe, P::KPROBE),
    at("uprobe.s", Uprobe, P::KPROBE).sleepable(),
    at("uprobe.multi", UprobeMulti, P::KPROBE).expects(A::TRACE_UPROBE_MULTI),
    at("uprobe.multi.s", UprobeMulti, P::KPROBE).expects(A::TRACE_UPROBE_MULTI).sleepable(),
    at("uprobe.session", UprobeMulti, P::KPROBE).expects(A::TRACE_UPROBE_SESSION),
    at("uprobe.session.s", UprobeMulti, P::KPROBE).expects(A::TRACE_UPROBE_SESSION).sleepable(),
    at("uretprobe", Uprobe, P::KPROBE).ret(),
    at("uretprobe.s", Uprobe, P::KPROBE).ret().sleepable(),
    at("uretprobe.multi", UprobeMulti, P::KPROBE).ret().expects(A::TRACE_UPROBE_MULTI),
    at("uretprobe.multi.s", UprobeMulti, P::KPROBE).ret().expects(A::TRACE_UPROBE_MULTI).sleepable(),
    at("usdt", Usdt, P::KPROBE),
    at("usdt.s", Usdt, P::KPROBE).sleepable(),
    at("tracepoint", Tracepoint, P::TRACEPOINT),
    at("tp", Tracepoint, P::TRACEPOINT),
    at("raw_tracepoint", RawTracepoint, P::RAW_TRACEPOINT),
    at("raw_tp", RawTracepoint, P::RAW_TRACEPOINT),
    at("raw_tracepoint.w", RawTracepoint, P::RAW_TRACEPOINT_WRITABLE),
    at("raw_tp.w", RawTracepoint, P::RAW_TRACEPOINT_WRITABLE),
    comment("perf_event", P::PERF_EVENT),
    // Tracing by BTF.
    at("tp_btf", Btf, P::TRACING).expects(A::TRACE_RAW_TP),
    at("fentry", Btf, P::TRACING).expects(A::TRACE_FENTRY),
    at("fentry.s", Btf, P::TRACING).expects(A::TRACE_FENTRY).sleepable(),
    at("fexit", Btf, P::TRACING).expects(A::TRACE_FEXIT),
    at("fexit.s", Btf, P::TRACING).expects(A::TRACE_FEXIT).sleepable(),
    at("fmod_ret", Btf, P::TRACING).expects(A::MODIFY_RETURN),
    at("fmod_ret.s", Btf, P::TRACING).expects(A::MODIFY_RETURN).sleepable(),
    at("iter", Iter, P::TRACING).expects(A::TRACE_ITER),
    at("iter.s", Iter, P::TRACING).expects(A::TRACE_ITER).sleepable(),
    at("freplace", Replace, P::EXT),
    at("lsm", Btf, P::LSM).expects(A::LSM_MAC),
    at("lsm.s", Btf, P::LSM).expects(A::LSM_MAC).sleepable(),
    at("lsm_cgroup", Btf, P::LSM).expects(A::LSM_CGROUP),
    target("struct_ops", P::STRUCT_OPS),
    target("struct_ops.s", P::STRUCT_OPS).sleepable(),
    exact("syscall", P::SYSCALL).sleepable(),
    // Packets.
    comment("tc", P::SCHED_CLS),
    exact("tc/ingress", P::SCHED_CLS).expects(A::TCX_INGRESS),
    exact("tc/egress", P::SCHED_CLS).expects(A::TCX_EGRESS),
    exact("tcx/ingress", P::SCHED_CLS).expects(A::TCX_INGRESS),
    exact("tcx/egress", P::SCHED_CLS).expects(A::TCX_EGRESS),
    exact("netkit/primary", P::SCHED_CLS).expects(A::NETKIT_PRIMARY),
    exact("netkit/peer", P::SCHED_CLS).expects(A::NETKIT_PEER),
    comment("classifier", P::SCHED_CLS).legacy(),
    comment("action", P::SCHED_ACT).legacy(),
    comment("xdp", P::XDP).expects(A::XDP),
    exact("xdp/devmap", P::XDP).expects(A::XDP_DEVMAP),
    exact("xdp/cpumap", P::XDP).expects(A::XDP_CPUMAP),
    exact("xdp.frags", P::XDP).expects(A::XDP).frags(),
    exact("xdp.frags/devmap", P::XDP).expects(A::XDP_DEVMAP).frags(),
    exact("xdp.frags/cpumap", P::XDP).expects(A::XDP_CPUMAP).frags(),
    target("xdp_devmap", P::XDP).expects(A::XDP_DEVMAP).legacy(),
    target("xdp_cpumap", P::XDP).expects(A::XDP_CPUMAP).legacy(),
    exact("prog", P::XDP).expects(A::XDP).legacy(),
    comment("lwt_in", P::LWT_IN),
    comment("lwt_out", P::LWT_OUT),
    comment("lwt_xmit", P::LWT_XMIT),
    comment("lwt_seg6local", P::LWT_SEG6LOCAL),
    comment("flow_dissector", P::FLOW_DISSECTOR).expects(A::FLOW_DISSECTOR),
    exact("netfilter", P::NETFILTER).expects(A::NETFILTER),
    // Sockets.
    comment("sockops", P::SOCK_OPS).expects(A::CGROUP_SOCK_OPS),
    comment("sk_skb", P::SK_SKB),
    comment("sk_skb/stream_parser", P::SK_SKB).expects(A::SK_SKB_STREAM_PARSER),
    comment("sk_skb/stream_verdict", P::SK_SKB).expects(A::SK_SKB_STREAM_VERDICT),
    exact("sk_skb/verdict", P::SK_SKB).expects(A::SK_SKB_VERDICT),
    comment("sk_msg", P::SK_MSG).expects(A::SK_MSG_VERDICT),
    comment("sk_lookup", P::SK_LOOKUP).expects(A::SK_LOOKUP),
    comment("lirc_mode2", P::LIRC_MODE2).expects(A::LIRC_MODE2),
    // Control groups.
    comment("cgroup_skb/ingress", P::CGROUP_SKB).expects(A::CGROUP_INET_INGRESS),
    comment("cgroup_skb/egress", P::CGROUP_SKB).expects(A::CGROUP_INET_EGRESS),
    comment("cgroup/skb", P::CGROUP_SKB),
    comment("cgroup/sock", P::CGROUP_SOCK).expects(A::CGROUP_INET_SOCK_CREATE),
    exact("cgroup/sock_create", P::CGROUP_SOCK).expects(A::CGROUP_INET_SOCK_CREATE),
    exact("cgroup/sock_release", P::CGROUP_SOCK).expects(A::CGROUP_INET_SOCK_RELEASE),
    exact("cgroup/post_bind4", P::CGROUP_SOCK).expects(A::CGROUP_INET4_POST_BIND),
    exact("cgroup/post_bind6", P::CGROUP_SOCK).expects(A::CGROUP_INET6_POST_BIND),
    exact("cgroup/bind4", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_INET4_BIND),
    exact("cgroup/bind6", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_INET6_BIND),
    exact("cgroup/connect4", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_INET4_CONNECT),
    exact("cgroup/connect6", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_INET6_CONNECT),
    exact("cgroup/connect_unix", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_UNIX_CONNECT),
    exact("cgroup/sendmsg4", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_UDP4_SENDMSG),
    exact("cgroup/sendmsg6", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_UDP6_SENDMSG),
    exact("cgroup/sendmsg_unix", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_UNIX_SENDMSG),
    exact("cgroup/recvmsg4", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_UDP4_RECVMSG),
    exact("cgroup/recvmsg6", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_UDP6_RECVMSG),
    exact("cgroup/recvmsg_unix", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_UNIX_RECVMSG),
    exact("cgroup/getpeername4", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_INET4_GETPEERNAME),
    exact("cgroup/getpeername6", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_INET6_GETPEERNAME),
    exact("cgroup/getpeername_unix", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_UNIX_GETPEERNAME),
    exact("cgroup/getsockname4", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_INET4_GETSOCKNAME),
    exact("cgroup/getsockname6", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_INET6_GETSOCKNAME),
    exact("cgroup/getsockname_unix", P::CGROUP_SOCK_ADDR).expects(A::CGROUP_UNIX_GETSOCKNAME),
    exact("cgroup/sysctl", P::CGROUP_SYSCTL).expects(A::CGROUP_SYSCTL),
    exact("cgroup/getsockopt", P::CGROUP_SOCKOPT).expects(A::CGROUP_GETSOCKOPT),
    exact("cgroup/setsockopt", P::CGROUP_SOCKOPT).expects(A::CGROUP_SETSOCKOPT),
    comment("cgroup/dev", P::CGROUP_DEVICE).expects(A::CGROUP_DEVICE),
];

const fn exact(prefix: &'static str, ty: P) -> SectionName {
    SectionName { prefix, rest: Nothing, ty, attach: None, ret: false, sleepable: false, frags: false, legacy: false }
}

const fn at(prefix: &'static str, rest: SectionRest, ty: P) -> SectionName {
    SectionName { rest, ..exact(prefix, ty) }
}

const fn target(prefix: &'static str, ty: P) -> SectionName {
    at(prefix, Target, ty)
}

const fn comment(prefix: &'static str, ty: P) -> SectionName {
    at(prefix, Comment, ty)
}

impl SectionName {
    const fn expects(self, attach: A) -> SectionName {
        SectionName { attach: Some(attach), ..self }
    }

    const fn ret(self) -> SectionName {
        SectionName { ret: true, ..self }
    }

    const fn sleepable(self) -> SectionName {
        SectionName { sleepable: true, ..self }
    }

    const fn frags(self) -> SectionName {
        SectionName { frags: true, ..self }
    }

    const fn legacy(self) -> SectionName {
        SectionName { legacy: true, ..self }
    }
}

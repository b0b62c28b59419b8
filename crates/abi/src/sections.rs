//! Section names: how an object file says which type its programs have.
//!
//! Source: libbpf's `SEC_DEF` table as of 1.6, what libbpf before 1.0 read beyond it, and the default sections of
//! iproute2. The `?` before a name ("do not load by default") is the object reader's matter.

use crate::{
    AttachType as A, ProgType as P, SectionName,
    SectionRest::{Comment, Nothing, Target},
};

/// Every section name. Where several fit, the longest prefix counts.
pub(crate) static SECTIONS: &[SectionName] = &[
    comment("socket", P::SOCKET_FILTER),
    comment("sk_reuseport", P::SK_REUSEPORT).expects(A::SK_REUSEPORT_SELECT),
    exact("sk_reuseport/migrate", P::SK_REUSEPORT).expects(A::SK_REUSEPORT_SELECT_OR_MIGRATE),
    // Tracing by address or name.
    target("kprobe", P::KPROBE),
    target("kprobe.multi", P::KPROBE).expects(A::TRACE_KPROBE_MULTI),
    target("kprobe.session", P::KPROBE).expects(A::TRACE_KPROBE_SESSION),
    target("kretprobe", P::KPROBE),
    target("kretprobe.multi", P::KPROBE).expects(A::TRACE_KPROBE_MULTI),
    target("ksyscall", P::KPROBE),
    target("kretsyscall", P::KPROBE),
    target("uprobe", P::KPROBE),
    target("uprobe.s", P::KPROBE).sleepable(),
    target("uprobe.multi", P::KPROBE).expects(A::TRACE_UPROBE_MULTI),
    target("uprobe.multi.s", P::KPROBE).expects(A::TRACE_UPROBE_MULTI).sleepable(),
    target("uprobe.session", P::KPROBE).expects(A::TRACE_UPROBE_SESSION),
    target("uprobe.session.s", P::KPROBE).expects(A::TRACE_UPROBE_SESSION).sleepable(),
    target("uretprobe", P::KPROBE),
    target("uretprobe.s", P::KPROBE).sleepable(),
    target("uretprobe.multi", P::KPROBE).expects(A::TRACE_UPROBE_MULTI),
    target("uretprobe.multi.s", P::KPROBE).expects(A::TRACE_UPROBE_MULTI).sleepable(),
    target("usdt", P::KPROBE),
    target("usdt.s", P::KPROBE).sleepable(),
    target("tracepoint", P::TRACEPOINT),
    target("tp", P::TRACEPOINT),
    target("raw_tracepoint", P::RAW_TRACEPOINT),
    target("raw_tp", P::RAW_TRACEPOINT),
    target("raw_tracepoint.w", P::RAW_TRACEPOINT_WRITABLE),
    target("raw_tp.w", P::RAW_TRACEPOINT_WRITABLE),
    comment("perf_event", P::PERF_EVENT),
    // Tracing by BTF.
    target("tp_btf", P::TRACING).expects(A::TRACE_RAW_TP),
    target("fentry", P::TRACING).expects(A::TRACE_FENTRY),
    target("fentry.s", P::TRACING).expects(A::TRACE_FENTRY).sleepable(),
    target("fexit", P::TRACING).expects(A::TRACE_FEXIT),
    target("fexit.s", P::TRACING).expects(A::TRACE_FEXIT).sleepable(),
    target("fmod_ret", P::TRACING).expects(A::MODIFY_RETURN),
    target("fmod_ret.s", P::TRACING).expects(A::MODIFY_RETURN).sleepable(),
    target("iter", P::TRACING).expects(A::TRACE_ITER),
    target("iter.s", P::TRACING).expects(A::TRACE_ITER).sleepable(),
    target("freplace", P::EXT),
    target("lsm", P::LSM).expects(A::LSM_MAC),
    target("lsm.s", P::LSM).expects(A::LSM_MAC).sleepable(),
    target("lsm_cgroup", P::LSM).expects(A::LSM_CGROUP),
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
    SectionName { prefix, rest: Nothing, ty, attach: None, sleepable: false, frags: false, legacy: false }
}

const fn target(prefix: &'static str, ty: P) -> SectionName {
    SectionName { rest: Target, ..exact(prefix, ty) }
}

const fn comment(prefix: &'static str, ty: P) -> SectionName {
    SectionName { rest: Comment, ..exact(prefix, ty) }
}

impl SectionName {
    const fn expects(self, attach: A) -> SectionName {
        SectionName { attach: Some(attach), ..self }
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

//! Linux's program types.
//!
//! Source: `kernel/bpf/verifier.c` (`check_return_code`, `may_access_direct_pkt_data`) and `kernel/bpf/syscall.c`
//! (`bpf_prog_load_check_attach`) for the rules, `include/uapi/linux` for the verdicts.

use crate::{
    AttachType as A, CtxLayout, ProgType as P, ProgTypeRow, RetRule, Version,
    contexts::{self, SK_BUFF, XDP_MD},
};

/// Every program type of `enum bpf_prog_type` but `UNSPEC`, by number.
pub(crate) static PROG_TYPES: &[ProgTypeRow] = &[
    row(P::SOCKET_FILTER, "socket_filter", (3, 19))
        .doc("Decides how many bytes of a packet a socket gets to see; 0 drops it.")
        .ctx(&SK_BUFF),
    row(P::KPROBE, "kprobe", (4, 1))
        .doc("Runs where a kprobe or uprobe is hit, or at user-space static tracepoints, and sees the registers.")
        .ctx(&contexts::PT_REGS)
        .attach(&[A::TRACE_KPROBE_MULTI, A::TRACE_UPROBE_MULTI, A::TRACE_KPROBE_SESSION, A::TRACE_UPROBE_SESSION])
        .returns(&[between(0, 1).at(&[A::TRACE_KPROBE_SESSION, A::TRACE_UPROBE_SESSION])]),
    row(P::SCHED_CLS, "sched_cls", (4, 1))
        .doc("Classifies, changes, redirects or drops packets on their way in or out of a device (tc, tcx, netkit).")
        .ctx(&SK_BUFF)
        .attach(&[A::TCX_INGRESS, A::TCX_EGRESS, A::NETKIT_PRIMARY, A::NETKIT_PEER])
        .writes_packets()
        .verdicts(TC_VERDICTS),
    row(P::SCHED_ACT, "sched_act", (4, 1))
        .doc("Acts on packets that a tc classifier has picked.")
        .ctx(&SK_BUFF)
        .writes_packets()
        .verdicts(TC_VERDICTS),
    row(P::TRACEPOINT, "tracepoint", (4, 7))
        .doc("Runs at a static tracepoint of the kernel and sees the fields of its event.")
        .ctx(&contexts::TRACEPOINT),
    row(P::XDP, "xdp", (4, 8))
        .doc("Sees a frame as a network driver received it, before the stack does, and decides where it goes.")
        .ctx(&XDP_MD)
        .attach(&[A::XDP, A::XDP_DEVMAP, A::XDP_CPUMAP])
        .writes_packets()
        .verdicts(&[(0, "XDP_ABORTED"), (1, "XDP_DROP"), (2, "XDP_PASS"), (3, "XDP_TX"), (4, "XDP_REDIRECT")]),
    row(P::PERF_EVENT, "perf_event", (4, 9))
        .doc("Runs when a hardware or software counter overflows, or at a sampling frequency.")
        .ctx(&contexts::PERF_EVENT)
        .attach(&[A::PERF_EVENT]),
    row(P::CGROUP_SKB, "cgroup_skb", (4, 10))
        .doc("Lets the IP packets of a control group's sockets in or out.")
        .ctx(&SK_BUFF)
        .attach(&[A::CGROUP_INET_INGRESS, A::CGROUP_INET_EGRESS])
        .returns(&[between(0, 3).at(&[A::CGROUP_INET_EGRESS]), between(0, 1)])
        .verdicts(&[(0, "deny"), (1, "allow"), (2, "deny_congested"), (3, "allow_congested")]),
    row(P::CGROUP_SOCK, "cgroup_sock", (4, 10))
        .doc("Allows and prepares sockets of a control group when they are made, bound or released.")
        .ctx(&contexts::CGROUP_SOCK)
        .attach(&[
            A::CGROUP_INET_SOCK_CREATE,
            A::CGROUP_INET_SOCK_RELEASE,
            A::CGROUP_INET4_POST_BIND,
            A::CGROUP_INET6_POST_BIND,
        ])
        .allows_or_denies(),
    row(P::LWT_IN, "lwt_in", (4, 10))
        .doc("Sees packets that a route with a lightweight tunnel takes in.")
        .ctx(&SK_BUFF)
        .verdicts(LWT_VERDICTS),
    row(P::LWT_OUT, "lwt_out", (4, 10))
        .doc("Sees packets of local origin that a route with a lightweight tunnel sends.")
        .ctx(&SK_BUFF)
        .verdicts(LWT_VERDICTS),
    row(P::LWT_XMIT, "lwt_xmit", (4, 10))
        .doc("Sees packets that a route with a lightweight tunnel transmits, and may rewrite or redirect them.")
        .ctx(&SK_BUFF)
        .writes_packets()
        .verdicts(&[(0, "BPF_OK"), (2, "BPF_DROP"), (7, "BPF_REDIRECT"), (128, "BPF_LWT_REROUTE")]),
    row(P::SOCK_OPS, "sock_ops", (4, 13))
        .doc("Is told of events in the life of a control group's TCP sockets, and tunes them.")
        .ctx(&contexts::SOCK_OPS)
        .attach(&[A::CGROUP_SOCK_OPS])
        .returns(&[between(0, 1)]),
    row(P::SK_SKB, "sk_skb", (4, 14))
        .doc("Splits the stream of a socket in a sockmap into messages, and passes, drops or redirects them.")
        .ctx(&SK_BUFF)
        .attach(&[A::SK_SKB_STREAM_PARSER, A::SK_SKB_STREAM_VERDICT, A::SK_SKB_VERDICT])
        .writes_packets()
        .verdicts(SK_VERDICTS),
    row(P::CGROUP_DEVICE, "cgroup_device", (4, 15))
        .doc("Allows a control group to open or make a device node.")
        .ctx(&contexts::CGROUP_DEVICE)
        .attach(&[A::CGROUP_DEVICE])
        .allows_or_denies(),
    row(P::SK_MSG, "sk_msg", (4, 17))
        .doc("Passes, drops or redirects what is sent on a socket in a sockmap.")
        .ctx(&contexts::SK_MSG)
        .attach(&[A::SK_MSG_VERDICT])
        .writes_packets()
        .verdicts(SK_VERDICTS),
    row(P::RAW_TRACEPOINT, "raw_tracepoint", (4, 17))
        .doc("Runs at a static tracepoint of the kernel and sees its bare arguments.")
        .ctx(&contexts::RAW_TRACEPOINT),
    row(P::CGROUP_SOCK_ADDR, "cgroup_sock_addr", (4, 17))
        .doc("Checks and rewrites the addresses that a control group's sockets bind, connect and send to.")
        .ctx(&contexts::SOCK_ADDR)
        .attach(&[
            A::CGROUP_INET4_BIND,
            A::CGROUP_INET6_BIND,
            A::CGROUP_INET4_CONNECT,
            A::CGROUP_INET6_CONNECT,
            A::CGROUP_UNIX_CONNECT,
            A::CGROUP_INET4_GETPEERNAME,
            A::CGROUP_INET6_GETPEERNAME,
            A::CGROUP_UNIX_GETPEERNAME,
            A::CGROUP_INET4_GETSOCKNAME,
            A::CGROUP_INET6_GETSOCKNAME,
            A::CGROUP_UNIX_GETSOCKNAME,
            A::CGROUP_UDP4_SENDMSG,
            A::CGROUP_UDP6_SENDMSG,
            A::CGROUP_UNIX_SENDMSG,
            A::CGROUP_UDP4_RECVMSG,
            A::CGROUP_UDP6_RECVMSG,
            A::CGROUP_UNIX_RECVMSG,
        ])
        .returns(&[
            between(1, 1).at(&[
                A::CGROUP_UDP4_RECVMSG,
                A::CGROUP_UDP6_RECVMSG,
                A::CGROUP_UNIX_RECVMSG,
                A::CGROUP_INET4_GETPEERNAME,
                A::CGROUP_INET6_GETPEERNAME,
                A::CGROUP_UNIX_GETPEERNAME,
                A::CGROUP_INET4_GETSOCKNAME,
                A::CGROUP_INET6_GETSOCKNAME,
                A::CGROUP_UNIX_GETSOCKNAME,
            ]),
            between(0, 3).at(&[A::CGROUP_INET4_BIND, A::CGROUP_INET6_BIND]).since(5, 12),
            between(0, 1),
        ])
        .verdicts(&[(0, "deny"), (1, "allow"), (2, "deny_any_port"), (3, "allow_any_port")]),
    row(P::LWT_SEG6LOCAL, "lwt_seg6local", (4, 18))
        .doc("Is the action of an SRv6 endpoint (End.BPF).")
        .ctx(&SK_BUFF)
        .verdicts(&[(0, "BPF_OK"), (2, "BPF_DROP"), (7, "BPF_REDIRECT")]),
    row(P::LIRC_MODE2, "lirc_mode2", (4, 18))
        .doc("Decodes the pulses and spaces of an infrared receiver.")
        .attach(&[A::LIRC_MODE2]),
    row(P::SK_REUSEPORT, "sk_reuseport", (4, 19))
        .doc("Picks the socket of a SO_REUSEPORT group that gets a packet or connection.")
        .ctx(&contexts::SK_REUSEPORT)
        .attach(&[A::SK_REUSEPORT_SELECT, A::SK_REUSEPORT_SELECT_OR_MIGRATE])
        .verdicts(SK_VERDICTS),
    row(P::FLOW_DISSECTOR, "flow_dissector", (4, 20))
        .doc("Finds the flow that a packet belongs to, in place of the kernel's own dissector.")
        .ctx(&SK_BUFF)
        .attach(&[A::FLOW_DISSECTOR])
        .verdicts(&[(0, "BPF_OK"), (2, "BPF_DROP"), (129, "BPF_FLOW_DISSECTOR_CONTINUE")]),
    row(P::CGROUP_SYSCTL, "cgroup_sysctl", (5, 2))
        .doc("Allows a control group to read or write a sysctl, and may change what is written.")
        .ctx(&contexts::SYSCTL)
        .attach(&[A::CGROUP_SYSCTL])
        .allows_or_denies(),
    row(P::RAW_TRACEPOINT_WRITABLE, "raw_tracepoint_writable", (5, 2))
        .doc("Is a raw tracepoint program that may also write the buffer which the tracepoint offers.")
        .ctx(&contexts::RAW_TRACEPOINT_WRITABLE),
    row(P::CGROUP_SOCKOPT, "cgroup_sockopt", (5, 3))
        .doc("Checks and rewrites the socket options that a control group gets and sets.")
        .ctx(&contexts::SOCKOPT)
        .attach(&[A::CGROUP_GETSOCKOPT, A::CGROUP_SETSOCKOPT])
        .writes_packets()
        .allows_or_denies(),
    row(P::TRACING, "tracing", (5, 5))
        .doc("Runs at a kernel function's entry or exit, at a tracepoint, or as an iterator, with arguments typed by BTF.")
        .attach(&[A::TRACE_RAW_TP, A::TRACE_FENTRY, A::TRACE_FEXIT, A::MODIFY_RETURN, A::TRACE_ITER])
        .returns(&[between(0, 0).at(&[A::TRACE_FENTRY, A::TRACE_FEXIT]), between(0, 1).at(&[A::TRACE_ITER])]),
    row(P::STRUCT_OPS, "struct_ops", (5, 6))
        .doc("Is a member function of a kernel interface (a TCP congestion control, a scheduler)."),
    row(P::EXT, "ext", (5, 6)).doc("Takes the place of a global function of another program."),
    // What an LSM_MAC hook may return stands in its BTF, not here. A void LSM_CGROUP hook has to return 1.
    row(P::LSM, "lsm", (5, 7))
        .doc("Is a hook of the Linux security modules: allows or refuses an operation.")
        .attach(&[A::LSM_MAC, A::LSM_CGROUP])
        .returns(&[between(0, 1).at(&[A::LSM_CGROUP])]),
    row(P::SK_LOOKUP, "sk_lookup", (5, 9))
        .doc("Picks the listening socket for a packet, free of the address it is bound to.")
        .ctx(&contexts::SK_LOOKUP)
        .attach(&[A::SK_LOOKUP])
        .returns(&[between(0, 1)])
        .verdicts(SK_VERDICTS),
    row(P::SYSCALL, "syscall", (5, 14))
        .doc("Runs on a user's demand and may itself make bpf(2) calls (light skeletons)."),
    row(P::NETFILTER, "netfilter", (6, 4))
        .doc("Is a netfilter hook: accepts or drops packets.")
        .attach(&[A::NETFILTER])
        .returns(&[between(0, 1)])
        .verdicts(&[(0, "NF_DROP"), (1, "NF_ACCEPT")]),
];

const TC_VERDICTS: &[(i32, &str)] = &[
    (-1, "TC_ACT_UNSPEC"),
    (0, "TC_ACT_OK"),
    (1, "TC_ACT_RECLASSIFY"),
    (2, "TC_ACT_SHOT"),
    (3, "TC_ACT_PIPE"),
    (4, "TC_ACT_STOLEN"),
    (5, "TC_ACT_QUEUED"),
    (6, "TC_ACT_REPEAT"),
    (7, "TC_ACT_REDIRECT"),
    (8, "TC_ACT_TRAP"),
];

const SK_VERDICTS: &[(i32, &str)] = &[(0, "SK_DROP"), (1, "SK_PASS")];

const LWT_VERDICTS: &[(i32, &str)] = &[(0, "BPF_OK"), (2, "BPF_DROP"), (128, "BPF_LWT_REROUTE")];

// The table's notation.

const fn row(ty: P, name: &'static str, since: (u16, u16)) -> ProgTypeRow {
    ProgTypeRow {
        ty,
        name,
        doc: "",
        ctx: None,
        attach: &[],
        direct_packet_write: false,
        ret: &[],
        verdicts: &[],
        since: Version(since.0, since.1),
    }
}

impl ProgTypeRow {
    const fn doc(self, doc: &'static str) -> ProgTypeRow {
        ProgTypeRow { doc, ..self }
    }

    const fn ctx(self, ctx: &'static CtxLayout) -> ProgTypeRow {
        ProgTypeRow { ctx: Some(ctx), ..self }
    }

    const fn attach(self, attach: &'static [A]) -> ProgTypeRow {
        ProgTypeRow { attach, ..self }
    }

    const fn writes_packets(self) -> ProgTypeRow {
        ProgTypeRow { direct_packet_write: true, ..self }
    }

    const fn returns(self, ret: &'static [RetRule]) -> ProgTypeRow {
        ProgTypeRow { ret, ..self }
    }

    const fn verdicts(self, verdicts: &'static [(i32, &'static str)]) -> ProgTypeRow {
        ProgTypeRow { verdicts, ..self }
    }

    const fn allows_or_denies(self) -> ProgTypeRow {
        self.returns(ZERO_OR_ONE).verdicts(&[(0, "deny"), (1, "allow")])
    }
}

const ZERO_OR_ONE: &[RetRule] = &[between(0, 1)];

const fn between(min: i32, max: i32) -> RetRule {
    RetRule { attach: None, min, max, since: Version(0, 0) }
}

impl RetRule {
    const fn at(self, attach: &'static [A]) -> RetRule {
        RetRule { attach: Some(attach), ..self }
    }

    const fn since(self, major: u16, minor: u16) -> RetRule {
        RetRule { since: Version(major, minor), ..self }
    }
}

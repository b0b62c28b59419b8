//! Every form of a section name, and what is said of others.

use super::Attach;
use alveary_abi::Profile;

fn of(section: &str) -> Option<Attach> {
    Attach::of_section(Profile::linux_6_18().section(section)?)
}

#[test]
fn sections_say_where_their_programs_go() {
    let text = str::to_owned;
    let kprobe = |function: &str, offset, ret| Some(Attach::Kprobe { function: text(function), offset, ret });
    let uprobe = |path: &str, function: &str, offset, ret| {
        Some(Attach::Uprobe { path: text(path), function: text(function), offset, ret })
    };
    let btf = |module: Option<&str>, name: &str| Some(Attach::Btf { module: module.map(text), name: text(name) });
    for (section, expected) in [
        ("kprobe/do_unlinkat", kprobe("do_unlinkat", 0, false)),
        ("kprobe/do_unlinkat+0x12", kprobe("do_unlinkat", 18, false)),
        ("kprobe/f.constprop.0+010", kprobe("f.constprop.0", 8, false)),
        ("kretprobe/do_unlinkat", kprobe("do_unlinkat", 0, true)),
        ("kprobe.multi/tcp_*", Some(Attach::KprobeMulti { pattern: text("tcp_*"), ret: false })),
        ("kretprobe.multi/tcp_v?_rcv", Some(Attach::KprobeMulti { pattern: text("tcp_v?_rcv"), ret: true })),
        ("kprobe.session/bpf_*", Some(Attach::KprobeMulti { pattern: text("bpf_*"), ret: false })),
        ("ksyscall/unlinkat", Some(Attach::Ksyscall { name: text("unlinkat"), ret: false })),
        ("kretsyscall/unlinkat", Some(Attach::Ksyscall { name: text("unlinkat"), ret: true })),
        ("uprobe//proc/self/exe:main+4", uprobe("/proc/self/exe", "main", 4, false)),
        ("uprobe.s/libc.so.6:malloc", uprobe("libc.so.6", "malloc", 0, false)),
        ("uretprobe/libc.so.6:malloc", uprobe("libc.so.6", "malloc", 0, true)),
        ("uretprobe.s//bin/sh:ns::f", uprobe("/bin/sh", "ns::f", 0, true)),
        ("uprobe.multi//bin/sh:*", Some(Attach::UprobeMulti { path: text("/bin/sh"), pattern: text("*"), ret: false })),
        (
            "uretprobe.multi.s//bin/sh:m?",
            Some(Attach::UprobeMulti { path: text("/bin/sh"), pattern: text("m?"), ret: true }),
        ),
        (
            "uprobe.session//bin/sh:m",
            Some(Attach::UprobeMulti { path: text("/bin/sh"), pattern: text("m"), ret: false }),
        ),
        (
            "usdt/libc.so.6:libc:setjmp",
            Some(Attach::Usdt { path: text("libc.so.6"), provider: text("libc"), name: text("setjmp") }),
        ),
        (
            "tp/syscalls/sys_enter_openat",
            Some(Attach::Tracepoint { category: text("syscalls"), name: text("sys_enter_openat") }),
        ),
        ("raw_tp/sched_switch", Some(Attach::RawTracepoint { name: text("sched_switch") })),
        ("raw_tracepoint.w/nbd_send", Some(Attach::RawTracepoint { name: text("nbd_send") })),
        ("tp_btf/sched_switch", btf(None, "sched_switch")),
        ("fentry.s/do_unlinkat", btf(None, "do_unlinkat")),
        ("fexit/nf_conntrack:nf_conntrack_in", btf(Some("nf_conntrack"), "nf_conntrack_in")),
        ("fmod_ret/security_file_open", btf(None, "security_file_open")),
        ("lsm/file_open", btf(None, "file_open")),
        ("lsm_cgroup/socket_bind", btf(None, "socket_bind")),
        ("iter.s/task", Some(Attach::Iter { name: text("task") })),
        ("freplace/xdp_pass", Some(Attach::Replace { function: text("xdp_pass") })),
        ("struct_ops/init", Some(Attach::Target(text("init")))),
        // Nothing is said, or a mere comment.
        ("kprobe", None),
        ("uretprobe", None),
        ("iter", None),
        ("tcx/ingress", None),
        ("netkit/peer", None),
        ("cgroup/connect4", None),
        ("perf_event", None),
        ("netfilter", None),
        ("syscall", None),
        ("sk_lookup", None),
        ("xdp/drop_all", None),
    ] {
        assert_eq!(of(section), expected, "{section}");
        if let Some(attach) = expected {
            assert!(section.ends_with(&attach.to_string()) || section.contains('+'), "{section}: {attach}");
        }
    }
}

#[test]
fn what_does_not_belong_there_is_kept_and_said() {
    for (section, belongs) in [
        ("kprobe/do unlinkat", "`FUNCTION` or `FUNCTION+OFFSET`"),
        ("kprobe/do_unlinkat+x", "`FUNCTION` or `FUNCTION+OFFSET`"),
        ("kretprobe/do_unlinkat+4", "`FUNCTION`, without an offset"),
        ("kprobe.multi/tcp[12]", "a pattern of letters, digits, `_`, `.`, `*` and `?`"),
        ("ksyscall/unlink at", "the name of a system call"),
        ("uprobe//bin/sh", "`PATH:FUNCTION` or `PATH:FUNCTION+OFFSET`"),
        ("uretprobe//bin/sh:main+4", "`PATH:FUNCTION`, without an offset"),
        ("uprobe.multi//bin/sh:", "`PATH:PATTERN`"),
        ("usdt//bin/sh:main", "`PATH:PROVIDER:NAME`"),
        ("usdt//bin/sh:a:b:c", "`PATH:PROVIDER:NAME`"),
        ("tp/sys_enter_openat", "`CATEGORY/NAME`"),
        ("raw_tp/sched/sched_switch", "the name of a tracepoint"),
        ("fentry/:f", "`NAME` or `MODULE:NAME`"),
    ] {
        let Some(Attach::Malformed { text, expected }) = of(section) else { panic!("{section}: {:?}", of(section)) };
        assert!(section.ends_with(&text) && expected == belongs, "{section}: {text}, {expected}");
    }
}

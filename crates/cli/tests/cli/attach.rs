//! `alveary attach` and `alveary detach`, in a network namespace of the test's own.

use crate::session::Session;
use std::process::Command;

/// Runs a shell script in a network namespace with two devices that are joined, `v0` and `v1`; `$alveary` is the binary,
/// `$pins` a folder of the BPF file system that goes with the script. Gives what it printed, errors too.
fn laboratory(test: &str, session: &Session, script: &str) -> Option<String> {
    if !alveary_testing::bpf::permitted(test) {
        return None;
    }
    let whole = format!(
        "ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up
        mount --make-rprivate /; mount -t bpf bpf /sys/fs/bpf; pins=/sys/fs/bpf
        exec 2>&1; {script}"
    );
    let output = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-uc", &whole])
        .env("alveary", env!("CARGO_BIN_EXE_alveary"))
        .current_dir(session.directory())
        .output();
    let Ok(output) = output else {
        eprintln!("SKIP {test}: unshare is not installed");
        return None;
    };
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn attach_stays_until_it_is_interrupted() {
    let session = Session::new().example("count.bpf.o");
    let script = "$alveary attach count.bpf.o --xdp v0 > said & pid=$!
        until grep -q Ctrl-C said; do kill -0 $pid || exit; done
        ip link show v0 | grep -c prog/xdp
        kill -INT $pid; wait $pid; echo ended with $?
        ip link show v0 | grep -c prog/xdp; cat said";
    let Some(text) = laboratory("attach_stays_until_it_is_interrupted", &session, script) else { return };
    let lines: Vec<&str> = text.lines().collect();
    let [attached, ended, detached, said, wait] = lines[..] else { panic!("{text}") };
    assert_eq!((attached, ended, detached), ("1", "ended with 0", "0"), "{text}");
    assert!(said.starts_with("count (id ") && said.ends_with("is attached to XDP of v0"), "{text}");
    assert_eq!(wait, "Ctrl-C detaches.");
}

#[test]
fn a_pin_keeps_it_and_detach_takes_it_off() {
    let session = Session::new().example("count.bpf.o");
    let script = "$alveary attach count.bpf.o --xdp v0 --pin $pins/count
        ip link show v0 | grep -c prog/xdp
        $alveary attach count.bpf.o --xdp v0
        $alveary detach $pins/count
        ip link show v0 | grep -c prog/xdp; ls $pins";
    let Some(text) = laboratory("a_pin_keeps_it_and_detach_takes_it_off", &session, script) else { return };
    for expected in [
        "is attached to XDP of v0, pinned at /sys/fs/bpf/count\n1\n",
        "another one is there",
        "pinned at /sys/fs/bpf/count)",
        "`--replace` puts this one in its place",
        "detached /sys/fs/bpf/count\n0\n",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn others_xdp_programs_are_recognised_and_replaced() {
    let session = Session::new().example("count.bpf.o").example("filter.bpf.o");
    // As `ip` attaches: by netlink, without a link.
    let script = "ip link set dev v0 xdp obj filter.bpf.o sec xdp 2>&1 || echo no ip with BPF
        $alveary attach count.bpf.o --xdp v0
        $alveary attach count.bpf.o --xdp v0 --replace --pin $pins/count
        $alveary --json detach --xdp v0
        $alveary detach --xdp v0";
    let Some(text) = laboratory("others_xdp_programs_are_recognised_and_replaced", &session, script) else { return };
    if text.contains("no ip with BPF") {
        eprintln!("SKIP others_xdp_programs_are_recognised_and_replaced: this `ip` does not load BPF");
        return;
    }
    for expected in [
        "`filter` (id ",
        "took the place of `filter`",
        "{\"detached\":[\"`count` (id ",
        "no XDP program is attached to v0",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn what_a_section_leaves_open_is_asked_for() {
    let test = "what_a_section_leaves_open_is_asked_for";
    let session = Session::new().example("count.bpf.o");
    let script = "$alveary attach count.bpf.o
        $alveary attach count.bpf.o --xdp v9
        $alveary attach count.bpf.o --xdp v0 quick
        $alveary attach count.bpf.o --tcx v0 ingress
        $alveary detach --tc v0 ingress
        $alveary detach $pins/nothing";
    let Some(text) = laboratory(test, &session, script) else { return };
    for expected in [
        "help: name the device: `--xdp IF`",
        "there is no network device `v9`",
        "expected: native, generic or offload",
        "found: count in section xdp",
        "no filter with a program is attached to ingress of v0",
        "the pinned object cannot be opened",
        "help: check the path",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn without_privilege_it_says_what_lacks() {
    let session = Session::new().example("count.bpf.o");
    let nobody = "setpriv --reuid 65534 --clear-groups --inh-caps=-all";
    let script = format!("chmod 755 . ; {nobody} $alveary attach count.bpf.o --xdp v0");
    let Some(text) = laboratory("without_privilege_it_says_what_lacks", &session, &script) else { return };
    if text.contains("not found") || text.contains("Permission denied") {
        eprintln!("SKIP without_privilege_it_says_what_lacks: {}", text.trim());
        return;
    }
    assert!(text.contains("this process lacks CAP_BPF") && text.contains("help: run it as root"), "{text}");
}

#[test]
fn kernel_interfaces_are_registered() {
    let test = "kernel_interfaces_are_registered";
    let source = r#"
        struct sock;
        struct tcp_congestion_ops {
            __u32 (*ssthresh)(struct sock *sk); void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
            __u32 (*undo_cwnd)(struct sock *sk); char name[16];
        };
        char LICENSE[] SEC("license") = "GPL";
        SEC("struct_ops") __u32 ssthresh(__u64 *ctx) { return 2; }
        SEC("struct_ops") void cong_avoid(__u64 *ctx) {}
        SEC("struct_ops") __u32 undo(__u64 *ctx) { return 2; }
        SEC("?struct_ops") __u32 optional(__u64 *ctx) { return 3; }
        SEC(".struct_ops.link") struct tcp_congestion_ops control = {
            .ssthresh = (void *)ssthresh, .cong_avoid = (void *)cong_avoid, .undo_cwnd = (void *)undo, .name = "NAME" };
        SEC("?.struct_ops.link") struct tcp_congestion_ops other = {
            .ssthresh = (void *)optional, .cong_avoid = (void *)cong_avoid, .undo_cwnd = (void *)undo, .name = "NAME2" };
    "#;
    let name = format!("alvcli{}", std::process::id());
    let Some(object) = alveary_testing::compile(test, &source.replace("NAME", &name), "bpf", &["-g"]) else { return };
    let session = Session::new().file("control.bpf.o", object);
    let script = format!(
        "there() {{ tr ' ' '\\n' < /proc/sys/net/ipv4/tcp_available_congestion_control | grep -c {name} | tr '\\n' ' '; }}
        $alveary attach control.bpf.o --pin $pins/control; there; rm $pins/control && echo gone; there
        $alveary --json attach control.bpf.o --prog optional --pin $pins/other; there; rm $pins/other"
    );
    let Some(text) = laboratory(test, &session, &script) else { return };
    let lines: Vec<&str> = text.lines().collect();
    let [registered, there, other, again] = lines[..] else { panic!("{text}") };
    assert!(
        registered.starts_with("control (map ")
            && registered.ends_with(") is registered, pinned at /sys/fs/bpf/control")
    );
    assert_eq!(there, "1 gone", "{text}");
    assert!(other.starts_with("0 {\"map\":\"other\",\"id\":") && other.ends_with("/sys/fs/bpf/other\"}"), "{text}");
    assert_eq!(again, "1 ", "{text}");
}

#[test]
fn load_attaches_what_says_where() {
    let test = "load_attaches_what_says_where";
    let source = r#"
        char LICENSE[] SEC("license") = "GPL";
        SEC("raw_tp/sys_enter") int traced(void *ctx) { return 0; }
        SEC("xdp") int open(struct xdp_md *ctx) { return 2; }"#;
    let Some(object) = alveary_testing::compile(test, source, "bpf", &["-g"]) else { return };
    let session = Session::new().file("two.bpf.o", object);
    let script = "$alveary load two.bpf.o --pin $pins/two --autoattach
        $alveary link show pinned $pins/two/traced | grep -o 'raw_tracepoint\\|sys_enter'; rm $pins/two/*
        $alveary --json load two.bpf.o --pin $pins/two --pin-maps $pins/two --autoattach | grep -o '\"attached\":[^,]*'
        $alveary load two.bpf.o --pin /proc/two; mkdir full; touch full/x; $alveary load two.bpf.o --pin full";
    let Some(text) = laboratory(test, &session, script) else { return };
    for expected in [
        "attached to the raw tracepoint sys_enter, pinned at /sys/fs/bpf/two/traced\n",
        "pinned at /sys/fs/bpf/two/open\n  nothing says where `open` is attached: the program is pinned instead\n",
        "raw_tracepoint\nsys_enter\n\"attached\":\"the raw tracepoint sys_enter\"\n\"attached\":null\n",
        "/proc/two",
        "a directory with one entry, which a mount would hide",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn iterators_go_over_what_is_named() {
    let test = "iterators_go_over_what_is_named";
    let source = r#"
        struct seq_file; struct bpf_map; struct task_struct; struct cgroup;
        struct bpf_iter_meta { struct seq_file *seq; __u64 session_id, seq_num; };
        struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; };
        struct bpf_iter__cgroup { struct bpf_iter_meta *meta; struct cgroup *cgroup; };
        struct bpf_iter__bpf_map_elem { struct bpf_iter_meta *meta; struct bpf_map *map; void *key, *value; };
        static long (*seq_write)(struct seq_file *to, const void *data, __u32 len) = (void *)127;
        char LICENSE[] SEC("license") = "GPL";
        #define PRINT(what) { if (ctx->what) seq_write(ctx->meta->seq, "x", 1); return 0; }
        SEC("iter/task") int tasks(struct bpf_iter__task *ctx) PRINT(task)
        SEC("iter/cgroup") int groups(struct bpf_iter__cgroup *ctx) PRINT(cgroup)
        SEC("iter/bpf_map_elem") int elements(struct bpf_iter__bpf_map_elem *ctx) PRINT(key)"#;
    let Some(object) = alveary_testing::compile(test, source, "bpf", &["-g"]) else { return };
    let session = Session::new().file("over.bpf.o", object);
    // A control group with two below it; the shell is one thread.
    let script = "cgroups=$(findmnt -t cgroup2 -n -o TARGET | head -1)/alveary-over-$$; mkdir -p $cgroups/a $cgroups/b
        over() { name=$1; shift; $alveary attach over.bpf.o --prog $name --over \"$@\" --pin $pins/$name > said || cat said
            cat $pins/$name; echo; rm -f $pins/$name; }
        over tasks pid $$; over tasks task $$
        over groups cgroup $cgroups self; over groups cgroup $cgroups
        rmdir $cgroups/a $cgroups/b $cgroups
        bpftool map create $pins/map type array key 4 value 4 entries 5 name over
        over elements map pinned $pins/map
        $alveary attach over.bpf.o --prog elements
        $alveary attach over.bpf.o --prog elements --over nothing at";
    let Some(text) = laboratory(test, &session, script) else { return };
    assert!(text.starts_with("x\nx\nx\nxxx\nxxxxx\n"), "{text}");
    assert!(text.contains("help: say what an iterator goes over: `--over map name MAP`"), "{text}");
    assert!(text.contains("expected: `map MAP`, `cgroup DIR [ORDER]`, `task TID` or `pid PID`"), "{text}");
}

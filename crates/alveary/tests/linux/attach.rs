//! Programs of objects attached to where their sections say.

use crate::support::allowed;
use alveary::{Kind, MapHandle, Object, Target, kernel::sys::IterTarget};
use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// The functions that are probed, and a static probe: those of the tests of `alveary-linux`.
#[path = "../../../linux/tests/attach/probed.rs"]
mod probed;

/// An object from C that includes libbpf's headers; `None`, and a line about it, if they or the compiler are not there.
fn with_headers(test: &str, source: &str) -> Option<Object> {
    if !Path::new("/usr/include/bpf/usdt.bpf.h").exists() {
        eprintln!("SKIP {test}: libbpf-dev is missing");
        return None;
    }
    let headers = format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    let target = if cfg!(target_arch = "aarch64") { "-D__TARGET_ARCH_arm64" } else { "-D__TARGET_ARCH_x86" };
    let mut clang = Command::new("clang-19")
        .args(["-O2", "-g", "-target", "bpf", target, "-idirafter", &headers, "-x", "c", "-c", "-", "-o", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .inspect_err(|_| eprintln!("SKIP {test}: clang-19 is missing"))
        .ok()?;
    clang.stdin.take().expect("a pipe").write_all(source.as_bytes()).expect("a source");
    let output = clang.wait_with_output().expect("an end");
    assert!(output.status.success(), "the source does not compile");
    Some(Object::parse(&output.stdout).expect("an object"))
}

const HEADERS: &str = "
    #include <stdbool.h>
    #include <linux/bpf.h>
    #include <linux/ptrace.h>
    #include <bpf/bpf_helpers.h>
    #include <bpf/bpf_tracing.h>
    #include <bpf/usdt.bpf.h>
    char LICENSE[] SEC(\"license\") = \"GPL\";
    struct { long value, count, runs; } told;
";

/// What a program has told: value, count, runs.
fn told(loaded: &alveary::Loaded<alveary::Linux>) -> [u64; 3] {
    let bytes = loaded.map(".bss").expect("its variables").lookup(&[0; 4]).expect("a map").expect("an element");
    std::array::from_fn(|at| u64::from_ne_bytes(bytes[at * 8..][..8].try_into().expect("eight bytes")))
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_static_probe_hands_over_its_arguments() {
    let test = "a_static_probe_hands_over_its_arguments";
    let source = format!(
        "{HEADERS}
        SEC(\"usdt//proc/self/exe:alveary:probe\")
        int BPF_USDT(on_probe, long value) {{
            told.value = value;
            told.count = bpf_usdt_arg_cnt(ctx);
            told.runs++;
            return 0;
        }}"
    );
    let Some(object) = allowed(test).then(|| with_headers(test, &source)).flatten() else { return };
    let loaded = object.load(Target::linux()).expect("it loads");
    let link = loaded.attach("on_probe").expect("it attaches");
    probed::statically_probed(1234);
    assert_eq!(told(&loaded), [1234, 1, 1]);
    drop(link);
    probed::statically_probed(4321);
    assert_eq!(told(&loaded), [1234, 1, 1], "detached");
}

#[test]
fn probes_go_where_their_sections_say() {
    let test = "probes_go_where_their_sections_say";
    let source = format!(
        "{HEADERS}
        SEC(\"uprobe//proc/self/exe:alveary_probed_function\")
        int BPF_KPROBE(on_entry, long value) {{ told.value = value; told.runs++; return 0; }}
        SEC(\"uretprobe//proc/self/exe:alveary_probed_function\")
        int BPF_KRETPROBE(on_return, long result) {{ told.count = result; told.runs++; return 0; }}"
    );
    let Some(object) = allowed(test).then(|| with_headers(test, &source)).flatten() else { return };
    let loaded = object.load(Target::linux()).expect("it loads");
    let links = ["on_entry", "on_return"].map(|program| loaded.attach(program).expect("it attaches"));
    probed::alveary_probed_function(41);
    assert_eq!(told(&loaded), [41, 42, 2]);
    drop(links);
    probed::alveary_probed_function(1);
    assert_eq!(told(&loaded), [41, 42, 2], "detached");
}

#[test]
fn a_section_that_leaves_it_open_is_no_place() {
    let test = "a_section_that_leaves_it_open_is_no_place";
    if !allowed(test) {
        return;
    }
    let loaded = crate::support::example("count.bpf.o").load(Target::linux()).expect("it loads");
    let why = loaded.attach("count").expect_err("no device is named");
    assert_eq!(why.kind(), Kind::Attach);
    assert!(why.to_string().contains("SEC(\"xdp\")"), "{why}");
    assert_eq!(loaded.attach("cuont").expect_err("a wrong name").kind(), Kind::NotFound);
}

#[test]
fn an_iterator_is_read() {
    let test = "an_iterator_is_read";
    let source = r#"
        struct seq_file; struct task_struct;
        struct bpf_iter_meta { struct seq_file *seq; __u64 session_id, seq_num; };
        struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; };
        static long (*seq_write)(struct seq_file *to, const void *data, __u32 len) = (void *)127;
        char LICENSE[] SEC("license") = "GPL";
        SEC("iter/task") int tasks(struct bpf_iter__task *ctx) {
            if (ctx->task) seq_write(ctx->meta->seq, "x", 1);
            return 0;
        }"#;
    let Some(object) = allowed(test).then(|| crate::support::compiled(test, source)).flatten() else { return };
    let loaded = object.load(Target::linux()).expect("it loads");
    let count = |over| {
        let text = std::io::read_to_string(loaded.iterate("tasks", over).expect("it runs")).expect("it is read");
        text.len()
    };
    let tid = rustix::thread::gettid().as_raw_nonzero().get() as u32;
    assert_eq!(count(IterTarget::Task { tid, pid: 0, pid_fd: None }), 1, "this thread");
    assert!(count(IterTarget::All) > 1, "all others too");
}

//! `struct_ops`: a TCP congestion control of the test's own, seen by both tools.

use super::{BPFTOOL, output, permitted, same, text};
use std::{fs, path::PathBuf, process};

const SOURCE: &str = r#"
    struct sock;
    struct tcp_congestion_ops {
        __u32 (*ssthresh)(struct sock *sk); void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
        __u32 (*undo_cwnd)(struct sock *sk); char name[16];
    };
    char LICENSE[] SEC("license") = "GPL";
    SEC("struct_ops") __u32 ssthresh(__u64 *ctx) { return 2; }
    SEC("struct_ops") void cong_avoid(__u64 *ctx) {}
    SEC("struct_ops") __u32 undo(__u64 *ctx) { return 2; }
    #define CONTROL(text) { .ssthresh = (void *)ssthresh, .cong_avoid = (void *)cong_avoid, \
                            .undo_cwnd = (void *)undo, .name = text }
    SEC(".struct_ops.link") struct tcp_congestion_ops LINKED = CONTROL("LINKED");
    SEC(".struct_ops") struct tcp_congestion_ops PLAIN = CONTROL("PLAIN");
"#;

/// Interfaces are the whole machine's: none may stay behind.
struct Registered {
    object: PathBuf,
    plain: String,
}

impl Drop for Registered {
    fn drop(&mut self) {
        output(env!("CARGO_BIN_EXE_alveary"), &["struct_ops", "unregister", "name", &self.plain]);
        fs::remove_file(&self.object).ok();
    }
}

#[test]
fn interfaces_look_as_from_bpftool() {
    let test = "interfaces_look_as_from_bpftool";
    let (linked, plain) = (format!("cll{}", process::id()), format!("clp{}", process::id()));
    let source = SOURCE.replace("LINKED", &linked).replace("PLAIN", &plain);
    if !permitted(test) {
        return;
    }
    let Some(object) = alveary_testing::compile(test, &source, "bpf", &["-g"]) else { return };
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{plain}.bpf.o"));
    fs::write(&path, object).expect("the object can be written");
    let registered = Registered { object: path, plain: plain.clone() };
    let file = registered.object.to_string_lossy();
    let ours = |words: &[&str]| {
        let done = output(env!("CARGO_BIN_EXE_alveary"), &[&["struct_ops"], words].concat());
        (done.status.success(), text(&done.stdout), text(&done.stderr))
    };

    let (done, _, why) = ours(&["register", &file, "--kconfig", "/none"]);
    assert!(!done && why.contains("/none"), "the kernel that it is for is said as everywhere: {why}");
    let (done, told, notes) = ours(&["register", &file]);
    assert!(done, "{notes}");
    assert!(told.contains(&format!("Registered tcp_congestion_ops {plain} id ")), "{told}");
    assert!(notes.contains(&format!("note: `{linked}` goes with this command")), "{notes}");
    same(&["struct_ops", "show", "name", &plain]);
    for shape in ["-j", "-p"] {
        let words = [shape, "struct_ops", "dump", "name", &plain];
        let (theirs, ours) = (output(BPFTOOL, &words), output(env!("CARGO_BIN_EXE_alveary"), &words));
        assert_eq!(text(&ours.stdout), text(&theirs.stdout), "{shape}");
        assert!(text(&ours.stdout).contains("u32 (struct sock *) ssthresh/prog_id:"), "{shape}");
    }
    assert!(!ours(&["show", "name", &linked]).0, "its link was not kept");

    let (done, told, _) = ours(&["unregister", "name", &plain]);
    assert!(done && told.starts_with(&format!("Unregistered tcp_congestion_ops {plain} id ")), "{told}");
    let (done, _, why) = ours(&["show", "name", &plain]);
    assert!(!done && why.contains("there is no kernel interface of the name"), "{why}");
}

#[test]
fn links_of_interfaces_are_pinned() {
    let test = "links_of_interfaces_are_pinned";
    let name = format!("clk{}", process::id());
    let linked = &SOURCE[..SOURCE.find("SEC(\".struct_ops\")").expect("it is there")];
    if !permitted(test) {
        return;
    }
    let Some(object) = alveary_testing::compile(test, &linked.replace("LINKED", &name), "bpf", &["-g"]) else { return };
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.bpf.o"));
    fs::write(&path, object).expect("the object can be written");
    let (file, ours) = (path.display(), env!("CARGO_BIN_EXE_alveary"));
    let script = format!(
        "at=$(mktemp -d -t alvearyXXXXXX); mount -t bpf bpf $at || exit 9
         {ours} struct_ops register {file} $at/links; ls $at/links; {ours} -j struct_ops register {file} $at/again
         {ours} struct_ops unregister name {name}; echo $?; {ours} link detach pinned $at/links/{name} && echo detached
         {ours} struct_ops register {file} $at/again; umount $at; rmdir $at"
    );
    let done = output("unshare", &["--mount", "--propagation", "private", "sh", "-c", &script]);
    fs::remove_file(&path).ok();
    if done.status.code() == Some(9) {
        eprintln!("SKIP {test}: nothing may be mounted");
        return;
    }
    let (told, why) = (text(&done.stdout), text(&done.stderr));
    let registered = format!("Registered tcp_congestion_ops {name} map id ");
    assert!(told.starts_with(&registered), "{told}{why}");
    assert!(told.contains(&format!("\n{name}\n1\ndetached\n{registered}")), "{told}{why}");
    assert!(why.contains("is in force by a link") && why.contains("`alveary link detach id "), "{why}");
    assert!(why.contains("none of this name that is registered"), "the second one is refused: {why}");
}

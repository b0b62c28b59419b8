//! `feature`, `batch`, `iter pin`, `prog top`.

use super::{BPFTOOL, id, map, output, permitted, same_script, text};
use crate::{compiled, session::Session};
use alveary_abi::{MapType, ProgType};
use alveary_linux::sys::{ProgLoad, ProgParts, TestRun, prog_info};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    os::fd::AsFd,
    process::{Command, Stdio},
    sync::mpsc,
};

fn probed(tool: &str) -> Value {
    let done = output(tool, &["-j", "feature", "probe"]);
    assert!(done.status.success(), "{tool}: {}", text(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("it is JSON")
}

/// bpftool 7.1 does not know how newer kernels refuse helpers: it takes those for there that are not. And it takes program
/// types for missing that are there, where functions cannot be attached to.
#[test]
fn what_the_kernel_can_do_is_found_out() {
    if !permitted("what_the_kernel_can_do_is_found_out") {
        return;
    }
    let (theirs, ours) = (probed(BPFTOOL), probed(env!("CARGO_BIN_EXE_alveary")));
    for section in ["system_config", "syscall_config", "map_types", "misc"] {
        for (name, value) in theirs[section].as_object().expect("a section") {
            if let Some(our) = ours[section].get(name) {
                assert_eq!(our, value, "{section} {name}");
            }
        }
    }
    for (name, value) in theirs["program_types"].as_object().expect("a section") {
        assert!(ours["program_types"][name] == *value || *value == false, "{name}");
    }
    let has = |ty: &str, helper: &str| {
        let list = ours["helpers"][format!("{ty}_available_helpers")].as_array().expect("a list");
        list.iter().any(|name| name == helper)
    };
    assert!(has("xdp", "bpf_xdp_adjust_head") && !has("xdp", "bpf_skb_store_bytes"));
    assert!(has("sched_cls", "bpf_clone_redirect") && !has("socket_filter", "bpf_clone_redirect"));
    assert!(!has("xdp", "bpf_trace_printk"), "the kernel would log it");
    assert!(ours["helpers"]["tracing_available_helpers"].as_array().is_some_and(Vec::is_empty));
}

#[test]
fn features_are_told_as_text_and_as_macros() {
    if !permitted("features_are_told_as_text_and_as_macros") {
        return;
    }
    let ours = |words: &[&str]| text(&output(env!("CARGO_BIN_EXE_alveary"), &[&["feature"], words].concat()).stdout);
    let plain = ours(&["probe"]);
    for line in [
        "Scanning eBPF program types...",
        "eBPF program_type xdp is available",
        "eBPF map_type hash is available",
        "eBPF helpers supported for program type xdp:\n\t- bpf_map_lookup_elem\n",
        "Could not determine which helpers are available",
    ] {
        assert!(plain.contains(line), "{line}");
    }
    let macros = ours(&["probe", "kernel", "macros", "prefix", "MY_"]);
    for line in [
        "#define MY_HAVE_XDP_PROG_TYPE\n",
        "#define MY_HAVE_HASH_MAP_TYPE\n",
        "#define MY_BPF__PROG_TYPE_xdp__HELPER_bpf_redirect 1\n",
        "#define MY_BPF__PROG_TYPE_xdp__HELPER_bpf_bind 0\n",
    ] {
        assert!(macros.contains(line), "{line}");
    }
    // Devices without hardware translate nothing.
    let device = ours(&["probe", "dev", "lo"]);
    assert!(device.contains("eBPF program_type xdp is NOT available"), "{device}");
    assert!(!device.contains("system configuration"), "{device}");
    for group in ["prog_types", "map_types", "attach_types", "helpers", "link_types"] {
        let theirs = text(&output(BPFTOOL, &["feature", "list_builtins", group]).stdout);
        let our = ours(&["list_builtins", group]);
        assert!(our.starts_with(theirs.trim_end()), "{group}: {our}\n{theirs}");
    }
}

#[test]
fn a_batch_runs_as_by_bpftool() {
    if !permitted("a_batch_runs_as_by_bpftool") {
        return;
    }
    let map = map(MapType::HASH, "cli_batch", (4, 4), 8, 0);
    let id = id(&map);
    let told = same_script(&format!(
        "tell() {{ $tool \"$@\" 2>/dev/null; }}
         echo '# comment\n m u id {id} k 1 0 0 0 v 1 2 3 4\n\nmap lookup id \\\n {id} key 1 0 0 0 # more' > /tmp/$$.batch
         printf '%s\\n' 'map dump id {id}' 'map dump pinned none' 'map dump id {id}' > /tmp/$$.fails
         for shape in '' -j -p; do tell $shape batch file /tmp/$$.batch; done
         tell batch file - < /tmp/$$.batch
         tell batch file /tmp/$$.fails; tell batch file /tmp/none
         rm /tmp/$$.batch /tmp/$$.fails"
    ));
    assert!(told.contains("processed 2 commands") && told.contains("\"command\":[\"m\",\"u\""), "{told}");
    let failed = Session::new().output_of("batch file -", format!("map dump id {id}\nmap dump sideways\n").as_bytes());
    assert!(failed.code == Some(1) && failed.stdout.contains("Found 1 element"), "{}", failed.stdout);
    assert!(failed.stderr.contains("these words make no sense"), "{}", failed.stderr);
}

const ELEMENTS: &str = r#"
    struct seq_file; struct bpf_map;
    struct bpf_iter_meta { struct seq_file *seq; __u64 session_id; __u64 seq_num; } __attribute__((preserve_access_index));
    struct bpf_iter__bpf_map_elem { struct bpf_iter_meta *meta; struct bpf_map *map; void *key; void *value; }
        __attribute__((preserve_access_index));
    static long (*seq_write)(struct seq_file *to, const void *data, __u32 len) = (void *)127;
    SEC("iter/bpf_map_elem") int elements(struct bpf_iter__bpf_map_elem *ctx) {
        if (ctx->key) seq_write(ctx->meta->seq, "x\n", 2);
        return 0;
    }"#;

#[test]
fn an_iterator_is_pinned_as_by_bpftool() {
    let test = "an_iterator_is_pinned_as_by_bpftool";
    if !permitted(test) {
        return;
    }
    let Some(object) = compiled::object(test, ELEMENTS) else { return };
    let session = Session::new().file("elements.bpf.o", object);
    let map = map(MapType::HASH, "cli_iter", (4, 4), 8, 0);
    for key in 0..3u32 {
        map.update(&key.to_ne_bytes(), &[0; 4], 0).expect("there is room");
    }
    let object = session.directory().join("elements.bpf.o");
    let told = same_script(&format!(
        "tell() {{ $tool \"$@\" 2>/dev/null; }}
         tell iter pin {object} $PWD/elements map id {id}; cat elements
         tell -j iter pin {object} $PWD/again map id {id} > /dev/null; cat again
         tell iter pin {object} $PWD/elements map id {id} || echo taken",
        object = object.display(),
        id = id(&map)
    ));
    assert_eq!(told, "x\nx\nx\nx\nx\nx\ntaken\n");
}

#[test]
fn programs_that_run_are_shown_with_their_time() {
    if !permitted("programs_that_run_are_shown_with_their_time") {
        return;
    }
    let code = alveary_testing::code("r0 = 2\nexit", |_, _| unreachable!("there is no symbol"));
    let program = ProgLoad { name: "cli_top", license: c"GPL", ..ProgLoad::new(ProgType::XDP, &code) }.load();
    let program = program.expect("the kernel takes it");
    let id = prog_info(program.fd.as_fd(), ProgParts::default()).expect("the kernel tells").id;
    let mut child = Command::new(env!("CARGO_BIN_EXE_alveary"))
        .args(["prog", "top", "--interval", "10"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary can be run");
    let stdout = child.stdout.take().expect("it is piped");
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            tell.send(line.expect("the output is text")).ok();
        }
    });
    let mut lines: Vec<String> = Vec::new();
    while !lines.iter().any(|line| line.contains("cli_top")) && child.try_wait().expect("it can be asked").is_none() {
        // Its runs are counted once it has begun to look.
        TestRun { data: &[0; 64], repeat: 1000, ..TestRun::default() }.run(program.fd.as_fd()).expect("it runs");
        lines.extend(told.try_iter());
    }
    child.kill().expect("it runs until it is ended");
    child.wait().expect("it ends");
    let line = lines.iter().find(|line| line.contains("cli_top")).expect("it is shown");
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[..3], [&id.to_string()[..], "xdp", "cli_top"], "{line}");
    assert!(lines.iter().any(|line| line.contains("ns per run")), "{lines:?}");
}

#[test]
fn on_a_terminal_top_has_a_screen_of_its_own() {
    let test = "on_a_terminal_top_has_a_screen_of_its_own";
    if !permitted(test) {
        return;
    }
    let top = format!("stty cols 80 rows 10; {} prog top", env!("CARGO_BIN_EXE_alveary"));
    let mut script = Command::new("script");
    let script = script.args(["-qec", &top, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = script.spawn() else {
        eprintln!("SKIP {test}: `script` is not installed");
        return;
    };
    child.stdin.take().expect("it is piped").write_all(b"rrq").expect("it reads keys");
    let output = child.wait_with_output().expect("`q` ends it");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    let (_, screen) = told.split_once("\x1b[?1049h").expect("another screen");
    assert!(screen.contains("programs ran") && screen.contains("q ends"), "{screen}");
    assert!(screen.trim_end().ends_with("\x1b[?1049l"), "and back: {screen}");
}

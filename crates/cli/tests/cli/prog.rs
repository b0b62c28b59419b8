//! `alveary prog` on programs that the test loads: our output beside that of bpftool, where it has some.

use crate::{
    bpftool::{BPFTOOL, map, output, permitted, same, text},
    session::Session,
};
use alveary::{Linux, Loaded, Object, Target};
use alveary_abi::{MapType, ProgType};
use alveary_linux::sys::ProgLoad;
use std::process::Output;

/// What a program may hold: functions, callbacks, maps, variables, kernel helpers, atomics, wide numbers.
const SOURCE: &str = r#"
    static __u64 (*now)(void) = (void *)5;
    struct numbers { __uint(type, 2); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); }
        numbers SEC(".maps");
    struct table { __uint(type, 1); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); }
        table SEC(".maps");
    struct later { __uint(type, 3); __uint(max_entries, 4); __type(key, __u32); __type(value, __u32); }
        later SEC(".maps");
    __u64 total = 7;
    static int each(void *map, const __u32 *key, __u64 *value, void *context) {
        __sync_fetch_and_add(value, 3);
        return *value > 5;
    }
    noinline int weigh(struct xdp_md *context, int by) {
        if (!context) return 1;
        total += by;
        return context->data_end - context->data > by;
    }
    SEC("xdp") int walk(struct xdp_md *context) {
        __u32 key = 1;
        __u64 *number = bpf_map_lookup_elem(&numbers, &key), *entry = bpf_map_lookup_elem(&table, &key);
        if (number) *number += now();
        if (entry) *entry ^= 0x1122334455667788ull;
        bpf_for_each_map_elem(&numbers, each, 0, 0);
        if (weigh(context, 3) && weigh(context, 30)) bpf_tail_call(context, &later, 0);
        __sync_fetch_and_add(&total, -1);
        return 2 + (total > 9);
    }
    char LICENSE[] SEC("license") = "GPL";"#;

/// The programs of an object of the repository, loaded.
fn example(name: &str) -> Loaded<Linux> {
    let path = format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR"));
    Object::open(path).and_then(|object| object.load(Target::linux())).expect("the kernel takes it")
}

/// The program above, loaded; `None` without clang.
fn compiled(test: &str) -> Option<Loaded<Linux>> {
    let object = alveary_testing::compile(test, SOURCE, "bpfel", &["-g", "-mcpu=v3"])?;
    Some(Object::parse(&object).and_then(|object| object.load(Target::linux())).expect("the kernel takes it"))
}

fn id(loaded: &Loaded<Linux>) -> String {
    loaded.programs().next().expect("there is one").handle().id().to_string()
}

fn ours(words: &[&str]) -> Output {
    output(env!("CARGO_BIN_EXE_alveary"), words)
}

#[track_caller]
fn printed(words: &[&str]) -> String {
    let done = ours(words);
    assert!(done.status.success(), "{words:?}: {}", text(&done.stderr));
    text(&done.stdout)
}

#[test]
fn code_looks_as_from_bpftool() {
    let test = "code_looks_as_from_bpftool";
    if !permitted(test) {
        return;
    }
    let mut loaded = vec![example("filter.bpf.o"), example("rewrite.bpf.o")];
    loaded.extend(compiled(test));
    for id in loaded.iter().map(id) {
        for detail in [&[][..], &["opcodes"], &["linum"]] {
            for shape in [&[][..], &["-j"], &["-p"]] {
                let words = [shape, &["prog", "dump", "xlated", "id", &id], detail].concat();
                let theirs = text(&output(BPFTOOL, &words).stdout);
                let ours = as_of_old(&printed(&words));
                assert_eq!(ours.lines().count(), theirs.lines().count(), "{words:?}");
                for (ours, theirs) in ours.lines().zip(theirs.lines()) {
                    assert_eq!(ours, theirs, "{words:?}");
                }
            }
        }
    }
}

/// bpftool 7.1 does not know the address of a value of this CPU: it takes it for a copy.
fn as_of_old(listing: &str) -> String {
    let mut parts = listing.split("&(void __percpu *)(");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + &part.replacen(')', "", 1))
}

#[test]
fn code_of_several_programs_is_headed_by_what_they_are() {
    let test = "code_of_several_programs_is_headed_by_what_they_are";
    if !permitted(test) {
        return;
    }
    let code = alveary_testing::code("r0 = 4711\nr1 = 0x1122334455667788 ll\nexit", |_, _| unreachable!());
    let load = |name| ProgLoad { name, license: c"GPL", ..ProgLoad::new(ProgType::SOCKET_FILTER, &code) }.load();
    let _both = (load("cli_several").expect("it is taken"), load("cli_several").expect("it is taken"));
    same(&["prog", "dump", "xlated", "name", "cli_several", "opcodes"]);
    let session = Session::new();
    let file = session.directory().join("code").display().to_string();
    let one = ours(&["prog", "dump", "xlated", "name", "cli_several", "file", &file]);
    assert!(!one.status.success() && text(&one.stderr).contains("several programs"), "{}", text(&one.stderr));
    assert!(!session.exists("code"), "nothing is written");
}

#[test]
fn code_is_written_to_a_file() {
    let test = "code_is_written_to_a_file";
    if !permitted(test) {
        return;
    }
    let loaded = example("count.bpf.o");
    let session = Session::new();
    let path = |name: &str| session.directory().join(name).display().to_string();
    for (tool, name) in [(BPFTOOL, "theirs"), (env!("CARGO_BIN_EXE_alveary"), "ours")] {
        let done = output(tool, &["-j", "prog", "dump", "xlated", "id", &id(&loaded), "file", &path(name)]);
        assert_eq!(text(&done.stdout), "null\n", "{}", text(&done.stderr));
    }
    assert!(!session.read("ours").is_empty());
    assert_eq!(session.read("ours"), session.read("theirs"));
}

#[test]
fn control_flow_is_that_of_bpftool() {
    let test = "control_flow_is_that_of_bpftool";
    if !permitted(test) {
        return;
    }
    let loaded = example("filter.bpf.o");
    let words = ["prog", "dump", "xlated", "id", &id(&loaded), "visual"];
    // What stands in the nodes has changed with later versions.
    let skeleton = |graph: &str| {
        let parts: Vec<_> = graph.lines().map(|line| line.split("label=\"{").next().unwrap_or_default()).collect();
        parts.into_iter().filter(|line| line.starts_with("\tfn_")).map(str::to_owned).collect::<Vec<_>>()
    };
    let (theirs, ours) = (skeleton(&text(&output(BPFTOOL, &words).stdout)), printed(&words));
    assert!(theirs.len() > 100);
    assert_eq!(skeleton(&ours), theirs);
    assert!(ours.contains("; int filter(struct xdp_md * context):\\l\\\n"), "{ours}");
    assert!(ours.contains(";\\ ") || ours.contains("; ethertype\\ =\\ ethernet-\\>h_proto;\\l\\"), "{ours}");
}

#[test]
fn programs_are_run_as_by_bpftool() {
    let test = "programs_are_run_as_by_bpftool";
    if !permitted(test) {
        return;
    }
    let (loaded, session) = (example("rewrite.bpf.o"), Session::new());
    let packet: Vec<u8> = (0..73).map(|byte| byte * 3).collect();
    session.write("packet", &packet);
    let (file, out) = (session.directory().join("packet"), session.directory().join("out"));
    let (file, out) = (file.to_str().expect("it is text"), out.to_str().expect("it is text"));
    let id = id(&loaded);
    let words = ["prog", "run", "id", &id, "data_in", file, "data_out"];
    for shape in [&[][..], &["-j"], &["-p"]] {
        for more in [&["-"][..], &["-", "repeat", "3"], &[out, "data_size_out", "4096"]] {
            let words = [shape, &words, more].concat();
            let (theirs, ours) = (output(BPFTOOL, &words), ours(&words));
            assert_eq!(untimed(&text(&ours.stdout)), untimed(&text(&theirs.stdout)), "{words:?}");
            assert!(ours.status.success() && theirs.status.success());
        }
    }
    assert_eq!(session.read("out").len(), packet.len());
    let short = ours(&[&words[..], &[out, "data_size_out", "10"]].concat());
    assert!(!short.status.success() && text(&short.stderr).contains("73 bytes of data"), "{}", text(&short.stderr));
}

/// Without the time that a run took.
fn untimed(told: &str) -> String {
    let is_time = |line: &&str| line.contains("duration");
    told.lines().map(|line| if is_time(&line) { line.trim_end_matches(|c: char| c != ':') } else { line }).collect()
}

#[test]
fn what_is_wrong_is_json_if_bpftools_options_ask() {
    let asked = [
        "-j prog show id nought",
        "-p prog show id nought",
        "prog show -j id nought",
        "-j prog dump xlated",
        "-j prog nonsense",
        "-p map",
    ];
    for line in asked {
        let done = Session::new().output(line);
        assert!(done.code != Some(0) && done.stderr.starts_with("{\"errors\":[{"), "{line}: {}", done.stderr);
    }
    let done = Session::new().output("prog show id nought");
    assert!(done.stderr.starts_with("error["), "{}", done.stderr);
}

#[test]
fn maps_of_code_are_named_by_id() {
    let test = "maps_of_code_are_named_by_id";
    if !permitted(test) {
        return;
    }
    let held = map(MapType::ARRAY, "cli_held", (4, 8), 1, 0);
    let number = held.info().expect("the kernel tells").id;
    let source = format!("r1 = map_by_fd({}) ll\nr0 = 0\nexit", {
        use std::os::fd::{AsFd, AsRawFd};
        held.as_fd().as_raw_fd()
    });
    let code = alveary_testing::code(&source, |_, _| unreachable!("there is no symbol"));
    let program = ProgLoad { name: "cli_named", license: c"GPL", ..ProgLoad::new(ProgType::SOCKET_FILTER, &code) };
    let _held = program.load().expect("the kernel takes it");
    let listing = printed(&["prog", "dump", "xlated", "name", "cli_named"]);
    assert!(listing.starts_with(&format!("   0: (18) r1 = map[id:{number}]\n")), "{listing}");
}

//! `alveary prog` on programs that the test loads: our output beside that of bpftool, where it has some.

use crate::{
    bpftool::{BPFTOOL, map, output, permitted, same, text},
    session::Session,
};
use alveary::{Linux, Loaded, Object, Target};
use alveary_abi::{AttachType, MapType, ProgType};
use alveary_linux::sys::{ProgLoad, ProgQuery, Target as At};
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

#[test]
fn machine_code_is_that_of_the_kernel() {
    let test = "machine_code_is_that_of_the_kernel";
    if !permitted(test) {
        return;
    }
    let Some(loaded) = compiled(test) else { return };
    let id = id(&loaded);
    let listing = printed(&["prog", "dump", "jited", "id", &id, "linum"]);
    for part in ["int walk(struct xdp_md * context):\nbpf_prog_", "_weigh:\n", " line_num:31 "] {
        assert!(listing.contains(part), "{part} is not in {listing}");
    }
    let filter = printed(&["prog", "dump", "jited", "id", &self::id(&example("filter.bpf.o"))]);
    assert!(filter.contains("\n; packet->vlans++;\n"), "{filter}");
    // All bytes are there, in their order.
    let session = Session::new();
    let file = session.directory().join("code").display().to_string();
    printed(&["prog", "dump", "jited", "id", &id, "file", &file]);
    let json = printed(&["-j", "prog", "dump", "jited", "id", &id, "opcodes"]);
    let told: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let insns: Vec<_> = list(&told).iter().flat_map(|function| list(&function["insns"])).collect();
    let bytes: Vec<u8> = insns
        .iter()
        .flat_map(|insn| list(&insn["opcodes"]))
        .map(|byte| byte.as_str().and_then(|text| u8::from_str_radix(&text[2..], 16).ok()).expect("it is a byte"))
        .collect();
    assert_eq!(bytes, session.read("code"));
    if cfg!(target_arch = "x86_64") {
        assert!(insns.iter().any(|insn| insn["operation"] == "push" && insn["operands"][0] == "%rbp"), "{json}");
        assert!(!listing.contains("(bad)"), "{listing}");
    }
    let wrong = ours(&["prog", "dump", "jited", "id", &id, "visual"]);
    assert!(!wrong.status.success());
}

/// Runs a script in a mount namespace of its own, with a BPF file system at `$at` and two more directories, `$empty` and
/// `$full`.
fn among_mounts(script: &str) -> Output {
    let ours = env!("CARGO_BIN_EXE_alveary");
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let script = format!(
        "set -e; root=$(mktemp -d -t alvearyXXXXXX); at=$root/bpf empty=$root/empty full=$root/full ours={ours}
         mkdir $at $empty $full; echo content > $full/file; mount -t bpf bpf $at; cd {examples}
         trap 'for dir in $at $empty $root/new; do umount $dir 2> $root/out || true; done; rm -r --one-file-system $root' EXIT
         {script}"
    );
    output("unshare", &["--mount", "--propagation", "private", "sh", "-c", &script])
}

#[test]
fn objects_are_loaded_as_by_bpftool() {
    if !permitted("objects_are_loaded_as_by_bpftool") {
        return;
    }
    let done = among_mounts(
        "for tool in bpftool $ours; do
           dir=$at/$(basename $tool); mkdir $dir
           $tool -j prog load count.bpf.o $dir/one
           $tool prog loadall filter.bpf.o $dir/all pinmaps $dir/maps
           id=$(bpftool -j map show pinned $dir/maps/stats | sed 's/.*\"id\":\\([0-9]*\\).*/\\1/')
           $tool prog load filter.bpf.o $dir/named map name stats id $id type xdp
           $tool prog show pinned $dir/named | grep -q \"map_ids.*\\b$id\\b\"
           $tool prog pin pinned $dir/one $dir/two
           (cd $dir; for file in one two named all/*; do echo $file $(bpftool prog show pinned $file | grep -o 'name.*gpl'); done
            ls maps) > $root/$(basename $tool)
         done
         cmp $root/bpftool $root/alveary; cat $root/alveary",
    );
    assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
    let told = text(&done.stdout);
    assert!(told.starts_with("null\nnull\n") && told.contains("all/filter name filter tag"), "{told}");
}

#[test]
fn nothing_is_mounted_over_content() {
    if !permitted("nothing_is_mounted_over_content") {
        return;
    }
    let done = among_mounts(
        "for words in \"load count.bpf.o $full/count\" \"loadall count.bpf.o $full\" \"load count.bpf.o $full/file\" \\
                      \"load -n count.bpf.o $empty/count\" \"load count.bpf.o $root/none/count\"; do
           if $ours prog $words; then echo \"done: $words\"; exit 1; fi
         done
         cat $full/file
         $ours prog load count.bpf.o $empty/count && $ours prog loadall count.bpf.o $root/new
         ls $empty $root/new; findmnt -n -o TARGET -t bpf | grep -c $root",
    );
    assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
    let told = text(&done.stdout);
    assert!(told.starts_with("content\n") && told.ends_with("\n3\n"), "{told}");
    let refused = text(&done.stderr);
    assert!(refused.contains("a directory with one entry, which a mount would hide"), "{refused}");
    assert!(refused.contains("mount -t bpf bpf /sys/fs/bpf"), "{refused}");
}

#[test]
fn a_load_that_fails_leaves_nothing() {
    if !permitted("a_load_that_fails_leaves_nothing") {
        return;
    }
    // A map's name is taken already when the programs are pinned.
    let done = among_mounts(
        "mkdir $at/maps $at/maps/stats
         if $ours prog loadall filter.bpf.o $at/all pinmaps $at/maps; then exit 1; fi
         if $ours prog load count.bpf.o $at/one map name nought id 1; then exit 1; fi
         if $ours prog load count.bpf.o $at/one type nought; then exit 1; fi
         find $at -type f ! -name '*.debug'",
    );
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(text(&done.stdout), "");
    assert!(text(&done.stderr).contains("is no type of programs"), "{}", text(&done.stderr));
}

#[test]
fn programs_go_on_maps_of_sockets() {
    if !permitted("programs_go_on_maps_of_sockets") {
        return;
    }
    use std::os::fd::AsFd;
    let sockets = map(MapType::SOCKMAP, "cli_sockets", (4, 4), 4, 0);
    let code = alveary_testing::code("r0 = 1\nexit", |_, _| unreachable!("there is no symbol"));
    let load = |name, ty| ProgLoad { name, license: c"GPL", ..ProgLoad::new(ty, &code) }.load();
    let _held = load("cli_verdict", ProgType::SK_MSG).expect("the kernel takes it");
    let attached = || {
        let query = ProgQuery { target: At::Fd(sockets.as_fd()), ty: AttachType::SK_MSG_VERDICT, flags: 0 };
        query.query().expect("the kernel tells").progs.len()
    };
    let map_id = sockets.info().expect("the kernel tells").id.to_string();
    let words = |verb| ["-j", "prog", verb, "name", "cli_verdict", "sk_msg_verdict", "id", &map_id].map(str::to_owned);
    for (tool, other) in [(BPFTOOL, env!("CARGO_BIN_EXE_alveary")), (env!("CARGO_BIN_EXE_alveary"), BPFTOOL)] {
        for (tool, verb, expected) in [(tool, "attach", 1), (other, "detach", 0)] {
            let words = words(verb);
            let done = output(tool, &words.each_ref().map(String::as_str));
            assert_eq!(text(&done.stdout), "null\n", "{tool} {verb}: {}", text(&done.stderr));
            assert_eq!(attached(), expected, "{tool} {verb}");
        }
    }
    let wrong = ours(&["prog", "attach", "name", "cli_verdict", "xdp", "id", &map_id]);
    assert!(text(&wrong.stderr).contains("sk_skb_stream_parser"), "{}", text(&wrong.stderr));
}

#[test]
fn streams_of_a_program_are_shown() {
    let test = "streams_of_a_program_are_shown";
    if !permitted(test) {
        return;
    }
    let source = r#"
        extern int bpf_stream_vprintk_impl(int, const char *fmt__str, const void *, __u32 len__sz, void *aux__prog)
            SEC(".ksyms");
        SEC("xdp") int speak(void *context) {
            bpf_stream_vprintk_impl(1, "one line\n\"quoted\"\n", 0, 0, 0);
            bpf_stream_vprintk_impl(2, "and another\n", 0, 0, 0);
            return 2;
        }
        char LICENSE[] SEC("license") = "GPL";"#;
    let Some(object) = alveary_testing::compile(test, source, "bpfel", &["-g", "-mcpu=v3"]) else { return };
    let Ok(loaded) = Object::parse(&object).and_then(|object| object.load(Target::linux())) else {
        eprintln!("SKIP {test}: this kernel's programs have no streams");
        return;
    };
    let (id, run) = (id(&loaded), || loaded.program("speak").and_then(|p| p.run(&[0; 64])).expect("it runs"));
    run();
    assert_eq!(printed(&["prog", "tracelog", "stdout", "id", &id]), "one line\n\"quoted\"\n");
    assert_eq!(printed(&["prog", "tracelog", "stdout", "id", &id]), "", "it was taken");
    run();
    assert_eq!(
        printed(&["-j", "prog", "tracelog", "stdout", "id", &id]),
        r#"["one line\n","\"quoted\"\n"]"#.to_owned() + "\n"
    );
    assert_eq!(printed(&["prog", "tracelog", "stderr", "id", &id]), "and another\nand another\n");
}

#[test]
fn the_trace_pipe_is_shown_as_it_comes() {
    let test = "the_trace_pipe_is_shown_as_it_comes";
    if !permitted(test) {
        return;
    }
    let source = r#"
        static long (*print)(const char *, __u32, ...) = (void *)6;
        SEC("xdp") int trace(void *context) { print("of tracelog", sizeof("of tracelog")); return 2; }
        char LICENSE[] SEC("license") = "GPL";"#;
    let Some(object) = alveary_testing::compile(test, source, "bpfel", &[]) else { return };
    let loaded = Object::parse(&object).and_then(|object| object.load(Target::linux())).expect("the kernel takes it");
    // An instance of its own: what others print into the common pipe stays there.
    let done = among_mounts(&format!(
        "mkdir $root/new; mount -t tracefs tracefs $root/new; mine=$root/new/instances/alveary-$$; mkdir $mine
         echo 1 > $mine/events/bpf_trace/bpf_trace_printk/enable
         head -c 64 /dev/zero > $root/packet
         for shape in '' -j; do
           $ours prog run id {} data_in $root/packet > $root/out
           : > $root/log
           $ours $shape prog tracelog instance alveary-$$ > $root/log & reader=$!
           tries=0
           until grep -q 'of tracelog' $root/log; do tries=$((tries + 1)); [ $tries -lt 5000 ]; done
           kill $reader; wait $reader || true
           grep -o -e '^.\"' -e 'of tracelog.*' $root/log
         done
         rmdir $mine",
        id(&loaded)
    ));
    assert_eq!(text(&done.stdout), "of tracelog\n[\"\nof tracelog\\n\"\n", "{}", text(&done.stderr));
}

#[test]
fn devices_that_translate_nothing_are_named() {
    if !permitted("devices_that_translate_nothing_are_named") {
        return;
    }
    let session = Session::new().file("plain.s", ".section xdp\n.globl plain\nplain: r0 = 2\nexit\n");
    let (ours, at) = (env!("CARGO_BIN_EXE_alveary"), session.directory().display());
    let examples = format!("{}/../../examples", env!("CARGO_MANIFEST_DIR"));
    let script = format!(
        "mkdir {at}/pins && mount -t bpf bpf {at}/pins && cd {at}/pins || exit; ip link add v0 type veth peer name v1
         {ours} asm {at}/plain.s -o {at}/plain.o
         {ours} prog load {at}/plain.o p offload_dev v0 2>&1; {ours} prog load {examples}/count.bpf.o p offload_dev v0 2>&1
         {ours} map create m type hash key 4 value 4 entries 4 name m offload_dev v0 2>&1
         {ours} prog load {examples}/rewrite.bpf.o p xdpmeta_dev v0 2>&1; ls
         {ours} -d prog load {at}/plain.o p xdpmeta_dev v0 2>&1; {ours} prog show pinned p; cd /; umount {at}/pins"
    );
    let done = output("unshare", &["--mount", "--net", "--propagation", "private", "sh", "-c", &script]);
    let told = text(&done.stdout);
    for expected in [
        "expected: a device whose driver translates programs\n = found: `v0`",
        "expected: programs without maps, for `offload_dev`",
        "expected: a device whose driver keeps maps\n = found: `v0`",
        "`rewrite` is no XDP program",
        "maps.debug\nprogs.debug\nplain:\n",
        "processed 2 insns",
        ": xdp  name plain  tag ",
    ] {
        assert!(told.contains(expected), "{expected}: {told}{}", text(&done.stderr));
    }
}

#[test]
fn what_the_processor_cannot_count_is_said() {
    if !permitted("what_the_processor_cannot_count_is_said") {
        return;
    }
    let loaded = example("count.bpf.o");
    let id = id(&loaded);
    let done = ours(&["prog", "profile", "id", &id, "duration", "0", "inst", "cycles"]);
    let why = text(&done.stderr);
    if done.status.success() {
        let told = text(&done.stdout);
        assert!(told.contains(" run_cnt") && told.contains(" cycles ") && told.contains(" instructions "), "{told}");
    } else {
        let expected = ["`cycles` cannot be counted", "CAP_PERFMON", "BPF_PROG_LOAD"];
        assert!(expected.iter().any(|part| why.contains(part)), "{why}");
    }
    let why = text(&ours(&["prog", "profile", "id", &id, "cylces"]).stderr);
    assert!(why.contains("`cycles`, `instructions`, `l1d_loads`"), "{why}");
}

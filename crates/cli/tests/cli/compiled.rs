//! What only small C programs show: events, trace lines, global variables, tail calls. Needs clang.

use crate::{golden::golden, session::Session};
use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// What the programs would include.
pub(crate) const HEADER: &str = r#"
typedef unsigned char __u8; typedef unsigned short __u16; typedef unsigned int __u32; typedef unsigned long long __u64;
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
struct xdp_md { __u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index; };
static long (*bpf_trace_printk)(const char *format, __u32 size, ...) = (void *)6;
static long (*bpf_tail_call)(void *context, void *map, __u32 index) = (void *)12;
static long (*bpf_redirect)(__u32 ifindex, __u64 flags) = (void *)23;
static long (*bpf_perf_event_output)(void *context, void *map, __u64 flags, void *data, __u64 size) = (void *)25;
static long (*bpf_ringbuf_output)(void *ring, void *data, __u64 size, __u64 flags) = (void *)130;
char LICENSE[] SEC("license") = "GPL";
"#;

/// A session with the object of a C program in it; `None` (and a word on stderr) without clang.
fn compiled(test: &str, source: &str) -> Option<Session> {
    Some(Session::new().example("traffic.pcap").file("prog.o", object(test, source)?))
}

/// The object of a C program.
pub(crate) fn object(test: &str, source: &str) -> Option<Vec<u8>> {
    let mut clang = ["clang-19", "clang"].into_iter().find_map(|name| {
        // BTF names the directory: not this one, which is another wherever the tree stands.
        let target = ["-O2", "-g", "-fdebug-compilation-dir=/src", "-target", "bpfel", "-mcpu=v3"];
        let command = ["-Wno-everything", "-x", "c", "-c", "-", "-o", "-"];
        Command::new(name).args(target).args(command).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()
    });
    let Some(clang) = &mut clang else {
        eprintln!("SKIP {test}: clang is not installed");
        return None;
    };
    let mut stdin = clang.stdin.take().expect("it is piped");
    stdin.write_all(format!("{HEADER}{source}").as_bytes()).expect("clang reads");
    drop(stdin);
    let mut object = Vec::new();
    std::io::Read::read_to_end(&mut clang.stdout.take().expect("it is piped"), &mut object).expect("clang writes");
    assert!(clang.wait().expect("it ends").success(), "{test}: the source does not compile");
    Some(object)
}

#[test]
fn a_map_that_cannot_be_listed_does_not_spoil_the_run() {
    let test = "a_map_that_cannot_be_listed_does_not_spoil_the_run";
    let source = r#"
        static long (*push)(void *map, void *value, __u64 flags) = (void *)87;
        struct { __uint(type, 22); __uint(max_entries, 4); __type(value, __u32); } waiting SEC(".maps");
        struct { __uint(type, 23); __uint(max_entries, 1); __type(value, __u32); } latest SEC(".maps");
        struct { __uint(type, 30); __uint(max_entries, 9); __type(value, __u32); } seen SEC(".maps");
        SEC("xdp") int queue(struct xdp_md *context) {
            __u32 length = context->data_end - context->data;
            push(&waiting, &length, 2);
            push(&latest, &length, 2);
            push(&seen, &length, 0);
            return 2;
        }"#;
    let Some(session) = compiled(test, source) else { return };
    let session = session.run("run prog.o --pcap traffic.pcap --dump-maps");
    golden("run-queues.txt", session.text());
    let ran = session.output("run prog.o --pcap traffic.pcap --json");
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    let run: serde_json::Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
    assert_eq!((&run["packets"], &run["maps"]["waiting"]["entries"]), (&3989.into(), &serde_json::Value::Null));
    assert!(run["maps"]["waiting"]["note"].is_string(), "{run}");
}

#[test]
fn sections_of_iproute2_take_the_type_of_their_users() {
    let test = "sections_of_iproute2_take_the_type_of_their_users";
    let source = r#"
        struct { __uint(type, 3); __uint(max_entries, 2); __type(key, __u32); __type(value, __u32); } jumps SEC(".maps");
        SEC("7/1") int tailed(struct xdp_md *context) { return 2; }
        SEC("xdp") int entry(struct xdp_md *context) { bpf_tail_call(context, &jumps, 1); return 1; }"#;
    let Some(session) = compiled(test, source) else { return };
    for (program, verdict) in
        [("entry --map jumps:1=tailed", "XDP_PASS"), ("tailed", "XDP_PASS"), ("entry", "XDP_DROP")]
    {
        let ran = session.output(&format!("run prog.o --pcap traffic.pcap --json --prog {program}"));
        assert!(ran.stdout.contains(&format!("\"{verdict}\":3989")), "{program}: {}{}", ran.stdout, ran.stderr);
    }
    let ran = session.output("run prog.o --pcap traffic.pcap");
    assert!(ran.stderr.contains("`--prog entry`"), "one that is no tail call's: {}", ran.stderr);
}

#[test]
fn a_cpumap_has_as_many_entries_as_there_are_cpus() {
    let test = "a_cpumap_has_as_many_entries_as_there_are_cpus";
    let source = r#"
        static long (*redirect_map)(void *map, __u64 key, __u64 flags) = (void *)51;
        struct { __uint(type, 16); __uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 4); } cpus SEC(".maps");
        struct { __uint(type, 6); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } counts SEC(".maps");
        SEC("xdp") int spread(struct xdp_md *context) { return redirect_map(&cpus, 1, 1); }
        void *used(void) { return &counts; }"#;
    let Some(session) = compiled(test, source) else { return };
    let ran = session.output("run prog.o --pcap traffic.pcap --json --cpus 2 --map cpus:1=192 --map counts:0=7");
    assert!(ran.stdout.contains("\"XDP_REDIRECT\":3989"), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("\"value\":14,\"cpus\":[7,7]"), "{}", ran.stdout);
}

#[test]
fn where_a_program_goes_astray_is_said_in_its_own_terms() {
    let test = "where_a_program_goes_astray_is_said_in_its_own_terms";
    let source = r#"
        static void *(*lookup)(void *map, const void *key) = (void *)1;
        static void *(*reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
        struct { __uint(type, 1); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); } counts SEC(".maps");
        struct { __uint(type, 27); __uint(max_entries, 4096); } ring SEC(".maps");
        SEC("xdp") int packet(struct xdp_md *context) { return *((__u8 *)(long)context->data + 100); }
        SEC("xdp") int null(struct xdp_md *context) { int key = 9; return *((volatile __u64 *)lookup(&counts, &key) + 1); }
        SEC("xdp") int value(struct xdp_md *context) {
            int key = 0; volatile __u64 *value = lookup(&counts, &key); return value ? value[1] : 2;
        }
        SEC("xdp") int context(struct xdp_md *context) { *(volatile __u32 *)&context->data_end = 1; return 2; }
        SEC("xdp") int keeps(struct xdp_md *context) { return reserve(&ring, 8, 0) ? 2 : 1; }"#;
    let Some(session) = compiled(test, source) else { return };
    let session = session
        .run("run prog.o --pcap traffic.pcap --unverified --prog packet")
        .run("run prog.o --pcap traffic.pcap --unverified --prog null")
        .run("run prog.o --pcap traffic.pcap --unverified --prog value --map counts:0=1")
        .run("run prog.o --pcap traffic.pcap --unverified --prog context")
        .run("run prog.o --pcap traffic.pcap --unverified --prog keeps");
    golden("run-astray.txt", session.text());
}

#[test]
fn events_and_trace_lines_are_printed() {
    let test = "events_and_trace_lines_are_printed";
    let source = r#"
        struct event { __u32 length; __u16 ethertype; __u8 broadcast; };
        struct event *unused;   /* has clang write the type */
        struct { __uint(type, 27); __uint(max_entries, 4096); } events SEC(".maps");
        struct { __uint(type, 4); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, 1); } raw SEC(".maps");
        int seen;
        SEC("xdp") int watch(struct xdp_md *context) {
            __u8 *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
            if (seen++ >= 3 || data + 14 > end) return 2;
            struct event event = { .length = end - data, .ethertype = data[12] << 8 | data[13], .broadcast = data[0] == 255 };
            bpf_ringbuf_output(&events, &event, sizeof(event), 0);
            char bytes[3] = { 1, 2, 3 };
            bpf_perf_event_output(context, &raw, 0xffffffff, bytes, sizeof(bytes));
            static const char format[] = "packet of %d bytes";
            bpf_trace_printk(format, sizeof(format), event.length);
            return 2;
        }
    "#;
    let Some(session) = compiled(test, source) else { return };
    let session = session
        .run("run prog.o --pcap traffic.pcap --dump-maps")
        .run("run prog.o --pcap traffic.pcap --map seen=2 --json");
    golden("run-events.txt", session.text());
    for map in ["events", "raw"] {
        let ran = session.output(&format!("run prog.o --pcap traffic.pcap --map {map}:0=1"));
        assert!(ran.stderr.contains("carries events: it has no entries to set"), "{}", ran.stderr);
    }
}

#[test]
fn global_variables_are_shown_set_and_dumped() {
    let test = "global_variables_are_shown_set_and_dumped";
    let source = r#"
        enum verdict { ABORT, DROP, PASS };
        const volatile enum verdict policy = PASS;
        const volatile __u8 name[8] = "first";
        struct limits { __u32 shortest, longest; } limits = { 60, 1514 };
        __u64 packets;
        SEC("xdp") int decide(struct xdp_md *context) {
            __u32 length = context->data_end - context->data;
            packets++;
            if (length < limits.shortest || length > limits.longest) return 0;
            return name[0] == 'f' ? policy : 3;
        }
    "#;
    let Some(session) = compiled(test, source) else { return };
    let session = session
        .run("show prog.o")
        .run("run prog.o --pcap traffic.pcap --dump-maps --map policy=DROP --map .data:limits={shortest=0,longest=100}")
        .run("run prog.o --pcap traffic.pcap --map polcy=1")
        .run("run prog.o --pcap traffic.pcap --map policy=DORP")
        .run("run prog.o --pcap traffic.pcap --map .data:policy=1");
    golden("run-globals.txt", session.text());
}

#[test]
fn a_prog_array_takes_programs_by_name() {
    let test = "a_prog_array_takes_programs_by_name";
    let source = r#"
        struct { __uint(type, 3); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, 2); } next SEC(".maps");
        SEC("xdp") int first(struct xdp_md *context) { bpf_tail_call(context, &next, 1); return 0; }
        SEC("xdp") int drop(struct xdp_md *context) { return 1; }
        SEC("xdp") int away(struct xdp_md *context) { return bpf_redirect(7, 0); }
    "#;
    let Some(session) = compiled(test, source) else { return };
    let session = session
        .run("run prog.o --pcap traffic.pcap")
        .run("run prog.o --pcap traffic.pcap --prog first")
        .run("run prog.o --pcap traffic.pcap --prog first --map next:1=drop")
        .run("run prog.o --pcap traffic.pcap --prog first --map next:1=away --packets out.jsonl")
        .run("run prog.o --pcap traffic.pcap --prog first --map next:1=dorp")
        .run("run prog.o --pcap traffic.pcap --prog first --map next:2=drop");
    golden("run-tail-call.txt", session.text());
    let lines = String::from_utf8(session.read("out.jsonl")).expect("it is text");
    let line: serde_json::Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("it is JSON");
    assert_eq!((&line["verdict"], &line["redirect"]["ifindex"]), (&"XDP_REDIRECT".into(), &7.into()));
}

#[test]
fn objects_that_cannot_be_loaded_are_refused_by_what_they_need() {
    let test = "objects_that_cannot_be_loaded_are_refused_by_what_they_need";
    let source = r#"
        extern const int runqueues __attribute__((section(".ksyms")));
        SEC("xdp") int versioned(struct xdp_md *context) { return (long)&runqueues > 5 ? 2 : 1; }
    "#;
    let Some(with_extern) = compiled(test, source) else { return };
    let source = r#"
        struct { __uint(type, 99); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, 1); } odd SEC(".maps");
        static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
        SEC("xdp") int lookup(struct xdp_md *context) { int key = 0; return bpf_map_lookup_elem(&odd, &key) ? 2 : 1; }
    "#;
    let Some(with_odd_map) = compiled(test, source) else { return };
    let source = r#"
        static long (*bpf_override_return)(void *context, __u64 value) = (void *)58;
        SEC("xdp") int wrong(struct xdp_md *context) { return bpf_override_return(context, 1); }
    "#;
    let Some(with_foreign_helper) = compiled(test, source) else { return };
    let text = [with_extern, with_odd_map, with_foreign_helper]
        .map(|session| session.run("show prog.o").run("run prog.o --pcap traffic.pcap").text().to_owned())
        .join("\n");
    golden("run-refused.txt", &text);
}

#[test]
fn core_relocations_are_shown_applied_and_explained_where_they_fail() {
    let test = "core_relocations_are_shown_applied_and_explained_where_they_fail";
    let source = r#"
        struct thing { int number, colour; } __attribute__((preserve_access_index));
        #define exists(field) __builtin_preserve_field_info(field, 2)
        struct thing *thing;
        SEC("xdp") int guarded(struct xdp_md *context) {
            return exists(thing->colour) ? thing->colour : 2;
        }
        SEC("xdp") int unguarded(struct xdp_md *context) { return thing->colour; }
        SEC("xdp") int matching(struct xdp_md *context) {
            return __builtin_preserve_type_info(*(struct thing *)0, 2) ? 1 : 2;
        }
        SEC("xdp") int offset(struct xdp_md *context) {
            struct thing *zero = 0;
            return (long)&zero->number == 40 ? 1 : 2;
        }
    "#;
    let types = "struct thing { char before[40]; int number, color; } thing;";
    let (Some(session), Some(types)) = (compiled(test, source), object(test, types)) else { return };
    let types = alveary_object::read(&types).expect("it is an object").btf.expect("it has BTF");
    let session = session
        .file("kernel.btf", types.bytes())
        .run("show prog.o --relocs --btf kernel.btf")
        .run("run prog.o --prog guarded --pcap traffic.pcap --btf kernel.btf")
        .run("run prog.o --prog unguarded --pcap traffic.pcap --btf kernel.btf")
        .run("run prog.o --prog unguarded --pcap traffic.pcap --btf kernel.btf --unverified")
        .run("run prog.o --prog offset --pcap traffic.pcap --btf kernel.btf")
        .run("disasm prog.o --prog unguarded --btf kernel.btf")
        .run("show prog.o --relocs --btf prog.o")
        .run("show prog.o --btf kernel.btf")
        .example("count.bpf.o")
        .run("btf diff kernel.btf kernel.btf --for prog.o")
        .run("btf diff count.bpf.o count.bpf.o --for prog.o");
    golden("core.txt", session.text());
}

#[test]
fn instructions_are_shown_as_this_kernel_has_them_unless_the_files_are_asked_for() {
    let test = "instructions_are_shown_as_this_kernel_has_them_unless_the_files_are_asked_for";
    let own = "/sys/kernel/btf/vmlinux";
    if !Path::new(own).exists() {
        eprintln!("SKIP {test}: this kernel has no types");
        return;
    }
    let source = r#"
        struct net_device { char alone[40]; unsigned mtu; } __attribute__((preserve_access_index));
        SEC("xdp") int offset(struct xdp_md *context) {
            struct net_device *zero = 0;
            return (long)&zero->mtu;
        }
    "#;
    let Some(session) = compiled(test, source) else { return };
    let listing = |options: &str| {
        let shown = session.output(&format!("disasm prog.o{options}"));
        assert_eq!((shown.code, &*shown.stderr), (Some(0), ""), "{options}");
        shown.stdout
    };
    assert_eq!(listing(""), listing(&format!(" --btf {own}")));
    assert!(listing(" --unresolved").contains(" = 40"), "{}", listing(" --unresolved"));
    assert!(!listing("").contains(" = 40"), "{}", listing(""));
    let both = session.output("disasm prog.o --unresolved --kernel-version 6.1");
    assert_eq!((both.code, both.stderr.contains("--kernel-version")), (Some(2), true), "{}", both.stderr);
}

#[test]
fn the_kernels_configuration_and_version_are_given_or_asked_for() {
    let test = "the_kernels_configuration_and_version_are_given_or_asked_for";
    let source = r#"
        extern int LINUX_KERNEL_VERSION __attribute__((section(".kconfig")));
        extern int CONFIG_HZ __attribute__((section(".kconfig")));
        SEC("xdp") int versioned(struct xdp_md *context) { return LINUX_KERNEL_VERSION >= 0x060137 ? 2 : 1; }
        SEC("xdp") int ticks(struct xdp_md *context) { return CONFIG_HZ == 1000 ? 2 : 1; }
    "#;
    let Some(session) = compiled(test, source) else { return };
    let session = session
        .file("config", "# comment\nCONFIG_HZ=1000\n")
        .file("config.without", "CONFIG_HZZ=1000\n")
        .run("run prog.o --prog versioned --pcap traffic.pcap --kconfig config --kernel-version 6.1.55")
        .run("run prog.o --prog versioned --pcap traffic.pcap --kconfig config --kernel-version 6.1.54")
        .run("run prog.o --prog ticks --pcap traffic.pcap --kconfig config")
        .run("run prog.o --prog ticks --pcap traffic.pcap --kconfig config.without")
        .file("config.none", "# not set\n")
        .run("run prog.o --prog ticks --pcap traffic.pcap --kconfig config.none")
        .run("run prog.o --prog ticks --pcap traffic.pcap --kernel-version 6");
    // What a verdict depends on is given in the same words.
    let verdict = session.output("check prog.o --prog ticks --kconfig config --kernel-version 6.1.55 --json");
    assert!(verdict.stdout.contains("\"verdict\":\"accept\""), "{}{}", verdict.stdout, verdict.stderr);
    let without = session.output("check prog.o --prog ticks --kconfig config.without --json");
    assert!(without.stdout.contains("CONFIG_HZ"), "{}{}", without.stdout, without.stderr);
    golden("kconfig.txt", session.text());
}

/// Whoever resolves an object asks the kernel that the options describe: no word of it reaches the running kernel before.
#[test]
fn every_verb_that_resolves_an_object_takes_the_kernel_from_its_options() {
    let test = "every_verb_that_resolves_an_object_takes_the_kernel_from_its_options";
    let source = r#"
        extern int LINUX_KERNEL_VERSION __attribute__((section(".kconfig")));
        extern int CONFIG_HZ __attribute__((section(".kconfig")));
        struct thing { int number; } __attribute__((preserve_access_index)) *thing;
        struct { __uint(type, 27); __uint(max_entries, 4096); } ring SEC(".maps");
        SEC("xdp") int asks(struct xdp_md *context) {
            bpf_ringbuf_output(&ring, &context, 1, 0);
            return LINUX_KERNEL_VERSION + CONFIG_HZ + thing->number;
        }
        SEC("xdp") int told(struct xdp_md *context) {
            return LINUX_KERNEL_VERSION >= 0x060137 && CONFIG_HZ == 300 ? 2 : 0;
        }
    "#;
    let Some(session) = compiled(test, source) else { return };
    // Types for the other byte order, in which the object cannot ask.
    let other = alveary_btf::Builder::new(alveary_isa::Endian::Big).write();
    let session =
        session.file("config", "CONFIG_HZ=300\n").file("config.none", "CONFIG_A=1\n").file("other.btf", other);
    let verbs = [
        "load prog.o --pin pins",
        "attach prog.o",
        "run prog.o --prog asks --pcap traffic.pcap",
        "run prog.o --prog asks --pcap traffic.pcap --on linux",
        "check prog.o",
    ];
    let refused = |line: String, why: &str| {
        let ran = session.output(&line);
        // `check` says of what does not resolve that it is not judged: no failure.
        assert!(line.starts_with("check") || ran.code == Some(1), "{line}: {}{}", ran.stdout, ran.stderr);
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains(why), "{line}: {}{}", ran.stdout, ran.stderr);
    };
    for verb in verbs {
        refused(format!("{verb} --btf prog.o --kconfig config.none"), "which the kernel's configuration does not set");
        refused(format!("{verb} --btf other.btf --kconfig config"), "other byte order");
    }
    assert!(!session.exists("pins"), "a directory, with a file system on it, for pins that there are not");
    for verb in ["run prog.o --pcap traffic.pcap", "check prog.o"] {
        // Ring buffers came with 5.8.
        refused(format!("{verb} --prog asks --btf prog.o --kconfig config --kernel-version 5.4"), "130");
    }
    if alveary_testing::bpf::permitted(test) {
        for (version, verdict) in [("6.1.54", "XDP_ABORTED"), ("6.1.55", "XDP_PASS")] {
            let options = format!("--kernel-version {version} --kconfig config --json");
            let ran = session.output(&format!("run prog.o --prog told --pcap traffic.pcap --on linux {options}"));
            let counted: serde_json::Value = serde_json::from_str(&ran.stdout).expect(&ran.stderr);
            assert!(counted["verdicts"][verdict].is_number(), "{version}: {counted}");
        }
    }
    refused("disasm prog.o --btf other.btf".to_owned(), "other byte order");
    let session = session
        .run("disasm prog.o --prog asks --btf prog.o --kconfig config --kernel-version 6.1.55")
        .run("show prog.o --relocs --btf prog.o --kconfig config --kernel-version 6.1.55")
        .run("show prog.o --relocs --btf prog.o --kconfig config.none --kernel 6.2");
    golden("kernel-options.txt", session.text());
}

#[test]
fn the_types_that_an_object_needs_are_written_and_are_enough() {
    let test = "the_types_that_an_object_needs_are_written_and_are_enough";
    let source = r#"
        enum state { IDLE, BUSY = 1 };
        struct thing { int number; struct thing *next; } __attribute__((preserve_access_index));
        SEC("xdp") int number(struct thing *t) { return t->next->number; }
        SEC("xdp") int busy(void *t) { return __builtin_preserve_enum_value(*(enum state *)BUSY, 1); }
    "#;
    let types = "enum state { IDLE, BUSY = 5 } state; struct task { int pid; } task; \
                 struct thing { char before[40]; int number; struct { struct thing *next; struct task *task; }; } thing;";
    let (Some(session), Some(types)) = (compiled(test, source), object(test, types)) else { return };
    let types = alveary_object::read(&types).expect("it is an object").btf.expect("it has BTF");
    let session = session
        .file("kernel.btf", types.bytes())
        .run("gen min_core_btf kernel.btf least.btf prog.o")
        .run("btf dump file least.btf")
        .run("show prog.o --relocs --btf kernel.btf")
        .run("show prog.o --relocs --btf least.btf")
        .run("--json gen min_core_btf kernel.btf both.btf prog.o prog.o")
        .run("btf dump file least.btf --type 'enum state'")
        .run("btf dump file least.btf --type 'union thing'")
        .example("count.bpf.o")
        .run("gen min_core_btf count.bpf.o other.btf prog.o")
        .run("gen min_core_btf kernel.btf kernel.btf prog.o")
        .run("gen min_core_btf kernel.btf out.btf traffic.pcap");
    assert_eq!(session.read("least.btf"), session.read("both.btf"));
    golden("min-core-btf.txt", session.text());
}

/// Records that a callback is lent can be read. The addresses of symbols that are declared without a type are numbers.
#[test]
fn records_are_lent_and_symbols_have_addresses() {
    let test = "records_are_lent_and_symbols_have_addresses";
    let source = r#"
        struct { __uint(type, 31); __uint(max_entries, 4096); } ring SEC(".maps");
        static long (*bpf_user_ringbuf_drain)(void *map, void *callback, void *context, __u64 flags) = (void *)209;
        static void *(*bpf_dynptr_data)(const void *dynptr, __u32 offset, __u32 size) = (void *)203;
        static long sum(void *record, long *total) {
            int *value = bpf_dynptr_data(record, 0, 4);
            if (value) *total += *value;
            return 0;
        }
        SEC("tp/syscalls/sys_enter_getpid") int reads(void *context) {
            long total = 0;
            bpf_user_ringbuf_drain(&ring, sum, &total, 0);
            return 0;
        }
        extern const void bpf_prog_fops __attribute__((section(".ksyms")));
        SEC("tp/syscalls/sys_enter_getpid") int symbol(void *context) { return (long)&bpf_prog_fops == 5; }
    "#;
    let Some(session) = compiled(test, source) else { return };
    let output = session.output("check prog.o");
    assert_eq!(output.code, Some(0), "{}", output.stdout);
}

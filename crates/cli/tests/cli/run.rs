//! `alveary run`, on the examples.

use crate::{golden::golden, session::Session};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|why| panic!("{why}: {text}"))
}

fn examples() -> Session {
    ["count.bpf.o", "filter.bpf.o", "rewrite.bpf.o", "traffic.pcap"].into_iter().fold(Session::new(), Session::example)
}

#[test]
fn a_counter_shows_its_maps() {
    golden("run-count.txt", examples().run("run count.bpf.o --pcap traffic.pcap --dump-maps").text());
}

#[test]
fn a_filter_is_configured_without_a_loader() {
    let session = examples().run(
        "run filter.bpf.o --pcap traffic.pcap --dump-maps --map blocked_v4:192.0.2.0/31=1 --map 'blocked_v6:{length=64, address=2001:db8::}=0' \
         --map 'ports:{protocol=17,port=53}=1'",
    );
    golden("run-filter.txt", session.text());
}

#[test]
fn a_classifier_rewrites() {
    let session = examples().run(
        "run rewrite.bpf.o --pcap traffic.pcap --json \
         --map 'targets:{address=192.0.2.2,port=80,protocol=6}={address=192.0.2.9,port=8080,dscp=46}'",
    );
    golden("run-rewrite.txt", session.text());
}

#[test]
fn json_is_one_object_with_the_same_numbers() {
    let session = examples();
    let output = session.output("run count.bpf.o --pcap traffic.pcap --json");
    let value = json(&output.stdout);
    let keys: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    let expected = [
        "program",
        "type",
        "target",
        "packets",
        "bytes",
        "verdicts",
        "stopped",
        "changed",
        "ns_per_packet",
        "insns_per_packet",
        "verified",
        "maps",
    ];
    assert_eq!(keys, expected);
    assert_eq!(value["verdicts"]["XDP_PASS"], value["packets"]);
    assert_eq!(value["maps"]["kinds"]["entries"][0]["value"]["packets"], value["packets"]);
    // Proven, it runs uncounted.
    assert_eq!((&value["verified"], &value["insns_per_packet"]), (&true.into(), &Value::Null));
    let checked = json(&session.output("run count.bpf.o --pcap traffic.pcap --unverified --json").stdout);
    assert!(checked["insns_per_packet"].as_f64().expect("a number") > 10.0);
    assert_eq!((&checked["verdicts"], &checked["maps"]), (&value["verdicts"], &value["maps"]));
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn engines_give_the_same_and_native_code_is_for_the_proven() {
    let session = examples();
    let run = |engine: &str| {
        let options = "--map 'ports:{protocol=17,port=53}=1' --repeat 200 --json";
        let output = session.output(&format!("run filter.bpf.o --pcap traffic.pcap {options} --engine {engine}"));
        assert_eq!(output.stderr, "");
        let value = json(&output.stdout);
        (value["verdicts"].clone(), value["changed"].clone(), value["maps"].clone())
    };
    let interpreted = run("interp");
    assert_eq!(run("jit"), interpreted);
    assert_eq!(run("auto"), interpreted);
    let refused = session.output("run filter.bpf.o --pcap traffic.pcap --engine jit --unverified --json");
    let why = &json(&refused.stderr)["errors"][0];
    assert_eq!(why["code"], "not-native");
    let message = why["message"].as_str().expect("words");
    assert!(message.starts_with("there is no native code of program") && message.ends_with("it is not verified"));
}

#[test]
fn what_goes_on_and_what_does_not_add_up() {
    let session = examples();
    let output = session.output(
        "run filter.bpf.o --pcap traffic.pcap --map 'ports:{protocol=17,port=53}=1' --write on.pcap \
         --write-dropped off.pcapng.gz --packets packets.jsonl --json",
    );
    assert_eq!(output.stderr, "");
    let run = json(&output.stdout);
    let count = |name: &str| {
        let output = session.output(&format!("run count.bpf.o --pcap {name} --json"));
        json(&output.stdout)["packets"].as_u64().expect("a number")
    };
    assert_eq!(run["verdicts"]["XDP_PASS"], count("on.pcap"));
    assert_eq!(run["verdicts"]["XDP_DROP"], count("off.pcapng.gz"));
    let lines = String::from_utf8(session.read("packets.jsonl")).expect("it is text");
    let lines: Vec<_> = lines.lines().map(json).collect();
    assert_eq!(lines.len() as u64, run["packets"].as_u64().expect("a number"));
    for (line, number) in lines.iter().zip(1u64..) {
        assert_eq!(line["number"], number);
        assert_eq!(line["data"].as_str().map(str::len), line["length"].as_u64().map(|n| 2 * n as usize));
        assert_eq!(line["redirect"], Value::Null);
    }
    let dropped = lines.iter().filter(|l| l["verdict"] == "XDP_DROP" && l["value"] == 1).count();
    assert_eq!(run["verdicts"]["XDP_DROP"], dropped);
}

#[test]
fn each_repetition_begins_with_the_original_bytes() {
    let session = examples();
    let run = |options: &str| {
        let map = "--map 'targets:{address=192.0.2.2,port=80,protocol=6}={address=192.0.2.9,port=8080,dscp=46}'";
        let line = format!("run rewrite.bpf.o --pcap traffic.pcap {map} --write out.pcap --json {options}");
        let output = session.output(&line);
        assert_eq!((output.code, &*output.stderr), (Some(0), ""));
        (json(&output.stdout), session.read("out.pcap"))
    };
    let (once, bytes) = run("");
    let (thrice, again) = run("--repeat 3");
    assert_eq!(bytes, again);
    for key in ["packets", "changed", "verdicts", "insns_per_packet"] {
        assert_eq!(once[key], thrice[key], "{key}");
    }
    let rewritten = |run: &Value| run["maps"]["stats"]["entries"][1]["value"]["packets"].as_u64();
    assert_eq!(rewritten(&once).map(|n| 3 * n), rewritten(&thrice), "maps see every run");
}

#[test]
fn a_run_can_be_repeated_exactly() {
    let session = Session::new().example("traffic.pcap").file("random.s", RANDOM);
    let first = session.run("asm random.s -o random.o").run("run random.o --pcap traffic.pcap --seed 7");
    let verdicts = |line: &str| json(&first.output(line).stdout)["verdicts"].clone();
    let seven = verdicts("run random.o --pcap traffic.pcap --seed 7 --json");
    assert_eq!(seven, verdicts("run random.o --pcap traffic.pcap --seed 7 --json"));
    assert_ne!(seven, verdicts("run random.o --pcap traffic.pcap --seed 8 --json"));
    golden("run-seed.txt", first.text());
}

/// Drops every packet or lets it pass, by chance.
const RANDOM: &str = ".section xdp\nchance:\n  call bpf_get_prandom_u32\n  r0 &= 1\n  r0 += 1\n  exit\n";

/// Shows the time that the program sees, as its verdict: seconds.
const CLOCK: &str = ".section socket\nclock:\n  call bpf_ktime_get_ns\n  r0 /= 1000000000\n  exit\n";

#[test]
fn time_is_the_captures_unless_told_otherwise() {
    let session = Session::new().example("traffic.pcap").file("clock.s", CLOCK);
    assert_eq!(session.output("asm clock.s -o clock.o").code, Some(0));
    let seconds = |options: &str| -> Vec<u64> {
        let output = session.output(&format!("run clock.o --pcap traffic.pcap --json {options}"));
        let verdicts = json(&output.stdout)["verdicts"].as_object().expect("an object").clone();
        verdicts.keys().map(|k| k.parse().expect("a number")).collect()
    };
    let pcap = session.read("traffic.pcap");
    let first = u64::from(u32::from_le_bytes(pcap[24..28].try_into().expect("four bytes")));
    assert!(seconds("").contains(&first), "{first}: {:?}", seconds(""));
    assert!(!seconds("--time real").contains(&first));
}

/// Reads behind the packet's end.
const ASTRAY: &str = "\
.section xdp
astray:
    r2 = *(u32 *)(r1 + 4)   ; data_end
    r0 = *(u8 *)(r2 + 0)
    r0 = 2
    exit
";

#[test]
fn a_program_that_goes_astray_is_stopped() {
    let session = Session::new()
        .example("traffic.pcap")
        .file("astray.s", ASTRAY)
        .run("asm astray.s -o astray.o")
        .run("run astray.o --pcap traffic.pcap")
        .run("run astray.o --pcap traffic.pcap --unverified");
    golden("run-trap.txt", session.text());
    let object = session.output("run astray.o --pcap traffic.pcap --unverified --json");
    assert_eq!(json(&object.stdout)["verified"], false);
    assert_eq!(json(&object.stdout)["stopped"], json(&object.stdout)["packets"]);
    assert_eq!(json(&object.stderr)["errors"][0]["places"][0]["insn"], 1);
}

#[test]
fn an_endless_loop_ends_the_run() {
    let session = Session::new()
        .example("traffic.pcap")
        .file("endless.s", ".section xdp\nendless:\n  r0 = 1\n  goto endless\n")
        .run("asm endless.s -o endless.o")
        .run("run endless.o --pcap traffic.pcap --unverified --budget 12345 --repeat 3");
    golden("run-budget.txt", session.text());
}

#[test]
fn what_is_wrong_with_the_arguments_is_said() {
    let session = examples().file("note.txt", "not a capture\n");
    let pcap = session.read("traffic.pcap");
    let session = session
        .file("cut.pcap", &pcap[..1000])
        .run("run filter.bpf.o --pcap cut.pcap")
        .run("run filter.bpf.o --pcap note.txt")
        .run("run filter.bpf.o --pcap missing.pcap")
        .run("run missing.o --pcap traffic.pcap")
        .run("run filter.bpf.o --pcap traffic.pcap --prog fliter")
        .run("run filter.bpf.o --pcap traffic.pcap --map prots:1=1")
        .run("run filter.bpf.o --pcap traffic.pcap --map 'ports:{protocol=6,prot=80}=1'")
        .run("run filter.bpf.o --pcap traffic.pcap --map blocked_v4:10.0.0.300/8=1")
        .run("run filter.bpf.o --pcap traffic.pcap --map policy:1=1")
        .run("run filter.bpf.o --pcap traffic.pcap --map policy=1")
        .run("run filter.bpf.o --pcap traffic.pcap --map ports")
        .run("run filter.bpf.o --pcap traffic.pcap --type xpd")
        .run("run filter.bpf.o --pcap traffic.pcap --type sched_cls")
        .run("run filter.bpf.o --pcap traffic.pcap --repeat 0")
        .run("run filter.bpf.o")
        .run("run --pcap traffic.pcap");
    golden("run-errors.txt", session.text());
}

/// A capture of raw IP, made of the example's IPv4 packets without VLAN tag.
fn raw_ip(pcap: &[u8]) -> (Vec<u8>, u64) {
    let mut raw = pcap[..20].to_vec();
    raw.extend(101u32.to_le_bytes());
    let (mut at, mut packets) = (24, 0);
    while at < pcap.len() {
        let len = u32::from_le_bytes(pcap[at + 8..at + 12].try_into().expect("four bytes"));
        let (head, data) = (&pcap[at..at + 8], &pcap[at + 16..at + 16 + len as usize]);
        if data[12..14] == [8, 0] {
            raw.extend(head);
            raw.extend([len - 14, len - 14].map(u32::to_le_bytes).as_flattened());
            raw.extend(&data[14..]);
            packets += 1;
        }
        at += 16 + len as usize;
    }
    (raw, packets)
}

#[test]
fn raw_ip_gets_an_ethernet_header_but_for_classic_filters() {
    let session = examples();
    let (raw, packets) = raw_ip(&session.read("traffic.pcap"));
    // `tcpdump -y RAW -ddd ip` and `tcpdump -ddd ip`.
    let session = session
        .file("raw.pcap", raw)
        .file("raw.txt", "5\n48 0 0 0\n84 0 0 240\n21 0 1 64\n6 0 0 262144\n6 0 0 0\n")
        .file("ether.txt", "4\n40 0 0 12\n21 0 1 2048\n6 0 0 262144\n6 0 0 0\n");
    let run = |arguments: &str| json(&session.output(&format!("run {arguments} --json")).stdout);
    let counted = run("count.bpf.o --pcap raw.pcap --write ether.pcap");
    let kinds = &counted["maps"]["kinds"]["entries"];
    assert_eq!(
        (&kinds[0]["value"]["packets"], &kinds[1]["key"], &kinds[1]["value"]["packets"]),
        (&packets.into(), &2.into(), &packets.into())
    );
    assert_eq!(run("--cbpf raw.txt --pcap raw.pcap")["verdicts"]["262144"], packets);
    assert_eq!(run("--cbpf ether.txt --pcap raw.pcap")["verdicts"]["262144"], Value::Null);
    assert_eq!(run("--cbpf ether.txt --pcap ether.pcap")["verdicts"]["262144"], packets);
}

/// A loop over a packet's bytes.
const LOOP: &str = "\
.section xdp
.globl walk
walk:
    r2 = 0
again:
    r2 += 1
    if r2 != 500 goto again
    r0 = 2
    exit
";

#[test]
fn proven_programs_can_be_limited_hardened_and_named() {
    let session = Session::new().file("walk.s", LOOP).example("traffic.pcap").run("asm walk.s -o walk.o");
    let run = |options: &str| session.output(&format!("run walk.o --pcap traffic.pcap --json {options}"));
    let verdicts = |output: &str| -> serde_json::Value {
        serde_json::from_str::<serde_json::Value>(output).expect("JSON")["verdicts"].clone()
    };
    let plain = run("");
    assert_eq!(plain.code, Some(0), "{}", plain.stderr);
    assert_eq!(run("--budget 100").code, Some(0), "proven programs come to an end");
    let stopped = run("--budget 100 --fuel");
    assert_eq!(stopped.code, Some(1));
    assert!(stopped.stderr.contains("budget"), "{}", stopped.stderr);
    for options in ["--fuel", "--harden", "--fuel --engine interp"] {
        assert_eq!(verdicts(&run(options).stdout), verdicts(&plain.stdout), "{options}");
    }
    let counted = session.output("run walk.o --pcap traffic.pcap --fuel --engine interp");
    assert!(counted.stderr.contains("it is proven, but instructions are to be counted"), "{}", counted.stderr);
    assert!(!counted.stderr.contains("cannot be proven"), "{}", counted.stderr);
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return;
    }
    assert_eq!(run("--engine jit --perf-map").code, Some(0));
    let maps = std::fs::read_dir("/tmp").expect("there is one").flatten().filter_map(|file| {
        let name = file.file_name().into_string().ok()?;
        (name.starts_with("perf-") && name.ends_with(".map")).then(|| file.path())
    });
    let ours: Vec<_> = maps
        .filter(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains(" bpf_walk::walk\n")))
        .collect();
    assert!(!ours.is_empty());
    ours.iter().for_each(|path| drop(std::fs::remove_file(path)));
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn every_function_of_a_dump_has_its_lines() {
    // All but the last one had none: what is between functions made them longer than their code.
    let source = r#"
        static __attribute__((noinline)) int first(int x) { return x * 3 + 1; }
        static __attribute__((noinline)) int second(int x) { return x ^ first(x + 7); }
        SEC("xdp") int both(struct xdp_md *context) { return second(context->ingress_ifindex) & 3; }
    "#;
    let Some(object) = crate::compiled::object("every_function_of_a_dump_has_its_lines", source) else { return };
    let session = Session::new().example("traffic.pcap").file("both.bpf.o", object);
    // Functions are not made part of each other in code that takes fuel and stops.
    let output = session.output("run both.bpf.o --pcap traffic.pcap --engine jit --fuel --jitdump .");
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let dumps = std::fs::read_dir(session.directory()).expect("the session's folder").flatten();
    let dump = dumps.map(|file| file.path()).find(|path| path.extension().is_some_and(|kind| kind == "dump"));
    let dump = std::fs::read(dump.expect("there is one")).expect("it was written");
    let kinds: Vec<u32> = records(&dump).iter().map(|(what, _)| *what).collect();
    assert_eq!(kinds, [2, 0, 2, 0, 2, 0, 3]);
}

/// The records of a dump for `perf inject --jit`: what each is, and the rest of it.
fn records(dump: &[u8]) -> Vec<(u32, &[u8])> {
    let word = |at: usize| u32::from_ne_bytes(dump[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((word(0), word(4)), (0x4a69_5444, 1), "it begins with its magic number and version");
    let (mut at, mut records) = (word(8) as usize, Vec::new());
    while at < dump.len() {
        let end = at + word(at + 4) as usize;
        records.push((word(at), &dump[at + 16..end]));
        at = end;
    }
    records
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn native_code_is_dumped_for_profilers() {
    let session = Session::new().example("count.bpf.o").example("traffic.pcap");
    let output = session.output("run count.bpf.o --pcap traffic.pcap --engine jit --jitdump .");
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let dumps = std::fs::read_dir(session.directory()).expect("the session's folder").flatten();
    let dumps: Vec<_> = dumps.filter(|file| file.path().extension().is_some_and(|kind| kind == "dump")).collect();
    assert_eq!(dumps.len(), 1);
    let dump = std::fs::read(dumps[0].path()).expect("it was written");
    let records = records(&dump);
    // Lines of a function come before its code; the last record ends the file.
    let kinds: Vec<u32> = records.iter().map(|(what, _)| *what).collect();
    assert_eq!(kinds[..2], [2, 0]);
    assert_eq!(kinds.last(), Some(&3));
    let wide = |bytes: &[u8], at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let (lines, code) = (records[0].1, records[1].1);
    let (address, size) = (wide(code, 8), wide(code, 24) as usize);
    assert_eq!(wide(lines, 0), address);
    assert!(wide(lines, 8) > 5, "many lines became this code");
    assert!((address..address + size as u64).contains(&wide(lines, 16)), "a line's code is the function's");
    assert!(String::from_utf8_lossy(lines).contains("count.bpf.c\0"));
    let name = code[40..].split(|byte| *byte == 0).next().expect("there is a name");
    assert_eq!(String::from_utf8_lossy(name), "bpf_count::count");
    assert_eq!(code.len(), 40 + name.len() + 1 + size);

    let refused = session.output("run count.bpf.o --pcap traffic.pcap --jitdump nowhere");
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("nowhere") && refused.stderr.contains("--jitdump DIR"), "{}", refused.stderr);
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn native_code_takes_no_more_than_it_may() {
    let session = Session::new().example("count.bpf.o").example("traffic.pcap");
    let run = |options: &str| session.output(&format!("run count.bpf.o --pcap traffic.pcap {options}"));
    let refused = run("--engine jit --native-limit 4000");
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    assert!(refused.stderr.contains("4000"), "{}", refused.stderr);
    for fits in ["--native-limit 4000", "--engine jit --native-limit 1000000"] {
        assert_eq!(run(fits).code, Some(0), "{fits}");
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn names_of_native_code_are_asked_for_where_there_is_some() {
    let session = Session::new().example("count.bpf.o").example("traffic.pcap");
    for (options, other) in [
        ("--perf-map --engine interp", "--engine interp"),
        ("--jitdump . --engine interp", "--engine interp"),
        ("--jitdump . --unverified", "--unverified"),
        ("--harden --unverified", "--unverified"),
        ("--harden --engine interp", "--engine interp"),
        ("--native-limit 9000 --engine interp", "--engine interp"),
    ] {
        let refused = session.output(&format!("run count.bpf.o --pcap traffic.pcap {options}"));
        assert_eq!(refused.code, Some(1), "{options}");
        assert!(refused.stderr.contains(&format!("with `{other}` there is none")), "{}", refused.stderr);
    }
    // Without a packet nothing turns hot.
    let header = session.read("traffic.pcap")[..24].to_vec();
    let session = session.file("none.pcap", header);
    let few = session.output("run count.bpf.o --pcap none.pcap --jitdump .");
    assert_eq!(few.code, Some(0), "{}", few.stderr);
    assert!(few.stderr.contains("`--engine jit` makes it at once"), "{}", few.stderr);
}

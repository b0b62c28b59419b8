//! `alveary disasm`.

use crate::{golden::golden, session::Session};

#[test]
fn a_program_is_shown_with_its_source() {
    let session = Session::new().example("rewrite.bpf.o").run("disasm rewrite.bpf.o --source");
    golden("disasm-source.txt", session.text());
}

#[test]
fn bytes_stand_before_the_text() {
    let session = Session::new().example("filter.bpf.o").run("disasm filter.bpf.o --prog filter --raw");
    golden("disasm-raw.txt", session.text());
}

#[test]
fn json_has_every_instruction_with_its_source() {
    let session = Session::new().example("count.bpf.o");
    let text = session.output("disasm count.bpf.o --json").stdout;
    let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let insns = value["functions"][0]["insns"].as_array().expect("there are instructions");
    assert_eq!(insns.len(), session.output("disasm count.bpf.o").stdout.lines().filter(|l| l.starts_with(' ')).count());
    assert_eq!(insns[0]["source"]["text"], "int count(struct xdp_md *context)");
    assert!(insns.iter().any(|i| i["text"] == "exit" && i["bytes"] == "9500000000000000"));
}

#[test]
fn a_missing_name_is_answered_with_the_nearest() {
    let session = Session::new()
        .example("filter.bpf.o")
        .run("disasm filter.bpf.o --prog filtre")
        .run("disasm filter.bpf.o --prog xyz")
        .run("--json disasm filter.bpf.o --prog filtre");
    golden("disasm-names.txt", session.text());
}

/// `tcpdump -ddd 'udp port 53'` on Ethernet.
const DNS: &str = "20\n40 0 0 12\n21 0 6 34525\n48 0 0 20\n21 0 15 17\n40 0 0 54\n21 12 0 53\n40 0 0 56\n21 10 11 53\n\
    21 0 10 2048\n48 0 0 23\n21 0 8 17\n40 0 0 20\n69 6 0 8191\n177 0 0 14\n72 0 0 14\n21 2 0 53\n72 0 0 16\n\
    21 0 1 53\n6 0 0 262144\n6 0 0 0\n";

#[test]
fn a_classic_filter_is_shown_as_tcpdump_does_and_in_ebpf() {
    let session =
        Session::new().file("dns.txt", DNS).run("disasm --cbpf dns.txt").run("disasm --cbpf dns.txt --ebpf --raw");
    golden("disasm-cbpf.txt", session.text());
    let json: serde_json::Value =
        serde_json::from_str(&session.output("disasm --cbpf dns.txt --json").stdout).expect("it is JSON");
    assert_eq!(json["insns"].as_array().map(Vec::len), Some(20));
    assert_eq!(json["insns"][0]["text"], "(000) ldh      [12]");
}

#[test]
fn what_is_wrong_with_a_filter_is_shown_in_its_text() {
    let session = Session::new()
        .file("text.txt", "ip and udp\n")
        .file("short.txt", "3\n40 0 0 12\n6 0 0 0\n")
        .file("field.txt", "2\n40 0 0 twelve\n6 0 0 0\n")
        .file("far.txt", "2\n21 9 0 1\n6 0 0 0\n")
        .file("nla.txt", "2\n32 0 0 4294963212\n6 0 0 0\n")
        .run("disasm --cbpf text.txt")
        .run("disasm --cbpf short.txt")
        .run("disasm --cbpf field.txt")
        .run("disasm --cbpf far.txt")
        .run("disasm --cbpf nla.txt --ebpf");
    golden("disasm-cbpf-errors.txt", session.text());
}

/// Each rule of lowering: fields, a lookup in an array and one in a hash, what is never reached, the CPU's number.
const LOWERED: &str = "\
.section xdp
lowered:
    r2 = *(u32 *)(r1 + 4)
    r3 = *(u32 *)(r1 + 0)
    r4 = r3
    r4 += 14
    if r4 > r2 goto out
    r6 = *(u8 *)(r3 + 12)
    call bpf_get_smp_processor_id
    r0 &= 1
    if r0 < 2 goto out
    r0 = 7
out:
    r0 = 2
    exit
";

#[test]
fn lowered_code_stands_beside_what_was_proven() {
    let session = Session::new()
        .example("count.bpf.o")
        .file("lowered.s", LOWERED)
        .run("asm lowered.s -o lowered.o")
        .run("disasm lowered.o --lowered")
        .run("disasm count.bpf.o --lowered");
    golden("disasm-lowered.txt", session.text());
    let value: serde_json::Value =
        serde_json::from_str(&session.output("disasm lowered.o --lowered --json").stdout).expect("JSON");
    let program = &value["programs"][0];
    assert_eq!((&program["proven"], &program["insns"][4]["facts"]), (&true.into(), &"".into()));
    assert_eq!(program["insns"][9]["facts"], "never reached");
}

#[test]
fn lowering_is_shown_without_its_passes() {
    let session = Session::new()
        .file("lowered.s", LOWERED)
        .run("asm lowered.s -o lowered.o")
        .run("disasm lowered.o --lowered --without dead")
        .run("disasm lowered.o --lowered --without array,unroll");
    golden("disasm-lowered-without.txt", session.text());
}

/// A field, a function that is called, a branch.
const NATIVE: &str = "\
.section xdp
.globl native
native:
    r1 = *(u32 *)(r1 + 12)
    call double
    if r0 != 10 goto out
    r0 += 3
out:
    r0 &= 255
    exit
double:
    r0 = r1
    r0 *= 2
    exit
";

#[test]
fn ir_and_native_code_stand_beside_what_they_come_from() {
    let session = Session::new()
        .file("native.s", NATIVE)
        .example("count.bpf.o")
        .run("asm native.s -o native.o")
        .run("disasm native.o --clif");
    golden("disasm-clif.txt", session.text());
    let json = |options: &str| -> serde_json::Value {
        serde_json::from_str(&session.output(&format!("disasm {options} --json")).stdout).expect("JSON")
    };
    let of_double = |options: &str| json(options)["programs"][0]["functions"][1]["lines"].to_string();
    assert!(of_double("native.o --clif").contains("imul"));
    assert!(!of_double("native.o --clif=optimized").contains("imul"), "twice is a shift");
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return;
    }
    let functions = json("native.o --jit")["programs"][0]["functions"].clone();
    assert_eq!((&functions[0]["name"], &functions[1]["name"]), (&"native".into(), &"double".into()));
    let lines = functions[1]["lines"].as_array().expect("lines").clone();
    let bytes: usize = lines.iter().map(|line| line["bytes"].as_str().expect("hex").len() / 2).sum();
    assert_eq!(functions[1]["size"], bytes, "every byte is shown");
    assert!(lines.iter().any(|line| line["lowered"] == "exit"), "{lines:?}");
    let text = session.output("disasm count.bpf.o --jit").stdout;
    assert!(text.contains("; __u64 bytes = context->data_end - context->data; @ "), "source lines are there: {text}");
    assert!(text.contains("; 3: r4 = *(u64 *)(r1 + 0)"), "so are instructions: {text}");
}

/// Two programs, of which the verifier takes one.
const HALF: &str = "\
.section xdp
good:
    r0 = 2
    exit
.section tc
short:
    r1 = *(u32 *)(r1 + 76)
    r0 = *(u8 *)(r1 + 0)
    exit
";

#[test]
fn a_rejected_program_does_not_hide_the_others() {
    let session = Session::new().file("half.s", HALF).run("asm half.s -o half.o");
    for options in ["--lowered", "--clif", "--jit"] {
        if options == "--jit" && !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
            continue;
        }
        let output = session.output(&format!("disasm half.o {options}"));
        assert_eq!(output.code, Some(1), "{options}: {}", output.stderr);
        assert!(output.stdout.contains("good") && !output.stdout.contains("short"), "{options}: {}", output.stdout);
        assert!(output.stderr.contains("half.o  in `short` (instruction 1)"), "{options}: {}", output.stderr);
    }
    let alone = session.output("disasm half.o --lowered --prog good");
    assert_eq!((alone.code, &*alone.stderr), (Some(0), ""));
    if cfg!(target_arch = "x86_64") {
        let refused = session.output("compile half.o -o half.lib.o");
        assert_eq!(refused.code, Some(1));
        assert!(refused.stderr.contains("in `short`"), "{}", refused.stderr);
        assert!(refused.stderr.contains("`--prog NAME` compiles one of the others alone: good"), "{}", refused.stderr);
        assert!(!session.exists("half.lib.o"));
        // One that the verifier takes and no library has is no other.
        let more = format!(
            "{HALF}.section lwt_in\nroute:\n    r0 = 0\n    exit\n.section lwt_out\nway:\n    r0 = 0\n    exit\n"
        );
        let session = session.file("more.s", more).run("asm more.s -o more.o");
        let refused = session.output("compile more.o -o more.lib.o").stderr;
        for name in ["in `short`", "program `route` cannot be compiled", "program `way` cannot be compiled"] {
            assert!(refused.contains(name), "{refused}");
        }
        assert!(refused.contains("one of the others alone: good\n"), "{refused}");
    }
}

#[test]
fn passes_are_left_out_of_what_is_compiled_only() {
    let session = Session::new().example("count.bpf.o");
    for options in ["", "--unresolved", "--raw"] {
        let output = session.output(&format!("disasm count.bpf.o --without unroll {options}"));
        assert_eq!(output.code, Some(2), "{options}: {}", output.stdout);
        assert!(output.stderr.contains("--clif") && output.stderr.contains("--jit"), "{options}: {}", output.stderr);
    }
    assert_eq!(session.output("disasm count.bpf.o --clif --without unroll").code, Some(0));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn jumps_lead_to_labels_and_calls_to_names() {
    let text = "\
.section xdp
jumps:
    r6 = r1
    r7 = 0
    r8 = 0
    r2 = 0
    call bpf_xdp_adjust_head
again:
    call bpf_get_prandom_u32
    r7 += r0
    r8 += 1
    if r8 != 9 goto again
    r1 = r7
    call large
    exit
large:
    r2 = r1
    call bpf_ktime_get_ns
    r0 = 2
    exit
";
    let session = Session::new().file("jumps.s", text).run("asm jumps.s -o jumps.o");
    let output = session.output("disasm jumps.o --jit --without inline,unroll");
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let has = |wanted: &str| output.stdout.lines().any(|line| line.contains(wanted));
    assert!(has(".L1:") && has(" .L1"), "{}", output.stdout);
    assert!(has("; bpf_xdp_adjust_head"), "{}", output.stdout);
    assert!(has("call   large"), "{}", output.stdout);
    // No jump is shown by an address alone.
    let jumps = output.stdout.lines().filter_map(|line| line.split_once(": j").map(|(_, rest)| rest));
    assert!(jumps.clone().count() > 0 && jumps.clone().all(|rest| rest.contains(".L")), "{}", output.stdout);
}

#[test]
fn what_has_nothing_to_do_with_the_packet_is_not_told_of_its_end() {
    // A number of the context, used as an address.
    let text = ".section xdp\nnumber:\n    r1 = *(u32 *)(r1 + 12)\n    r0 = *(u8 *)(r1 + 0)\n    exit\n";
    let session = Session::new().file("number.s", text).run("asm number.s -o number.o");
    let rejected = session.output("disasm number.o --lowered");
    assert!(rejected.stderr.contains("[not-a-pointer]"), "{}", rejected.stderr);
    assert!(!rejected.stderr.contains("data_end"), "{}", rejected.stderr);
}

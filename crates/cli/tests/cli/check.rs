//! `alveary check`.

use crate::{golden::golden, session::Session};
use alveary_btf::{Builder, Linkage, New, TypeId};
use alveary_isa::Endian;

const GOOD_AND_BAD: &str = "\
.section xdp
good:
    r0 = 2
    exit
.section xdp.frags
bad:
    r2 = *(u32 *)(r1 + 0)
    r0 = *(u8 *)(r2 + 5)
    exit
";

const GOOD: &str = ".section xdp\nprog:\n    r0 = 2\n    exit\n";
const BAD: &str = ".section xdp\nprog:\n    r2 = *(u32 *)(r1 + 0)\n    r0 = *(u8 *)(r2 + 5)\n    exit\n";

#[test]
fn a_rejection_shows_where_and_the_kernels_words() {
    let session = Session::new()
        .file("two.s", GOOD_AND_BAD)
        .run("asm two.s -o two.o")
        .run("check two.o --prog bad")
        .run("check two.o --prog bad --format kernel")
        .run("check two.o --prog nothing");
    golden("check.txt", session.text());
}

#[test]
fn every_program_has_a_line() {
    let session = Session::new().file("two.s", GOOD_AND_BAD);
    assert_eq!(session.output("asm two.s -o two.o").code, Some(0));
    let csv = session.output("check two.o --format csv -j 2");
    assert_eq!(csv.code, Some(1), "one is rejected");
    let lines: Vec<&str> = csv.stdout.lines().collect();
    assert!(lines[0].starts_with("file_name,prog_name,verdict,"), "{}", lines[0]);
    assert!(lines[1].starts_with("two.o,good,success,") && lines[2].starts_with("two.o,bad,failure,"), "{lines:?}");
    let twice = session.output("check two.o two.o --format csv -j 3");
    let again: Vec<&str> = twice.stdout.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(again, ["good", "bad", "good", "bad"], "side by side, told in order");
    let json = session.output("check two.o --format json");
    let verdicts: Vec<serde_json::Value> =
        json.stdout.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert_eq!(verdicts[0]["verdict"], "accept");
    assert_eq!(verdicts[0]["insns_processed"], 2);
    assert_eq!((&verdicts[1]["verdict"], &verdicts[1]["instruction"]), (&"reject".into(), &1.into()));
}

/// No kernel would be asked about it: it is not judged, and not well.
#[test]
fn what_does_not_resolve_is_not_well() {
    let session = Session::new().file("plugin.s", ".section plugin\nmine:\n    r0 = 2\n    exit\n");
    assert_eq!(session.output("asm plugin.s -o plugin.o").code, Some(0));
    let unresolved = session.output("check plugin.o");
    assert!(unresolved.stdout.contains("not judged: "), "{}", unresolved.stdout);
    assert!(unresolved.stdout.contains("   = help: give the type: `--type xdp`"), "{}", unresolved.stdout);
    assert_eq!(unresolved.code, Some(1));
    let before = session.output("check plugin.o --type xdp --kernel 4.7");
    assert!(before.stdout.contains("not judged: xdp programs came with Linux 4.8"), "{}", before.stdout);
    assert_eq!(before.code, Some(1));
    assert_eq!(session.output("check plugin.o --type xdp").code, Some(0));
}

/// One object that cannot be read takes nothing from the others.
#[test]
fn an_object_that_is_cut_is_told_beside_the_others() {
    let session = Session::new().file("two.s", GOOD_AND_BAD).file("cut.o", b"\x7fELF");
    assert_eq!(session.output("asm two.s -o two.o").code, Some(0));
    let both = session.output("check cut.o two.o --prog good");
    assert_eq!(both.code, Some(1));
    assert!(both.stdout.contains("good"), "{}", both.stdout);
    assert!(both.stderr.contains("cut.o"), "{}", both.stderr);
}

#[test]
fn what_is_too_large_for_an_object_is_not_read() {
    let session = Session::new().file("large.o", vec![0; (32 << 20) + 1]);
    let output = session.output("check large.o");
    assert_eq!((output.code, &*output.stdout), (Some(1), ""));
    assert!(output.stderr.contains("error[object-size]"), "{}", output.stderr);
}

/// Side by side there is little memory for each: what needs more waits for its turn, and has the same verdict.
#[test]
fn verdicts_are_the_same_however_many_are_judged_at_a_time() {
    let session = Session::new().example("count.bpf.o").example("filter.bpf.o").example("rewrite.bpf.o");
    let objects = ["count.bpf.o", "filter.bpf.o", "rewrite.bpf.o"].repeat(8).join(" ");
    let run = |workers: u32| {
        let output = session.output(&format!("check {objects} --format csv -j {workers}"));
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        // All but how long it took.
        let known =
            |line: &str| line.split(',').enumerate().filter(|(n, _)| *n != 3).map(|(_, v)| v.to_owned()).collect();
        output.stdout.lines().map(known).collect::<Vec<Vec<String>>>()
    };
    let one = run(1);
    assert!(one.len() > 24);
    for workers in [2, 24] {
        assert_eq!(run(workers), one);
    }
}

#[test]
fn the_examples_would_load() {
    let session = Session::new().example("rewrite.bpf.o").example("filter.bpf.o");
    let output = session.output("check rewrite.bpf.o --json");
    assert_eq!((output.code, &*output.stderr), (Some(0), ""));
    let verdict: serde_json::Value = serde_json::from_str(&output.stdout).expect("it is JSON");
    assert_eq!(verdict["verdict"], "accept");
    // Linux 5.2 does not have ring buffers or the like, but this program needs none of what came later.
    let old = session.output("check filter.bpf.o --kernel 5.4");
    assert_eq!(old.code, Some(0), "{}", old.stdout);
    // The kernel is named with its stable level: the one that is asked for, or the newest that is known.
    assert!(old.stdout.ends_with("1 program on Linux 5.4.0: 1 ok, 0 rejected, 0 not judged\n"), "{}", old.stdout);
    for (asked, named) in [("6.12", "6.12.117"), ("6.12.74", "6.12.74")] {
        let text = session.output(&format!("check filter.bpf.o --kernel {asked}")).stdout;
        assert!(text.contains(&format!("on Linux {named}: ")), "{text}");
        let json = session.output(&format!("check filter.bpf.o --kernel {asked} --json")).stdout;
        assert!(json.contains(&format!("\"kernel\":\"{named}\"")), "{json}");
    }
}

#[test]
fn rights_and_flags_change_the_verdict() {
    const LEAKS: &str = ".section socket\nleaks:\n    r0 = r1\n    exit\n.section xdp\nlate:\n    r0 = 2\n    exit\n";
    let session = Session::new().file("two.s", LEAKS);
    assert_eq!(session.output("asm two.s -o two.o").code, Some(0));
    let user = session.output("check two.o --caps none");
    assert_eq!(user.code, Some(1));
    assert!(user.stdout.contains("R0 leaks addr as return value"), "{}", user.stdout);
    assert!(user.stdout.contains("programs of this type ask for CAP_BPF"), "{}", user.stdout);
    assert_eq!(session.output("check two.o --prog late --caps bpf,net_admin").code, Some(0));
    let sleeps = session.output("check two.o --prog late --flags sleepable");
    assert!(sleeps.stdout.contains("uprobe, and struct_ops programs can be sleepable"), "{}", sleeps.stdout);
    for (options, says) in [
        ("--flags sleepeable", "there is no load flag `sleepeable`: did you mean `sleepable`?"),
        ("--caps net_amin", "there is no capability `net_amin`: did you mean `net_admin`?"),
        ("--type tc", "there is no program type `tc`: did you mean `sched_cls`?"),
    ] {
        let wrong = session.output(&format!("check two.o {options}"));
        assert_eq!(wrong.code, Some(2), "a wrong word is a wrong option: {options}");
        assert!(wrong.stderr.contains(says), "{}", wrong.stderr);
    }
    let elsewhere = session.output("check two.o --prog late --attach tcx_ingress");
    assert!(elsewhere.stderr.contains("xdp programs are not attached as tcx_ingress"), "{}", elsewhere.stderr);
    assert_eq!(session.output("check two.o --prog late --attach xdp_devmap").code, Some(0));
}

/// A place in the kernel stands for what the section's name does not say; types that have none are few.
#[test]
fn programs_are_judged_for_a_function_of_the_kernel() {
    const PROBES: &str = ".section kprobe\nprobe:\n    r0 = 0\n    exit\n.section raw_tp\npoint:\n    r0 = 0\n    exit\n\
        .section fentry\nentry:\n    r0 = 0\n    exit\n.section tc\npacket:\n    r0 = 0\n    exit\n";
    let session = Session::new().file("probes.s", PROBES).file("kernel.btf", kernel_types());
    assert_eq!(session.output("asm probes.s -o probes.o").code, Some(0));
    let check = |options: &str| session.output(&format!("check probes.o --btf kernel.btf {options}"));
    assert_eq!(check("--prog probe --attach tcp_connect").code, Some(0));
    assert_eq!(check("--prog point --attach sched_switch").code, Some(0));
    let entry = check("--prog entry --attach tcp_connect");
    assert!(entry.stdout.contains("= not judged: programs whose target is a kernel function"), "{}", entry.stdout);
    for (options, says) in [
        ("--prog probe --attach tcp_conect", "`tcp_conect`, which the kernel's types do not have"),
        ("--prog point --attach sched_swich", "help: did you mean `sched_switch`?"),
        ("--prog entry --attach tcp_conect", "help: did you mean `tcp_connect`?"),
        ("--prog probe --attach tcp_connect+x", "expected: `FUNCTION` or `FUNCTION+OFFSET`"),
        ("--prog packet --attach tcp_connect", "sched_cls programs are not for a function of the kernel"),
    ] {
        let wrong = check(options);
        assert_eq!(wrong.code, Some(1), "{options}: {}", wrong.stdout);
        assert!(wrong.stderr.contains(says), "{options}: {}", wrong.stderr);
    }
}

/// A kernel with a function and a tracepoint, whose types are named as Linux names them.
fn kernel_types() -> Vec<u8> {
    let mut types = Builder::new(Endian::Little);
    let proto = types.add(&New::FuncProto { ret: TypeId::VOID, params: &[] });
    types.add(&New::Func { name: "tcp_connect", proto, linkage: Linkage::Static });
    let pointer = types.add(&New::Ptr(proto));
    types.add(&New::Typedef { name: "btf_trace_sched_switch", ty: pointer });
    types.write()
}

#[test]
fn a_run_is_held_against_an_earlier_one() {
    let session = Session::new().file("two.s", GOOD_AND_BAD);
    assert_eq!(session.output("asm two.s -o two.o").code, Some(0));
    let csv = session.output("check two.o --format csv").stdout;
    // As veristat may have written it: other columns, in another order.
    let veristat = "verdict,prog_name,file_name,total_insns\nsuccess,good,two.o,1\nsuccess,bad,two.o,2\n";
    let session = session.file("before.csv", &csv).file("veristat.csv", veristat).file("empty.csv", "a,b\n");
    let same = session.output("check two.o --compare before.csv");
    assert_eq!((same.code, &*same.stdout), (Some(0), "2 programs: 2 as before, 0 differ, 0 worse\n"));
    let worse = session.output("check two.o --compare veristat.csv");
    assert_eq!(worse.code, Some(1));
    let bad = worse.stdout.lines().find(|line| line.contains(" bad ")).expect("it differs");
    assert!(bad.contains("success") && bad.contains("failure") && bad.contains("MISMATCH"), "{bad}");
    assert!(worse.stdout.contains("+1 (+100.00%)"), "{}", worse.stdout);
    let unknown = session.output("check two.o --compare empty.csv");
    assert!(unknown.stderr.contains("it has no column `file_name`"), "{}", unknown.stderr);
}

/// Once the last row of those with a file's name counted for all of them.
#[test]
fn objects_of_one_name_are_held_against_their_own_rows() {
    let session = Session::new().file("good.s", GOOD).file("bad.s", BAD);
    for folder in ["one", "two"] {
        std::fs::create_dir(session.directory().join(folder)).expect("a folder");
        assert_eq!(session.output(&format!("asm good.s -o {folder}/x.o")).code, Some(0));
    }
    let before = session.output("check one/x.o two/x.o --format csv").stdout;
    let session = session.file("before.csv", &before);
    assert_eq!(session.output("asm bad.s -o one/x.o").code, Some(0));
    let worse = session.output("check two/x.o one/x.o --compare before.csv");
    assert_eq!(worse.code, Some(1));
    assert!(
        worse.stdout.lines().any(|line| line.starts_with("one/x.o") && line.contains("MISMATCH")),
        "{}",
        worse.stdout
    );
    assert!(worse.stdout.ends_with("2 programs: 1 as before, 1 differ, 1 worse\n"), "{}", worse.stdout);
    let less = session.output("check two/x.o --compare before.csv");
    assert!(less.stdout.ends_with("2 programs: 1 as before, 1 differ, 0 worse, 1 gone\n"), "{}", less.stdout);
}

#[test]
fn damaged_baselines_are_refused_with_their_line() {
    let names = "file_name,prog_name,verdict,total_insns\n";
    let cases = [
        ("two.o,good,succ\n", "line 2: it has not a value for each column"),
        ("two.o,good,success,1\ntwo.o,bad,failed,2\n", "line 3: this is no verdict"),
        ("two.o,good,success,abc\n", "line 2: `total_insns` is no number"),
        ("", "it names no program"),
    ];
    for (rows, expected) in cases {
        let session = Session::new().file("two.s", GOOD_AND_BAD).file("before.csv", format!("{names}{rows}"));
        assert_eq!(session.output("asm two.s -o two.o").code, Some(0));
        let refused = session.output("check two.o --compare before.csv");
        assert_eq!(
            (refused.code, refused.stderr.contains(expected)),
            (Some(1), true),
            "{expected}: {}",
            refused.stderr
        );
    }
}

#[test]
fn options_without_a_place_in_the_format_are_refused() {
    let session = Session::new().file("two.s", GOOD_AND_BAD);
    assert_eq!(session.output("asm two.s -o two.o").code, Some(0));
    for (options, expected) in [
        ("--facts", "--facts has no place in --format human"),
        ("--stats --format csv", "--stats has no place in --format csv"),
        ("--log 2 --format human", "--log has no place in --format human"),
        ("--json --format csv", "--json has no place in --format csv"),
    ] {
        let refused = session.output(&format!("check two.o {options}"));
        assert!(refused.code == Some(1) && refused.stderr.contains(expected), "{options}: {}", refused.stderr);
    }
    assert!(session.output("check two.o --prog bad --log 1").stdout.contains("processed 2 insns"));
    let line: serde_json::Value =
        serde_json::from_str(&session.output("check two.o --prog bad --log 1 --json").stdout).expect("JSON");
    assert!(line["log"].as_str().is_some_and(|log| log.contains("processed 2 insns")), "{line}");
}

#[test]
fn facts_are_told_of_each_instruction() {
    let session = Session::new().example("count.bpf.o");
    let output = session.output("check count.bpf.o --format json --facts").stdout;
    let value: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    let first = &value["facts"][0];
    assert_eq!((&first["text"], &first["umax"], &first["words"]), (&"w3 = 1".into(), &1.into(), &"gives 1".into()));
    assert!(value["facts"].as_array().expect("a list").iter().all(|fact| fact["reached"] == true));
}

/// The ways of the second branch meet again; those of the first leave.
const WAYS: &str = "\
.section xdp
splits:
    r6 = *(u32 *)(r1 + 12)
    r1 = 1
    r2 = 2
    r3 = 3
    r4 = 4
    if r6 > 7 goto out
    r7 = 0
    if r6 > 3 goto met
    r7 = 0
met:
    r0 = 2
    exit
out:
    r0 = 1
    exit
";

#[test]
fn work_is_told_by_place() {
    let session = Session::new().file("ways.s", WAYS);
    assert_eq!(session.output("asm ways.s -o ways.o").code, Some(0));
    let human = session.output("check ways.o --stats").stdout;
    let tables = human.split_once('\n').expect("it has lines").1;
    golden("check-stats.txt", tables);
    let json = session.output("check ways.o --stats --json").stdout;
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let (work, processed) = (&value["work"], value["insns_processed"].as_u64());
    let sum = |list: &str| -> Option<u64> {
        work[list].as_array()?.iter().map(|share| share["insns_processed"].as_u64()).sum()
    };
    assert_eq!((sum("instructions"), sum("functions")), (processed, processed), "{work}");
    assert_eq!((&work["branches"], &work["never_merged"][0]["instruction"]), (&2.into(), &5.into()), "{work}");
    let plain = session.output("check ways.o --json").stdout;
    assert!(!plain.contains("never_merged"), "{plain}");
}

//! The files that a command line names.

use crate::session::Session;
use std::fs;

const DROP: &str = ".section xdp\ndrop:\n  r0 = 1\n  exit\n";

fn session() -> Session {
    let session = Session::new().example("traffic.pcap").file("drop.s", DROP);
    assert_eq!(session.output("asm drop.s -o drop.o").code, Some(0));
    session
}

#[test]
fn nothing_is_written_over_what_is_read() {
    let session = session();
    let (pcap, object) = (session.read("traffic.pcap"), session.read("drop.o"));
    let here = session.directory();
    std::os::unix::fs::symlink("traffic.pcap", here.join("soft.pcap")).expect("a link can be made");
    fs::hard_link(here.join("traffic.pcap"), here.join("hard.pcap")).expect("a link can be made");
    for output in [
        "--write traffic.pcap",
        "--write ./traffic.pcap",
        "--write soft.pcap",
        "--write hard.pcap",
        "--write-dropped soft.pcap",
        "--packets hard.pcap",
        "--packets drop.o",
    ] {
        let ran = session.output(&format!("run drop.o --pcap traffic.pcap {output}"));
        assert_eq!(ran.code, Some(1), "{output}");
        assert!(ran.stderr.starts_with("error[same-file]: --"), "{output}: {}", ran.stderr);
        assert!(session.read("traffic.pcap") == pcap && session.read("drop.o") == object, "{output}");
    }
    let ran = session.output("asm drop.s -o ./drop.s");
    assert!(ran.stderr.starts_with("error[same-file]: --output would write over the file that the text reads"));
    assert_eq!(session.read("drop.s"), DROP.as_bytes());
}

#[test]
fn types_are_not_written_over_the_objects_they_are_of() {
    let session = Session::new().example("count.bpf.o").example("filter.bpf.o");
    let object = session.read("count.bpf.o");
    for line in [
        "btf dedup count.bpf.o -o count.bpf.o",
        "btf merge filter.bpf.o count.bpf.o -o ./count.bpf.o",
        "btf split --base filter.bpf.o count.bpf.o -o count.bpf.o",
        "btf split --base count.bpf.o filter.bpf.o -o count.bpf.o",
    ] {
        let ran = session.output(line);
        assert_eq!(ran.code, Some(1), "{line}");
        assert!(ran.stderr.starts_with("error[same-file]: --output would write over the file that "), "{}", ran.stderr);
        assert!(session.read("count.bpf.o") == object, "{line}");
    }
}

#[test]
fn what_is_no_text_is_refused_with_the_place() {
    let session = session().file("binary", b"r0 = 1\n\xff\xfe");
    for line in ["asm binary -o x.o", "disasm --cbpf binary", "run --cbpf binary --pcap traffic.pcap"] {
        let ran = session.output(line);
        assert!(ran.stderr.contains("byte 7 is not UTF-8"), "{line}: {}", ran.stderr);
    }
}

#[test]
fn no_two_outputs_share_a_file() {
    let session = session();
    std::os::unix::fs::symlink("new.pcap", session.directory().join("soon.pcap")).expect("a link can be made");
    for outputs in [
        "--write new.pcap --write-dropped ./new.pcap",
        "--write new.pcap --write-dropped soon.pcap",
        "--write-dropped new.pcap --packets new.pcap",
    ] {
        let ran = session.output(&format!("run drop.o --pcap traffic.pcap {outputs}"));
        assert!(ran.stderr.starts_with("error[same-file]"), "{outputs}: {}", ran.stderr);
        assert!(!session.exists("new.pcap"), "nothing is opened: {outputs}");
    }
    let ran = session.output("run drop.o --pcap traffic.pcap --packets /dev/null");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn a_dash_is_stdin_and_refused_where_results_would_mix() {
    let session = session();
    let ran = session.output_of("run drop.o --pcap - --json", &session.read("traffic.pcap"));
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    assert!(ran.stdout.contains("\"packets\":3989"), "{}", ran.stdout);
    for output in ["--write -", "--write-dropped -", "--packets -"] {
        let ran = session.output(&format!("run drop.o --pcap traffic.pcap {output}"));
        assert_eq!(ran.code, Some(2), "{output}");
        assert!(ran.stderr.contains("results are printed to stdout"), "{}", ran.stderr);
    }
    assert!(!session.exists("-"));
}

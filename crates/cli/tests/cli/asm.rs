//! `alveary asm`.

use crate::{golden::golden, session::Session};

const DROP: &str = "\
; Drops what is shorter than an Ethernet frame may be.
.section xdp
drop:
    r2 = *(u32 *)(r1 + 4)       ; data_end
    r1 = *(u32 *)(r1 + 0)       ; data
    r2 -= r1
    if r2 < 60 goto short
    call other
    r0 = 2
    exit
short:
    r0 = 1
    exit

.text
other:
    r1 = 0x1122334455667788 ll
    r0 = 0
    exit
";

#[test]
fn a_text_becomes_an_object_that_every_verb_reads() {
    let session = Session::new()
        .file("drop.s", DROP)
        .run("asm drop.s -o drop.o")
        .run("show drop.o")
        .run("disasm drop.o --raw")
        .run("asm drop.s -o drop.o --json");
    golden("asm.txt", session.text());
}

#[test]
fn raw_text_becomes_bytes() {
    let session = Session::new()
        .file("raw.s", "r0 = 0x1122334455667788 ll\nif r0 == 0 goto out\nr0 = 7\nout: exit\n")
        .run("asm --raw raw.s")
        .run("asm --raw raw.s --json");
    golden("asm-raw.txt", session.text());
}

#[test]
fn what_is_wrong_is_shown_in_the_text() {
    let session = Session::new()
        .file("bad.s", "    r0 = 1\n    if r1 == 0 goto oot\n    r11 = 5\n    exit\nout: exit\n")
        .file("two.s", DROP)
        .run("asm bad.s -o bad.o")
        .run("asm --raw bad.s --json")
        .run("asm --raw two.s")
        .file("empty.s", "; nothing\n.section xdp\n")
        .run("asm empty.s -o bad.o")
        .run("asm missing.s -o x.o")
        .run("asm two.s -o nowhere/x.o");
    golden("asm-errors.txt", session.text());
    assert!(!session.exists("bad.o"), "nothing is written");
}

/// Thousands of errors took minutes to be drawn.
#[test]
fn of_many_errors_the_first_are_shown() {
    let lines: String = (0..150).map(|n| format!("    if r0 == {n} goto nowhere{n}\n")).collect();
    let session = Session::new().file("many.s", format!("{lines}    exit\n"));
    let text = session.output("asm many.s -o many.o").stderr;
    assert!(text.contains("nowhere99") && !text.contains("nowhere100"), "{text}");
    assert!(text.ends_with("… and 50 more of them\n"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&session.output("asm many.s -o many.o --json").stderr).expect("JSON");
    assert_eq!((json["errors"].as_array().map(Vec::len), &json["more_errors"]), (Some(100), &50.into()));
}

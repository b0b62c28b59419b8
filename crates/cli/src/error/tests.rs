use super::*;
use crate::golden::golden;
use std::sync::Arc;

/// Knows the source of instruction 7 and the code of all.
struct Filter;

impl Sources for Filter {
    fn source(&self, at: &Place) -> Option<SourceLine> {
        matches!(at, Place::Insn { index: 7, .. }).then(|| SourceLine {
            file: "filter.bpf.c".into(),
            line: 31,
            column: 6,
            text: "\tif (tcp->dest == port)".into(),
        })
    }
}

impl Scene for Filter {
    fn instruction(&self, _: &Place) -> Option<String> {
        Some("r2 = *(u16 *)(r1 + 2)".into())
    }
}

fn at(index: u32) -> Place {
    Place::Insn { prog: "filter".into(), index }
}

fn text(source: &str, what: &str) -> Place {
    let start = source.find(what).expect("the text holds it") as u32;
    Place::Text { file: "drop.s".into(), text: source.into(), bytes: start..start + what.len() as u32 }
}

fn load(place: Place) -> Diagnostic {
    Diagnostic::new("load", "the program read memory that it was not given", place)
        .expected("an address inside the packet")
        .found("2 bytes at the packet's end")
        .kernel("invalid access to packet, off=36 size=2")
        .help("compare with `data_end` before the read")
}

const SOURCE: &str = "entry:\n\tr0 = 1\n\tif r1 == 0 goto out\n\texit\n";

#[test]
fn messages_are_drawn_like_rustcs() {
    let messages = [
        (
            "a place in a text",
            Diagnostic::new("label", "there is no label `out`", text(SOURCE, "out"))
                .label(text(SOURCE, "entry"), "the only label")
                .help("write `out:` before the instruction that is meant"),
        ),
        ("an instruction with a source line", load(at(7)).in_file("filter.bpf.o")),
        ("an instruction without one", load(at(8)).in_file("filter.bpf.o")),
        (
            "a section",
            Diagnostic::new(
                "relocation",
                "the relocation points outside its section",
                Place::Section { section: "xdp".into(), at: 0x58 },
            )
            .in_file("filter.bpf.o")
            .expected("an offset below 0x50")
            .found("0x58"),
        ),
        (
            "a byte",
            Diagnostic::new("elf-truncated", "the file ends inside the section table", Place::Byte { at: 64 })
                .in_file("cut.o")
                .note("the header announces 20 sections"),
        ),
        (
            "a BTF type",
            Diagnostic::new("btf", "the struct contains itself", Place::BtfType { id: 12 }).in_file("loop.o"),
        ),
        (
            "a file",
            Diagnostic::new("file", "cannot open the file: No such file or directory", Place::Nowhere)
                .in_file("nowhere.o"),
        ),
        ("nothing but a sentence", Diagnostic::new("load", "there is nothing to run", Place::Nowhere)),
    ];
    let drawn: Vec<_> =
        messages.iter().map(|(name, d)| format!("# {name}\n{}\n", picture::draw(d, &Filter, false))).collect();
    golden("errors.txt", &drawn.join("\n"));
}

#[test]
fn json_says_the_same() {
    let object = json::object(
        &[load(at(7)).in_file("filter.bpf.o"), Diagnostic::new("label", "no", text(SOURCE, "out"))],
        0,
        &Filter,
        Some(alveary::Kind::Verifier),
    );
    let value: serde_json::Value = serde_json::from_str(&object).expect("it is JSON");
    golden("errors.json", &format!("{value:#}\n"));
    assert!(!object.contains('\n'), "one line, so that it can be told from other output");
}

#[test]
fn a_place_outside_the_text_is_drawn_too() {
    for (text, bytes) in [("", 0..1), ("añb", 2..3), ("x", 7..9), ("xy", 1..1)] {
        let at = Place::Text { file: "f".into(), text: Arc::from(text), bytes };
        let drawn = picture::draw(&Diagnostic::new("x", "here", at), &Nothing, false);
        assert!(drawn.starts_with("error[x]: here\n"), "{drawn}");
    }
}

#[test]
fn colour_changes_no_character() {
    let plain = picture::draw(&load(at(7)), &Filter, false);
    let coloured = picture::draw(&load(at(7)), &Filter, true);
    assert_ne!(plain, coloured);
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
}

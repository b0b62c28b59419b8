//! `alveary show`.

use crate::{golden::golden, session::Session};

#[test]
fn an_object_is_shown_as_tables() {
    let session = Session::new()
        .example("count.bpf.o")
        .example("filter.bpf.o")
        .example("rewrite.bpf.o")
        .run("show count.bpf.o")
        .run("show filter.bpf.o")
        .run("show rewrite.bpf.o");
    golden("show.txt", session.text());
}

#[test]
fn json_holds_the_same() {
    let session = Session::new().example("filter.bpf.o");
    let text = session.output("show filter.bpf.o --json").stdout;
    let value: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    golden("show.json", &format!("{value:#}\n"));
}

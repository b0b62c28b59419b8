//! Files that are not what they should be: one error each, that names the file, the place, and what helps.

use crate::{golden::golden, session::Session};

/// The example, as its bytes.
fn example(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    std::fs::read(path).expect("the example is there")
}

#[test]
fn objects_that_are_none() {
    let object = example("filter.bpf.o");
    let mut x86 = object.clone();
    x86[18] = 62;
    let mut elf32 = object.clone();
    elf32[4] = 1;
    let session = Session::new()
        .file("cut.o", &object[..3000])
        .file("header.o", &object[..40])
        .file("x86.o", x86)
        .file("elf32.o", elf32)
        .file("text.o", "int main(void)\n{\n\treturn 0;\n}\n")
        .file("empty.o", "");
    let session = ["cut.o", "header.o", "x86.o", "elf32.o", "text.o", "empty.o", "missing.o", "."]
        .into_iter()
        .fold(session, |session, name| session.run(&format!("show {name}")));
    golden("errors-objects.txt", session.text());
}

#[test]
fn json_is_one_object_on_stderr() {
    let session = Session::new().file("text.o", "int main(void)\n");
    let output = session.output("show text.o --json");
    let value: serde_json::Value = serde_json::from_str(&output.stderr).expect("it is JSON");
    assert_eq!(value["errors"][0]["file"], "text.o");
    assert_eq!((output.code, &*output.stdout), (Some(1), ""));
}

#[test]
#[cfg(unix)]
fn a_reader_that_goes_away_is_no_error() {
    use std::process::{Command, Stdio};
    let object = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/count.bpf.o");
    let mut child = Command::new(env!("CARGO_BIN_EXE_alveary"))
        .args(["disasm", "--json"])
        .arg(object)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be run");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), &*String::from_utf8_lossy(&output.stderr)), (Some(0), ""));
}

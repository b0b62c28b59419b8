//! What `alveary check` says of rejected programs: a golden file for each file of `tests/explain`, small programs in C
//! (their lines are shown) and assembly (their instructions are). A comment in the first line holds options of `check`.

use crate::{compiled::HEADER, golden::golden, session::Session};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What the C programs include, besides the header of all.
const TYPES: &str = include_str!("../explain/types.h");
/// The verifier's families of messages.
const FAMILIES: &str = include_str!("../../../verifier/src/explain/families.rs");

/// Families of which no object has an example, since none is made that way: reading, resolving or assembling refuses it.
const BEFORE: &[&str] =
    &["call-target", "kernel-variable", "map-address", "register", "sleepable", "types", "too-many"];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Programs in C, explained. Their lines come with the object: clang has to find them in a file.
fn in_c(name: &str, source: &str) {
    let session = Session::new().file("types.h", format!("{HEADER}{TYPES}")).file("fw.bpf.c", source);
    let compiled = ["clang-19", "clang"].into_iter().find_map(|clang| {
        let target = ["-O2", "-g", "-gdwarf-5", "-gembed-source", "-target", "bpfel", "-mcpu=v3", "-Wno-everything"];
        let files = ["-fdebug-compilation-dir=.", "-include", "types.h", "-c", "fw.bpf.c", "-o", "fw.bpf.o"];
        Command::new(clang).current_dir(session.directory()).args(target).args(files).status().ok()
    });
    let Some(compiled) = compiled else {
        eprintln!("SKIP {name}: clang is not installed");
        return;
    };
    assert!(compiled.success(), "{name}: the source does not compile");
    told(name, source, session, "fw.bpf.o");
}

/// Programs in assembly, explained.
fn in_assembly(name: &str, source: &str) {
    let session = Session::new().file("fw.s", source);
    assert_eq!(session.output("asm fw.s -o fw.o").code, Some(0), "{}", session.output("asm fw.s -o fw.o").stderr);
    told(name, source, session, "fw.o");
}

fn told(name: &str, source: &str, session: Session, object: &str) {
    let first = source.lines().next().unwrap_or_default();
    let options = first.strip_prefix("//").or(first.strip_prefix('#')).unwrap_or_default();
    golden(&format!("explain/{name}.txt"), session.run(&format!("check {object} -j 1{options}")).text());
}

#[test]
fn rejections() {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder("explain")).expect("the folder is there").flatten().map(|entry| entry.path()).collect();
    files.sort();
    for file in files {
        let name = file.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        let source = fs::read_to_string(&file).expect("it is text");
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("c") => in_c(&name, &source),
            Some("s") => in_assembly(&name, &source),
            _ => assert_eq!(name, "types"),
        }
    }
}

/// Every family has a place where its words can be read.
#[test]
fn families_have_examples() {
    let goldens = fs::read_dir(folder("golden/explain")).expect("the folder is there").flatten();
    let texts: String = goldens.map(|entry| fs::read_to_string(entry.path()).expect("it is text")).collect();
    let families: BTreeSet<&str> =
        FAMILIES.split("family(\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
    assert!(families.len() > 50, "the families are found: {}", families.len());
    let shown = |family: &str| texts.contains(&format!("error[{family}]"));
    let missing: Vec<&str> = families.into_iter().filter(|family| !shown(family) && !BEFORE.contains(family)).collect();
    assert!(missing.is_empty(), "families without an example: {missing:?}");
}

//! `alveary btf`: types as text, against what bpftool prints.

use crate::{golden::golden, session::Session};
use alveary_btf::{Builder, Enumerator, Member, New};
use alveary_isa::Endian;
use std::{path::Path, process::Command};

#[test]
fn the_types_of_an_object_are_shown_as_they_are_stored_and_as_c() {
    let session = Session::new()
        .example("count.bpf.o")
        .run("btf dump file count.bpf.o")
        .run("btf dump file count.bpf.o format c unsorted")
        .run("btf dump file count.bpf.o format c --type service")
        .run("btf dump file count.bpf.o --type __u16")
        .run("--json btf dump file count.bpf.o --type __u16")
        .run("btf dump file count.bpf.o root_id 25 root_id 2");
    golden("btf-dump.txt", session.text());
}

#[test]
fn the_types_of_an_object_are_shown_in_rust() {
    let session = Session::new().example("count.bpf.o");
    let text = session.output("btf dump file count.bpf.o --format rust --type service").stdout;
    let (_, types) = text.split_once("const _: () = assert!").expect("what the types stand on comes first");
    golden("btf-dump-rust.txt", types);
}

#[test]
fn what_cannot_be_shown_is_refused_by_name() {
    let session = Session::new()
        .example("count.bpf.o")
        .file("damaged.btf", b"\x9f\xeb\x01\x00\x18\0\0\0\0\0\0\0\xff\xff\xff\x7f\0\0\0\0\x01\0\0\0\0")
        .run("btf dump id seven")
        .run("btf dump prog")
        .run("btf dump file")
        .run("btf dump format c")
        .run("btf dump file count.bpf.o format yaml")
        .run("btf dump file count.bpf.o sorted")
        .run("btf dump file count.bpf.o root_id 4000")
        .run("btf dump file count.bpf.o --type servise")
        .run("btf dump file damaged.btf")
        .file("types.h", "struct service { int port; };\n")
        .run("btf dump file types.h")
        .run("btf dump file nothing.btf");
    golden("btf-dump-errors.txt", session.text());
}

#[test]
fn bpftool_prints_the_same() {
    let Ok(version) = Command::new("/usr/sbin/bpftool").arg("version").output() else {
        println!("SKIP: there is no bpftool");
        return;
    };
    assert!(version.status.success());
    let mut files: Vec<_> = ["count", "filter", "rewrite"]
        .map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../examples/{name}.bpf.o")))
        .into();
    files.extend(Some("/sys/kernel/btf/vmlinux".into()).filter(|path: &std::path::PathBuf| path.exists()));
    let session = Session::new();
    for file in files {
        let file = file.to_str().expect("the path is text");
        let ours = session.output(&format!("btf dump file {file}")).stdout;
        let theirs = Command::new("/usr/sbin/bpftool").args(["btf", "dump", "file", file]).output().expect("it runs");
        assert!(theirs.stdout == ours.as_bytes(), "{file}: not what bpftool prints");
    }
}

#[test]
fn types_are_put_together_made_one_and_split_off() {
    let session = Session::new()
        .example("count.bpf.o")
        .example("filter.bpf.o")
        .run("btf merge count.bpf.o filter.bpf.o -o both.btf")
        .run("btf dedup both.btf -o once.btf")
        .run("--json btf dedup once.btf -o again.btf")
        .run("btf dedup count.bpf.o -o base.btf")
        .run("btf split --base base.btf filter.bpf.o -o filter.btf")
        .run("btf dump file filter.btf -B base.btf")
        .run("btf dump file filter.btf")
        .run("btf dump file once.btf --type xdp_md --format c")
        .run("btf dedup nothing.o -o out.btf");
    assert_eq!(session.read("once.btf"), session.read("again.btf"));
    golden("btf-combine.txt", session.text());
}

/// A kernel's types, as they were and as they are.
fn kernel(new: bool) -> Vec<u8> {
    let mut b = Builder::new(Endian::Little);
    let int = b.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
    let long = b.add(&New::Int { name: "long", size: 8, bits: 64, signed: true, char: false, bool: false });
    let member = |name, ty, bit_offset| Member { name, ty, bit_offset, bits: None };
    let bits = |name, bit_offset, bits| Member { name, ty: int, bit_offset, bits: Some(bits) };
    let before = [member("pid", int, 0), member("tgid", int, 32), bits("on", 64, 1), member("old", int, 96)];
    let after = [
        member("flags", long, 0),
        member("pid", int, 64),
        member("tgid", int, 96),
        bits("on", 128, 3),
        member("state", long, 192),
    ];
    let (size, members) = if new { (32, &after[..]) } else { (16, &before[..]) };
    b.add(&New::Struct { name: "task_struct", size, members });
    let ptr = b.add(&New::Ptr(if new { long } else { int }));
    b.add(&New::Union { name: "arg", size: 8, members: &[member("to", ptr, 0)] });
    let value = |name, value| Enumerator { name, value };
    let values = [value("XDP_PASS", 2), value(if new { "XDP_NEW" } else { "XDP_OLD" }, if new { -1 } else { 7 })];
    b.add(&New::Enum { name: "xdp_action", size: 4, signed: true, values: &values });
    b.add(&New::Struct { name: if new { "arrived" } else { "left" }, size: 0, members: &[] });
    b.write()
}

#[test]
fn what_changed_between_two_kernels_is_told_member_by_member() {
    let session = Session::new()
        .file("old.btf", kernel(false))
        .file("new.btf", kernel(true))
        .example("count.bpf.o")
        .run("btf diff old.btf new.btf")
        .run("btf diff new.btf new.btf")
        .run("btf diff old.btf new.btf --for count.bpf.o")
        .run("--json btf diff old.btf new.btf");
    golden("btf-diff.txt", session.text());
}

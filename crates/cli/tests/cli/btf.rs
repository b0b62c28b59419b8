//! `alveary btf`: types as text, against what bpftool prints.

use crate::{golden::golden, session::Session};
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
fn what_cannot_be_shown_is_refused_by_name() {
    let session = Session::new()
        .example("count.bpf.o")
        .file("damaged.btf", b"\x9f\xeb\x01\x00\x18\0\0\0\0\0\0\0\xff\xff\xff\x7f\0\0\0\0\x01\0\0\0\0")
        .run("btf dump id 7")
        .run("btf dump prog name count")
        .run("btf dump file")
        .run("btf dump format c")
        .run("btf dump file count.bpf.o format yaml")
        .run("btf dump file count.bpf.o sorted")
        .run("btf dump file count.bpf.o root_id 4000")
        .run("btf dump file count.bpf.o --type servise")
        .run("btf dump file damaged.btf")
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

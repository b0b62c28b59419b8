//! libbpf's loader as peer: the same object, loaded by bpftool.

use crate::support::{allowed, path};
use alveary::{Linux, Object};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Loads every program of an object by bpftool and describes them, in a BPF file system that ends with the shell: nothing
/// that libbpf pins by name stays.
const LOAD: &str = r#"
    mount -t bpf bpf /sys/fs/bpf && bpftool prog loadall "$0" /sys/fs/bpf/alveary || exit 1
    for program in /sys/fs/bpf/alveary/*; do bpftool -j prog show pinned "$program"; echo; done"#;

/// Our objects, and those of Debian's libxdp.
fn objects() -> Vec<PathBuf> {
    let mut all: Vec<_> = ["count.bpf.o", "filter.bpf.o", "rewrite.bpf.o"].into_iter().map(path).collect();
    let debian = std::fs::read_dir("/usr/lib/x86_64-linux-gnu/bpf").into_iter().flatten().flatten();
    all.extend(debian.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "o")));
    all.sort();
    all
}

#[test]
fn programs_have_the_same_tags_as_by_libbpf() {
    let test = "programs_have_the_same_tags_as_by_libbpf";
    if !allowed(test) {
        return;
    }
    if Command::new("bpftool").arg("version").output().is_err() {
        eprintln!("SKIP {test}: bpftool is missing");
        return;
    }
    let compared: usize = objects().iter().map(|path| compare(path)).sum();
    assert!(compared >= 3, "{compared} programs compared");
}

/// Loads an object both ways; gives how many programs were compared. What bpftool loads, we must.
fn compare(path: &Path) -> usize {
    let theirs = Command::new("unshare").args(["--mount", "sh", "-c", LOAD]).arg(path).output().expect("a shell");
    let ours = Object::open(path).and_then(|object| object.load(Linux::builder().without_pins().build()));
    let file = path.display();
    if !theirs.status.success() {
        // bpftool's libbpf is older than some rules of kernels; that we load more is no fault.
        eprintln!("{file}: not loaded by bpftool: {}", String::from_utf8_lossy(&theirs.stderr));
        return 0;
    }
    let shown = String::from_utf8_lossy(&theirs.stdout);
    let loaded = ours.unwrap_or_else(|e| panic!("{file}: loaded by bpftool, refused by us: {e}\n{}", e.log()));
    let tags = loaded.programs().map(|program| {
        let tag = program.handle().info(Default::default()).expect("a description").tag;
        let tag: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(shown.contains(&format!("\"tag\":\"{tag}\"")), "{file}: {}: {tag}\n{shown}", program.spec().name);
    });
    tags.count()
}

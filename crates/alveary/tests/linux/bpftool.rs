//! libbpf's loader as peer: the same object, loaded by bpftool.

use crate::support::{BpfFs, allowed, bpftool, path};
use alveary::{Object, Target};
use std::path::{Path, PathBuf};

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
    let test = "same_tags";
    if !allowed(test) {
        return;
    }
    let Some(fs) = BpfFs::mount(test) else { return };
    let mut compared = 0;
    for path in objects() {
        compared += compare(test, &fs.0, &path);
    }
    assert!(compared >= 3, "{compared} programs compared");
}

/// Loads an object both ways; gives how many programs were compared. What one refuses the other must, too.
fn compare(test: &str, fs: &Path, path: &Path) -> usize {
    let directory = fs.join(path.file_stem().expect("a name").to_string_lossy().replace('.', "_"));
    let (file, pins) = (path.to_string_lossy(), directory.to_string_lossy());
    let theirs = std::process::Command::new("bpftool").args(["prog", "loadall", &file, &pins]).output();
    let Ok(theirs) = theirs else { return 0 };
    let ours = Object::open(path).and_then(|object| object.load(Target::linux()));
    match (theirs.status.success(), ours) {
        (false, Err(_)) => 0,
        (false, Ok(_)) => {
            // libbpf 1.1 is older than some kernels' rules; that we load more is no fault.
            eprintln!("{file}: loaded by us, not by bpftool: {}", String::from_utf8_lossy(&theirs.stderr));
            0
        }
        (true, Err(e)) => panic!("{file}: loaded by bpftool, refused by us: {e}\n{}", e.log()),
        (true, Ok(loaded)) => loaded
            .programs()
            .map(|program| {
                let pin = directory.join(&*program.spec().name);
                let shown = bpftool(test, &["-j", "prog", "show", "pinned", &pin.to_string_lossy()]).expect("bpftool");
                let tag = program.handle().info(Default::default()).expect("a description").tag;
                let tag: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
                assert!(
                    shown.contains(&format!("\"tag\":\"{tag}\"")),
                    "{file}: {}: {tag}\n{shown}",
                    program.spec().name
                );
            })
            .count(),
    }
}

//! Objects, a BPF file system of a test's own, bpftool.

use alveary::Object;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

pub(crate) fn allowed(test: &str) -> bool {
    alveary_testing::bpf::permitted(test)
}

/// One of the objects in `examples/`.
pub(crate) fn example(name: &str) -> Object {
    Object::open(path(name)).expect("an object")
}

pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

/// An object from C; `None`, and a line about it, if there is no compiler.
pub(crate) fn compiled(test: &str, source: &str) -> Option<Object> {
    let bytes = alveary_testing::compile(test, source, "bpf", &["-g"])?;
    Some(Object::parse(&bytes).expect("an object"))
}

/// A BPF file system that a test has to itself, until it is dropped.
pub(crate) struct BpfFs(pub(crate) PathBuf);

impl BpfFs {
    /// Mounts one; `None`, and a line about it, if that is not permitted.
    pub(crate) fn mount(test: &str) -> Option<BpfFs> {
        let path = std::env::temp_dir().join(format!("alveary-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        let mounted = Command::new("mount").args(["-t", "bpf", "bpf"]).arg(&path).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(BpfFs(path));
        }
        eprintln!("SKIP {test}: no BPF file system can be mounted");
        std::fs::remove_dir(&path).ok();
        None
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.0).status().ok();
        std::fs::remove_dir(&self.0).ok();
    }
}

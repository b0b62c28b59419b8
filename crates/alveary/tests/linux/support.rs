//! Objects, and whether bpf(2) is permitted.

use alveary::Object;
use std::path::{Path, PathBuf};

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

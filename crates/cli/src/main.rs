//! The `alveary` binary.
fn main() {}

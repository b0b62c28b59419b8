//! What tests of several crates share: programs from text and from C, definitions of maps, the running kernel as
//! oracle. Nothing but tests depends on it. Knows neither engines nor targets: what is tested is the test's business.

pub mod bpf;
mod clang;
mod plain;

pub use clang::compile;
pub use plain::{code, def, kernel, map_spec, program};

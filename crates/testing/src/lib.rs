//! What tests of several crates share: programs from text, from C and from seeds, definitions of maps, the running
//! kernel as oracle. Nothing but tests depends on it. Knows neither engines nor targets: what is tested is the test's
//! business.

pub mod arith;
pub mod bpf;
mod bpffs;
mod clang;
mod draw;
mod generate;
mod held;
pub mod instructions;
pub mod network;
mod plain;

pub use bpffs::BpfFs;
pub use clang::compile;
pub use draw::Draw;
pub use generate::{Generated, Generator, Needs, PROGRAMS, map_names, maps};
pub use held::{Counting, held};
pub use plain::{code, def, kernel, map_spec, program, with_function};

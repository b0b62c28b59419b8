//! The binary, as people use it. What it prints is held against `tests/golden` (`UPDATE=1` renews it).

mod asm;
mod disasm;
mod errors;
mod help;
mod libxdp;
mod session;
mod show;

#[path = "../support/golden.rs"]
mod golden;

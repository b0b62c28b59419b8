//! The binary, as people use it. What it prints is held against `tests/golden` (`UPDATE=1` renews it).

mod ahead;
mod asm;
mod attach;
mod bpftool;
mod btf;
mod cache;
mod check;
mod compiled;
mod disasm;
mod errors;
mod explain;
mod files;
mod help;
mod lb;
mod libxdp;
mod link;
mod linux;
mod prog;
mod round_trip;
mod run;
mod session;
mod show;
mod skeleton;
mod srv6;
mod tcpdump;

#[path = "../support/golden.rs"]
mod golden;

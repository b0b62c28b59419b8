//! The running kernel as a target. Skipped, by name, where bpf(2) is not permitted.

#![cfg(target_os = "linux")]

mod attach;
mod bpftool;
mod events;
mod interface;
mod leaks;
mod loading;
mod pins;
mod replace;
mod support;

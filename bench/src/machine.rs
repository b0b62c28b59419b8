//! What was measured with: the machine, compilers, versions of engines.

use crate::compile::{CLANG, GCC};
use std::{fs, process::Command, thread};

/// Crates whose versions matter, as Cargo.lock has them.
const CRATES: [&str; 3] = ["cranelift-codegen", "rbpf", "solana-sbpf"];

/// One line.
pub(crate) fn describe() -> String {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let mut parts = vec![format!("{}, {cpus} CPUs", processor()), format!("Linux {}", release())];
    parts.extend([CLANG.version(), GCC.version(), version("rustc")].into_iter().flatten());
    let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")).unwrap_or_default();
    parts.extend(CRATES.iter().filter_map(|name| Some(format!("{name} {}", locked(&lock, name)?))));
    parts.join("; ")
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

fn release() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().split('-').next().unwrap_or_default().to_owned()
}

fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned())
}

fn locked<'a>(lock: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    behind.split('"').next()
}

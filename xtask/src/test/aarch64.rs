//! The engine's tests on aarch64, emulated: there it makes native code as programs run, too.

use super::{report::Tally, runner};
use crate::process::{self, cargo, command};
use std::path::Path;

const TARGET: &str = "aarch64-unknown-linux-gnu";
const LINKER: &str = "aarch64-linux-gnu-gcc";
const EMULATOR: &str = "qemu-aarch64";
/// Where Debian keeps that machine's libraries.
const LIBRARIES: &str = "/usr/aarch64-linux-gnu";

/// Those that are done in a minute or two: the compiler, not made for speed in tests, is emulated, too.
const TESTS: [&str; 4] = ["cases", "control", "native", "lookup"];

/// Builds and runs them, where rustc knows the machine and Debian's linker and emulator are installed.
pub(crate) fn tests() -> Tally {
    let what = format!("the engine's tests for {TARGET}");
    if let Some(obstacle) = obstacle() {
        return Tally::skipped(&what, &obstacle);
    }
    let mut command = cargo(&["test", "--target", TARGET, "-p", "alveary-vm", "--no-fail-fast"]);
    command
        .args(TESTS.iter().flat_map(|test| ["--test", test]))
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", format!("{EMULATOR} -L {LIBRARIES}"));
    runner::by_libtest(&what, command)
}

fn obstacle() -> Option<String> {
    let libraries = process::output(&mut command("rustc", &["--print", "target-libdir", "--target", TARGET]));
    if !libraries.is_ok_and(|folder| Path::new(folder.trim()).is_dir()) {
        return Some(format!("no standard library for it (`rustup target add {TARGET}`)"));
    }
    let missing = [LINKER, EMULATOR].into_iter().find(|program| !process::exists(program));
    missing.map(|program| format!("{program} is not installed"))
}

//! `cargo xtask test`: everything that must hold before a change is taken, as `.ci/run` runs it.
//!
//! Each step tells what it passed, failed and skipped. All steps run, whatever became of those before them; the last
//! line sums them up.

mod aarch64;
mod readme;
pub(crate) mod report;
mod runner;

use std::{process::exit, time::Instant};

use crate::{
    Outcome, agree, bpf, fuzz, packages,
    process::{self, cargo},
    vm,
};
use report::Tally;

struct Step {
    name: &'static str,
    /// What it does; the argument says whether the run is to be full.
    run: fn(bool) -> Tally,
}

const STEPS: &[Step] = &[
    Step { name: "packages", run: |_| Tally::noting(packages::provide()) },
    Step { name: "formatting", run: |_| formatting() },
    Step { name: "clippy", run: |_| clippy() },
    Step { name: "tests", run: runner::tests },
    Step { name: "doctests", run: |_| runner::doctests() },
    Step { name: "aarch64", run: |_| aarch64::tests() },
    Step { name: "documentation", run: |_| documentation() },
    Step { name: "licences", run: |_| licences() },
    Step { name: "objects", run: |_| objects() },
    Step { name: "fuzzing", run: |_| fuzzing() },
    Step { name: "README", run: readme::commands },
    Step { name: "kernels", run: vm::check },
];

/// The command. Ends the process itself, so that the sum is the last line.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let full = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--full"] => true,
        _ => return Err("takes --full or nothing".into()),
    };
    let mut sum = Tally::default();
    let mut lines = Vec::new();
    for step in STEPS {
        println!("\n== {}", step.name);
        let start = Instant::now();
        let tally = (step.run)(full);
        let seconds = start.elapsed().as_secs_f64();
        lines.push(format!("{:14} {seconds:7.1} s   {}", step.name, tally.counts()));
        sum.add(tally);
    }
    println!("\n== summary\n{}", lines.join("\n"));
    sum.list();
    println!("{}", sum.counts());
    exit(i32::from(sum.has_failures()))
}

fn check(what: &str, arguments: &[&str]) -> Tally {
    Tally::of(what, process::run(&mut cargo(arguments)))
}

// fuzz/ is a workspace of its own.

fn formatting() -> Tally {
    let mut tally = check("cargo fmt --check", &["fmt", "--all", "--check"]);
    tally.add(check("cargo fmt --check in fuzz/", &["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]));
    tally
}

fn clippy() -> Tally {
    let mut tally = check("cargo clippy", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    let fuzz = ["clippy", "--manifest-path", "fuzz/Cargo.toml", "--no-default-features", "--all-targets"];
    tally.add(check("cargo clippy in fuzz/", &[&fuzz[..], &["--", "-D", "warnings"]].concat()));
    tally
}

fn documentation() -> Tally {
    let mut command = cargo(&["doc", "--workspace", "--no-deps"]);
    Tally::of("cargo doc", process::run(command.env("RUSTDOCFLAGS", "-D warnings")))
}

/// Licences and sources of the dependencies, as deny.toml allows them.
fn licences() -> Tally {
    if !process::exists("cargo-deny") {
        return Tally::skipped("cargo deny", "cargo-deny is not installed");
    }
    // Those of other systems, too, whose crates no build here has asked for.
    if let Err(why) = process::run(&mut cargo(&["fetch", "--locked", "--quiet"])) {
        return Tally::skipped("cargo deny", &format!("the crates of other systems are not there: {why}"));
    }
    check("cargo deny", &["deny", "--offline", "check", "bans", "licenses", "sources"])
}

/// The examples' objects: what the compiler makes of their sources, and accepted by the kernel.
fn objects() -> Tally {
    let mut tally = match bpf::obstacle() {
        Some(obstacle) => Tally::skipped("cargo xtask bpf --check", &obstacle),
        None => Tally::of("cargo xtask bpf --check", bpf::check()),
    };
    let what = "the verifier agrees with the kernel on the examples";
    tally.add(match bpf::kernel_obstacle() {
        Some(obstacle) => Tally::skipped(what, &obstacle),
        None => Tally::of(what, agree::hold(&process::path("examples"))),
    });
    let what = "the kernel loads the examples";
    tally.add(match bpf::kernel_obstacle() {
        Some(obstacle) => Tally::skipped(what, &obstacle),
        None => Tally::of(what, bpf::load()),
    });
    tally
}

/// The fuzz targets: their seeds always, a short run of each where cargo-fuzz is installed.
fn fuzzing() -> Tally {
    let mut tally = Tally::of("the fuzz targets over their seeds", fuzz::replay());
    let what = "cargo xtask fuzz --smoke --seconds 3";
    tally.add(match fuzz::obstacle() {
        Some(obstacle) => Tally::skipped(what, &obstacle),
        None => check(what, &["xtask", "fuzz", "--smoke", "--seconds", "3"]),
    });
    tally
}

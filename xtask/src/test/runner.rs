//! Running the workspace's tests and reading what became of them.
//!
//! A test that cannot run here prints `SKIP name: reason` on a line of its own and returns: it counts as skipped.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use super::report::Tally;
use crate::process::{self, cargo};

const SKIP: &str = "SKIP ";
/// Set for tests that take minutes: they skip themselves without it.
const FULL: &str = "ALVEARY_FULL";

/// All tests, by cargo-nextest if it is there or can be installed, else by cargo's own runner.
pub(crate) fn tests(full: bool) -> Tally {
    if !process::exists("cargo-nextest") {
        println!("installing cargo-nextest");
        if let Err(error) = process::run(&mut cargo(&["install", "--locked", "cargo-nextest"])) {
            let all = cargo(&["test", "--workspace", "--all-targets", "--no-fail-fast", "--", "--nocapture"]);
            let mut tally = by_libtest("cargo test", in_full(all, full));
            tally.notes.push(format!("cargo-nextest cannot be installed, cargo test ran instead: {error}"));
            return tally;
        }
    }
    by_nextest(full)
}

fn in_full(mut command: Command, full: bool) -> Command {
    if full {
        command.env(FULL, "1");
    }
    command
}

/// The examples in the documentation.
pub(crate) fn doctests() -> Tally {
    by_libtest("cargo test --doc", cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]))
}

/// What nextest tells of a run in the report that `.config/nextest.toml` asks for.
fn by_nextest(full: bool) -> Tally {
    let report = process::target().join("nextest/xtask/junit.xml");
    // A report of another run must not be taken for this one's.
    drop(fs::remove_file(&report));
    // The machines for which code is compiled ahead of time are a feature.
    let all = cargo(&[
        "nextest",
        "run",
        "--workspace",
        "--features",
        "alveary-vm/targets",
        "--no-fail-fast",
        "--profile",
        "xtask",
    ]);
    let outcome = process::run(&mut in_full(all, full));
    let mut tally = match fs::read_to_string(&report) {
        Ok(xml) => read_junit(&xml),
        Err(_) => Tally::default(),
    };
    if let (Err(message), false) = (outcome, tally.has_failures()) {
        tally.failures.push(message);
    }
    tally
}

/// Reads a report in JUnit's format, as nextest writes it.
fn read_junit(xml: &str) -> Tally {
    let mut tally = Tally::default();
    for case in xml.split("<testcase ").skip(1) {
        let name = format!("{} {}", attribute(case, "classname"), attribute(case, "name"));
        if case.contains("<failure") || case.contains("<error") {
            tally.failures.push(name);
        } else if let Some(reason) = case.lines().find_map(|line| skip_line(&text(line)).map(String::from)) {
            tally.skips.push(format!("{name}: {reason}"));
        } else {
            tally.passed += 1;
        }
    }
    tally
}

fn attribute<'a>(element: &'a str, name: &str) -> &'a str {
    let value = element.split_once(&format!("{name}=\"")).map_or("", |(_, rest)| rest);
    value.split('"').next().unwrap_or("")
}

/// What a line of a report says, without the tags around it.
fn text(line: &str) -> String {
    let line = line.trim().trim_start_matches("<system-out>").trim_start_matches("<system-err>");
    let line = line.split('<').next().unwrap_or("");
    line.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}

fn skip_line(line: &str) -> Option<&str> {
    line.trim().strip_prefix(SKIP)
}

/// Runs a command that prints as cargo's own test runner does, passes its output through, and counts.
pub(super) fn by_libtest(what: &str, mut command: Command) -> Tally {
    let mut tally = Tally::default();
    let mut child = match command.stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => return Tally::of(what, Err(error.to_string())),
    };
    for line in child.stdout.take().into_iter().flat_map(|output| BufReader::new(output).lines()).map_while(Result::ok)
    {
        println!("{line}");
        if let Some(reason) = skip_line(&line) {
            tally.skips.push(reason.into());
        } else if let Some(test) = line.strip_prefix("test ") {
            match test.rsplit_once(" ... ") {
                Some((_, "ok")) => tally.passed += 1,
                Some((name, "FAILED")) => tally.failures.push(name.into()),
                _ => {}
            }
        }
    }
    let passed = child.wait().is_ok_and(|status| status.success());
    if !passed && !tally.has_failures() {
        tally.failures.push(format!("{what} failed"));
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_counted() {
        let xml = r#"<testsuites name="nextest-run" tests="3">
            <testcase name="a" classname="one" time="0.1"></testcase>
            <testcase name="b" classname="one::it">
                <failure type="test failure">SKIP is no excuse</failure>
            </testcase>
            <testcase name="c" classname="two">
                <system-out>running 1 test</system-out>
                <system-err>SKIP c: &quot;bpf(2)&quot; is not permitted
</system-err>
            </testcase>
        </testsuites>"#;
        let tally = read_junit(xml);
        assert_eq!(tally.counts(), "1 passed, 1 failed, 1 skipped");
        assert_eq!(tally.failures, ["one::it b"]);
        assert_eq!(tally.skips, ["two c: c: \"bpf(2)\" is not permitted"]);
    }
}

//! A short run, for every change.

use super::{Wanted, engines, hold};

#[test]
fn what_is_accepted_runs_without_a_trap() {
    let tally = hold(&Wanted { count: 1_000, ..Wanted::default() }).expect("it runs");
    assert!(tally.findings.is_empty(), "{}", tally.findings.join("\n"));
    assert!((tally.programs * 2 / 5..tally.programs * 4 / 5).contains(&tally.accepted), "of {}", tally.programs);
}

#[test]
fn what_is_proven_of_instructions_is_so_in_every_run() {
    let tally = hold(&Wanted { count: 150, seed: 5_000, facts: true, ..Wanted::default() }).expect("it runs");
    assert!(tally.findings.is_empty(), "{}", tally.findings.join("\n"));
    assert!(tally.facts > 100_000, "{} facts held", tally.facts);
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn interpreter_and_native_code_do_the_same() {
    let compared = engines::hold(&Wanted { count: 150, engines: true, ..Wanted::default() }).expect("it runs");
    assert!(compared.findings.is_empty(), "{}", compared.findings.join("\n"));
    assert!(compared.ran >= 150 && compared.addresses < compared.ran / 10, "{compared:?}");
}

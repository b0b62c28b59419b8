//! A short run, for every change.

use super::{
    Bench, Wanted, engines, hold,
    machine::{Machine, runtime},
    pair::{Pair, elsewhere},
};
use alveary_abi::ProgType;
use alveary_isa::Inst;
use alveary_runtime::{Engine, Passes};
use alveary_spec::Program;
use std::sync::Arc;

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

/// A program, with the array of which programs use values by their address.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn program(text: &str) -> Arc<Program> {
    let code = alveary_testing::code(text, |dst, _| Inst::MapValueIdx { dst, idx: 12, off: 0 });
    let plain = alveary_testing::program(ProgType::XDP, code);
    Arc::new(Program { maps: alveary_testing::map_names(), ..plain })
}

/// What comes of one program, where native code runs on this CPU.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn compared(text: &str, cpu: u32) -> engines::Compared {
    let wanted = Wanted { engines: true, threads: 2, ..Wanted::default() };
    let bench = Bench::new(&wanted).expect("it is made");
    let runtime = runtime(bench.kernel.clone(), 1, Engine::Jit, Passes::ALL);
    let mut pair = Pair::new(&bench, &wanted).expect("it is made");
    pair.native = Machine::new(&runtime, cpu, bench.specs(), 1).expect("it is made");
    let mut compared = engines::Compared::default();
    assert!(pair.hold(&bench, &wanted, 7, (&program(text), true), &mut compared).expect("it runs"), "it is proven");
    compared
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn a_difference_for_addresses_is_no_finding_and_any_other_is() {
    let for_addresses = compared("r2 = array ll\n *(u64 *)(r2 + 0) = r1\n r0 = 1\n exit", 0);
    assert_eq!((for_addresses.addresses, for_addresses.findings.len()), (1, 0), "{for_addresses:?}");
    let other = compared("call bpf_get_smp_processor_id\n exit", 1);
    assert_eq!((other.addresses, other.findings.len()), (0, 1), "{other:?}");
    assert!(other.findings[0].contains("run 0 ends with Ok(0) interpreted, with Ok(1) native"), "{other:?}");
    // Nothing else shows it: the number is drawn and forgotten.
    let drawn =
        compared("call bpf_get_smp_processor_id\n if r0 == 0 goto +1\n call bpf_get_prandom_u32\n r0 = 1\n exit", 1);
    assert!(drawn.findings[0].contains("not as many random numbers"), "{drawn:?}");
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn elsewhere_is_anywhere() {
    // Bits 8 to 15 of an address, which machines at one distance of each other may share.
    let address = "r2 = array ll\n *(u64 *)(r2 + 0) = r2\n r0 = *(u8 *)(r2 + 1)\n exit";
    let wanted = Wanted { engines: true, threads: 2, ..Wanted::default() };
    let bench = Bench::new(&wanted).expect("it is made");
    let mut pair = Pair::new(&bench, &wanted).expect("it is made");
    let verified = pair.interpreted.prove(&program(address)).expect("it is looked at").expect("it is proven");
    let kept = pair.interpreted.kept().clone();
    let (here, _) = elsewhere(&bench, &wanted, 7, &verified, &kept).expect("it runs");
    assert_ne!(here.last(), here.first(), "{} machines", here.len());
}

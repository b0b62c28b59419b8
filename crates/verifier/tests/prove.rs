//! What is accepted and yet not proven: what Linux lets through because it is safe in the kernel, or because it is old.

use alveary_abi::{MapType, Profile, ProgType, Version};
use alveary_btf::Linkage;
use alveary_isa::Inst;
use alveary_spec::Kernel;
use alveary_testing::{def, kernel, map_spec, with_function};
use alveary_verifier::{Env, Verdict, check, prove};
use std::{collections::BTreeMap, sync::Arc};

/// Hands over an address in a map's value that is no multiple of four, and adds to what is there.
const MISALIGNED: &str = "r0 = 0\n*(u64 *)(r10 - 8) = r0\nr2 = r10\nr2 += -8\nr1 = m ll\ncall bpf_map_lookup_elem\n\
                          if r0 == 0 goto e\nr1 = r0\nr1 += 2\ncall f\ne:\nr0 = 2\nexit\n\
                          f:\nif r1 == 0 goto n\nr2 = 1\nlock *(u64 *)(r1 + 0) += r2\nn:\nr0 = 0\nexit";

fn maps() -> BTreeMap<String, alveary_spec::MapSpec> {
    BTreeMap::from([("m".to_owned(), map_spec("m", def(MapType::HASH, 8, 32, 4)))])
}

#[test]
fn no_caller_of_a_global_function_is_asked_for_alignment() {
    let (kernel, maps) = (kernel(2), maps());
    let env = Env::new(&kernel, &maps);
    let program = Arc::new(with_function(MISALIGNED, Linkage::Global));
    assert_eq!(check(&program, &env).verdict, Verdict::Accept);
    let report = prove(program.clone(), &env).expect_err("it would trap");
    let Verdict::Refused { reason, insn } = report.verdict else { panic!("{:?}", report.verdict) };
    assert_eq!(reason, "an atomic operation on what a global function was given: no caller was asked to align it");
    assert!(
        matches!(alveary_isa::decode(&program.insns, insn as usize), Ok(Inst::Atomic { .. })),
        "instruction {insn}"
    );
}

#[test]
fn what_needs_no_alignment_is_proven() {
    let (kernel, maps) = (kernel(2), maps());
    let plain = MISALIGNED.replace("lock *(u64 *)(r1 + 0) += r2", "*(u64 *)(r1 + 0) = r2");
    assert!(prove(Arc::new(with_function(&plain, Linkage::Global)), &Env::new(&kernel, &maps)).is_ok());
    // A function that is verified where it is called sees what it is given.
    let report = check(&with_function(MISALIGNED, Linkage::Static), &Env::new(&kernel, &maps));
    let Verdict::Reject(why) = report.verdict else { panic!("{:?}", report.verdict) };
    assert!(why.message.contains("misaligned value access"), "{}", why.message);
}

/// No state of 6.18 leads out of the outer loop: the inner one, which a callback is called in, ends where the first round
/// was, before it is known that this one's number counts.
#[test]
fn a_proof_knows_what_rounds_of_callbacks_need() {
    let text = "r8 = 0\no:\nif r8 >= 10 goto e\nr9 = 0\ni:\nif w9 >= 1 goto n\nr1 = 0\nr2 = f ll\nr3 = r10\nr3 += -8\n\
                r4 = 0\ncall bpf_loop\nr9 = r0\nw9 -= 8\nw9 += 1\ngoto i\nn:\nr8 += 1\ngoto o\ne:\nr0 = 2\nexit\n\
                f:\nr0 = 0\nexit";
    let (kernel, maps) = (kernel(2), maps());
    let proven = prove(Arc::new(with_function(text, Linkage::Static)), &Env::new(&kernel, &maps)).expect("it is safe");
    assert!(proven.facts().at(1).jumps, "after ten rounds");
}

#[test]
fn a_proof_goes_by_the_newest_rules() {
    let text = "call f\nif r0 == 1 goto e\nr0 = *(u64 *)(r2 + 0)\ne:\nr0 = 0\nexit\n\
                f:\nr6 = r1\nr0 = *(u8 *)skb[0]\nr0 = 1\nexit";
    let mut program = with_function(text, Linkage::Static);
    program.ty = ProgType::SCHED_CLS;
    let (old, maps) = (Kernel::of(Profile::linux(Version(6, 12)).at_level(100)), maps());
    let env = Env::new(&old, &maps);
    assert_eq!(check(&program, &env).verdict, Verdict::Accept, "where a failing load was thought to end the program");
    let report = prove(Arc::new(program), &env).expect_err("it reads through what is no pointer");
    let Verdict::Reject(why) = report.verdict else { panic!("{:?}", report.verdict) };
    assert_eq!(why.message.lines().last(), Some("R2 !read_ok"));
}

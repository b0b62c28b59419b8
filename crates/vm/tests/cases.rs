//! Every instruction, by tables of cases (`cases/*.txt`) on every engine.

mod support;

use alveary_isa::Endian;
use alveary_vm::{Env, Exit, HelperFn};
use support::{
    Owner,
    cases::{self, Case},
    images,
};

unsafe extern "C" fn first_argument(_: *const Env, r1: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    r1
}

/// What a program gives on every engine.
fn run(text: &str, [r1, r2]: [u64; 2]) -> u64 {
    let (code, owner, env) = (cases::code(text), Owner(vec![(5, first_argument as HelperFn)]), Env::new());
    // SAFETY: the cases stay inside their frames, which the checked run, the first one, shows.
    let images = unsafe { images(&code, &owner) };
    let run = |image: &alveary_vm::Image| match image.run(&env, 0, [r1, r2, 0, 0, 0], Some(&owner)) {
        Ok(Exit::Return(value)) => value,
        other => panic!("{other:?}\n{text}"),
    };
    let results: Vec<u64> = images.iter().map(run).collect();
    assert!(results.iter().all(|result| *result == results[0]), "the engines differ: {results:x?}\n{text}");
    results[0]
}

fn check(cases: &[Case], least: usize) {
    for Case { what, text, args, expected } in cases {
        let result = run(text, *args);
        assert_eq!(result, *expected, "{what}: {result:#x}, expected {expected:#x}");
    }
    assert!(cases.len() > least, "only {} cases were found", cases.len());
}

fn is_big() -> bool {
    Endian::HOST == Endian::Big
}

#[test]
fn arithmetic() {
    check(&cases::arithmetic(), 100);
}

#[test]
fn unary() {
    check(&cases::unary(), 100);
    check(&cases::swaps(is_big()), 100);
}

#[test]
fn conditions() {
    check(&cases::conditions(), 100);
}

#[test]
fn programs() {
    check(&cases::programs(is_big()), 25);
}

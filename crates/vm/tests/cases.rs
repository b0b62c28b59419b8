//! Every instruction, by tables of cases (`cases/*.txt`) on every engine.

mod support;

use alveary_isa::asm::assemble;
use alveary_isa::{Insn, Inst, decode};
use alveary_vm::{Code, Env, Exit, HelperFn};
use support::{Owner, images};

unsafe extern "C" fn first_argument(_: *const Env, r1: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    r1
}

fn owner() -> Owner {
    Owner(vec![(5, first_argument as HelperFn)])
}

/// Assembles; helper 5 becomes the owner's first.
fn code(text: &str) -> Code {
    let (assembly, errors) = assemble(text, &|_| None);
    assert_eq!(errors, [], "{text}");
    let mut insns: Vec<Insn> = assembly.into_raw().expect("one section");
    let mut starts = vec![0];
    let mut slot = 0;
    while slot < insns.len() {
        let inst = decode(&insns, slot).expect("assembled instructions are defined");
        match inst {
            Inst::CallHelper { .. } => insns[slot].imm = 0,
            Inst::CallLocal { rel } | Inst::FuncAddr { rel, .. } => starts.push((slot as i32 + 1 + rel) as u32),
            _ => {}
        }
        slot += inst.slots();
    }
    starts.sort_unstable();
    starts.dedup();
    Code { insns, ..owner().code(&[], &starts) }
}

/// What a program gives on every engine.
fn run(text: &str, args: [u64; 5]) -> u64 {
    let (code, owner, env) = (code(text), owner(), Env::new());
    // SAFETY: the cases stay inside their frames, which the checked run, the first one, shows.
    let images = unsafe { images(&code, &owner) };
    let run = |image: &alveary_vm::Image| match image.run(&env, 0, args, Some(&owner)) {
        Ok(Exit::Return(value)) => value,
        other => panic!("{other:?}\n{text}"),
    };
    let results: Vec<u64> = images.iter().map(run).collect();
    assert!(results.iter().all(|result| *result == results[0]), "the engines differ: {results:x?}\n{text}");
    results[0]
}

/// The rows of a table: an instruction or a condition, r0 and r2, the result.
fn rows(table: &str) -> impl Iterator<Item = (&str, [u64; 2], u64)> {
    let hex = |text: &str| u64::from_str_radix(text.trim(), 16).expect("a hexadecimal number");
    table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(move |line| {
        let mut columns = line.split(" | ");
        let mut column = || columns.next().expect("three columns").trim();
        let (what, operands, result) = (column(), column(), column());
        let (first, second) = operands.split_once(' ').unwrap_or((operands, operands));
        (what, [hex(first), hex(second)], hex(result))
    })
}

/// The constant form of an instruction with the operand r2, if there is one.
fn with_constant(what: &str, r2: u64) -> Option<String> {
    let (before, register) = what.rsplit_once(' ')?;
    let constant = if register == "r2" { i32::try_from(r2 as i64).ok()? } else { r2 as i32 };
    Some(format!("{before} {constant}"))
}

fn check(table: &str, program: impl Fn(&str) -> String, constants: bool) {
    let mut count = 0;
    for (what, [r0, r2], expected) in rows(table) {
        let constant = with_constant(what, r2).filter(|_| constants);
        for form in [Some(what.to_owned()), constant].into_iter().flatten() {
            let result = run(&program(&form), [r0, r2, 0, 0, 0]);
            assert_eq!(result, expected, "{form} of {r0:#x} and {r2:#x}: {result:#x}, expected {expected:#x}");
            count += 1;
        }
    }
    assert!(count > 100, "only {count} cases were found");
}

#[test]
fn arithmetic() {
    let program = |what: &str| format!("r0 = r1\n{what}\nexit\n");
    check(include_str!("cases/arithmetic.txt"), program, true);
}

#[test]
fn unary() {
    let program = |what: &str| format!("r0 = r1\n{what}\nexit\n");
    check(include_str!("cases/unary.txt"), program, false);
    let swaps = match alveary_isa::Endian::HOST {
        alveary_isa::Endian::Little => include_str!("cases/swap-little.txt"),
        alveary_isa::Endian::Big => include_str!("cases/swap-big.txt"),
    };
    check(swaps, program, false);
}

#[test]
fn conditions() {
    let program = |what: &str| format!("r0 = r1\nif {what} goto taken\nr0 = 0\nexit\ntaken: r0 = 1\nexit\n");
    check(include_str!("cases/compare.txt"), program, true);
}

#[test]
#[cfg(target_endian = "little")]
fn programs() {
    let cases = include_str!("cases/programs.txt");
    let mut count = 0;
    for case in cases.split("\n[").skip(1) {
        let (name, rest) = case.split_once("]\n").expect("a name in brackets");
        let (program, result) = rest.split_once("=>").expect("a result");
        let expected = u64::from_str_radix(result.trim(), 16).expect("a hexadecimal number");
        let result = run(program, [0; 5]);
        assert_eq!(result, expected, "{name}: {result:#x}, expected {expected:#x}");
        count += 1;
    }
    assert!(count > 25, "only {count} cases were found");
}

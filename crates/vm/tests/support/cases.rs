//! The cases of instructions (`cases/*.txt`): programs, what they are given, what they give.

use alveary_isa::asm::assemble;
use alveary_isa::{Insn, Inst, decode};
use alveary_vm::{Call, Code, Func};

/// A case.
pub struct Case {
    /// What it is about.
    pub what: String,
    /// The program.
    pub text: String,
    /// r1 and r2.
    pub args: [u64; 2],
    /// r0 at its end.
    pub expected: u64,
}

/// Every case that a machine of this byte order has.
pub fn all(big: bool) -> Vec<Case> {
    [arithmetic(), unary(), swaps(big), conditions(), programs(big)].into_iter().flatten().collect()
}

pub fn arithmetic() -> Vec<Case> {
    table(include_str!("../cases/arithmetic.txt"), moved, true)
}

pub fn unary() -> Vec<Case> {
    table(include_str!("../cases/unary.txt"), moved, false)
}

pub fn swaps(big: bool) -> Vec<Case> {
    let swaps = if big { include_str!("../cases/swap-big.txt") } else { include_str!("../cases/swap-little.txt") };
    table(swaps, moved, false)
}

pub fn conditions() -> Vec<Case> {
    let program = |what: &str| format!("r0 = r1\nif {what} goto taken\nr0 = 0\nexit\ntaken: r0 = 1\nexit\n");
    table(include_str!("../cases/compare.txt"), program, true)
}

/// Whole programs. Where the byte order matters, the result on big-endian machines stands behind the other one.
pub fn programs(big: bool) -> Vec<Case> {
    let cases = include_str!("../cases/programs.txt").split("\n[").skip(1).map(|case| {
        let (name, rest) = case.split_once("]\n").expect("a name in brackets");
        let (program, result) = rest.split_once("=>").expect("a result");
        let (little, other) = result.split_once('|').unwrap_or((result, result));
        let expected = hex(if big { other } else { little });
        Case { what: name.to_owned(), text: program.to_owned(), args: [0; 2], expected }
    });
    cases.collect()
}

fn moved(what: &str) -> String {
    format!("r0 = r1\n{what}\nexit\n")
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text.trim(), 16).expect("a hexadecimal number")
}

/// The rows of a table: an instruction or a condition, r0 and r2, the result. With `constants` also with the operand r2 as
/// a constant, if that can be one.
fn table(table: &str, program: impl Fn(&str) -> String, constants: bool) -> Vec<Case> {
    let rows = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut cases = Vec::new();
    for line in rows {
        let mut columns = line.split(" | ");
        let mut column = || columns.next().expect("three columns").trim();
        let (what, operands, result) = (column(), column(), column());
        let (first, second) = operands.split_once(' ').unwrap_or((operands, operands));
        let (args, expected) = ([hex(first), hex(second)], hex(result));
        let constant = with_constant(what, args[1]).filter(|_| constants);
        for form in [Some(what.to_owned()), constant].into_iter().flatten() {
            let text = program(&form);
            cases.push(Case { what: format!("{form} of {:#x} and {:#x}", args[0], args[1]), text, args, expected });
        }
    }
    cases
}

/// The constant form of an instruction with the operand r2, if there is one.
fn with_constant(what: &str, r2: u64) -> Option<String> {
    let (before, register) = what.rsplit_once(' ')?;
    let constant = if register == "r2" { i32::try_from(r2 as i64).ok()? } else { r2 as i32 };
    Some(format!("{before} {constant}"))
}

/// Assembles; every helper becomes the only one of [`Code::calls`], number 5.
pub fn code(text: &str) -> Code {
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
    let funcs = starts.into_iter().map(|start| Func { start, stack: 512 }).collect();
    Code { insns, funcs, calls: vec![Call { args: 5, returns: true, tag: 5 }], ..Code::default() }
}

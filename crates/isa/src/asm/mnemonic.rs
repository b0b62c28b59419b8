//! The notation of the conformance suites: a mnemonic and operands, `stxdw [%r10-8], %r1`. The width of an
//! operation is in its name (`add32`, `movsx864`), registers are always `%r…`.

use super::Parsed;
use super::line::Line;
use super::resolve::Builder;
use super::statement::{SWAPS, jump};
use crate::{AluOp, AtomicOp, CmpOp, Inst, Operand, Swap, Wide, Width};

const ALU: [(&str, AluOp); 14] = [
    ("add", AluOp::Add),
    ("sub", AluOp::Sub),
    ("mul", AluOp::Mul),
    ("div", AluOp::Div),
    ("sdiv", AluOp::SDiv),
    ("or", AluOp::Or),
    ("and", AluOp::And),
    ("lsh", AluOp::Lsh),
    ("rsh", AluOp::Rsh),
    ("mod", AluOp::Mod),
    ("smod", AluOp::SMod),
    ("xor", AluOp::Xor),
    ("mov", AluOp::Mov),
    ("arsh", AluOp::Arsh),
];

const JUMPS: [(&str, CmpOp); 11] = [
    ("jeq", CmpOp::Eq),
    ("jne", CmpOp::Ne),
    ("jset", CmpOp::Set),
    ("jgt", CmpOp::Gt),
    ("jge", CmpOp::Ge),
    ("jlt", CmpOp::Lt),
    ("jle", CmpOp::Le),
    ("jsgt", CmpOp::SGt),
    ("jsge", CmpOp::SGe),
    ("jslt", CmpOp::SLt),
    ("jsle", CmpOp::SLe),
];

/// Name (without fetch), operation, operation with fetch.
const LOCKS: [(&str, AtomicOp, AtomicOp); 6] = [
    ("add", AtomicOp::Add { fetch: false }, AtomicOp::Add { fetch: true }),
    ("or", AtomicOp::Or { fetch: false }, AtomicOp::Or { fetch: true }),
    ("and", AtomicOp::And { fetch: false }, AtomicOp::And { fetch: true }),
    ("xor", AtomicOp::Xor { fetch: false }, AtomicOp::Xor { fetch: true }),
    ("xchg", AtomicOp::Xchg, AtomicOp::Xchg),
    ("cmpxchg", AtomicOp::Cmpxchg, AtomicOp::Cmpxchg),
];

/// Name, width extended to, bits extended from.
const SIGN_MOVES: [(&str, Wide, u8); 5] = [
    ("movsx832", Wide::W32, 8),
    ("movsx1632", Wide::W32, 16),
    ("movsx864", Wide::W64, 8),
    ("movsx1664", Wide::W64, 16),
    ("movsx3264", Wide::W64, 32),
];

/// Name, width, sign. The last three are spelled either way.
const LOADS: [(&str, Width, bool); 10] = [
    ("ldxb", Width::B1, false),
    ("ldxh", Width::B2, false),
    ("ldxw", Width::B4, false),
    ("ldxdw", Width::B8, false),
    ("ldxsb", Width::B1, true),
    ("ldxsh", Width::B2, true),
    ("ldxsw", Width::B4, true),
    ("ldxbsx", Width::B1, true),
    ("ldxhsx", Width::B2, true),
    ("ldxwsx", Width::B4, true),
];

const SIZES: [(&str, Width); 4] = [("b", Width::B1), ("h", Width::B2), ("w", Width::B4), ("dw", Width::B8)];

pub(super) fn statement(line: &mut Line, builder: &mut Builder) -> Parsed<()> {
    let unknown = line.error("unknown instruction", "a statement such as `r0 = 1`, or a mnemonic such as `mov %r0, 1`");
    let word = line.word("an instruction")?;
    let (name, wide) = width_of(word);
    if let Some(&(_, op)) = JUMPS.iter().find(|row| row.0 == name) {
        let dst = line.register(Wide::W64)?;
        line.sign(",")?;
        let src = operand(line)?;
        line.sign(",")?;
        return jump(line, builder, wide, op, dst, src);
    }
    if name == "ja" {
        let target = line.target()?;
        line.end()?;
        return match wide {
            Wide::W64 => builder.push_short(target, |off| Inst::Ja { off: off.into(), long: false }),
            Wide::W32 => {
                builder.push_long(target);
                Ok(())
            }
        };
    }
    let Some(inst) = plain(line, word, name, wide)? else { return Err(unknown) };
    line.end()?;
    builder.push(inst);
    Ok(())
}

/// `lock [fetch] add [%r1+8], %r2`; also `fetch_add`.
pub(super) fn lock(line: &mut Line, builder: &mut Builder) -> Parsed<()> {
    line.skip(1);
    let mut fetch = line.take_word("fetch");
    let unknown = line.error("not an atomic operation", "add, or, and, xor, xchg or cmpxchg");
    let word = line.word("an atomic operation")?;
    let (mut name, wide) = width_of(word);
    if let Some(rest) = name.strip_prefix("fetch_") {
        (name, fetch) = (rest, true);
    }
    let Some(&(_, plain, fetching)) = LOCKS.iter().find(|row| row.0 == name) else { return Err(unknown) };
    let (dst, off) = memory(line)?;
    line.sign(",")?;
    let src = line.register(Wide::W64)?;
    line.end()?;
    let width = if wide == Wide::W64 { Width::B8 } else { Width::B4 };
    builder.push(Inst::Atomic { width, op: if fetch { fetching } else { plain }, dst, src, off });
    Ok(())
}

/// Instructions that go nowhere. Nothing if there is none of this name.
fn plain(line: &mut Line, word: &str, name: &str, wide: Wide) -> Parsed<Option<Inst>> {
    let swap = word.strip_prefix("swap").and_then(|bits| Some((Swap::Bswap, bits.parse().ok()?)));
    let swap = SWAPS.iter().find(|row| row.0 == word).map(|row| (row.1, row.2)).or(swap);
    if let Some((kind, bits @ (16 | 32 | 64))) = swap {
        return Ok(Some(Inst::Swap { kind, bits, dst: line.register(Wide::W64)? }));
    }
    if let Some(&(_, wide, bits)) = SIGN_MOVES.iter().find(|row| row.0 == word) {
        let dst = line.register(Wide::W64)?;
        line.sign(",")?;
        return Ok(Some(Inst::MovSx { wide, bits, dst, src: line.register(Wide::W64)? }));
    }
    if let Some(&(_, width, signed)) = LOADS.iter().find(|row| row.0 == word) {
        let dst = line.register(Wide::W64)?;
        line.sign(",")?;
        let (src, off) = memory(line)?;
        return Ok(Some(Inst::Load { width, signed, dst, src, off }));
    }
    if let Some(store) = store(line, word)? {
        return Ok(Some(store));
    }
    if word == "lddw" {
        let dst = line.register(Wide::W64)?;
        line.sign(",")?;
        return Ok(Some(Inst::LoadImm64 { dst, value: line.number()?.bits64()? }));
    }
    if name == "neg" {
        return Ok(Some(Inst::Neg { wide, dst: line.register(Wide::W64)? }));
    }
    let Some(&(_, op)) = ALU.iter().find(|row| row.0 == name) else { return Ok(None) };
    let dst = line.register(Wide::W64)?;
    line.sign(",")?;
    Ok(Some(Inst::Alu { wide, op, dst, src: operand(line)? }))
}

fn store(line: &mut Line, word: &str) -> Parsed<Option<Inst>> {
    let Some(rest) = word.strip_prefix("st") else { return Ok(None) };
    let (from_register, size) = match rest.strip_prefix('x') {
        Some(size) => (true, size),
        None => (false, rest),
    };
    let Some(&(_, width)) = SIZES.iter().find(|row| row.0 == size) else { return Ok(None) };
    let (dst, off) = memory(line)?;
    line.sign(",")?;
    let src = if from_register { Operand::Reg(line.register(Wide::W64)?) } else { Operand::Imm(line.imm()?) };
    Ok(Some(Inst::Store { width, dst, off, src }))
}

/// `add32` is `add` at 32 bits; `add64` and `add` are it at 64.
fn width_of(word: &str) -> (&str, Wide) {
    match (word.strip_suffix("32"), word.strip_suffix("64")) {
        (Some(name), _) => (name, Wide::W32),
        (_, Some(name)) => (name, Wide::W64),
        _ => (word, Wide::W64),
    }
}

/// `[%r1+4]`.
fn memory(line: &mut Line) -> Parsed<(crate::Reg, i16)> {
    line.sign("[")?;
    let address = line.address()?;
    line.sign("]")?;
    Ok(address)
}

fn operand(line: &mut Line) -> Parsed<Operand> {
    super::statement::operand(line, Wide::W64)
}

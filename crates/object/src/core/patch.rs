//! An answer, written into the instruction that asks.

use super::{Answer, Problem, value::may_resize};
use crate::insn::LD_IMM64;
use alveary_isa::{Insn, Reg};

/// The helper that no kernel has, called in place of an instruction whose question has no answer ("bad relo").
const NO_HELPER: i32 = 0xbad_2310;
const CALL: u8 = 0x85;

/// Classes of instructions: the low bits of the operation code.
const CLASS: u8 = 0x07;
const LD: u8 = 0;
const LDX: u8 = 1;
const ST: u8 = 2;
const STX: u8 = 3;
const ALU: u8 = 4;
const ALU64: u8 = 7;
/// The operand is a register.
const FROM_REGISTER: u8 = 0x08;
/// Sizes of memory accesses by their bits in the operation code.
const SIZES: [(u8, u32); 4] = [(0x00, 4), (0x08, 2), (0x10, 1), (0x18, 8)];
const SIZE: u8 = 0x18;

/// What became of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patched {
    /// It holds the answer.
    Done,
    /// There is no answer: it fails when it is reached.
    NoAnswer,
    /// The field is there, and cannot be loaded or stored as the program does: it fails when it is reached.
    WrongSize,
}

/// Writes `answer` into the instruction at `at`.
pub(super) fn patch(insns: &mut [Insn], at: usize, answer: &Answer<'_>) -> Result<Patched, Problem> {
    let Some(insn) = insns.get_mut(at) else { return Err(Problem::Instruction) };
    let (own, new) = (answer.own_value, answer.value);
    match insn.op & CLASS {
        ALU | ALU64 if insn.op & FROM_REGISTER == 0 => {
            let Some(new) = new else { return poison(insns, at, Patched::NoAnswer) };
            if own.certain && insn.imm as u32 != own.number as u32 {
                return Err(Problem::Contradiction { found: insn.imm.into(), expected: own.number });
            }
            insn.imm = new.number as i32;
        }
        LDX | ST | STX => {
            let Some(new) = new else { return poison(insns, at, Patched::NoAnswer) };
            if own.certain && i64::from(insn.off) as u64 != own.number {
                return Err(Problem::Contradiction { found: insn.off.into(), expected: own.number });
            }
            let off = i16::try_from(new.number).map_err(|_| Problem::Offset(new.number))?;
            let (own_size, new_size) = (own.access.map_or(0, |(size, _)| size), new.access.map_or(0, |(size, _)| size));
            if own_size != new_size {
                if !answer.may_resize() {
                    return poison(insns, at, Patched::WrongSize);
                }
                let now = SIZES.iter().find(|(bits, _)| *bits == insn.op & SIZE).map_or(0, |(_, size)| *size);
                if now != own_size {
                    return Err(Problem::Contradiction { found: now.into(), expected: own_size.into() });
                }
                let size = SIZES.iter().find(|(_, size)| *size == new_size).ok_or(Problem::Width(new_size))?;
                insn.op = insn.op & !SIZE | size.0;
            }
            insn.off = off;
        }
        LD if insn.op == LD_IMM64 => {
            let (first, second) = (*insn, insns.get(at + 1).copied().ok_or(Problem::Instruction)?);
            let second_is_plain = second.op == 0 && second.dst.0 == 0 && second.src.0 == 0 && second.off == 0;
            if first.src.0 != 0 || first.off != 0 || !second_is_plain {
                return Err(Problem::Instruction);
            }
            let Some(new) = new else { return poison(insns, at, Patched::NoAnswer) };
            let found = u64::from(first.imm as u32) | u64::from(second.imm as u32) << 32;
            if own.certain && found != own.number {
                return Err(Problem::Contradiction { found: found as i64, expected: own.number });
            }
            insns[at].imm = new.number as i32;
            insns[at + 1].imm = (new.number >> 32) as i32;
        }
        _ => return Err(Problem::Instruction),
    }
    Ok(Patched::Done)
}

impl Answer<'_> {
    /// A load or store of the field may take its size from the kernel.
    fn may_resize(&self) -> bool {
        let (Some((_, own)), Some((_, new)), Some(found)) =
            (self.own_value.access, self.value.and_then(|v| v.access), &self.found)
        else {
            return false;
        };
        may_resize(self.own.btf.resolved(own), found.btf.resolved(new))
    }
}

/// Puts calls of a helper that no kernel has in place of the instruction: verifiers refuse to reach it.
fn poison(insns: &mut [Insn], at: usize, why: Patched) -> Result<Patched, Problem> {
    let slots = if insns[at].op == LD_IMM64 { 2 } else { 1 };
    let Some(slots) = insns.get_mut(at..at + slots) else { return Err(Problem::Instruction) };
    slots.fill(Insn { op: CALL, dst: Reg(0), src: Reg(0), off: 0, imm: NO_HELPER });
    Ok(why)
}

//! Bytes of the packet that are loaded one by one and put together by shifts become one load: of a word as it stands there,
//! or of its bytes reversed. Fields of packets are read so, since nothing says that they are aligned.
//!
//! Sound because nobody but the program writes to its packet while it runs, so that it does not matter when its bytes are
//! read, as long as the program has written none since: what is known of values is forgotten where it may have. The bytes
//! that are read are those that the program reads. Other memory is read as the program says: there are writers.

use super::arith::integer;
use super::lift::{Lifter, PLAIN};
use super::pass::Pass;
use crate::Memory;
use alveary_isa::{AluOp, Inst, Operand, Reg, Swap, Wide, Width};
use cranelift_codegen::ir::{Endianness, InstBuilder, Value};
use std::collections::HashMap;

/// What is known of the values of a node.
#[derive(Default)]
pub(super) struct Gathered(HashMap<Value, Bytes>);

/// A value that consists of bytes of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bytes {
    /// The address that they are counted from.
    base: Value,
    /// Where each stands, the least significant one first; `None`: it is zero.
    at: [Option<i32>; 8],
}

impl Bytes {
    /// What a load of a width gives.
    fn loaded(base: Value, off: i32, width: Width) -> Bytes {
        let mut at = [None; 8];
        (off..).zip(&mut at[..width.bytes()]).for_each(|(off, byte)| *byte = Some(off));
        Bytes { base, at }
    }

    /// The value, if each of its bytes is changed so.
    fn with(self, byte: impl Fn(usize) -> Option<i32>) -> Option<Bytes> {
        let at = std::array::from_fn(byte);
        (at != [None; 8]).then_some(Bytes { at, ..self })
    }

    /// Its lower bytes.
    fn low(self, bytes: usize) -> Option<Bytes> {
        self.with(|n| self.at[n].filter(|_| n < bytes))
    }

    fn shifted_left(self, bytes: usize) -> Option<Bytes> {
        self.with(|n| self.at[n.checked_sub(bytes)?])
    }

    fn shifted_right(self, bytes: usize) -> Option<Bytes> {
        self.with(|n| *self.at.get(n + bytes)?)
    }

    /// Its lower bytes, the other way round.
    fn reversed(self, bytes: usize) -> Option<Bytes> {
        self.with(|n| self.at[bytes.checked_sub(n + 1)?])
    }

    /// What a mask leaves, if it leaves whole bytes.
    fn masked(self, mask: u64) -> Option<Bytes> {
        let mask = mask.to_le_bytes();
        let whole = mask.iter().zip(self.at).all(|(mask, at)| at.is_none() || matches!(mask, 0 | 0xff));
        if whole { self.with(|n| self.at[n].filter(|_| mask[n] != 0)) } else { None }
    }

    /// Both, where one is zero.
    fn and(self, other: Bytes) -> Option<Bytes> {
        let apart = self.at.iter().zip(other.at).all(|(one, other)| one.is_none() || other.is_none());
        if apart && self.base == other.base { self.with(|n| self.at[n].or(other.at[n])) } else { None }
    }

    /// The load that gives it: where, how wide, whether its bytes are reversed then.
    fn load(self) -> Option<(i32, Width, bool)> {
        let bytes = self.at.iter().flatten().count();
        let width = [Width::B2, Width::B4, Width::B8].into_iter().find(|width| width.bytes() == bytes)?;
        let first = *self.at.iter().flatten().min()?;
        let loaded = Bytes::loaded(self.base, first, width);
        if self == loaded {
            Some((first, width, false))
        } else if Some(self) == loaded.reversed(bytes) {
            Some((first, width, true))
        } else {
            None
        }
    }
}

impl Gathered {
    /// Forgets all values.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

impl Lifter<'_> {
    /// Remembers what a load has given.
    pub(super) fn remember(&mut self, slot: u32, width: Width, value: Value, base: Value, off: i32) {
        let gathers = self.plan.rules.passes.has(Pass::Gather) && self.isa.endianness() == Endianness::Little;
        if gathers && self.plan.known(slot).memory == Memory::Packet {
            self.gathered.0.insert(value, Bytes::loaded(base, off, width));
        }
    }

    /// Forgets what was loaded from where an instruction may have written.
    pub(super) fn forget(&mut self, slot: u32, inst: Inst) {
        let writes = match inst {
            Inst::Store { .. } | Inst::Atomic { .. } | Inst::StoreRelease { .. } => {
                matches!(self.plan.known(slot).memory, Memory::Packet | Memory::Any)
            }
            Inst::CallHelper { .. } | Inst::CallLocal { .. } | Inst::CallX { .. } | Inst::CallKfunc { .. } => true,
            _ => false,
        };
        if writes {
            self.gathered.forget();
        }
    }

    /// Computes what an instruction writes; if that is bytes of the packet put together, by a load.
    pub(super) fn gather(&mut self, inst: Inst, compute: impl FnOnce(&mut Self) -> Value) -> Value {
        let Some(bytes) = self.gathered_by(inst) else { return compute(self) };
        let puts_together = matches!(inst, Inst::Alu { op: AluOp::Or | AluOp::Add | AluOp::Xor, .. });
        let value = match bytes.load().filter(|_| puts_together) {
            Some((off, width, reversed)) => {
                if reversed {
                    self.reversed(width, bytes.base, off)
                } else {
                    self.load(width, false, bytes.base, off)
                }
            }
            None => compute(self),
        };
        self.gathered.0.insert(value, bytes);
        value
    }

    /// A word of memory, its bytes the other way round.
    fn reversed(&mut self, width: Width, base: Value, off: i32) -> Value {
        let word = self.to.ins().load(integer(8 * width.bytes() as u8), PLAIN, base, off);
        let word = self.to.ins().bswap(word);
        self.extend(word)
    }

    /// The bytes that an instruction writes.
    fn gathered_by(&mut self, inst: Inst) -> Option<Bytes> {
        if self.gathered.0.is_empty() {
            return None;
        }
        match inst {
            Inst::Alu { wide, op, dst, src } => {
                let most = if wide == Wide::W32 { 4 } else { 8 };
                let bytes = match (op, src) {
                    (AluOp::Mov, Operand::Reg(src)) => self.bytes(src, most)?,
                    (AluOp::Lsh, Operand::Imm(bits)) => {
                        self.bytes(dst, most)?.shifted_left(whole_bytes(bits, most)?)?
                    }
                    (AluOp::Rsh, Operand::Imm(bits)) => {
                        self.bytes(dst, most)?.shifted_right(whole_bytes(bits, most)?)?
                    }
                    (AluOp::And, Operand::Imm(mask)) => self.bytes(dst, most)?.masked(i64::from(mask) as u64)?,
                    (AluOp::Or | AluOp::Add | AluOp::Xor, Operand::Reg(src)) => {
                        self.bytes(dst, most)?.and(self.bytes(src, most)?)?
                    }
                    _ => return None,
                };
                bytes.low(most)
            }
            Inst::Swap { kind: Swap::ToBe | Swap::Bswap, bits, dst } => {
                let bytes = usize::from(bits) / 8;
                self.bytes(dst, bytes)?.reversed(bytes)
            }
            Inst::Swap { kind: Swap::ToLe, bits, dst } => self.bytes(dst, usize::from(bits) / 8),
            _ => None,
        }
    }

    /// The lower bytes of a register.
    fn bytes(&mut self, reg: Reg, most: usize) -> Option<Bytes> {
        let value = self.get(reg);
        self.gathered.0.get(&value)?.low(most)
    }
}

/// A shift by whole bytes, of a value of so many bytes.
fn whole_bytes(bits: i32, most: usize) -> Option<usize> {
    let bits = bits as usize & (8 * most - 1);
    bits.is_multiple_of(8).then_some(bits / 8)
}

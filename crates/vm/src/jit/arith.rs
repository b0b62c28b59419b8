//! What arithmetic, byte swaps and constants become. The rules are RFC 9669's; `crate::arith` has them as functions.

use super::lift::Lifter;
use crate::Known;
use alveary_isa::{AluOp, Inst, Operand, Reg, Swap, Wide, Width};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{Endianness, InstBuilder, Type, Value};

impl Lifter<'_> {
    /// Lifts an instruction that writes a register, and does nothing else.
    pub(super) fn compute(&mut self, slot: u32, inst: Inst) {
        let known = self.plan.known(slot);
        let waiting = self.waiting_for(inst);
        let (dst, value) = match inst {
            Inst::Alu { wide, op, dst, src } => {
                (dst, self.gather(inst, |lifter| lifter.alu(wide, op, dst, src, known)))
            }
            Inst::Neg { wide, dst } => {
                let value = self.get_as(wide, dst);
                let negative = self.to.ins().ineg(value);
                (dst, self.extend(negative))
            }
            Inst::MovSx { wide, bits, dst, src } => (dst, self.sign_extension(wide, bits, src)),
            Inst::Swap { kind, bits, dst } => (dst, self.gather(inst, |lifter| lifter.swap(kind, bits, dst))),
            Inst::LoadImm64 { dst, .. }
            | Inst::MapFd { dst, .. }
            | Inst::MapValueFd { dst, .. }
            | Inst::VarAddr { dst, .. }
            | Inst::FuncAddr { dst, .. }
            | Inst::MapIdx { dst, .. }
            | Inst::MapValueIdx { dst, .. } => {
                let value = self.named(slot, inst);
                return self.set(dst, value);
            }
            // Predecoding refuses the rest.
            _ => return,
        };
        let value = match known.constant() {
            Some(constant) => self.constant(constant as i64),
            None => value,
        };
        self.computed(value, waiting);
        self.set(dst, value);
    }

    fn alu(&mut self, wide: Wide, op: AluOp, dst: Reg, src: Operand, known: Known) -> Value {
        // `dst` is read below alone: a move does not need what it overwrites.
        match (op, wide, src) {
            (AluOp::Mov, Wide::W32, Operand::Reg(reg)) if self.fits(reg, Width::B4) => return self.get(reg),
            (AluOp::Mul, _, Operand::Imm(by)) => {
                if let Some(product) = self.product(wide, dst, by) {
                    return self.extend(product);
                }
            }
            (AluOp::Mov, ..) => {
                let value = self.operand(wide, src);
                return self.extend(value);
            }
            (AluOp::Add, Wide::W64, Operand::Imm(imm)) => {
                let value = self.get(dst);
                return self.sum(value, imm.into());
            }
            (AluOp::Add, Wide::W64, Operand::Reg(reg)) => {
                let (value, other) = (self.get(dst), self.get(reg));
                return self.added(value, other);
            }
            (AluOp::Sub, Wide::W64, Operand::Imm(imm)) => {
                let value = self.get(dst);
                return self.sum(value, -i64::from(imm));
            }
            _ => {}
        }
        let x = self.get_as(wide, dst);
        if let AluOp::Div | AluOp::Mod = op
            && let Some(result) = self.by_constant(op, wide, x, src, known.range.1)
        {
            return result;
        }
        let y = self.operand(wide, src);
        let not_zero = known.divisor_not_zero || matches!(src, Operand::Imm(imm) if imm != 0);
        let result = match op {
            AluOp::Add => self.to.ins().iadd(x, y),
            AluOp::Sub => self.to.ins().isub(x, y),
            AluOp::Mul => self.to.ins().imul(x, y),
            AluOp::Or => self.to.ins().bor(x, y),
            AluOp::And => self.to.ins().band(x, y),
            AluOp::Xor => self.to.ins().bxor(x, y),
            // Shifts take as many bits of the amount as matter.
            AluOp::Lsh => self.to.ins().ishl(x, y),
            AluOp::Rsh => self.to.ins().ushr(x, y),
            AluOp::Arsh => self.to.ins().sshr(x, y),
            AluOp::Div | AluOp::Mod => self.unsigned_division(op, x, y, not_zero),
            AluOp::SDiv | AluOp::SMod => self.signed_division(op, x, y, src, not_zero),
            AluOp::Mov => y,
        };
        self.extend(result)
    }

    /// By zero, a quotient is zero and a remainder is what was divided.
    fn unsigned_division(&mut self, op: AluOp, x: Value, y: Value, not_zero: bool) -> Value {
        let divide = |lifter: &mut Self, by| match op {
            AluOp::Div => lifter.to.ins().udiv(x, by),
            _ => lifter.to.ins().urem(x, by),
        };
        if not_zero {
            return divide(self, y);
        }
        let ty = self.type_of(y);
        let (zero, one) = (self.to.ins().iconst(ty, 0), self.to.ins().iconst(ty, 1));
        let by_zero = self.to.ins().icmp(IntCC::Equal, y, zero);
        let divisor = self.to.ins().select(by_zero, one, y);
        let result = divide(self, divisor);
        self.to.ins().select(by_zero, if op == AluOp::Div { zero } else { x }, result)
    }

    /// As above; by -1, a quotient is what was divided, negated, also where that does not fit.
    fn signed_division(&mut self, op: AluOp, x: Value, y: Value, src: Operand, not_zero: bool) -> Value {
        let divide = |lifter: &mut Self, by| match op {
            AluOp::SDiv => lifter.to.ins().sdiv(x, by),
            _ => lifter.to.ins().srem(x, by),
        };
        if matches!(src, Operand::Imm(imm) if imm != 0 && imm != -1) {
            return divide(self, y);
        }
        let ty = self.type_of(y);
        let (zero, one) = (self.to.ins().iconst(ty, 0), self.to.ins().iconst(ty, 1));
        let minus_one = self.to.ins().icmp_imm_s(IntCC::Equal, y, -1);
        let mut divisor = self.to.ins().select(minus_one, one, y);
        let by_zero = (!not_zero).then(|| self.to.ins().icmp(IntCC::Equal, y, zero));
        if let Some(by_zero) = by_zero {
            divisor = self.to.ins().select(by_zero, one, divisor);
        }
        let mut result = divide(self, divisor);
        if op == AluOp::SDiv {
            let negated = self.to.ins().ineg(x);
            result = self.to.ins().select(minus_one, negated, result);
        }
        match by_zero {
            Some(by_zero) => self.to.ins().select(by_zero, if op == AluOp::SDiv { zero } else { x }, result),
            None => result,
        }
    }

    fn sign_extension(&mut self, wide: Wide, bits: u8, src: Reg) -> Value {
        let value = self.get(src);
        let low = self.to.ins().ireduce(integer(bits), value);
        match wide {
            Wide::W64 => self.to.ins().sextend(I64, low),
            Wide::W32 => {
                let extended = self.to.ins().sextend(I32, low);
                self.extend(extended)
            }
        }
    }

    /// A swap, or where the host has that order already, what is left of it: a truncation.
    fn swap(&mut self, kind: Swap, bits: u8, dst: Reg) -> Value {
        let reverses = match kind {
            Swap::ToLe => self.isa.endianness() == Endianness::Big,
            Swap::ToBe => self.isa.endianness() == Endianness::Little,
            Swap::Bswap => true,
        };
        let mut value = self.get(dst);
        if bits < 64 {
            value = self.to.ins().ireduce(integer(bits), value);
        }
        if reverses {
            value = self.to.ins().bswap(value);
        }
        self.extend(value)
    }

    /// With zeroes, to 64 bits.
    pub(super) fn extend(&mut self, value: Value) -> Value {
        match self.type_of(value) {
            I64 => value,
            _ => self.to.ins().uextend(I64, value),
        }
    }

    fn type_of(&self, value: Value) -> Type {
        self.to.func.dfg.value_type(value)
    }
}

/// The type of integers of so many bits.
pub(super) fn integer(bits: u8) -> Type {
    match bits {
        8 => I8,
        16 => I16,
        32 => I32,
        _ => I64,
    }
}

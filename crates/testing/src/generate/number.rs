//! Numbers: where they come from, what is done to them, how they are kept in bounds, what is claimed of them.

use super::{
    access::truncated,
    control::Check,
    function::{CTX, Maker},
    maps,
    state::{Holds, Number, RUNS},
};
use crate::{
    arith,
    instructions::{ALU, WIDE, WIDTHS},
};
use alveary_abi::HelperId;
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Reg, Swap, Wide, Width};

impl Maker<'_> {
    /// A register that holds a number, kept for the statement.
    pub(super) fn number(&mut self) -> Reg {
        let known = if self.draw.chance(7, 8) { self.holding(|h| matches!(h, Holds::Number(_))) } else { None };
        let reg = known.unwrap_or_else(|| self.source());
        self.keep(reg)
    }

    /// A number that nobody knows, mostly.
    pub(super) fn source(&mut self) -> Reg {
        match self.draw.below(16) {
            0..5 if !self.around.readable.is_empty() && self.of_ctx() => {
                let (off, width) = self.draw.of(&self.around.readable);
                let dst = self.free();
                self.code.push(Inst::Load { width, signed: false, dst, src: CTX, off });
                self.loaded(dst, width, false)
            }
            5..9 => {
                let Some((src, size)) = self.readable() else { return self.constant() };
                let width = self.width_in(size);
                let off = self.draw.between(0, i64::from(size) - width.bytes() as i64) as i16;
                let (signed, dst) = (width != Width::B8 && self.draw.chance(1, 6), self.free());
                self.code.push(Inst::Load { width, signed, dst, src, off });
                self.loaded(dst, width, signed)
            }
            9 | 10 => {
                // Its content is known.
                let dst = self.free();
                let width = self.draw.of(&WIDTHS);
                let off = self.draw.below(32 / width.bytes() as u64) * width.bytes() as u64;
                self.code.push(Inst::MapValueIdx { dst, idx: maps::FIXED, off: off as u32 });
                self.code.push(Inst::Load { width, signed: false, dst, src: dst, off: 0 });
                let bytes = &maps::CONSTANTS[off as usize..off as usize + width.bytes()];
                let value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
                self.state.set(dst, Holds::Number([value; RUNS]));
                dst
            }
            11 | 12 if self.around.random && !self.is_busy(Reg(0)) && self.busy & 0x3e == 0 => {
                self.code.push(Inst::CallHelper { id: HelperId::GET_PRANDOM_U32.0 as i32 });
                self.called();
                self.loaded(Reg(0), Width::B4, false)
            }
            _ => self.constant(),
        }
    }

    fn of_ctx(&self) -> bool {
        self.state.of(CTX) == Holds::Ctx
    }

    /// A register now holds what was loaded with this width.
    pub(super) fn loaded(&mut self, dst: Reg, width: Width, signed: bool) -> Reg {
        let bits = 8 * width.bytes() as u32;
        let mut number = self.any_number(bits);
        if signed {
            number = number.map(|value| arith::sign_extend(64, bits, value));
        }
        self.state.set(dst, Holds::Number(number));
        dst
    }

    fn constant(&mut self) -> Reg {
        let dst = self.free();
        if self.draw.chance(1, 6) {
            let value = self.draw.word();
            self.code.push(Inst::LoadImm64 { dst, value });
            self.state.set(dst, Holds::Number([value; RUNS]));
        } else {
            let imm = self.draw.imm();
            self.set(dst, imm);
        }
        dst
    }

    /// A few operations on a number.
    pub(super) fn arithmetic(&mut self) {
        let dst = self.number();
        for _ in 0..=self.draw.below(3) {
            self.operate(dst);
        }
    }

    /// Any operation on a number.
    pub(super) fn operate(&mut self, dst: Reg) {
        let wide = self.draw.of(&WIDE);
        match self.draw.below(24) {
            0 => {
                self.code.push(Inst::Neg { wide, dst });
                self.change(dst, |a| arith::negate(arith::bits(wide), a));
            }
            1 | 2 => {
                let bits = self.draw.of(&[8, 16, 32][..if wide == Wide::W64 { 3 } else { 2 }]);
                self.code.push(Inst::MovSx { wide, bits, dst, src: dst });
                self.change(dst, |a| arith::sign_extend(arith::bits(wide), bits.into(), a));
            }
            3 => {
                let (kind, bits) = (self.draw.of(&[Swap::ToLe, Swap::ToBe, Swap::Bswap]), self.draw.of(&[16, 32, 64]));
                self.code.push(Inst::Swap { kind, bits, dst });
                self.change(dst, |a| arith::swap(kind, bits.into(), a));
            }
            4 | 5 => {
                // A copy, which learns what the number learns.
                let to = self.free();
                self.code.push(Inst::Alu { wide, op: AluOp::Mov, dst: to, src: Operand::Reg(dst) });
                let number = self.state.number(dst).unwrap_or_default();
                self.state.set(to, Holds::Number(number.map(|a| arith::alu(arith::bits(wide), AluOp::Mov, 0, a))));
                if self.draw.chance(1, 2) {
                    let imm = self.draw.between(-9, 9) as i32;
                    self.alu(wide, AluOp::Add, to, Operand::Imm(imm));
                }
            }
            6..10 => {
                let op = self.draw.of(&[AluOp::And, AluOp::Rsh, AluOp::Add, AluOp::Sub, AluOp::Or, AluOp::Xor]);
                let bits = self.draw.below(9) as u32;
                let imm = (1 << bits) - i32::from(op == AluOp::And);
                let imm = if op == AluOp::Rsh { self.draw.below(32) as i32 } else { imm };
                self.alu(wide, op, dst, Operand::Imm(imm));
            }
            _ => {
                let op = self.draw.of(&ALU);
                let other = self.holding(|h| matches!(h, Holds::Number(_)));
                let src = match other {
                    Some(reg) if self.draw.chance(2, 5) => Operand::Reg(reg),
                    _ => Operand::Imm(self.draw.imm()),
                };
                let src = match (op, src) {
                    (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, Operand::Imm(_)) => {
                        Operand::Imm(self.draw.below(if wide == Wide::W64 { 64 } else { 32 }) as i32)
                    }
                    (AluOp::Div | AluOp::SDiv | AluOp::Mod | AluOp::SMod, Operand::Imm(0)) => Operand::Imm(3),
                    _ => src,
                };
                self.alu(wide, op, dst, src);
            }
        }
    }

    /// `dst op= src`, of numbers.
    pub(super) fn alu(&mut self, wide: Wide, op: AluOp, dst: Reg, src: Operand) {
        let operand = self.operand(src);
        self.code.push(Inst::Alu { wide, op, dst, src });
        let number = self.state.number(dst).unwrap_or_default();
        let result = std::array::from_fn(|run| arith::alu(arith::bits(wide), op, number[run], operand[run]));
        self.state.set(dst, Holds::Number(result));
    }

    pub(super) fn operand(&self, src: Operand) -> Number {
        match src {
            Operand::Reg(reg) => self.state.number(reg).unwrap_or_default(),
            Operand::Imm(imm) => [i64::from(imm) as u64; RUNS],
        }
    }

    fn change(&mut self, dst: Reg, by: impl Fn(u64) -> u64) {
        let number = self.state.number(dst).unwrap_or_default();
        self.state.set(dst, Holds::Number(number.map(by)));
    }

    /// Least and largest of a number, signed, in the runs that come here.
    pub(super) fn range(&self, reg: Reg) -> (i64, i64) {
        let number = self.state.number(reg).unwrap_or_default();
        let values = || self.state.runs().map(|run| number[run] as i64);
        (values().min().unwrap_or(0), values().max().unwrap_or(0))
    }

    /// Makes a number one from 0 to `limit` - 1. What it gives has to be closed behind what relies on that.
    pub(super) fn bound(&mut self, reg: Reg, limit: i64) -> Option<Check> {
        let limit = limit.max(1);
        if self.wrong() {
            return None;
        }
        let mask = (1i64 << (63 - limit.leading_zeros())) - 1;
        match self.draw.below(10) {
            0..4 => {
                let wide = self.draw.of(&WIDE);
                self.alu(wide, AluOp::And, reg, Operand::Imm(mask as i32));
                None
            }
            4 if mask > 0 => {
                self.alu(Wide::W64, AluOp::Rsh, reg, Operand::Imm(mask.leading_zeros() as i32));
                None
            }
            5 if mask > 0 => {
                self.alu(Wide::W32, AluOp::Rsh, reg, Operand::Imm(mask.leading_zeros() as i32 - 32));
                None
            }
            way => {
                let limit = if self.wrong() { limit + 1 + self.draw.below(8) as i64 } else { limit };
                let wide = if way == 6 { Wide::W32 } else { Wide::W64 };
                if wide == Wide::W32 {
                    self.alu(Wide::W32, AluOp::Mov, reg, Operand::Reg(reg));
                }
                let (op, imm) = if self.draw.chance(1, 2) { (CmpOp::Gt, limit - 1) } else { (CmpOp::Ge, limit) };
                if way == 7 {
                    // A signed check has two sides.
                    let negative = Inst::Jmp { wide, op: CmpOp::SLt, dst: reg, src: Operand::Imm(0), off: 0 };
                    if self.held {
                        self.alu(Wide::W32, AluOp::And, reg, Operand::Imm(i32::MAX));
                    } else if !self.wrong() {
                        self.leave(negative);
                    }
                    let op = if op == CmpOp::Gt { CmpOp::SGt } else { CmpOp::SGe };
                    let jump = Inst::Jmp { wide, op, dst: reg, src: Operand::Imm(imm as i32), off: 0 };
                    return Some(self.in_range(reg, limit, jump));
                }
                Some(self.in_range(reg, limit, Inst::Jmp { wide, op, dst: reg, src: Operand::Imm(imm as i32), off: 0 }))
            }
        }
    }

    fn in_range(&mut self, reg: Reg, limit: i64, otherwise: Inst) -> Check {
        let check = self.check(otherwise);
        let number = std::array::from_fn(|run| match run {
            0 => limit as u64 - 1,
            1 => 0,
            _ => self.draw.below(limit as u64),
        });
        self.state.set(reg, Holds::Number(number));
        check
    }

    /// What holds of a number in every run that comes here: where it does not, something forbidden is done.
    pub(super) fn claim(&mut self) {
        let reg = self.number();
        if self.draw.chance(1, 2) {
            let ends = self.draw.of(&[8, 16, 64, 256, 4096]);
            self.alu(Wide::W64, AluOp::And, reg, Operand::Imm(ends - 1));
            for _ in 0..self.draw.below(3) {
                self.operate(reg);
            }
        }
        let number = self.state.number(reg).unwrap_or_default();
        let values = |wide: Wide| {
            let of = |run| if wide == Wide::W64 { number[run] } else { u64::from(number[run] as u32) };
            self.state.runs().map(of).collect::<Vec<u64>>()
        };
        let wide = if values(Wide::W64).iter().any(|v| *v as i64 != i64::from(*v as i32)) {
            Wide::W32
        } else {
            self.draw.of(&WIDE)
        };
        let values = values(wide);
        let signed = |v: &u64| if wide == Wide::W64 { *v as i64 } else { i64::from(*v as i32) };
        let (op, imm) = match self.draw.below(6) {
            0 => (CmpOp::Gt, values.iter().copied().max().unwrap_or(0) as i64),
            1 => (CmpOp::Lt, values.iter().copied().min().unwrap_or(0) as i64),
            2 => (CmpOp::SGt, values.iter().map(signed).max().unwrap_or(0)),
            3 => (CmpOp::SLt, values.iter().map(signed).min().unwrap_or(0)),
            4 => (CmpOp::Set, !values.iter().fold(0, |all, v| all | v) as i64),
            _ => (CmpOp::Ne, values[0] as i64),
        };
        let fits = wide == Wide::W32 || imm == i64::from(imm as i32);
        let holds = values.iter().all(|v| !arith::compare(arith::bits(wide), op, *v, i64::from(imm as i32) as u64));
        if fits && holds {
            self.never(Inst::Jmp { wide, op, dst: reg, src: Operand::Imm(imm as i32), off: 0 });
        }
    }

    /// A width that fits into so many bytes.
    pub(super) fn width_in(&mut self, size: i32) -> Width {
        let fits = WIDTHS.iter().filter(|width| width.bytes() as i32 <= size).count();
        self.draw.of(&WIDTHS[..fits.max(1)])
    }

    /// Part of a number that stands in memory.
    pub(super) fn part(&mut self, number: Number, at: u32, width: Width, signed: bool) -> Number {
        number.map(|value| truncated(value >> (8 * at), width, signed))
    }
}

//! The operations of instructions. What Linux 6.18 does not follow (division, modulo, shifts by an unknown amount) leaves nothing known.

use super::{Bounds, ScalarOf};
use alveary_isa::{AluOp, Wide};

impl<const W: u32, const H: u32> ScalarOf<W, H> {
    /// `self op= src`. In 32 bits, the upper half becomes 0.
    pub fn apply(&mut self, op: AluOp, src: &Self, wide: Wide) {
        match op {
            AluOp::Add => {
                self.half.add(&src.half);
                self.wide.add(&src.wide);
                self.bits = self.bits.add(src.bits);
            }
            AluOp::Sub => {
                self.half.sub(&src.half);
                self.wide.sub(&src.wide);
                self.bits = self.bits.sub(src.bits);
            }
            AluOp::Mul => {
                self.bits = self.bits.mul(src.bits);
                self.half.mul(&src.half);
                self.wide.mul(&src.wide);
            }
            AluOp::And => {
                self.bits = self.bits.and(src.bits);
                self.half.and(&src.half, self.bits.low());
                self.wide.and(&src.wide, self.bits);
                self.known_operands(src);
            }
            AluOp::Or => {
                self.bits = self.bits.or(src.bits);
                self.half.or(&src.half, self.bits.low());
                self.wide.or(&src.wide, self.bits);
                self.known_operands(src);
            }
            AluOp::Xor => {
                self.bits = self.bits.xor(src.bits);
                self.half.xor(self.bits.low());
                self.wide.xor(self.bits);
                self.known_operands(src);
            }
            AluOp::Mov => {
                *self = *src;
                if wide == Wide::W32 {
                    self.zero_extend_half();
                }
                return;
            }
            AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => match src.shift(wide) {
                Some(by) => self.shift_by(op, by, wide),
                None => return *self = Self::UNKNOWN,
            },
            AluOp::Div | AluOp::SDiv | AluOp::Mod | AluOp::SMod => return *self = Self::UNKNOWN,
        }
        if wide == Wide::W32 {
            match op {
                AluOp::And | AluOp::Or | AluOp::Xor => self.learn_bits(),
                AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => self.half.learn_bits(self.half_bits()),
                _ => {}
            }
            self.zero_upper();
        }
        self.sync();
    }

    /// `self = -self`.
    pub fn negate(&mut self, wide: Wide) {
        let from = std::mem::replace(self, Self::known(0));
        self.apply(AluOp::Sub, &from, wide);
    }

    /// The low `bits` bits (16, 32 or 64), zero-extended, with their bytes in the other order if `reverse`: of those
    /// only the bits stay known.
    pub fn swap(&mut self, bits: u32, reverse: bool) {
        if reverse {
            self.bits = self.bits.swap_bytes(bits);
            self.forget_ranges();
            self.sync();
        } else if bits < W {
            self.zero_extend(bits);
        }
    }

    /// A constant more: what a register knows of itself that is linked to another with this distance, which was added
    /// in 64 bits, or in 32.
    #[must_use]
    pub fn plus(mut self, distance: i64, wide: Wide) -> Self {
        self.apply(AluOp::Add, &Self::known(distance as u64), wide);
        self
    }

    /// A number that is 0 or -1 (in the whole, or in its lower half), as the two that it can be: first that with 0,
    /// then that with -1. Linux follows each on its own path when it is and-ed or or-ed with a constant.
    #[must_use]
    pub fn fork(&self) -> Option<(Self, Self)> {
        if (self.wide.smin, self.wide.smax) == (-1, 0) {
            return Some((Self::known(0), Self::known(u64::MAX)));
        }
        if (self.half.smin, self.half.smax) == (-1, 0) {
            let (mut zero, mut ones) = (*self, *self);
            zero.set_half(0);
            ones.set_half(u64::MAX);
            return Some((zero, ones));
        }
        None
    }

    /// Where both operands were known, so is the result.
    fn known_operands(&mut self, src: &Self) {
        if let (Some(value), Some(_)) = (self.half_value(), src.half_value()) {
            self.set_half(value);
        }
        if let (Some(value), Some(_)) = (self.value(), src.value()) {
            *self = Self::known(value);
        }
    }

    /// The amount of a shift, if Linux follows it.
    fn shift(&self, wide: Wide) -> Option<u32> {
        let (known, width) = match wide {
            Wide::W64 => (
                self.bits.value() == Some(self.wide.umin)
                    && self.wide.umin == self.wide.umax
                    && self.wide.smin == self.wide.smax,
                W,
            ),
            Wide::W32 => {
                (self.half_value().is_some() && self.half.umin == self.half.umax && self.half.smin == self.half.smax, H)
            }
        };
        (known && self.wide.umax < u64::from(width)).then_some(self.wide.umin as u32)
    }

    fn shift_by(&mut self, op: AluOp, by: u32, wide: Wide) {
        match (op, wide) {
            (AluOp::Lsh, Wide::W64) => {
                let extends = by == H;
                let (min, max) = (self.half.smin, self.half.smax);
                self.wide.shl(by);
                if extends {
                    // A shift back follows as a rule: a sign extension in two steps.
                    (self.wide.smin, self.wide.smax) = (min << H, max << H);
                }
                self.half.shl(by);
                self.bits = self.bits.shl(by);
            }
            (AluOp::Lsh, Wide::W32) => {
                self.half.shl(by);
                self.bits = self.bits.with_low(self.half_bits().shl(by));
            }
            (AluOp::Rsh, Wide::W64) => {
                self.wide.shr(by);
                self.half = Bounds::FULL;
                self.bits = self.bits.shr(by);
            }
            (AluOp::Rsh, Wide::W32) => {
                self.half.shr(by);
                self.bits = self.bits.with_low(self.half_bits().shr(by));
            }
            (_, Wide::W64) => {
                self.wide.sar(by);
                self.half = Bounds::FULL;
                self.bits = self.bits.sar(by);
            }
            (_, Wide::W32) => {
                self.half.sar(by);
                self.bits = self.bits.with_low(self.half_bits().sar(by));
            }
        }
    }
}

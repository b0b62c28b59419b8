//! Pass `multiply`: a multiplication by a constant that is a power of two and one, or less one, becomes a shift and an
//! addition, which together are ready sooner. Compilers for eBPF leave such multiplications as they are.
//!
//! Sound because `x * (2ⁿ ± 1)` is `(x << n) ± x`, modulo any power of two.

use super::lift::Lifter;
use super::pass::Pass;
use alveary_isa::{Reg, Wide};
use cranelift_codegen::ir::{InstBuilder, Value};

/// What a machine multiplies by in one instruction that adds.
const SCALES: [i32; 3] = [3, 5, 9];

impl Lifter<'_> {
    /// A register times a constant, if shifts make it.
    pub(super) fn product(&mut self, wide: Wide, reg: Reg, by: i32) -> Option<Value> {
        if by < 3 || !self.plan.rules.passes.has(Pass::Multiply) || self.plan.rules.key.is_some() {
            return None;
        }
        let (odd, power) = (by >> by.trailing_zeros(), by.trailing_zeros());
        let (more, less) = ((odd - 1).count_ones() == 1, (odd as u32 + 1).is_power_of_two());
        if odd == 1 || !more && !less || power > 0 && !SCALES.contains(&odd) {
            return None;
        }
        let value = self.get_as(wide, reg);
        let product = if more {
            let shifted = self.to.ins().ishl_imm_u(value, i64::from((odd - 1).trailing_zeros()));
            self.to.ins().iadd(value, shifted)
        } else {
            let shifted = self.to.ins().ishl_imm_u(value, i64::from((odd as u32 + 1).trailing_zeros()));
            self.to.ins().isub(shifted, value)
        };
        Some(if power == 0 { product } else { self.to.ins().ishl_imm_u(product, i64::from(power)) })
    }
}

//! Pass `divide`: a division by a constant is one multiplication and a shift also where the code generator would have to add
//! in between: of numbers that are known to be small, and by even numbers. Cranelift looks at the divisor alone.
//!
//! Sound because with `m·d = 2^(64+s) + e` the upper half of `x·m`, shifted by `s`, is `x/d + x·e/(d·2^(64+s))` without
//! its fraction, and that is the quotient while `x·e < 2^(64+s)` (Granlund, Montgomery, "Division by Invariant Integers
//! using Multiplication", 1994). What is divided has 32 bits, or as many as the largest quotient that the verifier knows
//! allows.

use super::lift::Lifter;
use super::pass::Pass;
use alveary_isa::{AluOp, Operand, Wide};
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, Value};

/// How a quotient is found: `(x >> before) · factor >> 64 >> behind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Recipe {
    before: u32,
    factor: u64,
    behind: u32,
}

impl Lifter<'_> {
    /// An unsigned quotient or remainder by a constant, in 64 bits. `most` is the largest result that is known.
    pub(super) fn by_constant(&mut self, op: AluOp, wide: Wide, x: Value, src: Operand, most: u64) -> Option<Value> {
        let Operand::Imm(divisor @ 3..) = src else { return None };
        let passes = self.plan.rules.passes.has(Pass::Divide) && self.plan.rules.key.is_none();
        if !passes || (divisor as u32).is_power_of_two() {
            return None;
        }
        let divisor = divisor as u64;
        let most = match (wide, op) {
            (Wide::W32, _) => u32::MAX.into(),
            // What is divided is less than the next quotient's first number.
            (Wide::W64, AluOp::Div) => most.saturating_add(1).saturating_mul(divisor),
            (Wide::W64, _) => u64::MAX,
        };
        let recipe = recipe(divisor, u64::BITS - most.leading_zeros())?;
        let x = self.extend(x);
        let shifted = if recipe.before == 0 { x } else { self.to.ins().ushr_imm_u(x, i64::from(recipe.before)) };
        let factor = self.to.ins().iconst(I64, recipe.factor as i64);
        let mut quotient = self.to.ins().umulhi(shifted, factor);
        if recipe.behind > 0 {
            quotient = self.to.ins().ushr_imm_u(quotient, i64::from(recipe.behind));
        }
        if op == AluOp::Div {
            return Some(quotient);
        }
        let whole = self.to.ins().imul_imm_s(quotient, divisor as i64);
        Some(self.to.ins().isub(x, whole))
    }
}

/// The recipe for numbers of so many bits.
fn recipe(divisor: u64, bits: u32) -> Option<Recipe> {
    let even = divisor.trailing_zeros();
    [0, even].into_iter().find_map(|before| {
        let (divisor, bits) = (u128::from(divisor >> before), bits.saturating_sub(before));
        (0..=divisor.ilog2()).find_map(|behind| {
            let power = 1_u128 << (64 + behind);
            let factor = power.div_ceil(divisor);
            let exact = factor * divisor - power;
            let factor = u64::try_from(factor).ok()?;
            (exact << bits <= power).then_some(Recipe { before, factor, behind })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotient(recipe: Recipe, x: u64) -> u64 {
        let product = u128::from(x >> recipe.before) * u128::from(recipe.factor);
        (product >> 64) as u64 >> recipe.behind
    }

    #[test]
    fn quotients_are_those_of_division_up_to_the_last_number() {
        let divisors = (3..2_000).chain([641, 65_535, 65_537, 1_000_000_000, 1_953_125, i32::MAX as u64, 0x7fff_fffe]);
        for divisor in divisors.filter(|divisor: &u64| !divisor.is_power_of_two()) {
            for bits in [8, 31, 32, 33, 48, 63, 64] {
                let Some(recipe) = recipe(divisor, bits) else {
                    assert!(bits > 32, "{divisor} {bits}");
                    continue;
                };
                let last = u64::MAX >> (64 - bits);
                let top = last / divisor * divisor;
                let near = |x: u64| [x.saturating_sub(1), x, x.saturating_add(1).min(last)];
                let numbers = [0, divisor, divisor * 2, top, top.saturating_sub(divisor), last, last / 2, last / 3 * 2];
                for x in numbers.into_iter().flat_map(near).filter(|x| *x <= last) {
                    assert_eq!(quotient(recipe, x), x / divisor, "{x} / {divisor}, {bits} bits: {recipe:?}");
                }
            }
        }
    }

    #[test]
    fn even_divisors_need_no_addition() {
        assert_eq!(recipe(1_000_000_000, 64).map(|recipe| recipe.before), Some(9));
        assert_eq!(recipe(7, 64), None);
        assert_eq!(recipe(7, 32).map(|recipe| (recipe.before, recipe.behind)), Some((0, 0)));
    }
}

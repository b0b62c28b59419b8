//! What is known of a number: bits ([`Tnum`]) and ranges ([`Bounds`]), of the whole register and of its lower half.
//!
//! One type, generic over its widths: `W` bits and the `H = W / 2` lower ones. Programs are checked with [`Scalar`]
//! (64 and 32); tests go through every value of the same code at 6 and 8 bits. Knows arithmetic and comparisons; no
//! registers, pointers, ids or precision marks.
//!
//! | file | holds |
//! |---|---|
//! | `tnum` | bits that are known |
//! | `bounds` | unsigned and signed limits, and their arithmetic |
//! | `sync` | what bits, ranges and halves teach each other |
//! | `alu` | the operations of instructions |
//! | `extend` | truncation, zero and sign extension |
//! | `branch` | whether a jump is taken, and what each side learns |
//! | `print` | the kernel's notation |

mod alu;
mod bounds;
mod branch;
mod extend;
mod print;
mod sync;
#[cfg(test)]
mod tests;
mod tnum;

pub use bounds::Bounds;
pub use branch::Sides;
pub use print::{Id, Printed, print_snum, print_unum};
pub use tnum::Tnum;

/// What is known of a register that holds a number.
pub type Scalar = ScalarOf<64, 32>;

/// What is known of a number of `W` bits, and of its `H` lower ones; `H` is half of `W`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScalarOf<const W: u32, const H: u32> {
    /// The bits that are known.
    pub bits: Tnum<W>,
    /// The range of the whole.
    pub wide: Bounds<W>,
    /// The range of the lower half, read as a number of its own.
    pub half: Bounds<H>,
}

impl<const W: u32, const H: u32> ScalarOf<W, H> {
    /// Nothing is known.
    pub const UNKNOWN: Self = ScalarOf { bits: Tnum::UNKNOWN, wide: Bounds::FULL, half: Bounds::FULL };

    /// One value.
    #[must_use]
    pub const fn known(value: u64) -> Self {
        ScalarOf { bits: Tnum::known(value), wide: Bounds::known(value), half: Bounds::known(value) }
    }

    /// The value, if it is one by its bits.
    #[must_use]
    pub const fn value(&self) -> Option<u64> {
        self.bits.value()
    }

    /// The value of the lower half, if it is one by its bits.
    #[must_use]
    pub const fn half_value(&self) -> Option<u64> {
        self.half_bits().value()
    }

    /// What is known of the bits of the lower half.
    #[must_use]
    pub const fn half_bits(&self) -> Tnum<H> {
        self.bits.low()
    }

    /// Whether bits and ranges are those of [`ScalarOf::UNKNOWN`].
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::UNKNOWN
    }

    /// Whether `value` is one of the values that this stands for.
    #[must_use]
    pub fn contains(&self, value: u64) -> bool {
        self.bits.contains(value) && self.wide.contains(value) && self.half.contains(value)
    }

    /// Whether everything that `other` can be, this can be too: the test by which a state that was seen covers another.
    #[must_use]
    pub const fn covers(&self, other: &Self) -> bool {
        self.wide.covers(&other.wide) && self.half.covers(&other.half) && self.bits.covers(other.bits)
    }

    /// What this or `other` can be.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        ScalarOf {
            bits: self.bits.union(other.bits),
            wide: self.wide.join(&other.wide),
            half: self.half.join(&other.half),
        }
    }

    /// Gives up what has changed since `before`, so that it cannot change often.
    pub fn widen_from(&mut self, before: &Self) {
        if self.bits != before.bits {
            self.bits = Tnum::UNKNOWN;
        }
        self.wide.widen_from(&before.wide);
        self.half.widen_from(&before.half);
    }

    /// Forgets the ranges; the bits stay known.
    pub const fn forget_ranges(&mut self) {
        self.wide = Bounds::FULL;
        self.half = Bounds::FULL;
    }

    /// Makes the lower half one value. The range of the whole is left to [`ScalarOf::sync`].
    pub const fn set_half(&mut self, value: u64) {
        self.bits = self.bits.with_low(Tnum::<H>::known(value));
        self.half = Bounds::known(value);
    }
}

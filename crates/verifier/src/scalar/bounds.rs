//! Unsigned and signed limits of a number of `B` bits, and how each operation moves them.
//!
//! The same code serves the whole register and its lower half.

use super::tnum::{Tnum, signed, wrap};

/// Limits, both included. Of a number that cannot be, a minimum may lie above its maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Bounds<const B: u32> {
    pub umin: u64,
    pub umax: u64,
    pub smin: i64,
    pub smax: i64,
}

impl<const B: u32> Bounds<B> {
    /// The largest unsigned number.
    pub const UMAX: u64 = wrap::<B>(u64::MAX);
    /// The smallest signed number.
    pub const SMIN: i64 = i64::MIN >> (64 - B);
    /// The largest signed number.
    pub const SMAX: i64 = i64::MAX >> (64 - B);
    /// Nothing is known.
    pub const FULL: Self = Bounds { umin: 0, umax: Self::UMAX, smin: Self::SMIN, smax: Self::SMAX };

    /// One value.
    #[must_use]
    pub const fn known(value: u64) -> Self {
        let (u, s) = (wrap::<B>(value), signed::<B>(value));
        Bounds { umin: u, umax: u, smin: s, smax: s }
    }

    /// Whether `value` lies inside.
    #[must_use]
    pub fn contains(&self, value: u64) -> bool {
        (self.umin..=self.umax).contains(&wrap::<B>(value)) && (self.smin..=self.smax).contains(&signed::<B>(value))
    }

    /// Whether `other` lies inside.
    #[must_use]
    pub const fn covers(&self, other: &Self) -> bool {
        self.umin <= other.umin && self.umax >= other.umax && self.smin <= other.smin && self.smax >= other.smax
    }

    /// Whether no number lies inside by the one or the other reading.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.umin > self.umax || self.smin > self.smax
    }

    /// Whether no number can lie in both, by the one or the other reading.
    #[must_use]
    pub(super) const fn apart(&self, other: &Self) -> bool {
        self.umin > other.umax || self.umax < other.umin || self.smin > other.smax || self.smax < other.smin
    }

    /// The limits of both together.
    pub(super) fn join(&self, other: &Self) -> Self {
        Bounds {
            umin: self.umin.min(other.umin),
            umax: self.umax.max(other.umax),
            smin: self.smin.min(other.smin),
            smax: self.smax.max(other.smax),
        }
    }

    /// Gives up the limits that are not those of `before`.
    pub(super) fn widen_from(&mut self, before: &Self) {
        self.umin = if self.umin == before.umin { self.umin } else { 0 };
        self.umax = if self.umax == before.umax { self.umax } else { Self::UMAX };
        self.smin = if self.smin == before.smin { self.smin } else { Self::SMIN };
        self.smax = if self.smax == before.smax { self.smax } else { Self::SMAX };
    }

    /// Only what lies in both.
    pub(super) fn intersect(&mut self, other: &Self) {
        self.clamp_unsigned(other.umin, other.umax);
        self.clamp_signed(other.smin, other.smax);
    }

    pub(super) fn clamp_unsigned(&mut self, min: u64, max: u64) {
        self.umin = self.umin.max(min);
        self.umax = self.umax.min(max);
    }

    pub(super) fn clamp_signed(&mut self, min: i64, max: i64) {
        self.smin = self.smin.max(min);
        self.smax = self.smax.min(max);
    }

    const fn forget_unsigned(&mut self) {
        self.umin = 0;
        self.umax = Self::UMAX;
    }

    pub(super) const fn forget_signed(&mut self) {
        self.smin = Self::SMIN;
        self.smax = Self::SMAX;
    }

    /// The signed reading of the unsigned limits, where those do not lie on two sides of the sign.
    fn sign_from_unsigned(&mut self) {
        let (min, max) = (signed::<B>(self.umin), signed::<B>(self.umax));
        if min <= max {
            (self.smin, self.smax) = (min, max);
        } else {
            self.forget_signed();
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        let sums = (
            checked_signed::<B>(self.smin, i64::checked_add, other.smin),
            checked_signed::<B>(self.smax, i64::checked_add, other.smax),
        );
        self.set_signed(sums);
        let (min, min_wraps) = add_wraps::<B>(self.umin, other.umin);
        let (max, max_wraps) = add_wraps::<B>(self.umax, other.umax);
        self.set_unsigned((min, min_wraps), (max, max_wraps));
    }

    pub(super) fn sub(&mut self, other: &Self) {
        let differences = (
            checked_signed::<B>(self.smin, i64::checked_sub, other.smax),
            checked_signed::<B>(self.smax, i64::checked_sub, other.smin),
        );
        self.set_signed(differences);
        let min = (wrap::<B>(self.umin.wrapping_sub(other.umax)), self.umin < other.umax);
        let max = (wrap::<B>(self.umax.wrapping_sub(other.umin)), self.umax < other.umin);
        self.set_unsigned(min, max);
    }

    /// Signed limits that are kept only if neither overflowed.
    fn set_signed(&mut self, limits: (Option<i64>, Option<i64>)) {
        match limits {
            (Some(min), Some(max)) => (self.smin, self.smax) = (min, max),
            _ => self.forget_signed(),
        }
    }

    /// Unsigned limits that are kept if both wrapped around or none: then all between them did too.
    fn set_unsigned(&mut self, min: (u64, bool), max: (u64, bool)) {
        if min.1 == max.1 {
            (self.umin, self.umax) = (min.0, max.0);
        } else {
            self.forget_unsigned();
        }
    }

    pub(super) fn mul(&mut self, other: &Self) {
        let product = |a: u64, b: u64| a.checked_mul(b).filter(|p| *p <= Self::UMAX);
        match (product(self.umax, other.umax), product(self.umin, other.umin)) {
            (Some(max), Some(min)) => (self.umin, self.umax) = (min, max),
            _ => self.forget_unsigned(),
        }
        let corners =
            [(self.smin, other.smin), (self.smin, other.smax), (self.smax, other.smin), (self.smax, other.smax)]
                .map(|(a, b)| checked_signed::<B>(a, i64::checked_mul, b));
        let [Some(a), Some(b), Some(c), Some(d)] = corners else { return self.forget_signed() };
        self.smin = a.min(b).min(c).min(d);
        self.smax = a.max(b).max(c).max(d);
    }

    /// After a bitwise and whose bits are `bits`.
    pub(super) fn and(&mut self, other: &Self, bits: Tnum<B>) {
        self.umin = bits.ones;
        self.umax = self.umax.min(other.umax);
        self.sign_from_unsigned();
    }

    /// After a bitwise or whose bits are `bits`.
    pub(super) fn or(&mut self, other: &Self, bits: Tnum<B>) {
        self.umin = self.umin.max(other.umin);
        self.umax = bits.umax();
        self.sign_from_unsigned();
    }

    /// After an exclusive or whose bits are `bits`.
    pub(super) fn xor(&mut self, bits: Tnum<B>) {
        self.umin = bits.ones;
        self.umax = bits.umax();
        self.sign_from_unsigned();
    }

    /// Shifted left; the signed limits are left to the unsigned ones. A `shift` of `B` or more loses everything.
    pub(super) fn shl(&mut self, shift: u32) {
        self.forget_signed();
        if shift >= B || self.umax > 1 << (B - 1 - shift) {
            self.forget_unsigned();
        } else {
            self.umin <<= shift;
            self.umax <<= shift;
        }
    }

    /// Shifted right, zeros coming in; the signed limits are left to the unsigned ones.
    pub(super) fn shr(&mut self, shift: u32) {
        self.forget_signed();
        self.umin >>= shift;
        self.umax >>= shift;
    }

    /// Shifted right, the sign coming in; the unsigned limits are left to the signed ones.
    pub(super) fn sar(&mut self, shift: u32) {
        self.smin >>= shift;
        self.smax >>= shift;
        self.forget_unsigned();
    }
}

/// The result of `op`, if it is a signed number of `B` bits.
fn checked_signed<const B: u32>(a: i64, op: fn(i64, i64) -> Option<i64>, b: i64) -> Option<i64> {
    op(a, b).filter(|r| (Bounds::<B>::SMIN..=Bounds::<B>::SMAX).contains(r))
}

/// The sum in `B` bits, and whether it wrapped around.
fn add_wraps<const B: u32>(a: u64, b: u64) -> (u64, bool) {
    let sum = wrap::<B>(a.wrapping_add(b));
    (sum, sum < a)
}

//! What bits, ranges and halves teach each other: Linux's `reg_bounds_sync`, step by step, so that the result is the
//! same also where another order of the steps would learn more.

use super::tnum::{signed, wrap};
use super::{Bounds, ScalarOf, Tnum};

impl<const B: u32> Bounds<B> {
    /// What the bits say of the limits.
    pub(super) fn learn_bits(&mut self, bits: Tnum<B>) {
        let sign = Bounds::<B>::SMIN as u64;
        self.clamp_signed(
            signed::<B>(bits.ones | (bits.unknown & sign)),
            signed::<B>(bits.ones | (bits.unknown & !sign)),
        );
        self.clamp_unsigned(bits.ones, bits.umax());
    }

    /// What the signed and the unsigned limits say of each other.
    fn learn_sign(&mut self) {
        let (min, max) = (signed::<B>(self.umin), signed::<B>(self.umax));
        if min <= max {
            self.clamp_signed(min, max);
        }
        let (min, max) = (wrap::<B>(self.smin as u64), wrap::<B>(self.smax as u64));
        if min <= max {
            self.clamp_unsigned(min, max);
        } else if self.umax < min {
            // The signed range crosses zero, and the unsigned one lies below its negative part: it is not negative.
            self.smin = signed::<B>(self.umin);
            self.umax = self.umax.min(max);
        } else if max < self.umin {
            // … or above its other part: it is negative.
            self.smax = signed::<B>(self.umax);
            self.umin = self.umin.max(min);
        }
    }
}

impl<const W: u32, const H: u32> ScalarOf<W, H> {
    /// Brings bits, ranges and halves in line with each other.
    pub fn sync(&mut self) {
        self.learn_bits();
        for _ in 0..3 {
            self.half_from_wide();
            self.half.learn_sign();
            self.wide.learn_sign();
            self.wide_from_half();
        }
        self.bits_from_ranges();
        self.learn_bits();
    }

    /// Whether there is a number left that it can be, as far as Linux looks: limits in order, and equal to the value
    /// where the bits know it.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        !self.wide.is_empty()
            && !self.half.is_empty()
            && self.bits.value().is_none_or(|value| self.wide == Bounds::known(value))
            && self.half_bits().value().is_none_or(|value| self.half == Bounds::known(value))
    }

    /// Forgets the ranges where no number is left that it can be, as Linux does after each operation.
    pub fn settle(&mut self) {
        if !self.is_consistent() {
            self.forget_ranges();
        }
    }

    pub(super) fn learn_bits(&mut self) {
        self.half.learn_bits(self.half_bits());
        self.wide.learn_bits(self.bits);
        if let Some(value) = self.only_value() {
            *self = Self::known(value);
        }
    }

    /// The one value that the bits allow inside the unsigned range, if they allow one only.
    fn only_value(&self) -> Option<u64> {
        let (min, max) = (self.wide.umin, self.wide.umax);
        let next = self.bits.after(min);
        if self.bits.contains(min) {
            (next > max).then_some(min)
        } else if next == self.bits.umax() {
            Some(next)
        } else {
            (next <= max && self.bits.after(next) > max).then_some(next)
        }
    }

    fn half_from_wide(&mut self) {
        let high = |x: u64| wrap::<H>(x >> H);
        let (umin, umax) = (self.wide.umin, self.wide.umax);
        let (smin, smax) = (self.wide.smin as u64, self.wide.smax as u64);
        let in_order = |min, max| signed::<H>(min) <= signed::<H>(max);

        if high(umin) == high(umax) {
            self.half.clamp_unsigned(wrap::<H>(umin), wrap::<H>(umax));
            if in_order(umin, umax) {
                self.half.clamp_signed(signed::<H>(umin), signed::<H>(umax));
            }
        }
        if high(smin) == high(smax) {
            if wrap::<H>(smin) <= wrap::<H>(smax) {
                self.half.clamp_unsigned(wrap::<H>(smin), wrap::<H>(smax));
            }
            if in_order(smin, smax) {
                self.half.clamp_signed(signed::<H>(smin), signed::<H>(smax));
            }
        }
        // Neighbouring upper halves: the lower one goes up through -1 and 0.
        for (min, max) in [(umin, umax), (smin, smax)] {
            if wrap::<H>(high(min) + 1) == high(max) && signed::<H>(min) < 0 && signed::<H>(max) >= 0 {
                self.half.clamp_signed(signed::<H>(min), signed::<H>(max));
            }
        }
    }

    fn wide_from_half(&mut self) {
        self.clamp_low(self.half.umin, self.half.umax);
        let (min, max) = (wrap::<H>(self.half.smin as u64), wrap::<H>(self.half.smax as u64));
        if min <= max {
            self.clamp_low(min, max);
        }
        // The whole is a sign-extended half that is not negative.
        if self.half.smin >= 0 && self.wide.smin >= Bounds::<H>::SMIN && self.wide.smax <= Bounds::<H>::SMAX {
            (self.wide.smin, self.wide.smax) = (self.half.smin, self.half.smax);
            (self.wide.umin, self.wide.umax) = (self.half.smin as u64, wrap::<W>(self.half.smax as u64));
            self.bits = self.bits.intersect(Tnum::range(self.wide.smin as u64, self.wide.smax as u64));
        }
    }

    /// The lower half is from `min` to `max`: the limits of the whole move inwards to it, inside their upper half.
    fn clamp_low(&mut self, min: u64, max: u64) {
        let low = wrap::<H>(u64::MAX);
        let wide = &mut self.wide;
        wide.clamp_unsigned((wide.umin & !low) | min, (wide.umax & !low) | max);
        wide.clamp_signed((wide.smin & !(low as i64)) | min as i64, (wide.smax & !(low as i64)) | max as i64);
    }

    fn bits_from_ranges(&mut self) {
        let whole = self.bits.intersect(Tnum::range(self.wide.umin, self.wide.umax));
        let half = whole.low::<H>().intersect(Tnum::range(self.half.umin, self.half.umax));
        self.bits = whole.with_low(half);
    }
}

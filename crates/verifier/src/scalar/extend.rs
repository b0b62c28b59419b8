//! Truncation, zero and sign extension: 32-bit moves, narrow loads, MOVSX.

use super::tnum::signed;
use super::{Bounds, ScalarOf, Tnum};

impl<const W: u32, const H: u32> ScalarOf<W, H> {
    /// The lower half, zero-extended, as after a 32-bit operation. The caller syncs.
    pub(super) fn zero_upper(&mut self) {
        self.bits = Tnum::known(0).with_low(self.half_bits());
        (self.wide.umin, self.wide.umax) = (self.half.umin, self.half.umax);
        (self.wide.smin, self.wide.smax) = if self.half.smin >= 0 && self.half.smax >= 0 {
            (self.half.smin, self.half.smax)
        } else {
            (0, Bounds::<H>::UMAX as i64)
        };
    }

    /// A 32-bit move: the lower half, zero-extended.
    pub fn zero_extend_half(&mut self) {
        self.zero_upper();
        self.sync();
    }

    /// The low `n` bits, fewer than `W`, zero-extended: what a load of `n` bits gives.
    pub fn zero_extend(&mut self, n: u32) {
        let low = u64::MAX >> (64 - n);
        self.bits = self.bits.truncate(n);
        let wide = &mut self.wide;
        (wide.umin, wide.umax) =
            if wide.umin & !low == wide.umax & !low { (wide.umin & low, wide.umax & low) } else { (0, low) };
        (wide.smin, wide.smax) = (wide.umin as i64, wide.umax as i64);
        if n < H {
            self.half = Bounds::FULL;
        }
        self.sync();
    }

    /// The low `n` bits, sign-extended to the whole; `n` is at most `H`.
    pub fn sign_extend(&mut self, n: u32) {
        let extend = |x: u64| ((x << (64 - n)) as i64) >> (64 - n);
        if let Some(value) = self.value() {
            return *self = Self::known(extend(value) as u64);
        }
        let (min, max) = (self.wide.smin, self.wide.smax);
        if min >> n == max >> n {
            let (a, b) = (extend(min as u64), extend(max as u64));
            if (a >= 0) == (b >= 0) {
                return *self = Self::between(a.min(b), a.max(b));
            }
        }
        let (min, max) = (i64::MIN >> (64 - n), i64::MAX >> (64 - n));
        *self = Self::UNKNOWN;
        (self.wide.smin, self.wide.smax) = (min, max);
        (self.half.smin, self.half.smax) = (min, max);
    }

    /// The low `n` bits, sign-extended to the lower half, and that zero-extended; `n` is below `H`.
    pub fn sign_extend_half(&mut self, n: u32) {
        let extend = |x: u64| ((x << (64 - n)) as i64) >> (64 - n);
        if let Some(value) = self.value() {
            self.bits = Tnum::known(extend(value) as u64);
            self.half = Bounds::known(extend(value) as u64);
        } else {
            let (min, max) = (self.half.smin, self.half.smax);
            let (a, b) = (extend(min as u64), extend(max as u64));
            if min >> n == max >> n && (a >= 0) == (b >= 0) {
                let to = Self::between(a.min(b), a.max(b));
                (self.bits, self.half) = (to.bits, to.half);
            } else {
                self.bits = Tnum::UNKNOWN;
                self.half = Bounds { smin: i64::MIN >> (64 - n), smax: i64::MAX >> (64 - n), ..Bounds::FULL };
            }
        }
        self.zero_extend_half();
    }

    /// Signed numbers of one sign that fit the lower half.
    fn between(min: i64, max: i64) -> Self {
        ScalarOf {
            bits: Tnum::range(min as u64, max as u64),
            wide: Bounds {
                smin: min,
                smax: max,
                umin: Bounds::<W>::known(min as u64).umin,
                umax: Bounds::<W>::known(max as u64).umax,
            },
            half: Bounds {
                smin: signed::<H>(min as u64),
                smax: signed::<H>(max as u64),
                umin: Bounds::<H>::known(min as u64).umin,
                umax: Bounds::<H>::known(max as u64).umax,
            },
        }
    }
}

//! Conditional jumps: whether one is taken, and what each side learns of the operands.

use super::tnum::{signed, wrap};
use super::{Bounds, ScalarOf, Tnum};
use alveary_isa::{CmpOp, Wide};

/// The two operands of a conditional jump, on one side of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides<const W: u32, const H: u32> {
    /// Where the jump is taken.
    pub taken: [ScalarOf<W, H>; 2],
    /// Where it is not.
    pub not_taken: [ScalarOf<W, H>; 2],
}

/// What a side of a jump knows to hold between two operands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fact {
    Equal,
    Differ,
    /// They have a bit in common.
    Share,
    /// They have none.
    ShareNone,
    Less,
    LessOrEqual,
    SignedLess,
    SignedLessOrEqual,
}

/// What a comparison says when it holds and when it does not; the bool says that the operands change places.
const fn facts(op: CmpOp) -> [(Fact, bool); 2] {
    match op {
        CmpOp::Eq => [(Fact::Equal, false), (Fact::Differ, false)],
        CmpOp::Ne => [(Fact::Differ, false), (Fact::Equal, false)],
        CmpOp::Set => [(Fact::Share, false), (Fact::ShareNone, false)],
        CmpOp::Lt => [(Fact::Less, false), (Fact::LessOrEqual, true)],
        CmpOp::Le => [(Fact::LessOrEqual, false), (Fact::Less, true)],
        CmpOp::Gt => [(Fact::Less, true), (Fact::LessOrEqual, false)],
        CmpOp::Ge => [(Fact::LessOrEqual, true), (Fact::Less, false)],
        CmpOp::SLt => [(Fact::SignedLess, false), (Fact::SignedLessOrEqual, true)],
        CmpOp::SLe => [(Fact::SignedLessOrEqual, false), (Fact::SignedLess, true)],
        CmpOp::SGt => [(Fact::SignedLess, true), (Fact::SignedLessOrEqual, false)],
        CmpOp::SGe => [(Fact::SignedLessOrEqual, true), (Fact::SignedLess, false)],
    }
}

impl<const W: u32, const H: u32> ScalarOf<W, H> {
    /// Whether `self op other` holds, where that is known.
    #[must_use]
    pub fn compare(&self, op: CmpOp, other: &Self, wide: Wide) -> Option<bool> {
        match wide {
            Wide::W32 => decide((self.half_bits(), &self.half), op, (other.half_bits(), &other.half)),
            Wide::W64 => decide((self.bits, &self.wide), op, (other.bits, &other.wide)).or_else(|| match op {
                // Wholes that may be equal, with halves that are not.
                CmpOp::Eq if self.half.apart(&other.half) => Some(false),
                CmpOp::Ne if self.half.apart(&other.half) => Some(true),
                _ => None,
            }),
        }
    }

    /// What both sides of a jump on `self op other` know of the two. A side that cannot be has no ranges left (Linux
    /// forgets them).
    #[must_use]
    pub fn split(&self, op: CmpOp, other: &Self, wide: Wide) -> Sides<W, H> {
        let [taken, not_taken] = facts(op).map(|(fact, swap)| {
            let [mut a, mut b] = if swap { [*other, *self] } else { [*self, *other] };
            learn(fact, &mut a, &mut b, wide);
            for side in [&mut a, &mut b] {
                side.sync();
                side.settle();
            }
            if swap { [b, a] } else { [a, b] }
        });
        Sides { taken, not_taken }
    }
}

impl<const W: u32, const H: u32> ScalarOf<W, H> {
    /// What both sides of a jump that compares a register with itself know of it. Linux does not see that the one
    /// cannot be, and takes its limits for those of two numbers.
    #[must_use]
    pub fn split_itself(&self, op: CmpOp, wide: Wide) -> [Self; 2] {
        facts(op).map(|(fact, _)| {
            let [mut below, mut above] = [*self; 2];
            learn(fact, &mut below, &mut above, wide);
            let mut both = below;
            (both.wide.umin, both.wide.smin) = (above.wide.umin, above.wide.smin);
            (both.half.umin, both.half.smin) = (above.half.umin, above.half.smin);
            both.sync();
            both.sync();
            both.settle();
            both
        })
    }
}

type Known<'a, const B: u32> = (Tnum<B>, &'a Bounds<B>);

fn decide<const B: u32>(a: Known<'_, B>, op: CmpOp, b: Known<'_, B>) -> Option<bool> {
    let unsigned_below = |a: &Bounds<B>, b: &Bounds<B>| order(a.umax < b.umin, a.umin >= b.umax);
    let signed_below = |a: &Bounds<B>, b: &Bounds<B>| order(a.smax < b.smin, a.smin >= b.smax);
    match op {
        CmpOp::Eq => equal(a, b),
        CmpOp::Ne => equal(a, b).map(|equal| !equal),
        CmpOp::Set => {
            let (bits, mask) = match (a.0.value(), b.0.value()) {
                (_, Some(mask)) => (a.0, mask),
                (Some(mask), None) => (b.0, mask),
                (None, None) => return None,
            };
            order(bits.ones & mask != 0, bits.umax() & mask == 0)
        }
        CmpOp::Lt => unsigned_below(a.1, b.1),
        CmpOp::Gt => unsigned_below(b.1, a.1),
        CmpOp::Ge => unsigned_below(a.1, b.1).map(|below| !below),
        CmpOp::Le => unsigned_below(b.1, a.1).map(|below| !below),
        CmpOp::SLt => signed_below(a.1, b.1),
        CmpOp::SGt => signed_below(b.1, a.1),
        CmpOp::SGe => signed_below(a.1, b.1).map(|below| !below),
        CmpOp::SLe => signed_below(b.1, a.1).map(|below| !below),
    }
}

fn order(holds: bool, fails: bool) -> Option<bool> {
    if holds { Some(true) } else { fails.then_some(false) }
}

fn equal<const B: u32>(a: Known<'_, B>, b: Known<'_, B>) -> Option<bool> {
    if let (Some(a), Some(b)) = (a.0.value(), b.0.value()) {
        return Some(a == b);
    }
    (!a.0.overlaps(b.0) || a.1.apart(b.1)).then_some(false)
}

fn learn<const W: u32, const H: u32>(fact: Fact, a: &mut ScalarOf<W, H>, b: &mut ScalarOf<W, H>, wide: Wide) {
    if fact == Fact::ShareNone {
        return learn_share_none(a, b, wide);
    }
    match wide {
        Wide::W64 => learn_at(fact, (&mut a.bits, &mut a.wide), (&mut b.bits, &mut b.wide)),
        Wide::W32 => {
            let (mut low_a, mut low_b) = (a.half_bits(), b.half_bits());
            learn_at(fact, (&mut low_a, &mut a.half), (&mut low_b, &mut b.half));
            a.bits = a.bits.with_low(low_a);
            b.bits = b.bits.with_low(low_b);
        }
    }
}

/// Bits become known to be 0, which the ranges of before say otherwise of: those are forgotten.
fn learn_share_none<const W: u32, const H: u32>(a: &mut ScalarOf<W, H>, b: &mut ScalarOf<W, H>, wide: Wide) {
    let value = |x: &ScalarOf<W, H>| if wide == Wide::W64 { x.value() } else { x.half_value() };
    let (number, mask) = match (value(a), value(b)) {
        (_, Some(mask)) => (a, mask),
        (Some(mask), None) => (b, mask),
        (None, None) => return,
    };
    number.forget_ranges();
    number.bits = match wide {
        Wide::W64 => number.bits.and(Tnum::known(!mask)),
        Wide::W32 => number.bits.with_low(number.half_bits().and(Tnum::known(!mask))),
    };
}

type Learning<'a, const B: u32> = (&'a mut Tnum<B>, &'a mut Bounds<B>);

fn learn_at<const B: u32>(fact: Fact, a: Learning<'_, B>, b: Learning<'_, B>) {
    match fact {
        Fact::Equal => {
            a.1.intersect(b.1);
            *b.1 = *a.1;
            *a.0 = a.0.intersect(*b.0);
            *b.0 = *a.0;
        }
        Fact::Differ => {
            if let Some(value) = b.0.value() {
                a.1.exclude(value);
            } else if let Some(value) = a.0.value() {
                b.1.exclude(value);
            }
        }
        Fact::Share => {
            let (bits, mask) = match (a.0.value(), b.0.value()) {
                (_, Some(mask)) => (a.0, mask),
                (Some(mask), None) => (b.0, mask),
                (None, None) => return,
            };
            if mask.is_power_of_two() {
                *bits = bits.or(Tnum::known(mask));
            }
        }
        Fact::ShareNone => {}
        Fact::Less => {
            a.1.umax = a.1.umax.min(wrap::<B>(b.1.umax.wrapping_sub(1)));
            b.1.umin = b.1.umin.max(wrap::<B>(a.1.umin.wrapping_add(1)));
        }
        Fact::LessOrEqual => {
            a.1.umax = a.1.umax.min(b.1.umax);
            b.1.umin = b.1.umin.max(a.1.umin);
        }
        Fact::SignedLess => {
            a.1.smax = a.1.smax.min(signed::<B>(b.1.smax.wrapping_sub(1) as u64));
            b.1.smin = b.1.smin.max(signed::<B>(a.1.smin.wrapping_add(1) as u64));
        }
        Fact::SignedLessOrEqual => {
            a.1.smax = a.1.smax.min(b.1.smax);
            b.1.smin = b.1.smin.max(a.1.smin);
        }
    }
}

impl<const B: u32> Bounds<B> {
    /// Without `value`, where that is a limit.
    fn exclude(&mut self, value: u64) {
        let (u, s) = (wrap::<B>(value), signed::<B>(value));
        if self.umin == u {
            self.umin = wrap::<B>(u.wrapping_add(1));
        }
        if self.umax == u {
            self.umax = wrap::<B>(u.wrapping_sub(1));
        }
        if self.smin == s {
            self.smin = signed::<B>(s.wrapping_add(1) as u64);
        }
        if self.smax == s {
            self.smax = signed::<B>(s.wrapping_sub(1) as u64);
        }
    }
}

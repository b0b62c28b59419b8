//! Tristate numbers: which bits of a number are known (Vishwanathan and others, CGO 2022, arXiv:2105.05398).

/// Of each of `B` bits: 0, 1 or not known. `B` is at most 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tnum<const B: u32> {
    /// The bits that are known to be 1.
    pub ones: u64,
    /// The bits that are not known; never one that is in `ones`.
    pub unknown: u64,
}

/// The low `B` bits.
pub(super) const fn wrap<const B: u32>(x: u64) -> u64 {
    x & (u64::MAX >> (64 - B))
}

/// The low `B` bits, read as a signed number.
pub(super) const fn signed<const B: u32>(x: u64) -> i64 {
    ((x << (64 - B)) as i64) >> (64 - B)
}

impl<const B: u32> Tnum<B> {
    /// No bit is known.
    pub const UNKNOWN: Self = Tnum { ones: 0, unknown: wrap::<B>(u64::MAX) };

    const fn new(ones: u64, unknown: u64) -> Self {
        Tnum { ones: wrap::<B>(ones & !unknown), unknown: wrap::<B>(unknown) }
    }

    /// All bits are known.
    #[must_use]
    pub const fn known(value: u64) -> Self {
        Tnum { ones: wrap::<B>(value), unknown: 0 }
    }

    /// The bits that all numbers from `min` to `max` share.
    #[must_use]
    pub const fn range(min: u64, max: u64) -> Self {
        let differing = wrap::<B>(min ^ max);
        let unknown = match differing.leading_zeros() {
            64 => 0,
            zeros => u64::MAX >> zeros,
        };
        Tnum::new(min, unknown)
    }

    /// The number, if all its bits are known.
    #[must_use]
    pub const fn value(self) -> Option<u64> {
        if self.unknown == 0 { Some(self.ones) } else { None }
    }

    /// Whether no bit is known.
    #[must_use]
    pub const fn is_unknown(self) -> bool {
        self.unknown == Tnum::<B>::UNKNOWN.unknown
    }

    /// The largest number that it can be, unsigned.
    #[must_use]
    pub const fn umax(self) -> u64 {
        self.ones | self.unknown
    }

    /// Whether `value` fits the bits that are known.
    #[must_use]
    pub const fn contains(self, value: u64) -> bool {
        wrap::<B>(value) & !self.unknown == self.ones
    }

    /// Whether everything that `other` can be, this can be too.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        other.unknown & !self.unknown == 0 && self.ones == other.ones & !self.unknown
    }

    /// Whether some number fits both.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        (self.ones ^ other.ones) & !self.unknown & !other.unknown == 0
    }

    /// The smallest number above `value` that fits; the largest that fits, if there is none.
    #[must_use]
    pub const fn after(self, value: u64) -> u64 {
        if value >= self.umax() {
            return self.umax();
        }
        // The highest of the known bits that `value` has otherwise: 0 of none.
        let differing = wrap::<B>((value ^ self.ones) & !self.unknown);
        let below = if differing == 0 { 0 } else { u64::MAX >> differing.leading_zeros() };
        if self.ones & (below ^ (below >> 1)) != 0 {
            // It is 1 here, so all that agree with `value` above it are larger: the smallest of those.
            return self.ones | (value & self.unknown & !below);
        }
        let carried = (value | !self.unknown | below).wrapping_add(1);
        self.ones | (carried & self.unknown)
    }

    /// Whether it is a multiple of `size`, a power of two; everything is a multiple of 0.
    #[must_use]
    pub const fn is_aligned(self, size: u64) -> bool {
        size == 0 || self.umax() & (size - 1) == 0
    }

    /// What fits both. Bits that contradict each other become ones.
    #[must_use]
    pub const fn intersect(self, other: Self) -> Self {
        Tnum::new(self.ones | other.ones, self.unknown & other.unknown)
    }

    /// What fits either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Tnum::new(self.ones & other.ones, (self.ones ^ other.ones) | self.unknown | other.unknown)
    }

    /// Sum.
    #[must_use]
    pub const fn add(self, other: Self) -> Self {
        let least = self.ones.wrapping_add(other.ones);
        let most = least.wrapping_add(self.unknown).wrapping_add(other.unknown);
        Tnum::new(least, (least ^ most) | self.unknown | other.unknown)
    }

    /// Difference.
    #[must_use]
    pub const fn sub(self, other: Self) -> Self {
        let ones = self.ones.wrapping_sub(other.ones);
        let most = ones.wrapping_add(self.unknown);
        let least = ones.wrapping_sub(other.unknown);
        Tnum::new(ones, (most ^ least) | self.unknown | other.unknown)
    }

    /// Product: long multiplication, where an unknown bit of `self` means either partial sum.
    #[must_use]
    pub const fn mul(self, other: Self) -> Self {
        let (mut bits, mut addend) = (self, other);
        let mut sum = Tnum::known(0);
        while bits.umax() != 0 {
            if bits.ones & 1 == 1 {
                sum = sum.add(addend);
            } else if bits.unknown & 1 == 1 {
                sum = sum.union(sum.add(addend));
            }
            bits = bits.shr(1);
            addend = addend.shl(1);
        }
        sum
    }

    /// Bitwise and.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        let ones = self.ones & other.ones;
        Tnum { ones, unknown: self.umax() & other.umax() & !ones }
    }

    /// Bitwise or.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        let ones = self.ones | other.ones;
        Tnum { ones, unknown: (self.unknown | other.unknown) & !ones }
    }

    /// Bitwise exclusive or.
    #[must_use]
    pub const fn xor(self, other: Self) -> Self {
        Tnum::new(self.ones ^ other.ones, self.unknown | other.unknown)
    }

    /// Shifted left by `shift`, below `B`.
    #[must_use]
    pub const fn shl(self, shift: u32) -> Self {
        Tnum::new(self.ones << shift, self.unknown << shift)
    }

    /// Shifted right by `shift`, below `B`; zeros come in.
    #[must_use]
    pub const fn shr(self, shift: u32) -> Self {
        Tnum { ones: self.ones >> shift, unknown: self.unknown >> shift }
    }

    /// Shifted right by `shift`, below `B`; the highest bit, known or not, comes in.
    #[must_use]
    pub const fn sar(self, shift: u32) -> Self {
        Tnum::new((signed::<B>(self.ones) >> shift) as u64, (signed::<B>(self.unknown) >> shift) as u64)
    }

    /// The low `L` bits.
    #[must_use]
    pub const fn low<const L: u32>(self) -> Tnum<L> {
        Tnum { ones: wrap::<L>(self.ones), unknown: wrap::<L>(self.unknown) }
    }

    /// With other low bits.
    #[must_use]
    pub const fn with_low<const L: u32>(self, low: Tnum<L>) -> Self {
        let high = !wrap::<L>(u64::MAX);
        Tnum { ones: (self.ones & high) | low.ones, unknown: (self.unknown & high) | low.unknown }
    }

    /// The low `bits` bits; those above are 0. `bits` is from 1 to 64.
    #[must_use]
    pub const fn truncate(self, bits: u32) -> Self {
        let low = u64::MAX >> (64 - bits);
        Tnum { ones: self.ones & low, unknown: self.unknown & low }
    }

    /// The low `bits` bits (16, 32 or 64) with their bytes in the other order; those above are 0.
    #[must_use]
    pub const fn swap_bytes(self, bits: u32) -> Self {
        Tnum { ones: self.ones.swap_bytes() >> (64 - bits), unknown: self.unknown.swap_bytes() >> (64 - bits) }
    }
}

//! Numbers that look random and come again (SplitMix64): what a failure needs to be repeated is one seed.

/// A sequence of numbers from a seed.
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// The sequence of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Draw {
        Draw(seed)
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `n`.
    pub const fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }

    /// A number from `low` to `high`, both included.
    pub const fn between(&mut self, low: i64, high: i64) -> i64 {
        low.wrapping_add(self.below(high.wrapping_sub(low).wrapping_add(1) as u64) as i64)
    }

    /// True `times` out of `of`.
    pub const fn chance(&mut self, times: u64, of: u64) -> bool {
        self.below(of) < times
    }

    /// One of the list.
    ///
    /// # Panics
    /// If that is empty.
    pub fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }

    /// A constant: small numbers, edges, masks, anything.
    pub fn imm(&mut self) -> i32 {
        match self.below(6) {
            0 => self.next() as i32,
            1 => self.of(&[0, 1, -1, 2, -2, i32::MAX, i32::MIN, 0xff, 0xffff, 0x7fff, -128, -32768]),
            2 => 1 << self.below(31),
            3 => (1i32 << self.below(31)).wrapping_sub(1),
            4 => -(self.below(300) as i32),
            _ => self.below(300) as i32,
        }
    }

    /// 64 bits of which edges, masks and small numbers are likelier than others.
    pub fn word(&mut self) -> u64 {
        let any = self.next();
        match self.below(6) {
            0 => any,
            1 => any >> self.below(64),
            2 => u64::MAX << self.below(64),
            3 => self.of(&[0, 1, u64::MAX, 1 << 63, (1 << 63) - 1, 1 << 31, (1 << 31) - 1, 1 << 32, u32::MAX as u64]),
            4 => (self.imm() as i64) as u64,
            _ => self.below(256),
        }
    }
}

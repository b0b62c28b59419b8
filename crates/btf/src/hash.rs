//! Hashes of names, seeded, so that nobody can choose names that collide.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A keyed hash: each eight bytes are folded in by a multiplication to 128 bits.
#[derive(Clone, Copy)]
pub(crate) struct Seed(u64, u64);

impl Seed {
    pub(crate) fn new() -> Seed {
        let random = RandomState::new();
        Seed(random.hash_one(1), random.hash_one(2) | 1)
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> u64 {
        let mut hash = self.number(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            hash = self.fold(hash, u64::from_le_bytes(*word));
        }
        let last = rest.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
        self.fold(hash, last)
    }

    pub(crate) fn number(self, number: u64) -> u64 {
        self.fold(self.0, number)
    }

    /// Adds a number to a hash.
    pub(crate) fn fold(self, hash: u64, number: u64) -> u64 {
        let wide = u128::from(hash ^ number ^ self.0) * u128::from(self.1);
        (wide as u64 ^ (wide >> 64) as u64).wrapping_add(self.0)
    }
}

impl BuildHasher for Seed {
    type Hasher = Folding;

    fn build_hasher(&self) -> Folding {
        Folding { seed: *self, hash: 0 }
    }
}

/// The hash of several things, for maps of the standard library.
pub(crate) struct Folding {
    seed: Seed,
    hash: u64,
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        self.hash = self.seed.fold(self.seed.bytes(bytes), self.hash);
    }

    fn write_u8(&mut self, byte: u8) {
        self.hash = self.seed.fold(self.hash, byte.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.hash = self.seed.fold(self.hash, number.into());
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

/// Numbers (from 1 on) in chains, by the hash of what they stand for.
pub(crate) struct Chains {
    heads: Vec<u32>,
    next: Vec<u32>,
}

impl Chains {
    /// Room for the numbers from 1 to `count`.
    pub(crate) fn new(count: usize) -> Chains {
        Chains { heads: vec![0; count.next_power_of_two()], next: vec![0; count + 1] }
    }

    /// Puts a number first in its chain.
    pub(crate) fn push(&mut self, hash: u64, number: u32) {
        if number as usize >= self.next.len() {
            self.next.resize(number as usize + 1, 0);
        }
        let head = self.head(hash);
        self.next[number as usize] = std::mem::replace(&mut self.heads[head], number);
    }

    /// The numbers whose hashes share a chain with `hash`, the last one that was put in first.
    pub(crate) fn of(&self, hash: u64) -> impl Iterator<Item = u32> + '_ {
        let some = |n: u32| (n != 0).then_some(n);
        std::iter::successors(some(self.heads[self.head(hash)]), move |n| some(self.next[*n as usize]))
    }

    /// Whether the chains of `count` numbers are longer than they should be.
    pub(crate) fn is_crowded(&self, count: usize) -> bool {
        count > self.heads.len()
    }

    fn head(&self, hash: u64) -> usize {
        (hash >> 16) as usize & (self.heads.len() - 1)
    }
}

//! bloom_filter: whether a value may have been pushed. Never says no to one that was.
//!
//! # Layout
//! A bit set of a power of two, 64 bits a word; nothing of it is given away.

use crate::{Errno, FINISH, Queue, Value, flags, hash, memory::Memory, object::Kind};
use alveary_abi::MapDef;
use std::sync::atomic::Ordering::*;

/// Hash functions if `map_extra` says nothing.
const HASHES: u64 = 5;

/// A bloom filter.
#[derive(Debug)]
pub(crate) struct Bloom {
    memory: Memory,
    mask: u32,
    hashes: u64,
    seed: u64,
}

impl Bloom {
    pub(crate) fn new(def: &MapDef, seed: u64) -> Result<Bloom, Errno> {
        let hashes = if def.extra == 0 { HASHES } else { def.extra };
        // Fewest false positives with entries * hashes / ln 2 bits; 7/5 is near 1 / ln 2.
        let bits = (u64::from(def.max_entries) * hashes / 5 * 7).next_power_of_two().clamp(64, 1 << 32);
        Ok(Bloom { memory: Memory::reserve(bits / 8)?, mask: (bits - 1) as u32, hashes, seed })
    }

    /// The bits of a value: offset of the word, and the bit in it.
    fn bits(&self, value: &[u8]) -> impl Iterator<Item = (u64, u64)> {
        (0..self.hashes).map(move |n| {
            // Seeds far apart: near ones would only permute the hashes of near values.
            let bit = hash(value, self.seed.wrapping_add(FINISH.wrapping_mul(n))) & self.mask;
            (u64::from(bit / 64) * 8, 1 << (bit % 64))
        })
    }
}

impl Queue for Bloom {
    fn push(&self, value: &[u8], flags: u64) -> Result<(), Errno> {
        if flags != flags::BPF_ANY {
            return Err(Errno::EINVAL);
        }
        for (at, bit) in self.bits(value) {
            self.memory.word64(at).fetch_or(bit, Relaxed);
        }
        Ok(())
    }

    fn pop(&self, _out: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn peek(&self, value: &mut [u8]) -> Result<(), Errno> {
        let all = self.bits(value).all(|(at, bit)| self.memory.word64(at).load(Relaxed) & bit != 0);
        if all { Ok(()) } else { Err(Errno::ENOENT) }
    }
}

impl Kind for Bloom {
    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn lookup(&self, _cpu: u32, _key: &[u8]) -> Option<Value> {
        None
    }

    fn update(&self, _cpu: u32, _key: &[u8], _value: &[u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn delete(&self, _key: &[u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// `out` is the question: user space asks as programs do.
    fn read(&self, _key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        self.peek(out)
    }

    fn write(&self, _key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.push(value, flags)
    }

    fn next_key(&self, _after: Option<&[u8]>, _out: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn queue(&self) -> Option<&dyn Queue> {
        Some(self)
    }
}

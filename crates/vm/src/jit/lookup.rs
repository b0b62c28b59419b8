//! Pass `lookup`: what a lookup in a known hash table becomes: the key's hash, a walk along one chain, an address. The
//! owner's layout of its tables says how that is done ([`Table::Hash`]); nothing of it is changed but the mark of what
//! was used.
//!
//! Sound because a slot whose key matches is a hit whatever other CPUs do, and the end of a chain is a miss only if the
//! bucket's version is then what it was before: if not, the helper is called, which decides.

use super::lift::{Lifter, PLAIN};
use super::pass::Pass;
use crate::Env;
use crate::code::{Lookup, Table};
use alveary_isa::Reg;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I32, I64};
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Value};

/// The owner's hash function: for each word of the key `state = (state ^ word) * MULTIPLIER`, `state ^= state >> 32`; at
/// the end `state * FINISH`, of which the upper half is the hash. Nobody above this crate sees these numbers: `tests/lookup.rs` holds them against the owner's.
const MULTIPLIER: i64 = 0x9e37_79b9_7f4a_7c15_u64 as i64;
const FINISH: i64 = 0xd6e8_feb8_6659_fd93_u64 as i64;

impl Lifter<'_> {
    /// The lookup at `slot`, if it is one in a hash table by a key of 4, 8 or 16 bytes.
    pub(super) fn known_lookup(&self, slot: u32) -> Option<(&Lookup, usize)> {
        let lookups = &self.plan.code.lookups;
        let at = lookups.binary_search_by_key(&slot, |lookup| lookup.slot).ok()?;
        let fits = matches!(lookups[at].table, Table::Hash { .. }) && matches!(lookups[at].key_size, 4 | 8 | 16);
        let made = self.plan.rules.passes.has(Pass::Lookup) && cfg!(target_endian = "little");
        (fits && made).then(|| (&lookups[at], at))
    }

    /// Loads behind this are made after those before it, as they are on x86-64 anyway.
    fn load_in_order(&mut self) {
        if !cfg!(target_arch = "x86_64") {
            self.to.ins().fence();
        }
    }

    /// Looks the key up that r2 points to, by lookup `number` of the code; `call` lifts the helper's call.
    pub(super) fn look_up(&mut self, lookup: Lookup, number: usize, call: impl FnOnce(&mut Self)) {
        let Table::Hash { buckets, mask, slots, slot, next, key, values, value_stride, cpu_stride, seed, used } =
            lookup.table
        else {
            return call(self);
        };
        let words = self.key_words(lookup.key_size);
        let hash = self.hash(&words, seed);
        let mask = self.number(mask.into());
        let bucket = self.to.ins().band(hash, mask);
        let bucket = self.to.ins().ishl_imm_s(bucket, 3);
        let head = self.at(bucket, number, buckets);
        let version_at = self.sum(head, 4);
        let before = self.word32(version_at);
        self.load_in_order();
        let first = self.word32(head);

        let [walk, compare, onward, hit, end, missed, ask, after] = std::array::from_fn(|_| self.to.create_block());
        let link = self.to.append_block_param(walk, I64);
        self.to.set_cold_block(ask);
        self.to.ins().jump(walk, &[BlockArg::Value(first)]);
        self.to.switch_to_block(walk);
        self.to.ins().brif(link, compare, &[], end, &[]);

        self.to.switch_to_block(compare);
        self.to.seal_block(compare);
        let size = self.number(slot.into());
        let past = self.to.ins().imul(link, size);
        // Links are numbers + 1.
        let entry = self.at(past, number, slots.wrapping_sub(slot.into()));
        let differs = self.differs(&words, lookup.key_size, entry, key as i32);
        self.to.ins().brif(differs, onward, &[], hit, &[]);

        self.to.switch_to_block(onward);
        self.to.seal_block(onward);
        let link_at = self.sum(entry, next.into());
        let following = self.word32(link_at);
        self.to.ins().jump(walk, &[BlockArg::Value(following)]);
        self.to.seal_block(walk);

        self.to.switch_to_block(hit);
        self.to.seal_block(hit);
        if used != 0 {
            let one = self.to.ins().iconst(I8, 1);
            self.to.ins().store(PLAIN, one, entry, used as i32);
        }
        let stride = self.number(value_stride.into());
        let past = self.to.ins().imul(link, stride);
        let mut value = self.at(past, number, values.wrapping_sub(value_stride.into()));
        if cpu_stride != 0 {
            let cpu = self.to.ins().load(I64, PLAIN, self.env, i32::from(Env::CPU));
            let stride = self.number(cpu_stride as i64);
            let own = self.to.ins().imul(cpu, stride);
            value = self.to.ins().iadd(value, own);
        }
        self.set(Reg::R0, value);
        self.to.ins().jump(after, &[]);

        self.to.switch_to_block(end);
        self.to.seal_block(end);
        self.load_in_order();
        let now = self.word32(version_at);
        let changed = self.to.ins().icmp(IntCC::NotEqual, now, before);
        self.to.ins().brif(changed, ask, &[], missed, &[]);

        self.to.switch_to_block(missed);
        self.to.seal_block(missed);
        let null = self.number(0);
        self.set(Reg::R0, null);
        self.to.ins().jump(after, &[]);

        self.to.switch_to_block(ask);
        self.to.seal_block(ask);
        call(self);
        self.to.ins().jump(after, &[]);
        self.to.switch_to_block(after);
        self.to.seal_block(after);
    }

    /// An address in a lookup's memory, by a part that is known.
    fn at(&mut self, off: Value, lookup: usize, known: u64) -> Value {
        let known = self.table_address(lookup, known as i64);
        self.to.ins().iadd(known, off)
    }

    /// 32 bits that others may write.
    fn word32(&mut self, addr: Value) -> Value {
        let word = self.to.ins().atomic_load(I32, MemFlagsData::trusted(), addr);
        self.extend(word)
    }

    /// The key that r2 points to, as words of at most 8 bytes.
    fn key_words(&mut self, size: u32) -> Vec<Value> {
        let key = self.get(Reg::R2);
        let (root, off) = self.parts(key);
        let (key, off) = i32::try_from(off).map_or((key, 0), |off| (root, off));
        match size {
            4 => vec![self.to.ins().uload32(PLAIN, key, off)],
            8 => vec![self.to.ins().load(I64, PLAIN, key, off)],
            _ => [0, 8].map(|word| self.to.ins().load(I64, PLAIN, key, off + word)).to_vec(),
        }
    }

    fn hash(&mut self, words: &[Value], seed: u64) -> Value {
        let mut state = self.number(seed as i64);
        for &word in words {
            let mixed = self.to.ins().bxor(state, word);
            let multiplier = self.number(MULTIPLIER);
            let spread = self.to.ins().imul(mixed, multiplier);
            let upper = self.to.ins().ushr_imm_u(spread, 32);
            state = self.to.ins().bxor(spread, upper);
        }
        let finish = self.number(FINISH);
        let last = self.to.ins().imul(state, finish);
        self.to.ins().ushr_imm_u(last, 32)
    }

    /// Not zero where the key of an entry is another one.
    fn differs(&mut self, words: &[Value], size: u32, entry: Value, key: i32) -> Value {
        let mut differs = None;
        for (at, &word) in words.iter().enumerate() {
            let off = key + 8 * at as i32;
            let there = match size {
                4 => self.to.ins().uload32(PLAIN, entry, off),
                _ => self.to.ins().load(I64, PLAIN, entry, off),
            };
            let other = self.to.ins().bxor(there, word);
            differs = Some(match differs {
                Some(before) => self.to.ins().bor(before, other),
                None => other,
            });
        }
        differs.unwrap_or_else(|| self.number(0))
    }
}

//! Pass `lookup`: what a lookup in a known hash table becomes: the key's hash, a walk along one chain, an address; and one
//! in a trie of prefixes: a walk down from its root. The owner's layouts say how that is done ([`Table`]); nothing of the
//! tables is changed but the mark of what was used.
//!
//! Sound because what a walk finds or misses counts only if the bucket's version is then what it was before: if not, the helper
//! is called, which decides. A slot whose key is of 1, 4 or 8 bytes, which are written at once, is a hit whatever other CPUs
//! do. Of a trie the version counts always. Walks end: chains do, as the helper's walk does, and prefixes get longer with each step or the helper is called.

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

/// The longest key of a hash table that is hashed and compared in place, and of a trie, with its 4 bytes of length.
const LONGEST: u32 = 64;
const LONGEST_OF_TRIE: u32 = 4 + 16;
/// Bytes of keys that the owner writes at once: what is one of them is that key.
const WHOLE: [u32; 3] = [1, 4, 8];
/// The bit of a node of a trie that is no entry.
const BRANCH: i64 = 1 << 31;

/// Where the program's key is: an address, and an offset from it.
#[derive(Clone, Copy)]
struct Place(Value, i32);

impl Lifter<'_> {
    /// The lookup at `slot`, if it is one in a hash table or a trie, by a key that is not long.
    pub(super) fn known_lookup(&self, slot: u32) -> Option<(&Lookup, usize)> {
        let lookups = &self.plan.code.lookups;
        let at = lookups.binary_search_by_key(&slot, |lookup| lookup.slot).ok()?;
        let fits = match lookups[at].table {
            Table::Hash { .. } => (1..=LONGEST).contains(&lookups[at].key_size),
            Table::Trie { .. } => (5..=LONGEST_OF_TRIE).contains(&lookups[at].key_size),
            Table::Array { .. } => false,
        };
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
        match lookup.table {
            Table::Hash { .. } => self.look_up_hashed(lookup, number, call),
            Table::Trie { .. } => self.look_up_prefix(lookup, number, call),
            Table::Array { .. } => call(self),
        }
    }

    fn look_up_hashed(&mut self, lookup: Lookup, number: usize, call: impl FnOnce(&mut Self)) {
        let Table::Hash { buckets, mask, slots, slot, next, key, values, value_stride, cpu_stride, seed, used } =
            lookup.table
        else {
            return call(self);
        };
        let place = self.key_place();
        let words = self.words(place, lookup.key_size);
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
        let matches = if WHOLE.contains(&lookup.key_size) { hit } else { self.to.create_block() };
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
        let differs = self.differs(&words, Place(entry, key as i32), lookup.key_size);
        self.to.ins().brif(differs, onward, &[], matches, &[]);

        self.to.switch_to_block(onward);
        self.to.seal_block(onward);
        let link_at = self.sum(entry, next.into());
        let following = self.word32(link_at);
        self.to.ins().jump(walk, &[BlockArg::Value(following)]);
        self.to.seal_block(walk);

        if matches != hit {
            self.to.switch_to_block(matches);
            self.to.seal_block(matches);
            let changed = self.has_changed(version_at, before);
            self.to.ins().brif(changed, ask, &[], hit, &[]);
        }

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
        let changed = self.has_changed(version_at, before);
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

    /// Whether a version is another one behind all that was loaded.
    fn has_changed(&mut self, version_at: Value, before: Value) -> Value {
        self.load_in_order();
        let now = self.word32(version_at);
        self.to.ins().icmp(IntCC::NotEqual, now, before)
    }

    /// The longest prefix of the key in a trie.
    fn look_up_prefix(&mut self, lookup: Lookup, number: usize, call: impl FnOnce(&mut Self)) {
        let Table::Trie { version, root, nodes, node, child, bits, prefix, value } = lookup.table else {
            return call(self);
        };
        let data = lookup.key_size - 4;
        let Place(key, off) = self.key_place();
        let given = self.words(Place(key, off), 4)[0];
        let words = self.words(Place(key, off + 4), data);
        let words: Vec<Value> = words.into_iter().map(|word| self.to.ins().bswap(word)).collect();
        let (longest, none) = (self.number(i64::from(data) * 8), self.number(0));

        let [begin, walk, look, take, deeper, onward] = std::array::from_fn(|_| self.to.create_block());
        let [end, found, missed, ask, after] = std::array::from_fn(|_| self.to.create_block());
        let [link, best, above] = std::array::from_fn(|_| self.to.append_block_param(walk, I64));
        let last = self.to.append_block_param(end, I64);
        self.to.set_cold_block(ask);
        self.to.set_cold_block(missed);
        let too_long = self.to.ins().icmp(IntCC::UnsignedGreaterThan, given, longest);
        self.to.ins().brif(too_long, missed, &[], begin, &[]);

        self.to.switch_to_block(begin);
        self.to.seal_block(begin);
        let (version_at, root_at) = (self.at(none, number, version), self.at(none, number, root));
        let before = self.word32(version_at);
        self.load_in_order();
        let first = self.word32(root_at);
        self.to.ins().jump(walk, &[first, none, none].map(BlockArg::Value));
        self.to.switch_to_block(walk);
        self.to.ins().brif(link, look, &[], end, &[BlockArg::Value(best)]);

        self.to.switch_to_block(look);
        self.to.seal_block(look);
        let size = self.number(node.into());
        let past = self.to.ins().imul(link, size);
        // Links are numbers + 1.
        let entry = self.at(past, number, nodes.wrapping_sub(node.into()));
        let bits_at = self.sum(entry, bits.into());
        let marked = self.word32(bits_at);
        let mask = self.number(BRANCH - 1);
        let own = self.to.ins().band(marked, mask);
        let common = self.common(&words, Place(entry, prefix as i32));
        let common = self.to.ins().umin(common, given);
        let differs = self.to.ins().icmp(IntCC::UnsignedLessThan, common, own);
        self.to.ins().brif(differs, end, &[BlockArg::Value(best)], take, &[]);

        self.to.switch_to_block(take);
        self.to.seal_block(take);
        let value = self.sum(entry, value.into());
        let is_entry = self.to.ins().icmp(IntCC::Equal, marked, own);
        let best = self.to.ins().select(is_entry, value, best);
        let is_leaf = self.to.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, own, longest);
        self.to.ins().brif(is_leaf, end, &[BlockArg::Value(best)], deeper, &[]);

        // Beside writers, nodes may have gone elsewhere: a walk that does not come closer to its end is none.
        self.to.switch_to_block(deeper);
        self.to.seal_block(deeper);
        let astray = self.to.ins().icmp(IntCC::UnsignedLessThan, own, above);
        self.to.ins().brif(astray, ask, &[], onward, &[]);

        self.to.switch_to_block(onward);
        self.to.seal_block(onward);
        let bit = self.bit(&words, own);
        let step = self.to.ins().ishl_imm_s(bit, 2);
        let link_at = self.sum(entry, child.into());
        let link_at = self.to.ins().iadd(link_at, step);
        self.load_in_order();
        let following = self.word32(link_at);
        let longer = self.to.ins().iadd_imm_s(own, 1);
        self.to.ins().jump(walk, &[following, best, longer].map(BlockArg::Value));
        self.to.seal_block(walk);

        self.to.switch_to_block(end);
        self.to.seal_block(end);
        self.load_in_order();
        let now = self.word32(version_at);
        let changed = self.to.ins().bxor(now, before);
        let one = self.number(1);
        let odd = self.to.ins().band(before, one);
        let changed = self.to.ins().bor(changed, odd);
        self.to.ins().brif(changed, ask, &[], found, &[]);

        self.to.switch_to_block(found);
        self.to.seal_block(found);
        self.set(Reg::R0, last);
        self.to.ins().jump(after, &[]);

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

    /// How many of the first bits there are those of a key's words, whose first byte is the upper one.
    fn common(&mut self, words: &[Value], Place(there, off): Place) -> Value {
        let mut common = None;
        // From the last word: what is counted there matters only if all before it is alike.
        for (at, &word) in words.iter().enumerate().rev() {
            let other = self.to.ins().load(I64, PLAIN, there, off + 8 * at as i32);
            let other = self.to.ins().bswap(other);
            let differs = self.to.ins().bxor(other, word);
            let alike = self.to.ins().clz(differs);
            common = Some(match common {
                None => alike,
                Some(rest) => {
                    let more = self.to.ins().iadd_imm_s(rest, 64);
                    self.to.ins().select(differs, alike, more)
                }
            });
        }
        common.unwrap_or_else(|| self.number(0))
    }

    /// A bit of a key's words, by its number.
    fn bit(&mut self, words: &[Value], number: Value) -> Value {
        let word = match *words {
            [word] => word,
            [first, second, ..] => {
                let sixty_four = self.number(64);
                let is_first = self.to.ins().icmp(IntCC::UnsignedLessThan, number, sixty_four);
                self.to.ins().select(is_first, first, second)
            }
            [] => self.number(0),
        };
        // A shift takes six bits of its amount.
        let shifted = self.to.ins().ishl(word, number);
        self.to.ins().ushr_imm_u(shifted, 63)
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

    /// Where r2 points to.
    fn key_place(&mut self) -> Place {
        let key = self.get(Reg::R2);
        let (root, off) = self.parts(key);
        // Room for the offsets of what stands there.
        i32::try_from(off).ok().filter(|off| off.abs() < i32::MAX / 2).map_or(Place(key, 0), |off| Place(root, off))
    }

    /// So many bytes as words of 8, with zeroes behind the last.
    fn words(&mut self, Place(address, off): Place, bytes: u32) -> Vec<Value> {
        let word = |at: u32| (off + at as i32, (bytes - at).min(8));
        let words = (0..bytes).step_by(8).map(word);
        let load = |(at, bytes)| {
            self.recalled(address, at, bytes).unwrap_or_else(|| self.loaded_bytes(address, at.into(), bytes.into()))
        };
        words.map(load).collect()
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
    fn differs(&mut self, words: &[Value], there: Place, bytes: u32) -> Value {
        let mut differs = None;
        for (there, &word) in self.words(there, bytes).into_iter().zip(words) {
            let other = self.to.ins().bxor(there, word);
            differs = Some(match differs {
                Some(before) => self.to.ins().bor(before, other),
                None => other,
            });
        }
        differs.unwrap_or_else(|| self.number(0))
    }
}

//! Pass `helper`: what a helper does whose work is known ([`Body`]) is done in place of the call.
//!
//! Sound because whoever made the code knows the helper and its arguments, and says of this very call what is to be done;
//! what the short way is not made for (bytes that are not there) is left to the helper, as if there were no short way.

use super::lift::{Lifter, PLAIN};
use super::pass::Pass;
use crate::Env;
use crate::code::Body;
use alveary_isa::Reg;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I8X16, I16, I32, I64, Type};
use cranelift_codegen::ir::{InstBuilder, Value};
use std::mem::offset_of;

const RANDOM: i32 = offset_of!(Env, rng) as i32;

impl Lifter<'_> {
    /// What the helper does that is called at `slot`, if that is known.
    pub(super) fn known_body(&self, slot: u32) -> Option<Body> {
        let bodies = &self.plan.code.bodies;
        let at = bodies.binary_search_by_key(&slot, |(slot, _)| *slot).ok()?;
        (self.plan.rules.passes.has(Pass::Helper) && cfg!(target_endian = "little")).then(|| bodies[at].1)
    }

    /// Does it; `call` lifts the helper's call.
    pub(super) fn do_in_place(&mut self, body: Body, call: impl FnOnce(&mut Self)) {
        match body {
            Body::Random => self.draw(),
            Body::Checksum { from, to, folded } => self.checksum(from, to, folded),
            Body::PacketBytes { start, end, size, last, to_packet } => {
                let (there, fits) = self.place_in_packet([start, end], size, last);
                let copy = |lifter: &mut Self| {
                    let memory = lifter.get(Reg(3));
                    let (from, to) = if to_packet { (memory, there) } else { (there, memory) };
                    lifter.copy(from, to, size);
                };
                self.if_it_fits(fits, copy, call);
            }
            Body::Replaced { start, end, size, last, narrow, zero_means_none } => {
                let (there, fits) = self.place_in_packet([start, end], 2, last);
                let (offset, one) = (self.get(Reg(2)), self.number(1));
                let odd = self.to.ins().band(offset, one);
                let even = self.to.ins().icmp_imm_u(IntCC::Equal, odd, 0);
                let fits = self.to.ins().band(fits, even);
                self.if_it_fits(fits, |lifter| lifter.replace(there, size, narrow, zero_means_none), call);
            }
        }
    }

    /// Does something that gives 0 if `fits`, and lifts the helper's call otherwise.
    fn if_it_fits(&mut self, fits: Value, short: impl FnOnce(&mut Self), call: impl FnOnce(&mut Self)) {
        let [way, ask, after] = std::array::from_fn(|_| self.to.create_block());
        self.to.set_cold_block(ask);
        self.to.ins().brif(fits, way, &[], ask, &[]);
        self.to.switch_to_block(way);
        self.to.seal_block(way);
        short(self);
        let well = self.number(0);
        self.set(Reg::R0, well);
        self.to.ins().jump(after, &[]);
        self.to.switch_to_block(ask);
        self.to.seal_block(ask);
        call(self);
        self.to.ins().jump(after, &[]);
        self.to.switch_to_block(after);
        self.to.seal_block(after);
    }

    /// Puts the checksum at an address right, after r3 became r4.
    ///
    /// All sums of 16 bits that are not 0 are one number in one's complement, in whatever order and width they are made:
    /// what counts is whether all that is added can be 0. With 32 bits of the checksum's inverse it cannot.
    fn replace(&mut self, there: Value, size: u8, narrow: bool, zero_means_none: u8) {
        const ALL16: i64 = 0xffff;
        const ALL32: i64 = 0xffff_ffff;
        let old = self.to.ins().uload16(I64, PLAIN, there, 0);
        let (bits, all) = if size == 2 { (16, ALL16) } else { (32, ALL32) };
        let [from, to] = [Reg(3), Reg(4)].map(|reg| {
            let value = self.get(reg);
            self.lower(value, bits)
        });
        let all = self.number(all);
        let from = self.to.ins().bxor(from, all);
        let none = self.number(if narrow { ALL16 } else { ALL32 });
        let inverse = self.to.ins().bxor(old, none);
        let sum = self.to.ins().iadd(inverse, from);
        let mut sum = self.to.ins().iadd(sum, to);
        // Less than 2^34, 2^19, 2^16 + 8 and 2^16.
        for _ in 0..3 {
            sum = self.carried(sum, 16);
        }
        let all16 = self.number(ALL16);
        let mut new = self.to.ins().bxor(sum, all16);
        if zero_means_none != 0 {
            let (flags, bit) = (self.get(Reg(5)), self.number(zero_means_none.into()));
            let asked = self.to.ins().band(flags, bit);
            // A checksum of 0 stays; one that becomes 0 is written the other way.
            let other = self.to.ins().select(new, new, all16);
            let zero = self.number(0);
            let other = self.to.ins().select(old, other, zero);
            new = self.to.ins().select(asked, other, new);
        }
        self.to.ins().istore16(PLAIN, new, there, 0);
    }

    /// The next random number.
    fn draw(&mut self) {
        let before = self.to.ins().load(I64, PLAIN, self.env, RANDOM);
        let step = self.number(Body::RANDOM_STEP as i64);
        let state = self.to.ins().iadd(before, step);
        self.to.ins().store(PLAIN, state, self.env, RANDOM);
        let mut mixed = state;
        for (shift, factor) in Body::RANDOM_MIXING {
            mixed = self.mixed(mixed, shift);
            let factor = self.number(factor as i64);
            mixed = self.to.ins().imul(mixed, factor);
        }
        mixed = self.mixed(mixed, Body::RANDOM_LAST);
        let number = self.to.ins().ushr_imm_u(mixed, 32);
        self.set(Reg::R0, number);
    }

    fn mixed(&mut self, value: Value, shift: u8) -> Value {
        let upper = self.to.ins().ushr_imm_u(value, i64::from(shift));
        self.to.ins().bxor(value, upper)
    }

    /// The sum of `to` bytes at r3 less that of `from` bytes at r1, and r5.
    fn checksum(&mut self, from: u8, to: u8, folded: bool) {
        let seed = self.get(Reg(5));
        let seed = self.lower(seed, 32);
        let sum = match (from, to) {
            (0, 0) => seed,
            (0, _) => self.sum_of_words(Reg(3), to, seed),
            (_, 0) => {
                let seed = self.inverted(seed);
                let sum = self.sum_of_words(Reg(1), from, seed);
                self.inverted(sum)
            }
            _ => {
                let (added, none) = (self.sum_of_words(Reg(3), to, seed), self.number(0));
                let taken = self.sum_of_words(Reg(1), from, none);
                let taken = self.inverted(taken);
                let sum = self.to.ins().iadd(added, taken);
                self.carried(sum, 32)
            }
        };
        let sum = if folded {
            let sum = self.carried(sum, 16);
            let sum = self.carried(sum, 16);
            self.lower(sum, 16)
        } else {
            sum
        };
        self.set(Reg::R0, sum);
    }

    /// The one's complement sum, in 32 bits, of `seed` and the words of 32 bits at an address.
    fn sum_of_words(&mut self, address: Reg, bytes: u8, seed: Value) -> Value {
        let address = self.get(address);
        let words: Vec<Value> = (0..i32::from(bytes) / 4).map(|n| self.piece(I32, address, 4 * n)).collect();
        let mut sum = seed;
        for word in words {
            let word = self.extend(word);
            sum = self.to.ins().iadd(sum, word);
        }
        let sum = self.carried(sum, 32);
        let sum = self.carried(sum, 32);
        self.lower(sum, 32)
    }

    /// The bits above the lower ones, added to these.
    fn carried(&mut self, sum: Value, bits: u8) -> Value {
        let (lower, upper) = (self.lower(sum, bits), self.to.ins().ushr_imm_u(sum, i64::from(bits)));
        self.to.ins().iadd(lower, upper)
    }

    /// The lower 32 bits, each the other way.
    fn inverted(&mut self, value: Value) -> Value {
        let inverted = self.to.ins().bnot(value);
        self.lower(inverted, 32)
    }

    fn lower(&mut self, value: Value, bits: u8) -> Value {
        let narrow = self.to.ins().ireduce(if bits == 16 { I16 } else { I32 }, value);
        self.extend(narrow)
    }

    /// Where r2 says in the packet of the context in r1, and whether `size` bytes are there.
    fn place_in_packet(&mut self, [start, end]: [u16; 2], size: u8, last: u32) -> (Value, Value) {
        let (context, offset) = (self.get(Reg(1)), self.get(Reg(2)));
        let offset = self.lower(offset, 32);
        let [start, end] = [start, end].map(|at| self.to.ins().load(I64, PLAIN, context, i32::from(at)));
        let place = self.to.ins().iadd(start, offset);
        let behind = self.sum(place, size.into());
        let inside = self.to.ins().icmp(IntCC::UnsignedLessThanOrEqual, behind, end);
        let last = self.number(last.into());
        let allowed = self.to.ins().icmp(IntCC::UnsignedLessThanOrEqual, offset, last);
        (place, self.to.ins().band(inside, allowed))
    }

    /// Copies bytes, all of which are read before any is written.
    fn copy(&mut self, from: Value, to: Value, size: u8) {
        let (mut at, mut pieces) = (0, Vec::new());
        for (bytes, ty) in [(16, I8X16), (8, I64), (4, I32), (2, I16), (1, I8)] {
            while i32::from(size) - at >= bytes {
                pieces.push((self.piece(ty, from, at), at));
                at += bytes;
            }
        }
        for (piece, at) in pieces {
            let (to, at) = self.near(to, at);
            self.to.ins().store(PLAIN, piece, to, at);
        }
    }

    fn piece(&mut self, ty: Type, address: Value, at: i32) -> Value {
        let (address, at) = self.near(address, at);
        self.to.ins().load(ty, PLAIN, address, at)
    }

    /// An address and an offset by the value that the address began with.
    fn near(&mut self, address: Value, at: i32) -> (Value, i32) {
        let (root, off) = self.parts(address);
        i32::try_from(off).ok().and_then(|off| off.checked_add(at)).map_or((address, at), |off| (root, off))
    }
}

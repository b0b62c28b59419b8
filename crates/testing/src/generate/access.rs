//! Memory: loads and stores at constant and variable offsets, what is spilled and filled, atomics.

use super::{
    function::Maker,
    maps,
    state::{Holds, SLOTS, Slot, State},
};
use crate::{
    arith,
    instructions::{ATOMIC, WIDTHS},
};
use alveary_isa::{AluOp, AtomicOp, Inst, Operand, Reg, Wide, Width};

/// Bytes of the frame that programs use.
const FRAME: i32 = 8 * SLOTS as i32;

/// Memory that is accessed: `size` bytes from `reg + base`.
#[derive(Clone, Copy, Debug)]
struct Place {
    reg: Reg,
    base: i32,
    size: i32,
    writable: bool,
    stack: bool,
}

/// What a load of a width gives.
pub(super) fn truncated(value: u64, width: Width, signed: bool) -> u64 {
    let bits = 8 * width.bytes() as u32;
    if signed { arith::sign_extend(64, bits, value) } else { value & (u64::MAX >> (64 - bits)) }
}

impl Maker<'_> {
    /// Memory that can be read at constant offsets.
    pub(super) fn readable(&mut self) -> Option<(Reg, i32)> {
        let reg = self.holding(|h| match h {
            Holds::Memory { .. } => true,
            Holds::Packet { proven } | Holds::Meta { proven } => proven > 0,
            _ => false,
        })?;
        match self.state.of(reg) {
            Holds::Memory { size, .. } => Some((reg, size)),
            Holds::Packet { proven } | Holds::Meta { proven } => Some((reg, proven)),
            _ => None,
        }
    }

    fn place(&mut self) -> Place {
        match if self.words.private { 0 } else { self.draw.below(8) } {
            0 => {
                let (idx, size, writable) =
                    self.draw.of(&[(maps::ONE, 64, true), (maps::ONE, 64, true), (maps::FIXED, 32, false)]);
                let reg = self.free();
                let off = self.draw.of(&[0, 0, 8, 31]);
                self.code.push(Inst::MapValueIdx { dst: reg, idx, off: off as u32 });
                self.state.set(reg, Holds::Memory { size: size - off, writable });
                self.keep(reg);
                Place { reg, base: 0, size: size - off, writable, stack: false }
            }
            1 | 2 => Place { reg: Reg::FP, base: -FRAME, size: FRAME, writable: true, stack: true },
            _ => match self.readable() {
                Some((reg, size)) => {
                    self.keep(reg);
                    let writable = match self.state.of(reg) {
                        Holds::Memory { writable, .. } => writable,
                        Holds::Packet { .. } => self.around.packet.is_some_and(|packet| packet.writable),
                        _ => false,
                    };
                    Place { reg, base: 0, size, writable, stack: false }
                }
                None => Place { reg: Reg::FP, base: -FRAME, size: FRAME, writable: true, stack: true },
            },
        }
    }

    /// A load or store somewhere.
    pub(super) fn access(&mut self) {
        if self.draw.chance(1, 2) {
            let number = self.number();
            return self.access_at(number);
        }
        let place = self.place();
        let width = self.width_in(place.size);
        let bytes = width.bytes() as i32;
        let mut off = self.draw.between(0, i64::from(place.size - bytes)) as i32;
        if self.draw.chance(1, 3) {
            off = place.size - bytes;
        }
        if place.stack {
            off -= off % bytes;
        }
        if self.wrong() {
            off = if self.draw.chance(1, 2) { place.size - bytes + 1 } else { -1 - self.draw.below(8) as i32 };
        }
        self.load_or_store(&place, place.reg, place.base + off, width);
    }

    /// A load or store at an offset that is a number.
    pub(super) fn access_at(&mut self, number: Reg) {
        let place = self.place();
        let width = if place.stack && self.draw.chance(3, 4) { Width::B1 } else { self.width_in(place.size) };
        let bytes = width.bytes() as i64;
        let room = i64::from(place.size) - bytes + 1;
        let fits = |(low, high): (i64, i64)| high.checked_sub(low).is_some_and(|span| (0..room).contains(&span));
        let near = |(low, high): (i64, i64)| low > -30_000 && high < 30_000;
        // Not the number itself is changed, mostly: it may be needed.
        let index = if self.draw.chance(1, 2) || self.is_needed(number) {
            let index = self.free();
            self.keep(index);
            self.copy(index, number);
            index
        } else {
            number
        };
        let mut check = None;
        if !(fits(self.range(index)) && near(self.range(index)) && self.draw.chance(3, 4)) {
            let limit = if self.draw.chance(1, 2) { room } else { self.draw.between(1, room) };
            check = self.bound(index, limit);
            if self.draw.chance(1, 4) {
                self.operate(index);
            }
            if place.stack && bytes > 1 {
                self.alu(Wide::W64, AluOp::And, index, Operand::Imm(!(bytes as i32 - 1)));
            }
        }
        let (low, high) = self.range(index);
        let good = fits((low, high)) && near((low, high));
        if !good && !self.wrong() {
            self.alu(Wide::W64, AluOp::And, index, Operand::Imm(if room > 8 { 7 } else { 0 }));
        }
        let (low, high) = self.range(index);
        // As near to an end as it can be, mostly. Of a number without bounds that is anywhere: programs may be wrong.
        let (first, last) = (low.wrapping_neg(), (i64::from(place.size) - bytes).wrapping_sub(high));
        let mut off = match self.draw.below(8) {
            0 => first,
            1 if last > first => self.draw.between(first, last),
            _ => last,
        };
        if place.stack {
            off -= off % bytes;
        }
        if self.wrong() {
            off = off.wrapping_add(self.draw.of(&[1, -1, 8]));
        }
        let address = self.free();
        self.keep(address);
        // Either may be added to the other.
        if self.draw.chance(3, 4) {
            self.copy(address, place.reg);
            self.code.push(Inst::Alu { wide: Wide::W64, op: AluOp::Add, dst: address, src: Operand::Reg(index) });
        } else {
            self.copy(address, index);
            self.code.push(Inst::Alu { wide: Wide::W64, op: AluOp::Add, dst: address, src: Operand::Reg(place.reg) });
        }
        self.state.set(address, Holds::Nothing);
        let variable = Place { reg: address, ..place };
        if place.stack {
            let (start, reach) = (low.wrapping_add(off) as i32, high.wrapping_sub(low) as i32);
            let span = (place.base.wrapping_add(start), reach.wrapping_add(bytes as i32));
            self.state.written(span.0.max(-FRAME), span.1.clamp(0, FRAME));
        }
        self.load_or_store(&Place { stack: false, ..variable }, address, place.base.wrapping_add(off as i32), width);
        self.close(check);
    }

    fn is_needed(&self, reg: Reg) -> bool {
        (7..10).contains(&reg.0) && (self.in_loop || self.nesting > 0)
    }

    fn load_or_store(&mut self, place: &Place, reg: Reg, off: i32, width: Width) {
        let off16 = off as i16;
        if place.writable && self.draw.chance(1, 2) || self.wrong() {
            let src = match self.holding(|h| matches!(h, Holds::Number(_))) {
                Some(src) if self.draw.chance(2, 3) => Operand::Reg(src),
                _ => Operand::Imm(self.draw.imm()),
            };
            self.code.push(Inst::Store { width, dst: reg, off: off16, src });
            if place.stack {
                self.state.written(off, width.bytes() as i32);
                self.whole(off, width, src);
            }
        } else {
            let signed = width != Width::B8 && self.draw.chance(1, 6);
            let dst = self.free();
            let stood = if place.stack { self.stood(off, width, signed) } else { None };
            self.code.push(Inst::Load { width, signed, dst, src: reg, off: off16 });
            self.loaded(dst, width, signed);
            if let Some(number) = stood {
                self.state.set(dst, number);
            }
        }
    }

    /// A whole slot was written.
    fn whole(&mut self, off: i32, width: Width, src: Operand) {
        if let (Width::B8, 0, Some(slot)) = (width, off % 8, State::slot_at(off)) {
            self.state.stack[slot] = Slot::Whole(match src {
                Operand::Reg(reg) => self.state.of(reg),
                Operand::Imm(_) => Holds::Number(self.operand(src)),
            });
        }
    }

    /// The number that stands at a place of the stack.
    fn stood(&mut self, off: i32, width: Width, signed: bool) -> Option<Holds> {
        let slot = State::slot_at(off)?;
        match self.state.stack[slot] {
            Slot::Whole(Holds::Number(number)) => {
                Some(Holds::Number(self.part(number, (off & 7) as u32, width, signed)))
            }
            _ => None,
        }
    }

    /// Something goes to the stack; at times some of it is overwritten.
    pub(super) fn spill(&mut self) {
        let Some(reg) = self.holding(|h| !matches!(h, Holds::Nothing)) else { return self.arithmetic() };
        let slot = self.draw.below(SLOTS as u64) as usize;
        let off = -8 * (slot as i32 + 1);
        self.code.push(Inst::Store { width: Width::B8, dst: Reg::FP, off: off as i16, src: Operand::Reg(reg) });
        self.state.stack[slot] = Slot::Whole(self.state.of(reg));
        if self.draw.chance(1, 6) {
            let width = self.draw.of(&WIDTHS[..3]);
            let within = self.draw.below(8 / width.bytes() as u64) as i32 * width.bytes() as i32;
            let src = Operand::Imm(self.draw.of(&[0, 1, -1, 7]));
            self.code.push(Inst::Store { width, dst: Reg::FP, off: (off + within) as i16, src });
            self.state.stack[slot] = Slot::Bytes;
        }
    }

    /// Something comes back from the stack, whole or a part of it.
    pub(super) fn fill(&mut self) {
        let full = |slot: &Slot| matches!(slot, Slot::Whole(holds) if *holds != Holds::Nothing);
        let slots: Vec<usize> = (0..SLOTS).filter(|slot| full(&self.state.stack[*slot])).collect();
        if slots.is_empty() {
            return self.spill();
        }
        let slot = self.draw.of(&slots);
        let Slot::Whole(holds) = self.state.stack[slot] else { return };
        let off = -8 * (slot as i32 + 1);
        let dst = self.free();
        let is_number = matches!(holds, Holds::Number(_));
        if is_number && self.draw.chance(1, 3) || self.wrong() {
            let width = self.draw.of(&WIDTHS[..3]);
            let within = self.draw.below(8 / width.bytes() as u64) as i32 * width.bytes() as i32;
            let signed = self.draw.chance(1, 4);
            let stood = self.stood(off + within, width, signed);
            self.code.push(Inst::Load { width, signed, dst, src: Reg::FP, off: (off + within) as i16 });
            self.loaded(dst, width, signed);
            if let Some(number) = stood {
                self.state.set(dst, number);
            }
        } else {
            self.code.push(Inst::Load { width: Width::B8, signed: false, dst, src: Reg::FP, off: off as i16 });
            self.state.set(dst, holds);
        }
    }

    /// An atomic operation, or a load or store with an order.
    pub(super) fn atomic(&mut self) {
        let place = self.place();
        let width = self.draw.of(&[Width::B4, Width::B8]);
        let bytes = width.bytes() as i32;
        let of_packet = matches!(self.state.of(place.reg), Holds::Packet { .. } | Holds::Meta { .. });
        if !place.writable || place.size < bytes || of_packet && !self.wrong() {
            return self.arithmetic();
        }
        let steps = place.size / bytes;
        let step = self.draw.below(steps as u64) as i32;
        let off = place.base + step * bytes + i32::from(self.wrong());
        if !place.stack && self.draw.chance(7, 8) && !self.aligned(place.reg) {
            return self.arithmetic();
        }
        let src = self.number();
        let off16 = off as i16;
        match self.draw.below(8) {
            0 => {
                let dst = self.free();
                self.code.push(Inst::LoadAcquire { width, dst, src: place.reg, off: off16 });
                self.loaded(dst, width, false);
            }
            1 => self.code.push(Inst::StoreRelease { width, dst: place.reg, src, off: off16 }),
            _ => {
                let op = self.draw.of(&ATOMIC);
                if op == AtomicOp::Cmpxchg && self.state.number(Reg(0)).is_none() {
                    return self.arithmetic();
                }
                self.code.push(Inst::Atomic { width, op, dst: place.reg, src, off: off16 });
                match op {
                    AtomicOp::Cmpxchg => _ = self.loaded(Reg(0), width, false),
                    AtomicOp::Xchg
                    | AtomicOp::Add { fetch: true }
                    | AtomicOp::Or { fetch: true }
                    | AtomicOp::And { fetch: true }
                    | AtomicOp::Xor { fetch: true } => _ = self.loaded(src, width, false),
                    _ => {}
                }
            }
        }
        if place.stack {
            self.state.written(off, bytes);
        }
    }

    /// Whether what a register points to begins at a multiple of eight, as far as is known.
    fn aligned(&self, reg: Reg) -> bool {
        matches!(self.state.of(reg), Holds::Memory { size, .. } if size % 8 == 0)
    }
}

//! What loads, stores and atomic operations become. Plain accesses are made once each, where and as wide as the program
//! says, since other CPUs may write what it reads; atomic ones are the strongest that there are.

use super::arith::integer;
use super::frame::{Frame, access};
use super::lift::{Lifter, PLAIN};
use super::native::Service;
use crate::memory::{OldValue, result_of};
use alveary_isa::{AtomicOp, Inst, Operand, Reg, Wide, Width};
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, MemFlagsData, Value};

impl Lifter<'_> {
    /// Lifts an instruction that accesses memory; whether it is one.
    pub(super) fn access(&mut self, slot: u32, inst: Inst) -> bool {
        match inst {
            Inst::Load { width, signed, dst, src, off } => {
                let value = match self.own_word(&inst) {
                    Some(number) => {
                        let value = self.to.use_var(self.word(number));
                        let whole = !signed && self.word_fits(number, width);
                        if whole { value } else { self.part(value, width, signed) }
                    }
                    None => match self.forwarded(src, off, width, signed) {
                        Some(value) => value,
                        None => {
                            let (base, off) = self.place(&inst, src, off);
                            let value = self.load(width, signed, base, off);
                            self.waiting.load(value);
                            if !signed {
                                self.remember(slot, width, value, base, off);
                            }
                            value
                        }
                    },
                };
                let value = match self.plan.known(slot).constant() {
                    Some(constant) => self.constant(constant as i64),
                    None => value,
                };
                self.set(dst, value);
            }
            Inst::Store { width, dst, off, src } => {
                let value = self.operand(Wide::W64, src);
                match self.own_word(&inst) {
                    Some(number) => {
                        let fits = matches!(src, Operand::Reg(reg) if self.fits(reg, width));
                        let whole = fits || !self.widths.is_known();
                        let value = if whole { value } else { self.part(value, width, false) };
                        self.to.def_var(self.word(number), value);
                    }
                    None => {
                        let (base, off) = self.place(&inst, dst, off);
                        self.waiting.ask(value);
                        self.store(width, value, base, off);
                    }
                }
            }
            Inst::Atomic { width, op, dst, src, off } => self.atomic(slot, width, op, dst, src, off),
            Inst::LoadAcquire { width, dst, src, off } => {
                let (addr, flags) = self.aligned(slot, width, src, off);
                let value = self.to.ins().atomic_load(integer(bits(width)), flags, addr);
                let value = self.extend(value);
                self.set(dst, value);
            }
            Inst::StoreRelease { width, dst, src, off } => {
                let (addr, flags) = self.aligned(slot, width, dst, off);
                let value = self.narrow(Operand::Reg(src), width);
                self.to.ins().atomic_store(flags, value, addr);
            }
            _ => return false,
        }
        true
    }

    /// The number of the accessed stack word, if it is a register.
    pub(super) fn own_word(&self, inst: &Inst) -> Option<usize> {
        let Frame::Own { registers, .. } = self.frame() else { return None };
        let (place, _) = access(inst)?;
        registers.get(&place).copied()
    }

    /// Where a plain access is.
    pub(super) fn place(&mut self, inst: &Inst, base: Reg, off: i16) -> (Value, i32) {
        if let (Frame::Own { size, .. }, Some(_), Some(slot)) = (self.frame(), access(inst), self.slot) {
            return (self.to.ins().stack_addr(I64, slot, *size as i32 + i32::from(off)), 0);
        }
        let base = self.get(base);
        self.waiting.ask(base);
        let (root, first) = self.parts(base);
        let from_root = first.checked_add(off.into());
        if self.arena.is_some() {
            let (root, off) = match from_root.and_then(|off| i16::try_from(off).ok()) {
                Some(off) => (root, off),
                None => (base, off),
            };
            return (self.host(root), off.into());
        }
        match from_root.and_then(|off| i32::try_from(off).ok()) {
            Some(off) => (root, off),
            None => (base, off.into()),
        }
    }

    pub(super) fn load(&mut self, width: Width, signed: bool, base: Value, off: i32) -> Value {
        let ins = self.to.ins();
        match (width, signed) {
            (Width::B1, false) => ins.uload8(I64, PLAIN, base, off),
            (Width::B2, false) => ins.uload16(I64, PLAIN, base, off),
            (Width::B4, false) => ins.uload32(PLAIN, base, off),
            (Width::B1, true) => ins.sload8(I64, PLAIN, base, off),
            (Width::B2, true) => ins.sload16(I64, PLAIN, base, off),
            (Width::B4, true) => ins.sload32(PLAIN, base, off),
            (Width::B8, _) => ins.load(I64, PLAIN, base, off),
        }
    }

    fn store(&mut self, width: Width, value: Value, base: Value, off: i32) {
        let ins = self.to.ins();
        match width {
            Width::B1 => ins.istore8(PLAIN, value, base, off),
            Width::B2 => ins.istore16(PLAIN, value, base, off),
            Width::B4 => ins.istore32(PLAIN, value, base, off),
            Width::B8 => ins.store(PLAIN, value, base, off),
        };
    }

    /// What a load gives of a word that holds `value`.
    fn part(&mut self, value: Value, width: Width, signed: bool) -> Value {
        if width == Width::B8 {
            return value;
        }
        let low = self.to.ins().ireduce(integer(bits(width)), value);
        if signed { self.to.ins().sextend(I64, low) } else { self.to.ins().uextend(I64, low) }
    }

    fn atomic(&mut self, slot: u32, width: Width, op: AtomicOp, dst: Reg, src: Reg, off: i16) {
        let (addr, flags) = self.aligned(slot, width, dst, off);
        let value = self.narrow(Operand::Reg(src), width);
        let what = match op {
            AtomicOp::Add { .. } => Some(AtomicRmwOp::Add),
            AtomicOp::Or { .. } => Some(AtomicRmwOp::Or),
            AtomicOp::And { .. } => Some(AtomicRmwOp::And),
            AtomicOp::Xor { .. } => Some(AtomicRmwOp::Xor),
            AtomicOp::Xchg => Some(AtomicRmwOp::Xchg),
            AtomicOp::Cmpxchg => None,
        };
        let old = match what {
            Some(what) => self.to.ins().atomic_rmw(integer(bits(width)), flags, what, addr, value),
            None => {
                let expected = self.narrow(Operand::Reg(Reg::R0), width);
                self.to.ins().atomic_cas(flags, addr, expected, value)
            }
        };
        let register = match result_of(op) {
            OldValue::Nowhere => return,
            OldValue::Source => src,
            OldValue::R0 => Reg::R0,
        };
        let old = self.extend(old);
        self.set(register, old);
    }

    /// The address of an atomic access. One that is not a multiple of the width stops, as everywhere.
    fn aligned(&mut self, slot: u32, width: Width, base: Reg, off: i16) -> (Value, MemFlagsData) {
        let value = self.get(base);
        let addr = self.sum(value, off.into());
        let bytes = width.bytes() as i64;
        let flags = MemFlagsData::trusted();
        if bytes == 1 || base == Reg::FP && i64::from(off) % bytes == 0 {
            return (self.host(addr), flags);
        }
        let rest = self.to.ins().band_imm_u(addr, bytes - 1);
        if self.plan.rules.ahead.is_some() {
            self.never_if(rest);
            return (addr, flags);
        }
        let (slot, bytes) = (self.number(slot.into()), self.number(bytes));
        self.unless(rest, |lifter| {
            lifter.forgive_debt();
            let returned = lifter.ask(Service::Misaligned, &[slot, addr, bytes]);
            lifter.leave(&returned);
        });
        (self.host(addr), flags)
    }

    /// The lower bits of an operand.
    fn narrow(&mut self, src: Operand, width: Width) -> Value {
        let value = self.operand(Wide::W64, src);
        if width == Width::B8 { value } else { self.to.ins().ireduce(integer(bits(width)), value) }
    }
}

fn bits(width: Width) -> u8 {
    width.bytes() as u8 * 8
}

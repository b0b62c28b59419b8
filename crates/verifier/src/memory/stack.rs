//! The stack: registers that are spilled to it, bytes that are written to it, and what is read back.
//!
//! Offsets count from the frame pointer and are negative; byte `off` is byte `(-off - 1) % 8` of slot `(-off - 1) / 8`.

use super::{Access, Value};
use crate::{
    limits::{MAX_STACK, MAX_VAR_OFF},
    state::{Byte, Note, Reg, Slot},
    stop::{Check, reject},
    verifier::Verifier,
};
use alveary_abi::Rule;

/// Slot of an offset.
fn slot_of(off: i64) -> usize {
    ((-off - 1) / 8) as usize
}

/// Byte in its slot of an offset.
fn byte_of(off: i64) -> usize {
    ((-off - 1) % 8) as usize
}

impl Verifier<'_> {
    /// That an access lies in the stack; makes room for it.
    pub(super) fn check_stack_bounds(&mut self, regno: u8, off: i64, size: i64, access: Access) -> Check {
        let reg = *self.reg(regno);
        let kind = match access {
            Access::Read => " read from",
            Access::Write => " write to",
        };
        let (min, max) = match reg.val.value() {
            Some(value) => (value as i64 + off, value as i64 + off + size),
            None => {
                let range = reg.val.wide;
                if range.smax >= MAX_VAR_OFF || range.smin <= -MAX_VAR_OFF {
                    reject!(self, EACCES, "invalid unbounded variable-offset{kind} stack R{regno}\n");
                }
                (range.smin + off, range.smax + off + size)
            }
        };
        let frame = self.cur.frame(reg.frame as usize);
        let lowest = if access == Access::Write || self.env.caps.perfmon { -MAX_STACK } else { -frame.allocated() };
        let errno = if min < lowest || min > -1 {
            Some(alveary_abi::Errno::EACCES)
        } else if max > 0 {
            Some(alveary_abi::Errno::EINVAL)
        } else {
            (size < 0).then_some(alveary_abi::Errno::EFAULT)
        };
        if let Some(errno) = errno {
            match reg.val.value() {
                Some(_) => self.log.say(format_args!("invalid{kind} stack R{regno} off={off} size={size}\n")),
                None => self.log.say(format_args!(
                    "invalid variable-offset{kind} stack R{regno} var_off={} off={off} size={size}\n",
                    reg.val.bits
                )),
            }
            return Err(crate::stop::Stop::Rejected(errno));
        }
        if -min > frame.allocated() {
            let subprog = frame.subprog as usize;
            let frame = self.cur.frame_mut(reg.frame as usize);
            frame.grow(-min as usize);
            let depth = frame.allocated() as u32;
            let known = &mut self.program.subprogs[subprog].stack_depth;
            *known = (*known).max(depth);
        }
        Ok(())
    }

    // Writes.

    pub(super) fn write_stack(&mut self, regno: u8, off: i64, size: i64, value: Value) -> Check {
        let reg = *self.reg(regno);
        let frame = reg.frame as usize;
        match reg.val.value() {
            Some(var) => self.write_fixed(frame, off + var as i64, size, value),
            None => self.write_variable(frame, &reg, off, size, value),
        }
    }

    fn write_fixed(&mut self, frame: usize, off: i64, size: i64, value: Value) -> Check {
        let spi = slot_of(off);
        let old = self.cur.frame(frame).stack[spi];
        if !self.env.caps.perfmon && old.is_spill() && !old.is_scalar_spill() && size != 8 {
            reject!(self, EACCES, "attempt to corrupt spilled pointer on stack\n");
        }
        self.stop_mistakes_behind(&old, off, size, value);
        let aligned = off % 8 == 0;
        if aligned && size == 8 {
            self.liveness.write(frame, 1 << spi);
        }
        self.log.scratch_slot(spi);
        let source = value.reg().map(|n| *self.reg(n));
        match (value, source) {
            (Value::Reg(n), Some(reg)) if aligned && reg.is_scalar() && self.env.caps.bpf => {
                let fits = i64::from(reg.width()) <= 8 * size;
                if fits {
                    self.link_before_copy(n);
                }
                let mut saved = *self.reg(n);
                if !fits {
                    saved.id = 0;
                }
                self.save(frame, spi, saved, size);
            }
            (Value::Imm(imm), _) if aligned && self.env.caps.bpf => {
                self.save(frame, spi, Reg::known(i64::from(imm) as u64), size);
            }
            (_, Some(reg)) if reg.spillable() => {
                if size != 8 {
                    self.print_line(self.insn);
                    reject!(self, EACCES, "invalid size of register spill\n");
                }
                if frame != self.cur.depth && reg.ty.kind == crate::state::Kind::Stack {
                    reject!(self, EINVAL, "cannot spill pointers to stack into stack frame of the caller\n");
                }
                self.save(frame, spi, reg, size);
            }
            _ => {
                let zero = source.is_some_and(|reg| reg.is_null()) || value == Value::Imm(0);
                if let (true, Value::Reg(n)) = (zero, value) {
                    self.mark_precise(n)?;
                }
                let byte = if zero { Byte::Zero } else { Byte::Misc };
                let slot = &mut self.cur.frame_mut(frame).stack[spi];
                forget_spill(slot);
                for at in off..off + size {
                    slot.bytes[byte_of(at)] = byte;
                }
                return Ok(());
            }
        }
        self.step(Note { stack: Some((frame as u8, spi as u8)), ..Note::default() }, Default::default());
        Ok(())
    }

    /// A load from where a pointer was written may still see what was there before: no mistaken way goes on behind it.
    fn stop_mistakes_behind(&mut self, old: &Slot, off: i64, size: i64, value: Value) {
        if !self.speculates() {
            return;
        }
        let pointer = value.reg().is_some_and(|n| self.reg(n).spillable());
        let known = |byte: Byte| matches!(byte, Byte::Misc | Byte::Zero);
        let fresh = (off..off + size).any(|at| !known(old.bytes[byte_of(at)]));
        self.program.aux[self.insn as usize].barrier_behind |= pointer || fresh;
    }

    /// Spills the low `size` bytes of a register.
    fn save(&mut self, frame: usize, spi: usize, reg: Reg, size: i64) {
        let slot = &mut self.cur.frame_mut(frame).stack[spi];
        slot.reg = reg;
        let size = size as usize;
        for (at, byte) in slot.bytes.iter_mut().enumerate() {
            if at >= 8 - size {
                *byte = Byte::Spill;
            } else if !matches!(*byte, Byte::Zero | Byte::Invalid) {
                *byte = Byte::Misc;
            }
        }
    }

    fn write_variable(&mut self, frame: usize, pointer: &Reg, off: i64, size: i64, value: Value) -> Check {
        let min = pointer.val.wide.smin + off;
        let max = pointer.val.wide.smax + off + size;
        let zero = match value {
            Value::Reg(n) => self.reg(n).is_null(),
            Value::Imm(imm) => imm == 0,
            Value::None => false,
        };
        let mut zero_kept = false;
        for at in min..max {
            let (spi, byte) = (slot_of(at), byte_of(at));
            self.log.scratch_slot(spi);
            let slot = self.cur.frame(frame).stack[spi];
            let old = slot.bytes[byte];
            if !self.env.caps.perfmon && !matches!(old, Byte::Misc | Byte::Zero) {
                reject!(
                    self,
                    EINVAL,
                    "spilled ptr in range of var-offset stack write; insn {}, ptr off: {at}",
                    self.insn
                );
            }
            if zero && old == Byte::Spill && slot.is_scalar_spill() && slot.reg.val.value() == Some(0) {
                zero_kept = true;
                continue;
            }
            let new = if zero && old == Byte::Zero {
                zero_kept = true;
                Byte::Zero
            } else {
                Byte::Misc
            };
            let slot = &mut self.cur.frame_mut(frame).stack[spi];
            forget_spill(slot);
            slot.bytes[byte] = new;
        }
        match value {
            Value::Reg(n) if zero_kept => self.mark_precise(n),
            _ => Ok(()),
        }
    }

    // Reads.

    pub(super) fn read_stack(&mut self, regno: u8, off: i64, size: i64, target: Option<u8>) -> Check {
        let reg = *self.reg(regno);
        match reg.val.value() {
            Some(var) => self.read_fixed(reg.frame as usize, off + var as i64, size, target),
            None => {
                let Some(target) = target else {
                    reject!(
                        self,
                        EACCES,
                        "variable offset stack pointer cannot be passed into helper function; var_off={} off={off} size={size}\n",
                        reg.val.bits
                    );
                };
                self.check_stack_initialised(regno, off, size, false, Access::Read, None)?;
                let (min, max) = (reg.val.wide.smin + off, reg.val.wide.smax + off);
                self.load_bytes(reg.frame as usize, min, max + size, target);
                Ok(())
            }
        }
    }

    fn read_fixed(&mut self, frame: usize, off: i64, size: i64, target: Option<u8>) -> Check {
        let spi = slot_of(off);
        self.log.scratch_slot(spi);
        self.liveness.read(frame, 1 << spi);
        let slot = self.cur.frame(frame).stack[spi];
        if !slot.is_spill() {
            self.check_written(&slot, off, size)?;
            if let Some(target) = target {
                self.load_bytes(frame, off, off + size, target);
            }
            return Ok(());
        }
        let spilled = slot.bytes.iter().filter(|byte| **byte == Byte::Spill).count() as i64;
        if size == 8 && spilled == 8 {
            match target {
                Some(target) => *self.reg_mut(target) = slot.reg,
                None if !self.env.caps.perfmon && slot.reg.is_pointer() => {
                    reject!(self, EACCES, "leaking pointer from stack off {off}\n");
                }
                None => {}
            }
            self.note_slot(frame, spi);
            return Ok(());
        }
        if !slot.reg.is_scalar() {
            self.print_line(self.insn);
            reject!(self, EACCES, "invalid size of register fill\n");
        }
        let Some(target) = target else { return Ok(()) };
        // The low part of what was spilled.
        if size <= spilled && narrow_is_low(off, size, spilled) {
            let mut filled = slot.reg;
            if i64::from(filled.width()) > 8 * size {
                filled.unlink();
            }
            *self.reg_mut(target) = filled;
            self.note_slot(frame, spi);
            return Ok(());
        }
        self.check_written(&slot, off, size)?;
        let read = || (off..off + size).map(|at| slot.bytes[byte_of(at)]);
        if read().all(|byte| byte == Byte::Spill) && slot.reg.val.value() == Some(0) {
            *self.reg_mut(target) = Reg::known(0);
            self.note_slot(frame, spi);
        } else if read().all(|byte| byte == Byte::Zero) {
            *self.reg_mut(target) = Reg::known(0);
        } else {
            self.set_unknown(target);
        }
        Ok(())
    }

    fn note_slot(&mut self, frame: usize, spi: usize) {
        self.step(Note { stack: Some((frame as u8, spi as u8)), ..Note::default() }, Default::default());
    }

    /// Whether the program may read what was never written.
    fn reads_unwritten(&self) -> bool {
        self.env.caps.perfmon && self.profile.has(Rule::UnwrittenStack)
    }

    /// That something was written to every byte, unless the program may read what was not.
    fn check_written(&mut self, slot: &Slot, off: i64, size: i64) -> Check {
        for n in 0..size {
            if slot.bytes[byte_of(off + n)] == Byte::Invalid && !self.reads_unwritten() {
                reject!(self, EACCES, "invalid read from stack off {off}+{n} size {size}\n");
            }
        }
        Ok(())
    }

    /// A load of bytes that are no spilled register: known if they are zero.
    fn load_bytes(&mut self, frame: usize, min: i64, max: i64, target: u8) {
        let mut zero = true;
        for at in min..max {
            let spi = slot_of(at);
            self.log.scratch_slot(spi);
            if self.cur.frame(frame).stack[spi].bytes[byte_of(at)] != Byte::Zero {
                zero = false;
                break;
            }
        }
        if zero {
            *self.reg_mut(target) = Reg::known(0);
        } else {
            self.set_unknown(target);
        }
    }

    /// That a range of the stack may be read. What is to be written is then no longer known, unless it is `raw`: then
    /// nothing has to be there yet, and that it will be written is left to the caller, who is told how much.
    pub(super) fn check_stack_initialised(
        &mut self,
        regno: u8,
        off: i64,
        size: i64,
        zero: bool,
        access: Access,
        raw: Option<&mut Option<(u8, i64)>>,
    ) -> Check {
        if size == 0 && !zero {
            reject!(self, EACCES, "invalid zero-sized read\n");
        }
        self.check_stack_bounds(regno, off, size, access)?;
        let reg = *self.reg(regno);
        let (min, max, raw) = match reg.val.value() {
            Some(value) => (value as i64 + off, value as i64 + off, raw),
            None if self.speculates() => reject!(
                self,
                EACCES,
                "R{regno} variable offset stack access prohibited for !root, var_off={}\n",
                reg.val.bits
            ),
            None => (reg.val.wide.smin + off, reg.val.wide.smax + off, None),
        };
        if let Some(raw) = raw {
            *raw = Some((regno, size));
            return Ok(());
        }
        let frame = reg.frame as usize;
        for at in min..max + size {
            let (spi, byte) = (slot_of(at), byte_of(at));
            let slot = self.cur.frame(frame).stack[spi];
            let readable = match slot.bytes[byte] {
                Byte::Misc => true,
                Byte::Zero => self.clobber(access, frame, spi, Some(byte)),
                Byte::Invalid if self.reads_unwritten() => self.clobber(access, frame, spi, Some(byte)),
                _ if slot.is_spill() && (slot.reg.is_scalar() || self.env.caps.perfmon) => {
                    self.clobber(access, frame, spi, None)
                }
                _ => false,
            };
            if !readable {
                match reg.val.value() {
                    Some(_) => {
                        reject!(self, EACCES, "invalid read from stack R{regno} off {min}+{} size {size}\n", at - min)
                    }
                    None => reject!(
                        self,
                        EACCES,
                        "invalid read from stack R{regno} var_off {}+{} size {size}\n",
                        reg.val.bits,
                        at - min
                    ),
                }
            }
            self.liveness.read(frame, 1 << spi);
        }
        Ok(())
    }

    /// What a helper may write to is no longer known: one byte, or a whole spilled register.
    fn clobber(&mut self, access: Access, frame: usize, spi: usize, byte: Option<usize>) -> bool {
        if access == Access::Read {
            return true;
        }
        let slot = &mut self.cur.frame_mut(frame).stack[spi];
        match byte {
            Some(byte) => slot.bytes[byte] = Byte::Misc,
            None => {
                slot.reg.forget(false);
                slot.bytes.iter_mut().filter(|byte| **byte != Byte::Invalid).for_each(|byte| *byte = Byte::Misc);
            }
        }
        true
    }
}

/// Whether a narrow load reads the low bytes of what was spilled.
fn narrow_is_low(off: i64, size: i64, spilled: i64) -> bool {
    if cfg!(target_endian = "big") { (off + size - spilled) % 8 == 0 } else { off % 8 == 0 }
}

/// A spilled register that is overwritten in part: its other bytes hold something.
fn forget_spill(slot: &mut Slot) {
    if slot.is_spill() {
        slot.bytes.iter_mut().filter(|byte| **byte != Byte::Invalid).for_each(|byte| *byte = Byte::Misc);
    }
    slot.reg = Reg::UNINIT;
}

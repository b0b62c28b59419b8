//! Helper calls: by their rows; lookups; records of ring buffers.

use super::{
    function::{CTX, Maker},
    maps,
    state::{Holds, SLOTS},
    surroundings::Callable,
};
use alveary_abi::{Arg, HelperId, MapType, MemAccess, MemSize, Ret};
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Reg, Wide, Width};

const FRAME: i32 = 8 * SLOTS as i32;

/// Maps of which values are looked up.
const VALUES: [u32; 10] = [0, 0, 1, 2, 3, 4, 5, 17, 18, 19];

impl Maker<'_> {
    /// Looks a value up and, mostly, asks whether it is there.
    pub(super) fn look_up(&mut self) {
        if self.busy & 0x3f != 0 {
            return self.arithmetic();
        }
        let idx = self.draw.of(&VALUES);
        let (_, key, value) = maps::shape(idx);
        let off = -((key as i32 + 7) & !7) - 8 * self.draw.below(4) as i32;
        self.key(idx, off);
        self.code.push(Inst::MapIdx { dst: Reg(1), idx });
        self.stack_address(Reg(2), off);
        self.code.push(Inst::CallHelper { id: HelperId::MAP_LOOKUP_ELEM.0 as i32 });
        self.called();
        self.found(value as i32);
    }

    /// Writes a key that may well be there.
    fn key(&mut self, idx: u32, off: i32) {
        let (ty, size, _) = maps::shape(idx);
        let key = self.draw.below(5) as i32;
        let (width, slot) = if size == 4 { (Width::B4, off) } else { (Width::B8, off) };
        let number = self.holding(|h| matches!(h, Holds::Number(_)));
        let src = match number {
            Some(reg) if self.draw.chance(1, 4) => Operand::Reg(reg),
            _ => Operand::Imm(key),
        };
        self.code.push(Inst::Store { width, dst: Reg::FP, off: slot as i16, src });
        if ty == MapType::LPM_TRIE {
            let bits = self.draw.of(&[32, 24, 8, 0, 33]);
            self.code.push(Inst::Store { width: Width::B4, dst: Reg::FP, off: slot as i16, src: Operand::Imm(bits) });
        }
        for at in (8..size as i32).step_by(8) {
            let slot = (off + at) as i16;
            self.code.push(Inst::Store { width: Width::B8, dst: Reg::FP, off: slot, src: Operand::Imm(0) });
        }
        self.state.written(off, (size as i32).max(8));
    }

    /// r0 is an address of so many bytes, or null.
    fn found(&mut self, size: i32) {
        let to = self.draw.of(&[Reg(0), Reg(7), Reg(8), Reg(9)]);
        let to = if self.is_busy(to) { Reg(0) } else { to };
        self.state.set(Reg(0), Holds::OrNull { size });
        // A copy is known to be there when the other is.
        if to != Reg(0) {
            self.copy(to, Reg(0));
        }
        let asked = if self.draw.chance(1, 2) { to } else { Reg(0) };
        let check = if self.wrong() {
            None
        } else {
            let jump = Inst::Jmp { wide: Wide::W64, op: CmpOp::Eq, dst: asked, src: Operand::Imm(0), off: 0 };
            Some(self.check(jump))
        };
        self.state.set(Reg(0), Holds::Nothing);
        self.state.set(to, Holds::Memory { size, writable: true });
        if self.draw.chance(2, 3) || check.is_some() && self.held {
            self.keep(to);
            let statements = self.draw.below(3) as u32;
            if self.nesting < 3 {
                self.nesting += 1;
                self.access();
                self.block(statements);
                self.nesting -= 1;
            }
        }
        self.close(check);
    }

    /// Takes a record of a ring buffer, writes to it, gives it back.
    pub(super) fn record(&mut self) {
        let reg = self.draw.of(&[Reg(7), Reg(8), Reg(9)]);
        if !self.around.records || self.held || self.in_loop || self.busy & 0x3f != 0 || self.is_busy(reg) {
            return self.arithmetic();
        }
        let size = self.draw.of(&[8, 16, 24, 33, 64]);
        self.code.push(Inst::MapIdx { dst: Reg(1), idx: maps::RING });
        self.set(Reg(2), size);
        self.set(Reg(3), 0);
        self.code.push(Inst::CallHelper { id: HelperId::RINGBUF_RESERVE.0 as i32 });
        self.called();
        self.state.set(Reg(0), Holds::OrNull { size });
        self.copy(reg, Reg(0));
        let (none, before) = (self.code.label(), super::state::State { alive: 0, ..self.state });
        self.code.push_to(Inst::Jmp { wide: Wide::W64, op: CmpOp::Eq, dst: reg, src: Operand::Imm(0), off: 0 }, none);
        self.state.set(Reg(0), Holds::Nothing);
        self.state.set(reg, Holds::Memory { size, writable: true });
        self.keep(reg);
        self.write_record(reg, size);
        self.held = true;
        let statements = self.draw.below(3) as u32 + 1;
        self.nesting += 1;
        self.block(statements);
        self.nesting -= 1;
        self.held = false;
        if !self.wrong() {
            self.copy(Reg(1), reg);
            self.set(Reg(2), 0);
            let discard = self.draw.chance(1, 3);
            let give_back = if discard { HelperId::RINGBUF_DISCARD } else { HelperId::RINGBUF_SUBMIT };
            self.code.push(Inst::CallHelper { id: give_back.0 as i32 });
        }
        self.called();
        if !self.wrong() {
            self.state.set(reg, Holds::Nothing);
        }
        self.code.mark(none);
        self.state.join(&before);
        if self.state.of(reg) != Holds::Nothing {
            self.state.set(reg, Holds::Nothing);
        }
    }

    /// Writes all of a record. What it held before is what the ring had there: nothing that two kernels have in common.
    fn write_record(&mut self, reg: Reg, size: i32) {
        for at in 0..size / 8 {
            let src = Operand::Imm(self.draw.of(&[0, 1, -1, 0x0102_0304]));
            self.code.push(Inst::Store { width: Width::B8, dst: reg, off: 8 * at as i16, src });
        }
        for off in size & !7..size {
            self.code.push(Inst::Store { width: Width::B1, dst: reg, off: off as i16, src: Operand::Imm(off) });
        }
    }

    /// A call with what the helper's row says.
    pub(super) fn call_helper(&mut self) {
        let around = self.around;
        if around.helpers.is_empty() || self.busy & 0x3f != 0 {
            return self.arithmetic();
        }
        let at = self.draw.below(around.helpers.len() as u64) as usize;
        let callable = &around.helpers[at];
        let effects = &callable.proto.effects;
        let needs_ctx = callable.proto.args.iter().any(|arg| matches!(arg, Arg::Ctx { .. }));
        if effects.changes_packet && (self.in_loop || self.held) || needs_ctx && self.state.of(CTX) != Holds::Ctx {
            return self.arithmetic();
        }
        self.call(at);
    }

    /// A call of the helper `at` of those that can be called.
    pub(super) fn call(&mut self, at: usize) {
        let callable = &self.around.helpers[at];
        let effects = &callable.proto.effects;
        let idx = if callable.maps.is_empty() { 0 } else { self.draw.of(&callable.maps) };
        let mut check = None;
        // Sizes come before the memory that they are of.
        let sized = |n: usize| matches!(callable.proto.args.get(n + 1), Some(Arg::Size { .. }));
        let mut sizes = [0; 5];
        for (n, size) in sizes.iter_mut().enumerate().filter(|(n, _)| sized(*n)) {
            let reg = Reg(n as u8 + 2);
            let zero_ok = matches!(callable.proto.args[n + 1], Arg::Size { zero_ok: true });
            *size = self.size_argument(callable, reg, zero_ok, &mut check);
        }
        for (n, arg) in callable.proto.args.iter().enumerate() {
            let reg = Reg(n as u8 + 1);
            self.argument(callable, idx, reg, arg, sizes[n]);
            self.keep(reg);
        }
        if effects.reads_more {
            // What is left there from before is another thing by each engine, and addresses are at each place.
            for reg in (1..=5).map(Reg).filter(|reg| *reg > Reg(given(callable))) {
                self.number_argument(reg);
            }
        }
        self.code.push(Inst::CallHelper { id: callable.row.id.0 as i32 });
        self.called();
        if effects.changes_packet {
            self.state.forget_packet();
        }
        match callable.proto.ret {
            Ret::Scalar => _ = self.loaded(Reg(0), Width::B8, false),
            Ret::MapValueOrNull => {
                let (ty, _, value) = maps::shape(idx);
                let size = if matches!(ty, MapType::DEVMAP | MapType::XSKMAP) { 0 } else { value };
                self.busy &= !0x3f;
                if size > 0 {
                    self.found(size as i32);
                }
            }
            _ => {}
        }
        self.close(check);
    }

    /// A size, a constant or a number in bounds; how large it may be.
    fn size_argument(
        &mut self,
        callable: &Callable,
        reg: Reg,
        zero_ok: bool,
        check: &mut Option<super::control::Check>,
    ) -> i32 {
        // What makes checksums wants multiples of four.
        let step = if callable.row.id == HelperId::CSUM_DIFF { 4 } else { 1 };
        let most = self.draw.of(&[4, 8, 16, 20, 32, 48, 64]);
        let number = self.holding(|h| matches!(h, Holds::Number(_)));
        match number {
            Some(held) if step == 1 && check.is_none() && self.draw.chance(1, 3) => {
                self.copy(reg, held);
                self.keep(reg);
                *check = self.bound(reg, i64::from(most) + i64::from(zero_ok));
                if !zero_ok && self.state.number(reg).is_some() {
                    self.alu(Wide::W64, AluOp::Add, reg, Operand::Imm(1));
                }
                (self.range(reg).1.clamp(0, i64::from(FRAME))) as i32
            }
            _ => {
                let size = if step == 4 || self.draw.chance(1, 2) { most } else { self.draw.below(64) as i32 + 1 };
                self.set(reg, size);
                self.keep(reg);
                size
            }
        }
    }

    fn argument(&mut self, callable: &Callable, idx: u32, reg: Reg, arg: &Arg, size: i32) {
        let (_, key, value) = maps::shape(idx);
        match *arg {
            Arg::Ctx { .. } => self.copy(reg, CTX),
            Arg::Map => self.code.push(Inst::MapIdx { dst: reg, idx }),
            Arg::MapKey => {
                let off = -((key as i32 + 7) & !7) - 8 * self.draw.below(4) as i32;
                self.key(idx, off);
                self.stack_address(reg, off);
            }
            Arg::MapValue { access, .. } => self.memory(callable, reg, value as i32, access),
            Arg::Mem { or_null: true, .. } if size == 0 && self.draw.chance(1, 2) => self.set(reg, 0),
            Arg::Mem { access, size: MemSize::Fixed(bytes), .. } => self.memory(callable, reg, bytes as i32, access),
            Arg::Mem { access, .. } => self.memory(callable, reg, size, access),
            Arg::ConstStr => self.code.push(Inst::MapValueIdx { dst: reg, idx: maps::FIXED, off: 0 }),
            // It is there already.
            Arg::None | Arg::Size { .. } => {}
            _ => match self.holding(|h| matches!(h, Holds::Number(_))) {
                Some(held) if self.draw.chance(1, 3) => self.copy(reg, held),
                _ => {
                    let imm = self.draw.of(&[0, 0, 0, 0, 1, 2, 4, 8, 14, 20, 34, 60, -4, -14, 2000]);
                    self.set(reg, imm);
                }
            },
        }
    }

    /// The address of so many bytes.
    fn memory(&mut self, callable: &Callable, reg: Reg, size: i32, access: MemAccess) {
        let writes = access != MemAccess::Read;
        let packet = callable.proto.packet_memory && self.around.packet.is_some_and(|p| p.writable || !writes);
        let wrong = i32::from(self.wrong());
        let fits = |h: Holds| match h {
            Holds::Memory { size: there, writable } => there + wrong >= size && (writable || !writes),
            Holds::Packet { proven } => packet && proven > 0 && proven + wrong >= size,
            _ => false,
        };
        match self.holding(fits) {
            Some(held) if self.draw.chance(1, 2) => self.copy(reg, held),
            _ => {
                let size = size.max(1);
                let aligned = (size + 7) & !7;
                let room = ((FRAME - aligned) / 8).max(0) as u64;
                let off = -aligned - 8 * self.draw.below(room + 1) as i32;
                // Up to the frame's top at times, and over it.
                let off = if self.draw.chance(1, 4) { -size + wrong } else { off };
                self.stack_address(reg, off);
                if writes {
                    self.state.written(off, size);
                }
            }
        }
    }
}

/// How many arguments a helper takes.
fn given(callable: &Callable) -> u8 {
    callable.proto.args.iter().take_while(|arg| **arg != Arg::None).count() as u8
}

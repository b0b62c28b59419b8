//! Conditional jumps: which side is taken, and what each side learns.

use crate::{
    engine::Flow,
    limits::MAX_PACKET_OFF,
    scalar::Sides,
    state::{ADD_CONST, ADD_CONST_32, AT_PACKET_END, BEYOND_PACKET_END, Kind, Link, Linked, Note, Reg, State, Type},
    stop::{Check, reject},
    verifier::Verifier,
};
use alveary_abi::Rule;
use alveary_isa::{CmpOp, Operand, Wide};

impl Verifier<'_> {
    pub(crate) fn check_jump(&mut self, wide: Wide, op: CmpOp, dst: u8, src: Operand, off: i16) -> Check<Flow> {
        self.check_read(dst)?;
        let src_reg = match src {
            Operand::Reg(src) => Some(src.0),
            Operand::Imm(_) => None,
        };
        if let Some(src) = src_reg {
            self.check_read(src)?;
            let packets = self.reg(dst).ty.is_packet_or_end() && self.reg(src).ty.is_packet_or_end();
            if !packets && self.leaks(src) {
                reject!(self, EACCES, "R{src} pointer comparison prohibited\n");
            }
        }
        let (a, b) = (*self.reg(dst), self.operand(src));
        let note = Note {
            src_stack: src_reg.is_some() && b.ty.kind == Kind::Stack,
            dst_stack: a.ty.kind == Kind::Stack,
            ..Note::default()
        };
        if note != Note::default() {
            self.step(note, Linked::default());
        }
        if let Some(taken) = self.decide(&a, &b, op, wide) {
            if a.is_scalar() {
                self.mark_precise(dst)?;
            }
            if let Some(src) = src_reg.filter(|_| b.is_scalar()) {
                self.mark_precise(src)?;
            }
            let (there, next) = (self.target(off.into()), self.insn + 1);
            if self.speculates() {
                self.push_mistaken(if taken { next } else { there }, [Some(dst), src_reg])?;
            }
            self.print_changes();
            self.record_ways(!taken, taken);
            self.insn = if taken { there } else { next };
            return Ok(Flow::Jump);
        }
        let linked = self.linked_with(dst, src_reg);
        if linked.len() > 1 {
            self.step(Note::default(), linked);
        }
        self.record_ways(true, true);
        let (target, insn) = (self.target(off.into()), self.insn);
        self.push_path(target, insn)?;
        if a.is_scalar() && b.is_scalar() {
            self.split(wide, op, dst, src_reg, (&a, &b), &linked);
        }
        self.learn_not_null(wide, op, dst, src, (&a, &b));
        let null_check = wide == Wide::W64
            && matches!(src, Operand::Imm(0))
            && matches!(op, CmpOp::Eq | CmpOp::Ne)
            && a.ty.maybe_null();
        if null_check {
            self.mark_null(dst, op == CmpOp::Ne, op == CmpOp::Eq);
        } else if !self.learn_packet(wide, op, dst, src_reg) && self.leaks(dst) {
            reject!(self, EACCES, "R{dst} pointer comparison prohibited\n");
        }
        self.print_changes();
        Ok(Flow::Next)
    }

    /// Registers and slots that have the id of either operand.
    fn linked_with(&mut self, dst: u8, src: Option<u8>) -> Linked {
        let mut linked = Linked::default();
        for n in src.into_iter().chain([dst]) {
            let reg = self.reg(n);
            if reg.is_scalar() && reg.id != 0 {
                self.collect(reg.id & !ADD_CONST, &mut linked);
            }
        }
        linked
    }

    fn collect(&mut self, id: u32, linked: &mut Linked) {
        let has = |reg: &Reg| reg.is_scalar() && reg.id & !ADD_CONST == id;
        for n in (0..=self.cur.depth).rev() {
            let at = if n == self.cur.depth { self.insn } else { self.cur.frame_insn(n) };
            let live = self.program.aux[at as usize].live;
            for r in (0..10).filter(|r| live >> r & 1 != 0) {
                let link = Link { frame: n as u8, is_reg: true, index: r as u8 };
                if has(&self.cur.frame(n).regs[r]) && !linked.push(link) {
                    self.cur.frame_mut(n).regs[r].unlink();
                }
            }
            for s in 0..self.cur.frame(n).stack.len() {
                let slot = &self.cur.frame(n).stack[s];
                let link = Link { frame: n as u8, is_reg: false, index: s as u8 };
                if slot.is_spill() && has(&slot.reg) && !linked.push(link) {
                    self.cur.frame_mut(n).stack[s].reg.unlink();
                }
            }
        }
    }

    /// Both sides learn of two numbers.
    fn split(&mut self, wide: Wide, op: CmpOp, dst: u8, src: Option<u8>, operands: (&Reg, &Reg), linked: &Linked) {
        let (number, other) = (operands.0.val, operands.1.val);
        let sides = if src == Some(dst) {
            let [taken, not_taken] = number.split_itself(op, wide);
            Sides { taken: [taken; 2], not_taken: [not_taken; 2] }
        } else {
            number.split(op, &other, wide)
        };
        let Some((here, there)) = self.both() else { return };
        for (state, [a, b]) in [(here, sides.not_taken), (there, sides.taken)] {
            state.reg_mut(dst).val = a;
            if let Some(src) = src {
                state.reg_mut(src).val = b;
            }
            for n in src.into_iter().chain([dst]) {
                if state.reg(n).id != 0 {
                    sync_linked(state, n, linked);
                }
            }
        }
    }

    /// Two pointers that are equal, one of which is not null: neither is.
    fn learn_not_null(&mut self, wide: Wide, op: CmpOp, dst: u8, src: Operand, operands: (&Reg, &Reg)) {
        let Operand::Reg(src) = src else { return };
        let (a, b) = operands;
        if wide == Wide::W32 || a.is_scalar() || b.is_scalar() || !matches!(op, CmpOp::Eq | CmpOp::Ne) {
            return;
        }
        if !self.profile.has(Rule::EqualsAreThere) {
            return;
        }
        let sure = if self.is_there(a) && b.ty.maybe_null() {
            src.0
        } else if self.is_there(b) && a.ty.maybe_null() {
            dst
        } else {
            return;
        };
        let known = self.not_null(*self.reg(sure));
        let Some((here, there)) = self.both() else { return };
        let equal = if op == CmpOp::Eq { there } else { here };
        *equal.reg_mut(sure) = known;
    }

    /// Whether a pointer cannot be null.
    fn is_there(&self, reg: &Reg) -> bool {
        reg.not_null() && (reg.ty.kind != Kind::MapPtr || self.profile.has(Rule::MapsAreThere))
    }

    /// Whether the jump is taken, where that is known.
    fn decide(&self, a: &Reg, b: &Reg, op: CmpOp, wide: Wide) -> Option<bool> {
        if a.ty.is_packet_or_end() && b.ty.is_packet_or_end() && wide == Wide::W64 {
            return decide_packet(a, b, op);
        }
        if a.is_scalar() && b.is_scalar() {
            return a.val.compare(op, &b.val, wide);
        }
        if wide == Wide::W32 {
            return None;
        }
        let (pointer, number) = if b.is_scalar() && b.val.value().is_some() { (a, b) } else { (b, a) };
        if !number.is_scalar() || number.val.value() != Some(0) || pointer.is_scalar() || !self.is_there(pointer) {
            return None;
        }
        match op {
            CmpOp::Eq => Some(false),
            CmpOp::Ne => Some(true),
            _ => None,
        }
    }

    /// A pointer that may be null, once it is known not to be.
    pub(crate) fn not_null(&self, mut reg: Reg) -> Reg {
        use alveary_abi::{MapType as M, SpecialKind};
        reg.ty = reg.ty.without(crate::state::Flags::MAYBE_NULL);
        if reg.ty.kind != Kind::MapValue {
            return reg;
        }
        let map = &self.program.maps[reg.extra as usize];
        if let Some(inner) = map.inner {
            reg.ty = Type::of(Kind::MapPtr);
            reg.extra = inner;
            let inner = &self.program.maps[inner as usize];
            if inner.special(SpecialKind::Timer).is_some() || inner.special(SpecialKind::Workqueue).is_some() {
                reg.map_uid = reg.id;
            }
        } else if map.ty == M::XSKMAP {
            reg.ty = Type::of(Kind::XdpSock);
            // To the kernel a socket out of a map stays another one than a socket that was looked up.
            reg.extra += 1;
        } else if matches!(map.ty, M::SOCKMAP | M::SOCKHASH) {
            reg.ty = Type::of(Kind::Socket);
            reg.extra += 1;
        }
        reg
    }

    /// A null check, on the side that goes on and on the side that jumps.
    fn mark_null(&mut self, regno: u8, here: bool, there: bool) {
        let reg = *self.reg(regno);
        let not_null = self.not_null(reg);
        let holds_lock = reg.ty.kind == Kind::MapValue && {
            use alveary_abi::SpecialKind::SpinLock;
            let map = &self.program.maps[reg.extra as usize];
            map.special(SpinLock).is_some()
                || map.inner.is_some_and(|n| self.program.maps[n as usize].special(SpinLock).is_some())
        };
        let change = |state: &mut State, is_null: bool| {
            if reg.ref_id != 0 && reg.ref_id == reg.id && is_null {
                state.refs.retain(|reference| reference.lock.is_some() || reference.id != reg.ref_id);
            }
            state.change_regs(
                |other| other.ty.maybe_null() && other.id == reg.id,
                |other| {
                    if is_null {
                        *other = Reg { ty: Type::SCALAR, id: 0, ref_id: 0, ..*other };
                        return;
                    }
                    let id = if holds_lock { other.id } else { 0 };
                    let Reg { ty, extra, map_uid, .. } = not_null;
                    *other = Reg { ty, extra, map_uid, id, ..*other };
                },
            );
        };
        if let Some((this, other)) = self.both() {
            change(this, here);
            change(other, there);
        }
    }

    /// A comparison with the packet's end; whether it was one.
    fn learn_packet(&mut self, wide: Wide, op: CmpOp, dst: u8, src: Option<u8>) -> bool {
        let Some(src) = src.filter(|_| wide == Wide::W64) else { return false };
        let (a, b) = (*self.reg(dst), *self.reg(src));
        // The pointer that is bounded, and the comparison read with it on the left.
        let (pointer, regno, op) = if bounds(&a, &b) {
            (a, dst, op)
        } else if bounds(&b, &a) {
            let flipped = match op {
                CmpOp::Gt => CmpOp::Lt,
                CmpOp::Lt => CmpOp::Gt,
                CmpOp::Ge => CmpOp::Le,
                CmpOp::Le => CmpOp::Ge,
                _ => return false,
            };
            (b, src, flipped)
        } else {
            return false;
        };
        // On one side the pointer is at most the end (or below it), on the other beyond (or at) it.
        let (below_here, open) = match op {
            CmpOp::Gt => (true, false),
            CmpOp::Lt => (false, true),
            CmpOp::Ge => (true, true),
            CmpOp::Le => (false, false),
            _ => return false,
        };
        let Some((here, there)) = self.both() else { return false };
        let (below, beyond) = if below_here { (here, there) } else { (there, here) };
        good_until(below, &pointer, open);
        if pointer.ty.kind == Kind::Packet {
            beyond.reg_mut(regno).set_range(if open { AT_PACKET_END } else { BEYOND_PACKET_END });
        }
        true
    }
}

/// Whether a comparison with `end` bounds `pointer`.
fn bounds(pointer: &Reg, end: &Reg) -> bool {
    match pointer.ty.kind {
        Kind::Packet => end.ty.kind == Kind::PacketEnd,
        Kind::PacketMeta => end.ty.kind == Kind::Packet && end.id == 0 && end.off == 0 && end.val.value() == Some(0),
        _ => false,
    }
}

/// Everything up to `pointer` (and the byte there, if `open`) is in the packet.
fn good_until(state: &mut State, pointer: &Reg, open: bool) {
    let range = pointer.val.wide;
    if pointer.off < 0 || pointer.off == 0 && open {
        return;
    }
    if range.umax > MAX_PACKET_OFF || range.umax + pointer.off as u64 > MAX_PACKET_OFF {
        return;
    }
    let known = pointer.off + i32::from(open);
    let (ty, id) = (pointer.ty, pointer.id);
    state.change_regs(|reg| reg.ty == ty && reg.id == id && reg.range() < known, |reg| reg.set_range(known));
}

/// Carries what was learnt of a register to those that are linked with it.
fn sync_linked(state: &mut State, regno: u8, linked: &Linked) {
    let depth = state.depth;
    let known = *state.reg(regno);
    let base = known.id & !ADD_CONST;
    for link in linked.iter() {
        if link.is_reg && link.frame as usize == depth && link.index == regno {
            continue;
        }
        let frame = state.frame_mut(link.frame as usize);
        let reg = if link.is_reg {
            &mut frame.regs[link.index as usize]
        } else {
            let Some(slot) = frame.stack.get_mut(link.index as usize) else { continue };
            &mut slot.reg
        };
        if !reg.is_scalar() || reg.id & !ADD_CONST != base {
            continue;
        }
        // A distance in 32 bits says nothing of one in 64.
        if (reg.id ^ known.id) & ADD_CONST == ADD_CONST {
            continue;
        }
        let plain = reg.id & ADD_CONST == 0 && known.id & ADD_CONST == 0;
        if plain || reg.off == known.off {
            *reg = known;
        } else {
            let (off, id) = (reg.off, reg.id);
            let wide = if (id | known.id) & ADD_CONST_32 != 0 { Wide::W32 } else { Wide::W64 };
            *reg = Reg { off, id, val: known.val.plus(i64::from(off) - i64::from(known.off), wide), ..known };
        }
    }
}

/// A comparison with the packet's end that an earlier one has decided.
fn decide_packet(a: &Reg, b: &Reg, op: CmpOp) -> Option<bool> {
    let (pointer, op) = if b.ty.kind == Kind::PacketEnd {
        (a, op)
    } else if a.ty.kind == Kind::PacketEnd {
        let op = match op {
            CmpOp::Gt => CmpOp::Lt,
            CmpOp::Lt => CmpOp::Gt,
            CmpOp::Ge => CmpOp::Le,
            CmpOp::Le => CmpOp::Ge,
            other => other,
        };
        (b, op)
    } else {
        return None;
    };
    if !pointer.ty.is_packet() {
        return None;
    }
    match (op, pointer.range()) {
        (CmpOp::Le | CmpOp::Gt, BEYOND_PACKET_END) => Some(op == CmpOp::Gt),
        (CmpOp::Lt | CmpOp::Ge, BEYOND_PACKET_END | AT_PACKET_END) => Some(op == CmpOp::Ge),
        _ => None,
    }
}

//! Ways: checks, branches, loops, functions, callbacks, tail calls.

use super::{
    code::Label,
    function::{CTX, Maker, Todo},
    maps,
    state::{Holds, Slot, State},
    types::{GLOBAL, MEMORY, Parameter, Signature},
};
use crate::{
    arith,
    instructions::{CMP, WIDE},
};
use alveary_abi::HelperId;
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Reg, Wide, Width};

/// What a check that fails leads to.
pub(super) enum Check {
    /// The function gives up.
    Leaves,
    /// What relies on the check is passed over.
    Passes(Label, Box<State>),
}

impl Maker<'_> {
    /// Checks something: the jump is taken if it does not hold.
    pub(super) fn check(&mut self, otherwise: Inst) -> Check {
        if self.held || self.draw.chance(1, 3) {
            let label = self.code.label();
            self.code.push_to(otherwise, label);
            let before = State { alive: 0, ..self.state };
            Check::Passes(label, Box::new(before))
        } else {
            self.leave(otherwise);
            Check::Leaves
        }
    }

    /// Behind what relies on a check.
    pub(super) fn close(&mut self, check: Option<Check>) {
        if let Some(Check::Passes(label, before)) = check {
            self.code.mark(label);
            self.state.join(&before);
        }
    }

    /// Two ways, or one that may be passed over.
    pub(super) fn branch(&mut self) {
        if self.nesting >= 3 {
            return self.arithmetic();
        }
        let reg = self.number();
        let other = if self.draw.chance(1, 4) { self.holding(|h| matches!(h, Holds::Number(_))) } else { None };
        let (wide, op) = (self.draw.of(&WIDE), self.draw.of(&CMP));
        let number = self.state.number(reg).unwrap_or_default();
        let src = match other {
            Some(other) => Operand::Reg(other),
            // A value that it has in some run, or one beside it.
            None if self.draw.chance(3, 4) => {
                let run = self.draw.below(number.len() as u64) as usize;
                Operand::Imm((number[run] as i32).wrapping_add(self.draw.between(-1, 1) as i32))
            }
            None => Operand::Imm(self.draw.imm()),
        };
        let operand = self.operand(src);
        let taken = (0..number.len()).filter(|run| arith::compare(arith::bits(wide), op, number[*run], operand[*run]));
        let taken = taken.fold(0, |runs, run| runs | 1 << run);
        let (other_way, end) = (self.code.label(), self.code.label());
        self.code.push_to(Inst::Jmp { wide, op, dst: reg, src, off: 0 }, other_way);
        let before = State { alive: self.state.alive & taken, ..self.state };
        self.state.alive &= !taken;
        self.busy &= !(1 << reg.0) | self.kept();
        self.nesting += 1;
        let statements = self.draw.below(3) as u32 + 1;
        self.block(statements);
        if self.draw.chance(1, 2) {
            self.code.push_to(Inst::Ja { off: 0, long: self.draw.chance(1, 16) }, end);
            self.code.mark(other_way);
            let first = std::mem::replace(&mut self.state, before);
            let statements = self.draw.below(3) as u32 + 1;
            self.block(statements);
            self.code.mark(end);
            self.state.join(&first);
        } else {
            self.code.mark(other_way);
            self.state.join(&before);
        }
        self.nesting -= 1;
    }

    /// Registers that are needed beyond any statement.
    fn kept(&self) -> u16 {
        if self.state.of(CTX) == Holds::Ctx { 1 << CTX.0 } else { 0 }
    }

    /// A number that is one thing or another, by a condition, and is used as an offset much later.
    pub(super) fn two_ways(&mut self) {
        let condition = self.number();
        let chosen = self.draw.of(&[Reg(7), Reg(8), Reg(9)]);
        if self.is_busy(chosen) {
            return self.arithmetic();
        }
        let limits = [8, 16, 32, 48, 64];
        let values = [0, 1].map(|_| self.draw.of(&limits) - self.draw.of(&[1, 2, 4, 8]));
        self.set(chosen, values[0]);
        let label = self.code.label();
        let (wide, op, imm) = (self.draw.of(&WIDE), self.draw.of(&CMP), self.draw.imm());
        self.code.push_to(Inst::Jmp { wide, op, dst: condition, src: Operand::Imm(imm), off: 0 }, label);
        let before = self.state;
        self.set(chosen, values[1]);
        self.state.alive = 1;
        self.code.mark(label);
        self.state.join(&State { alive: !1, ..before });
        self.state.alive = before.alive;
        self.keep(chosen);
        let statements = self.draw.below(3) as u32;
        if self.nesting < 3 {
            self.nesting += 1;
            self.block(statements);
            self.nesting -= 1;
        }
        if self.state.number(chosen).is_some() {
            self.access_at(chosen);
        }
    }

    /// A loop that ends: by a counter, at times with `may_goto` before it.
    pub(super) fn repeat(&mut self) {
        let counter = self.draw.of(&[Reg(7), Reg(8), Reg(9)]);
        if self.is_busy(counter) || self.nesting >= 2 || self.in_loop && self.draw.chance(1, 2) {
            return self.arithmetic();
        }
        let outer = (self.in_loop, self.busy);
        self.set(counter, 0);
        self.keep(counter);
        for reg in 0..6 {
            self.state.set(Reg(reg), Holds::Nothing);
        }
        for reg in 7..10 {
            if !matches!(self.state.of(Reg(reg)), Holds::Nothing | Holds::Number(_)) {
                self.keep(Reg(reg));
            }
        }
        for slot in &mut self.state.stack {
            if matches!(slot, Slot::Whole(_)) {
                *slot = Slot::Bytes;
            }
        }
        let times = self.draw.between(1, 12);
        let (head, end) = (self.code.label(), self.code.label());
        self.code.mark(head);
        let may = self.draw.chance(1, 3);
        if may {
            self.bounded = false;
            self.code.push_to(Inst::MayGoto { off: 0 }, end);
        }
        let first = self.draw.chance(1, 2) || may;
        let wide = self.draw.of(&WIDE);
        let limit = Operand::Imm(times as i32);
        if first {
            self.code.push_to(Inst::Jmp { wide, op: CmpOp::Ge, dst: counter, src: limit, off: 0 }, end);
        }
        let number = std::array::from_fn(|run| match run {
            0 => times as u64 - 1,
            1 => 0,
            _ => self.draw.below(times as u64),
        });
        self.state.set(counter, Holds::Number(number));
        let before = self.state;
        self.in_loop = true;
        self.nesting += 1;
        let statements = self.draw.below(3) as u32 + 1;
        self.block(statements);
        self.nesting -= 1;
        (self.in_loop, self.busy) = outer;
        // The next time around finds the same kinds of things.
        for reg in (0..10).map(Reg) {
            if matches!(before.of(reg), Holds::Number(_)) && self.state.number(reg).is_none() {
                self.set(reg, 1);
            }
        }
        self.code.push(Inst::Alu { wide, op: AluOp::Add, dst: counter, src: Operand::Imm(1) });
        if first {
            self.code.push_to(Inst::Ja { off: 0, long: false }, head);
        } else {
            let op = self.draw.of(&[CmpOp::Lt, CmpOp::SLt, CmpOp::Ne]);
            self.code.push_to(Inst::Jmp { wide, op, dst: counter, src: limit, off: 0 }, head);
        }
        self.code.mark(end);
        self.state.join(&before);
        self.state.set(counter, Holds::Number([times as u64; 8]));
    }

    /// A call of a function of the program, with numbers and addresses.
    pub(super) fn call_function(&mut self) {
        if self.depth >= 2 || self.busy & 0x3f != 0 || self.words.alone {
            return self.arithmetic();
        }
        let open = !self.words.private;
        let global = self.draw.below(GLOBAL.len() as u64) as usize;
        let has_ctx = self.state.of(CTX) == Holds::Ctx;
        if open && !self.held && self.draw.chance(1, 3) && (has_ctx || !GLOBAL[global].contains(&Parameter::Ctx)) {
            return self.call_global(global);
        }
        let mut arguments = [Holds::Nothing; 5];
        let count = self.draw.below(4) as usize;
        let mut from = 0;
        if self.state.of(CTX) == Holds::Ctx && self.draw.chance(2, 3) {
            self.copy(Reg(1), CTX);
            self.keep(Reg(1));
            arguments[0] = Holds::Ctx;
            from = 1;
        }
        let mut written = Vec::new();
        for (n, argument) in arguments.iter_mut().enumerate().take(count.max(from)).skip(from) {
            let reg = Reg(n as u8 + 1);
            let pointer = |h| matches!(h, Holds::Memory { .. } | Holds::Packet { .. } | Holds::OrNull { .. });
            match self.draw.below(3) {
                0 if open => {
                    let size = self.draw.of(&[8, 16, 24]);
                    let off = -size - 8 * self.draw.below(8) as i32;
                    self.stack_address(reg, off);
                    *argument = Holds::Memory { size, writable: true };
                    written.push((off, size));
                }
                1 if let Some(held) = self.holding(pointer) => {
                    self.copy(reg, held);
                    *argument = self.state.of(reg);
                }
                _ => {
                    self.number_argument(reg);
                    *argument = self.state.of(reg);
                }
            }
            self.keep(reg);
        }
        let again = self.todo.iter().find(|todo| {
            let same = todo.signature == Signature::Static && todo.arguments == arguments && !todo.looped;
            same && todo.depth == self.depth + 1
        });
        let label = match again {
            Some(todo) => todo.label,
            None => self.function_to_do(Signature::Static, arguments, None),
        };
        self.code.push_to(Inst::CallLocal { rel: 0 }, label);
        self.called();
        for (off, size) in written {
            self.state.written(off, size);
        }
        // It may have changed the packet.
        self.state.forget_packet();
        self.loaded(Reg(0), Width::B8, false);
    }

    /// A call of a small function that begins with a loop, with numbers: the first says how often it goes round.
    pub(super) fn call_looped(&mut self) {
        if self.depth >= 2 || self.busy & 0x3f != 0 || self.words.alone {
            return self.arithmetic();
        }
        let again = self.todo.iter().find(|todo| todo.looped && todo.depth == self.depth + 1).cloned();
        let again = again.filter(|_| self.draw.chance(1, 2));
        let mut arguments = [Holds::Nothing; 5];
        let count = match &again {
            Some(todo) => todo.arguments.iter().filter(|holds| **holds != Holds::Nothing).count() as u64,
            None => 1 + self.draw.below(3),
        };
        for (n, argument) in arguments.iter_mut().enumerate().take(count as usize) {
            let reg = Reg(n as u8 + 1);
            if n == 0 && self.draw.chance(2, 3) {
                let first = self.draw.below(5) as i32;
                self.set(reg, first);
            } else {
                self.number_argument(reg);
            }
            self.keep(reg);
            *argument = Holds::Number(self.any_number(64));
        }
        let label = match again {
            Some(todo) => todo.label,
            None => {
                let label = self.function_to_do(Signature::Static, arguments, None);
                self.todo.last_mut().expect("it was put there").looped = true;
                label
            }
        };
        self.code.push_to(Inst::CallLocal { rel: 0 }, label);
        self.called();
        self.loaded(Reg(0), Width::B8, false);
        if self.draw.chance(1, 3) {
            self.keep(Reg(0));
            self.show(Reg(0));
        }
    }

    /// A call of a function that is verified by itself.
    fn call_global(&mut self, n: usize) {
        let mut arguments = [Holds::Nothing; 5];
        let mut written = None;
        for (at, parameter) in GLOBAL[n].iter().enumerate() {
            let reg = Reg(at as u8 + 1);
            match parameter {
                Parameter::Ctx => self.copy(reg, CTX),
                Parameter::Number => self.number_argument(reg),
                Parameter::Memory => {
                    let enough = |h| matches!(h, Holds::Memory { size, writable: true } | Holds::OrNull { size } if size >= MEMORY);
                    match self.holding(enough) {
                        Some(held) if self.draw.chance(1, 2) => self.copy(reg, held),
                        _ if self.draw.chance(1, 6) => self.set(reg, 0),
                        _ => {
                            let off = -MEMORY - 8 * self.draw.below(8) as i32 + i32::from(self.wrong());
                            self.stack_address(reg, off);
                            written = Some(off);
                        }
                    }
                }
            }
            let number = self.any_number(64);
            arguments[at] = parameter.holds(number);
            self.keep(reg);
        }
        self.bounded = false;
        let there = self.todo.iter().find(|todo| todo.signature == Signature::Global(n));
        let label = match there {
            Some(todo) => todo.label,
            None => self.function_to_do(Signature::Global(n), arguments, None),
        };
        self.code.push_to(Inst::CallLocal { rel: 0 }, label);
        self.called();
        if let Some(off) = written {
            self.state.written(off, MEMORY);
        }
        self.state.forget_packet();
        self.loaded(Reg(0), Width::B4, true);
    }

    pub(super) fn number_argument(&mut self, reg: Reg) {
        if let Some(held) = self.holding(|h| matches!(h, Holds::Number(_))) {
            self.copy(reg, held);
        } else {
            let imm = self.draw.imm();
            self.set(reg, imm);
        }
    }

    fn function_to_do(&mut self, signature: Signature, arguments: [Holds; 5], returns: Option<i32>) -> Label {
        let label = self.code.label();
        self.todo.push(Todo { label, signature, arguments, returns, depth: self.depth + 1, looped: false });
        label
    }

    /// A function that is called back: so many times, or for every entry of a map.
    pub(super) fn call_back(&mut self) {
        let around = self.around;
        let away = self.held || self.words.alone || !around.loops;
        if self.depth >= 2 || self.busy & 0x3f != 0 || away {
            return self.arithmetic();
        }
        let size = self.draw.of(&[8, 16, 24]);
        let off = -size - 8 * self.draw.below(6) as i32;
        let handed = Holds::Memory { size, writable: true };
        let mut arguments = [Holds::Nothing; 5];
        let by_map = around.for_each && self.draw.chance(1, 3);
        if by_map {
            let idx = self.draw.of(&[0, 1, 4]);
            let (_, key, value) = maps::shape(idx);
            self.code.push(Inst::MapIdx { dst: Reg(1), idx });
            arguments[1] = Holds::Memory { size: key as i32, writable: false };
            arguments[2] = Holds::Memory { size: value as i32, writable: true };
            arguments[3] = handed;
        } else {
            let times = self.draw.between(0, 9) as i32;
            match self.holding(|h| matches!(h, Holds::Number(_))) {
                Some(held) if self.draw.chance(1, 3) => {
                    self.copy(Reg(1), held);
                    self.alu(Wide::W64, AluOp::And, Reg(1), Operand::Imm(15));
                }
                _ => self.set(Reg(1), times),
            }
            let indices = self.any_number(4);
            arguments[..2].copy_from_slice(&[Holds::Number(indices), handed]);
        }
        self.bounded = false;
        let most = i32::from(!self.wrong());
        let body = self.function_to_do(Signature::Static, arguments, Some(most));
        self.code.push_to(Inst::FuncAddr { dst: Reg(2), rel: 0 }, body);
        self.stack_address(Reg(3), off);
        self.set(Reg(4), 0);
        let helper = if by_map { HelperId::FOR_EACH_MAP_ELEM } else { HelperId::LOOP };
        self.code.push(Inst::CallHelper { id: helper.0 as i32 });
        self.called();
        self.state.written(off, size);
        self.state.forget_packet();
        self.loaded(Reg(0), Width::B8, false);
    }

    /// The end, if there is a program in the slot.
    pub(super) fn tail_call(&mut self) {
        if !self.around.tail_calls || self.busy & 0x3f != 0 || self.depth > 0 {
            return self.arithmetic();
        }
        self.bounded = false;
        let index = self.draw.below(5) as i32;
        match self.holding(|h| matches!(h, Holds::Number(_))) {
            Some(held) if self.draw.chance(1, 4) => self.copy(Reg(3), held),
            _ => self.set(Reg(3), index),
        }
        if self.fills_frames {
            // Of programs without CAP_PERFMON Linux compares all 64 bits, and goes by the lower half then.
            self.code.push(Inst::Alu { wide: Wide::W32, op: AluOp::Mov, dst: Reg(3), src: Operand::Reg(Reg(3)) });
        }
        self.copy(Reg(1), CTX);
        self.code.push(Inst::MapIdx { dst: Reg(2), idx: maps::PROGRAMS });
        self.code.push(Inst::CallHelper { id: HelperId::TAIL_CALL.0 as i32 });
        self.called();
        self.loaded(Reg(0), Width::B8, false);
    }
}

//! Loops over bytes side by side, of the kinds that code is full of: sums and other work on each, two stretches held against
//! each other until they differ, machines of states, a `switch` over each byte. They count, most of them, and leave early
//! at times.

mod uneven;

use super::{
    code::Label,
    control::Check,
    function::{CTX, Maker},
    maps,
    state::Holds,
};
use crate::instructions::{WIDE, WIDTHS};
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Reg, Wide, Width};

/// Registers that such a loop takes at most.
const REGISTERS: usize = 6;

/// Bytes that a loop goes over.
struct Stretch {
    reg: Reg,
    size: i32,
    writable: bool,
    /// Each round has to ask whether it is before this.
    end: Option<Reg>,
    check: Option<Check>,
}

/// A loop that is being made.
struct Round {
    head: Label,
    out: Label,
    counter: Reg,
    /// What the counter begins with, what is added to it in each round, and what ends it.
    step: i32,
    end: i32,
    /// Whether it is asked at the head.
    first: bool,
}

impl Maker<'_> {
    /// One of these loops.
    pub(super) fn rounds(&mut self) {
        let open = (0..10).filter(|reg| !self.is_busy(Reg(*reg))).count();
        if self.nesting >= 2 || open <= REGISTERS {
            return self.arithmetic();
        }
        match self.draw.below(11) {
            0..4 => self.sum_up(),
            4 | 5 => self.hold_against(),
            6 | 7 => self.machine(),
            8 => self.cases(),
            _ => self.uneven(),
        }
    }

    /// Bytes of the packet, or of a map; they go to a register of their own.
    fn stretch(&mut self, size: i32) -> Stretch {
        let packet = self.around.packet.filter(|_| self.state.of(CTX) == Holds::Ctx && self.draw.chance(5, 6));
        if let Some(fields) = packet {
            let writable = fields.writable;
            let reg = self.load_pointer(fields.data, Holds::Packet { proven: 0 });
            let busy = self.busy;
            let end = self.load_pointer(fields.end, Holds::PacketEnd);
            if self.draw.chance(1, 3) {
                return Stretch { reg, size, writable, end: Some(end), check: None };
            }
            let check = self.prove(reg, end, size);
            self.busy = busy;
            return Stretch { reg, size, writable, end: None, check };
        }
        let (idx, there, writable) = self.draw.of(&[(maps::ONE, 64, true), (maps::FIXED, 32, false)]);
        let reg = self.free();
        self.keep(reg);
        self.code.push(Inst::MapValueIdx { dst: reg, idx, off: 0 });
        self.state.set(reg, Holds::Memory { size: there, writable });
        Stretch { reg, size: size.min(there), writable, end: None, check: None }
    }

    /// How many rounds there are, of so many bytes each.
    fn times(&mut self, bytes: i32) -> i32 {
        let most = if self.in_loop || self.draw.chance(3, 4) { 16 } else { 64 };
        let times =
            if self.draw.chance(2, 3) { 4 * self.draw.between(1, most / 4) } else { self.draw.between(1, most) };
        // Packets are short, most of them.
        let fit = if self.draw.chance(7, 8) { 64 / bytes } else { 256 / bytes };
        (times as i32).min(fit).max(1)
    }

    /// A register that counts, from a constant on. It is set before anything is asked.
    fn counter(&mut self, times: i32) -> Round {
        let counter = self.free();
        self.keep(counter);
        let step = self.draw.of(&[1, 1, 1, 1, 2, 4, -1]);
        let from = match step {
            -1 => times,
            _ => self.draw.of(&[0, 0, 0, 0, 1, 8]),
        };
        self.set(counter, from);
        let (head, out) = (self.code.label(), self.code.label());
        Round { head, out, counter, step, end: from + times * step, first: step > 0 && self.draw.chance(1, 5) }
    }

    /// The loop's head is here.
    fn begin(&mut self, round: &Round) {
        self.code.mark(round.head);
        if round.first {
            let (wide, src) = (self.draw.of(&WIDE), Operand::Imm(round.end));
            let op = self.draw.of(&[CmpOp::Ge, CmpOp::Eq, CmpOp::SGe]);
            self.code.push_to(Inst::Jmp { wide, op, dst: round.counter, src, off: 0 }, round.out);
        }
    }

    /// The end of a round: what goes up does, and the loop goes on or not.
    fn again(&mut self, round: &Round, up: &[(Reg, i32)]) {
        let before = self.draw.chance(1, 4);
        let count =
            Inst::Alu { wide: self.draw.of(&WIDE), op: AluOp::Add, dst: round.counter, src: Operand::Imm(round.step) };
        if before {
            self.code.push(count);
        }
        for &(reg, by) in up {
            self.add(reg, by);
        }
        if !before {
            self.code.push(count);
        }
        if round.first {
            self.code.push_to(Inst::Ja { off: 0, long: false }, round.head);
        } else {
            let ops: &[CmpOp] =
                if round.step < 0 { &[CmpOp::Ne, CmpOp::SGt] } else { &[CmpOp::Ne, CmpOp::Lt, CmpOp::SLt] };
            let (op, wide, src) = (self.draw.of(ops), self.draw.of(&WIDE), Operand::Imm(round.end));
            self.code.push_to(Inst::Jmp { wide, op, dst: round.counter, src, off: 0 }, round.head);
        }
        self.code.mark(round.out);
        for &(reg, _) in up {
            self.state.set(reg, Holds::Nothing);
        }
        self.loaded(round.counter, Width::B8, false);
    }

    /// Leaves the loop where so many bytes are no longer inside.
    fn inside(&mut self, stretch: &Stretch, bytes: i32, out: Label) {
        let Some(end) = stretch.end else { return };
        let busy = self.busy;
        let behind = self.free();
        self.copy(behind, stretch.reg);
        self.add(behind, bytes);
        let (op, dst, src) = if self.draw.chance(3, 4) { (CmpOp::Gt, behind, end) } else { (CmpOp::Lt, end, behind) };
        let jump = Inst::Jmp { wide: Wide::W64, op, dst, src: Operand::Reg(src), off: 0 };
        self.code.push_to(jump, out);
        self.state.set(behind, Holds::Nothing);
        self.busy = busy;
    }

    /// An operation that any number may be given to. `others` are numbers, too.
    pub(super) fn round_op(&mut self, dst: Reg, others: &[Reg]) {
        let wide = if self.draw.chance(3, 4) { Wide::W32 } else { Wide::W64 };
        let op = self.draw.of(&[
            AluOp::Add,
            AluOp::Add,
            AluOp::Sub,
            AluOp::Xor,
            AluOp::Or,
            AluOp::And,
            AluOp::Mul,
            AluOp::Lsh,
            AluOp::Rsh,
            AluOp::Arsh,
        ]);
        let src = match op {
            AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => {
                Operand::Imm(self.draw.below(if wide == Wide::W64 { 64 } else { 32 }) as i32)
            }
            _ if !others.is_empty() && self.draw.chance(1, 2) => Operand::Reg(self.draw.of(others)),
            _ => Operand::Imm(self.draw.imm()),
        };
        self.code.push(Inst::Alu { wide, op, dst, src });
        self.loaded(dst, Width::B8, false);
    }

    /// A load from the stretch that the loop goes over.
    fn load_of(&mut self, dst: Reg, src: Reg, off: i32, width: Width) {
        let signed = width != Width::B8 && self.draw.chance(1, 16);
        self.code.push(Inst::Load { width, signed, dst, src, off: off as i16 });
        self.loaded(dst, width, signed);
    }

    /// A register for a sum, that begins as a constant or a number that is there.
    fn sum(&mut self) -> Reg {
        let there = self.holding(|h| matches!(h, Holds::Number(_)));
        let sum = self.free();
        match there {
            Some(there) if self.draw.chance(1, 3) => self.copy(sum, there),
            _ => self.set(sum, 0),
        }
        self.keep(sum)
    }

    /// Something of each byte or word is added up, goes to words of the stack, or elsewhere.
    fn sum_up(&mut self) {
        let width = self.draw.of(&[Width::B1, Width::B2, Width::B4, Width::B4, Width::B8]);
        let bytes = width.bytes() as i32;
        let times = self.times(bytes);
        let sum = self.sum();
        let stretch = self.stretch(bytes * times);
        let round = self.counter(times.min(stretch.size / bytes));
        let item = self.free();
        self.keep(item);
        let to = if width == Width::B4 && self.draw.chance(1, 4) { Some(self.free()) } else { None };
        if let Some(to) = to {
            self.keep(to);
            self.code.push(Inst::MapValueIdx { dst: to, idx: maps::ONE, off: 0 });
        }
        let to = to.filter(|_| 4 * times <= 64);
        self.begin(&round);
        self.inside(&stretch, bytes, round.out);
        self.load_of(item, stretch.reg, 0, width);
        let numbers = [sum, round.counter];
        for _ in 0..self.draw.below(3) {
            self.round_op(item, &numbers);
        }
        let mut kept = None;
        for _ in 0..=self.draw.below(2) {
            match self.draw.below(8) {
                0..4 => {
                    let op = self.draw.of(&[AluOp::Add, AluOp::Add, AluOp::Xor, AluOp::Or, AluOp::Sub, AluOp::Mul]);
                    let wide = if self.draw.chance(3, 4) { Wide::W32 } else { Wide::W64 };
                    self.code.push(Inst::Alu { wide, op, dst: sum, src: Operand::Reg(item) });
                }
                4 => {
                    let past = self.code.label();
                    self.ask(&[item, round.counter], past);
                    self.round_op(sum, &[item]);
                    self.code.mark(past);
                }
                5 if stretch.writable && stretch.end.is_none() => {
                    let src = Operand::Reg(item);
                    self.code.push(Inst::Store { width, dst: stretch.reg, off: 0, src });
                }
                _ => {
                    let word = self.words.one(&mut self.draw);
                    if let Some(word) = word {
                        self.store_word(word, Operand::Reg(item));
                        kept = Some(word);
                    }
                }
            }
        }
        if let Some(to) = to {
            self.code.push(Inst::Store { width, dst: to, off: 0, src: Operand::Reg(item) });
        }
        if self.words.any() && kept.is_none() && self.draw.chance(1, 2) {
            kept = self.words.one(&mut self.draw);
            if let Some(word) = kept {
                self.store_word(word, Operand::Reg(item));
            }
        }
        let leaves = self.draw.chance(1, 6);
        if leaves {
            self.ask(&[item, sum], round.out);
        }
        let mut up = vec![(stretch.reg, bytes)];
        up.extend(to.map(|to| (to, bytes)));
        self.again(&round, &up);
        // A way out of the loop may come before it is loaded.
        if stretch.end.is_some() || round.first || self.draw.chance(3, 4) {
            self.state.set(item, Holds::Nothing);
        }
        self.loaded(sum, Width::B8, false);
        if let Some(word) = kept.filter(|_| self.draw.chance(1, 2)) {
            self.busy &= !(1 << item.0);
            let read = self.load_word(word);
            self.round_op(sum, &[read]);
        }
        if self.draw.chance(1, 2) {
            self.show(sum);
        }
        self.close(stretch.check);
    }

    /// A jump that is taken in some round.
    fn ask(&mut self, of: &[Reg], to: Label) {
        let (dst, wide) = (self.draw.of(of), self.draw.of(&WIDE));
        let op = self.draw.of(&[CmpOp::Eq, CmpOp::Ne, CmpOp::Gt, CmpOp::Lt, CmpOp::Set, CmpOp::SGt]);
        let src = Operand::Imm(self.draw.of(&[0, 1, 2, 3, 4, 7, 16, 0x40, 0x7f, 0xff]));
        self.code.push_to(Inst::Jmp { wide, op, dst, src, off: 0 }, to);
    }

    /// Two stretches are compared, until something differs. One may have been made like the other before.
    fn hold_against(&mut self) {
        let width = self.draw.of(&WIDTHS);
        let bytes = width.bytes() as i32;
        let times = self.times(bytes);
        let same = self.sum();
        let apart = self.draw.of(&[0, bytes, bytes * times, bytes * times + 2, 14]);
        let stretch = self.stretch(bytes * times + apart);
        let (apart, times) = (apart.min(stretch.size / 2), times.min(stretch.size / 2 / bytes).max(1));
        if stretch.writable && stretch.end.is_none() && apart > 0 && self.draw.chance(1, 2) {
            self.make_like(stretch.reg, apart, bytes * times);
        }
        let (round, one) = (self.counter(times), self.free());
        self.keep(one);
        let other = self.free();
        self.keep(other);
        let second = self.free();
        let both = self.draw.chance(1, 2);
        if both {
            self.keep(second);
            self.copy(second, stretch.reg);
            self.add(second, apart);
        }
        self.begin(&round);
        self.inside(&stretch, bytes + apart, round.out);
        self.load_of(one, stretch.reg, 0, width);
        match both && stretch.end.is_none() {
            true => self.load_of(other, second, 0, width),
            false => self.load_of(other, stretch.reg, apart, width),
        }
        if self.draw.chance(1, 8) {
            self.code.push(Inst::Alu { wide: Wide::W64, op: AluOp::Add, dst: same, src: Operand::Imm(1) });
        }
        let (wide, dst, src) = (self.draw.of(&WIDE), one, Operand::Reg(other));
        if self.draw.chance(7, 8) {
            self.code.push_to(Inst::Jmp { wide, op: CmpOp::Ne, dst, src, off: 0 }, round.out);
        } else {
            let on = self.code.label();
            self.code.push_to(Inst::Jmp { wide, op: CmpOp::Eq, dst, src, off: 0 }, on);
            self.set(same, 2);
            self.code.push_to(Inst::Ja { off: 0, long: false }, round.out);
            self.code.mark(on);
        }
        let mut up = vec![(stretch.reg, bytes)];
        up.extend(both.then_some((second, bytes)));
        self.again(&round, &up);
        if stretch.end.is_some() || round.first || self.draw.chance(1, 2) {
            self.state.set(one, Holds::Nothing);
            self.state.set(other, Holds::Nothing);
        }
        self.loaded(same, Width::B8, false);
        self.code.push(Inst::Alu { wide: Wide::W64, op: AluOp::Add, dst: same, src: Operand::Reg(round.counter) });
        if self.draw.chance(2, 3) {
            self.show(same);
        }
        self.close(stretch.check);
    }

    /// Bytes are copied, and one of them is something else then, at times.
    fn make_like(&mut self, reg: Reg, apart: i32, bytes: i32) {
        let item = self.free();
        let mut at = 0;
        while at < bytes {
            let width = if bytes - at >= 8 { Width::B8 } else { Width::B1 };
            self.code.push(Inst::Load { width, signed: false, dst: item, src: reg, off: at as i16 });
            let src = Operand::Reg(item);
            self.code.push(Inst::Store { width, dst: reg, off: (at + apart) as i16, src });
            at += width.bytes() as i32;
        }
        self.loaded(item, Width::B8, false);
        if self.draw.chance(1, 2) {
            let off = (apart + self.draw.below(bytes as u64) as i32) as i16;
            let src = Operand::Imm(self.draw.below(256) as i32);
            self.code.push(Inst::Store { width: Width::B1, dst: reg, off, src });
        }
    }

    /// A register holds one of a few constants, and each round asks which one, and what it has read.
    fn machine(&mut self) {
        let width = self.draw.of(&[Width::B1, Width::B1, Width::B2, Width::B4]);
        let bytes = width.bytes() as i32;
        let times = self.times(bytes).min(24);
        let sum = self.sum();
        let state = self.free();
        self.keep(state);
        let stretch = self.stretch(bytes * times);
        let round = self.counter(times.min(stretch.size / bytes));
        let count = self.draw.between(2, 5);
        let numbers: Vec<i32> = match self.draw.below(3) {
            0 => (0..count).map(|n| n as i32).collect(),
            1 => (0..count).map(|n| 10 * n as i32 - 3).collect(),
            _ => (0..count).map(|_| self.draw.below(64) as i32).collect(),
        };
        self.set(state, numbers[0]);
        let item = self.free();
        self.keep(item);
        self.begin(&round);
        self.inside(&stretch, bytes, round.out);
        self.load_of(item, stretch.reg, 0, width);
        let labels: Vec<Label> = numbers.iter().map(|_| self.code.label()).collect();
        let join = self.code.label();
        for (number, label) in numbers.iter().zip(&labels).skip(1) {
            let (wide, src) = (self.draw.of(&WIDE), Operand::Imm(*number));
            self.code.push_to(Inst::Jmp { wide, op: CmpOp::Eq, dst: state, src, off: 0 }, *label);
        }
        for label in &labels {
            self.code.mark(*label);
            for _ in 0..self.draw.below(3) {
                self.round_op(sum, &[item]);
            }
            if let Some(word) = self.words.one(&mut self.draw).filter(|_| self.draw.chance(1, 3)) {
                self.store_word(word, Operand::Reg(sum));
            }
            for _ in 0..self.draw.below(3) {
                let to = self.draw.of(&numbers);
                self.set(state, to);
                let to = if self.draw.chance(1, 8) { round.out } else { join };
                self.ask(&[item], to);
            }
            if self.draw.chance(2, 3) {
                let to = self.draw.of(&numbers);
                self.set(state, to);
            }
            self.code.push_to(Inst::Ja { off: 0, long: false }, join);
        }
        self.code.mark(join);
        self.again(&round, &[(stretch.reg, bytes)]);
        self.state.set(item, Holds::Nothing);
        self.loaded(state, Width::B8, false);
        self.loaded(sum, Width::B8, false);
        self.alu(Wide::W64, AluOp::Mul, sum, Operand::Imm(31));
        self.alu(Wide::W64, AluOp::Add, sum, Operand::Reg(state));
        if self.draw.chance(2, 3) {
            self.show(sum);
        }
        self.close(stretch.check);
    }

    /// What is read in each round leads to one of a few cases, by as many comparisons as there are numbers: one after the
    /// other, or a tree of them.
    fn cases(&mut self) {
        let (sum, limit) = (self.sum(), self.draw.of(&[8, 16, 32, 64]));
        let times = self.draw.between(1, 8) as i32;
        let stretch = self.stretch(times);
        let round = self.counter(times.min(stretch.size));
        let item = self.free();
        self.keep(item);
        self.begin(&round);
        self.inside(&stretch, 1, round.out);
        self.load_of(item, stretch.reg, 0, Width::B1);
        if self.draw.chance(2, 3) {
            let wide = self.draw.of(&WIDE);
            self.code.push(Inst::Alu { wide, op: AluOp::And, dst: item, src: Operand::Imm(limit - 1) });
        }
        let labels: Vec<Label> = (0..self.draw.between(2, 6)).map(|_| self.code.label()).collect();
        let join = self.code.label();
        let wide = self.draw.of(&WIDE);
        if self.draw.chance(1, 2) {
            let apart = self.draw.of(&[1, 1, 1, 3]);
            for number in 0..limit {
                let (to, src) = (self.draw.of(&labels), Operand::Imm(number * apart));
                self.code.push_to(Inst::Jmp { wide, op: CmpOp::Eq, dst: item, src, off: 0 }, to);
            }
        } else {
            let op = self.draw.of(&[CmpOp::Gt, CmpOp::SGt]);
            self.tree(0..limit, &labels, &mut |maker, above, to| {
                let src = Operand::Imm(above);
                maker.code.push_to(Inst::Jmp { wide, op, dst: item, src, off: 0 }, to);
            });
        }
        for label in &labels {
            self.code.mark(*label);
            for _ in 0..self.draw.below(3) {
                self.round_op(sum, &[item]);
            }
            let to = if self.draw.chance(1, 16) { round.out } else { join };
            self.code.push_to(Inst::Ja { off: 0, long: false }, to);
        }
        self.code.mark(join);
        self.again(&round, &[(stretch.reg, 1)]);
        self.state.set(item, Holds::Nothing);
        self.loaded(sum, Width::B8, false);
        if self.draw.chance(2, 3) {
            self.show(sum);
        }
        self.close(stretch.check);
    }

    /// A tree of jumps that leads each of these numbers to one of the labels.
    fn tree(
        &mut self,
        numbers: std::ops::Range<i32>,
        labels: &[Label],
        jump_above: &mut impl FnMut(&mut Self, i32, Label),
    ) {
        if numbers.len() == 1 {
            let to = self.draw.of(labels);
            return self.code.push_to(Inst::Ja { off: 0, long: false }, to);
        }
        let (middle, above) = (numbers.start + numbers.len() as i32 / 2, self.code.label());
        jump_above(self, middle - 1, above);
        self.tree(numbers.start..middle, labels, jump_above);
        self.code.mark(above);
        self.tree(middle..numbers.end, labels, jump_above);
    }
}

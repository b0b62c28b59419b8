//! Words on the stack: places of a frame side by side, up to all of its 512 bytes, of any width, each of them accessed as
//! what it is and nothing else. Native code may have such places in registers, and functions that have no others may become
//! part of their callers. What is put there is read again behind loops, branches and calls, and all of it in the end.

use super::{
    function::{Maker, Todo},
    maps,
    state::{Holds, SLOTS},
};
use crate::{
    draw::Draw,
    instructions::{CMP, WIDTHS},
};
use alveary_isa::{AluOp, AtomicOp, CmpOp, Inst, Operand, Reg, Wide, Width};

/// Bytes of a frame, and of the frames that call each other.
const FRAME: i32 = 512;
/// Bytes that a function without words of this kind takes at most, as frames are counted.
pub(super) const USUAL: i32 = 128;
/// Words that are written where a function begins.
const FIRST: usize = 144;

/// Where a word begins, from the frame's top, and how wide it is.
pub(super) type Word = (i16, Width);

/// The words of a function; none, most often.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    /// The deepest first. No two have a byte in common.
    places: Vec<Word>,
    /// The frame's address is handed to nobody: what is there is the function's own.
    pub(super) private: bool,
    /// The frame leaves no room for those of others.
    pub(super) alone: bool,
}

impl Words {
    pub(super) fn any(&self) -> bool {
        !self.places.is_empty()
    }

    /// One of them: the last and the first are likelier than others.
    pub(super) fn one(&self, draw: &mut Draw) -> Option<Word> {
        let count = self.places.len() as u64;
        let nth = match draw.below(4) {
            0 | 1 => count.checked_sub(1 + draw.below(16)),
            2 => Some(draw.below(4)),
            _ => None,
        };
        let nth = nth.filter(|nth| *nth < count).or_else(|| (count > 0).then(|| draw.below(count)));
        nth.map(|nth| self.places[nth as usize])
    }
}

impl Maker<'_> {
    /// Gives the function words, at times, and writes some of them.
    pub(super) fn begin_words(&mut self, depth: u32) {
        self.words = Words::default();
        if depth == 0 {
            self.main_frame = USUAL;
        }
        if !self.draw.chance(1, 8) {
            return;
        }
        let private = self.draw.chance(3, 4);
        let room = self.room(depth);
        let alone = depth == 2 || self.draw.chance(1, 2);
        let bytes = match depth {
            _ if alone => room,
            0 => FRAME / 2,
            _ => USUAL,
        };
        if depth == 0 {
            self.main_frame = bytes;
        }
        // Where addresses are taken, they are taken of the upper slots.
        let top = if private { 0 } else { -8 * SLOTS as i32 };
        let widths = self.draw.of(&[
            &[Width::B4][..],
            &[Width::B4],
            &[Width::B2],
            &WIDTHS[..1],
            &[Width::B8],
            &WIDTHS[2..],
            &WIDTHS,
        ]);
        let mut places = Vec::new();
        for slot in (-bytes..top).step_by(8) {
            let width = self.draw.of(widths);
            places.extend((0..8 / width.bytes() as i32).map(|n| ((slot + n * width.bytes() as i32) as i16, width)));
        }
        if self.fills_frames {
            // What was never written may not be read there.
            places.drain(..places.len().saturating_sub(FIRST));
        }
        let first = if self.fills_frames || self.draw.chance(2, 3) { places.len().min(FIRST) } else { 0 };
        let from = if self.draw.chance(3, 4) { places.len() - first } else { 0 };
        for &(off, width) in &places[from..from + first] {
            let src = Operand::Imm(self.draw.below(300) as i32);
            self.code.push(Inst::Store { width, dst: Reg::FP, off, src });
        }
        self.words = Words { places, private, alone };
    }

    /// Bytes that a frame may have which is so many calls deep.
    fn room(&self, depth: u32) -> i32 {
        if depth == 0 { FRAME } else { FRAME - self.main_frame - USUAL * (depth as i32 - 1) }
    }

    /// Something is done to a word.
    pub(super) fn work_on_words(&mut self) {
        let Some(word) = self.words.one(&mut self.draw) else { return self.arithmetic() };
        match self.draw.below(4) {
            0 => {
                let reg = self.number();
                self.store_word(word, Operand::Reg(reg));
            }
            1 => _ = self.load_word(word),
            _ => {
                let reg = self.load_word(word);
                self.keep(reg);
                for _ in 0..=self.draw.below(2) {
                    self.operate(reg);
                }
                let to = if self.draw.chance(1, 2) { Some(word) } else { self.words.one(&mut self.draw) };
                self.store_word(to.unwrap_or(word), Operand::Reg(reg));
            }
        }
    }

    pub(super) fn load_word(&mut self, (off, width): Word) -> Reg {
        let dst = self.free();
        let signed = width != Width::B8 && self.draw.chance(1, 8);
        self.code.push(Inst::Load { width, signed, dst, src: Reg::FP, off });
        self.loaded(dst, width, signed)
    }

    pub(super) fn store_word(&mut self, (off, width): Word, src: Operand) {
        self.code.push(Inst::Store { width, dst: Reg::FP, off, src });
        self.state.written(off.into(), width.bytes() as i32);
    }

    /// What words hold in the end becomes a number that others see.
    pub(super) fn end_words(&mut self) {
        if !self.words.any() {
            return;
        }
        let sum = self.free();
        self.keep(sum);
        self.set(sum, 0);
        for _ in 0..=self.draw.below(8) {
            let Some(word) = self.words.one(&mut self.draw) else { break };
            self.alu(Wide::W64, AluOp::Mul, sum, Operand::Imm(31));
            let reg = self.load_word(word);
            self.alu(Wide::W64, AluOp::Add, sum, Operand::Reg(reg));
        }
        self.show(sum);
    }

    /// A number goes to where it is seen when the program has ended.
    pub(super) fn show(&mut self, reg: Reg) {
        let at = self.free();
        self.keep(at);
        let off = 8 * self.draw.below(8) as u32;
        self.code.push(Inst::MapValueIdx { dst: at, idx: maps::ONE, off });
        self.state.set(at, Holds::Memory { size: 64 - off as i32, writable: true });
        let (width, op) = (Width::B8, AtomicOp::Add { fetch: false });
        self.code.push(if self.draw.chance(1, 2) {
            Inst::Atomic { width, op, dst: at, src: reg, off: 0 }
        } else {
            Inst::Store { width, dst: at, off: 0, src: Operand::Reg(reg) }
        });
    }

    /// A small function whose first instruction is where its loop comes back to: a number says how often, words are kept from
    /// round to round, and nothing has written them before.
    pub(super) fn looped(&mut self, todo: &Todo) {
        let mut slots: Vec<i32> = (1..=self.room(todo.depth) / 8).collect();
        for _ in 0..1 + self.draw.below(6) {
            let slot = slots.swap_remove(self.draw.below(slots.len() as u64) as usize);
            let width = self.draw.of(&[Width::B1, Width::B2, Width::B4, Width::B8, Width::B8]);
            let within = self.draw.below(8 / width.bytes() as u64) as i32 * width.bytes() as i32;
            self.words.places.push(((within - 8 * slot) as i16, width));
        }
        if self.fills_frames {
            for (off, width) in self.words.places.clone() {
                self.code.push(Inst::Store { width, dst: Reg::FP, off, src: Operand::Imm(0) });
            }
        }
        let head = if self.fills_frames { self.code.label() } else { todo.label };
        if self.fills_frames {
            self.code.mark(head);
        }
        let (count, given) = (Reg(1), todo.arguments.iter().filter(|holds| **holds != Holds::Nothing).count());
        (1..=given as u8).for_each(|reg| _ = self.keep(Reg(reg)));
        let mut temporary = [Reg(0), Reg(6), Reg(7), Reg(8), Reg(9)];
        let (first, second) = (self.draw.below(5) as usize, self.draw.below(4) as usize);
        temporary.swap(0, first);
        temporary.swap(1, 1 + second);
        let [reg, other, ..] = temporary;
        for _ in 0..=self.draw.below(3) {
            let past = if self.draw.chance(1, 2) { Some(self.code.label()) } else { None };
            if let Some(past) = past {
                // What is in one round may not be in the next.
                let asked = Reg(1 + self.draw.below(given as u64) as u8);
                self.jump(asked, past);
            }
            self.round_of_words(reg, given);
            if let Some(past) = past {
                self.code.mark(past);
            }
        }
        let out = self.code.label();
        if self.draw.chance(1, 4) {
            self.word_to(Reg(0));
            self.jump(Reg(0), out);
        }
        self.come_back(count, head);
        self.word_to(Reg(0));
        for _ in 0..self.draw.below(3) {
            let to = if reg == Reg(0) { other } else { reg };
            self.word_to(to);
            self.round_op(Reg(0), &[to]);
        }
        self.code.mark(out);
        self.code.push(Inst::Exit);
    }

    /// Words, and what the function was given, are put together.
    fn round_of_words(&mut self, reg: Reg, given: usize) {
        let given: Vec<Reg> = (1..=given as u8).map(Reg).collect();
        if self.draw.chance(3, 4) {
            self.word_to(reg);
            for _ in 0..=self.draw.below(2) {
                self.round_op(reg, &given);
            }
        } else {
            let src = self.draw.of(&given);
            self.copy(reg, src);
        }
        if let Some(word) = self.words.one(&mut self.draw) {
            self.store_word(word, Operand::Reg(reg));
        }
    }

    /// A word comes to a register.
    fn word_to(&mut self, dst: Reg) {
        let Some((off, width)) = self.words.one(&mut self.draw) else { return };
        self.code.push(Inst::Load { width, signed: false, dst, src: Reg::FP, off });
        self.loaded(dst, width, false);
    }

    /// A jump that may be taken or not.
    fn jump(&mut self, dst: Reg, to: super::code::Label) {
        let (wide, op) = (self.draw.of(&[Wide::W32, Wide::W64]), self.draw.of(&CMP));
        let src = Operand::Imm(self.draw.below(8) as i32);
        self.code.push_to(Inst::Jmp { wide, op, dst, src, off: 0 }, to);
    }

    /// Goes round again a few times, whatever the number is.
    fn come_back(&mut self, count: Reg, head: super::code::Label) {
        let (wide, op, src) = match self.draw.below(4) {
            0 => {
                self.alu(Wide::W64, AluOp::And, count, Operand::Imm(15));
                self.alu(Wide::W64, AluOp::Sub, count, Operand::Imm(1));
                (Wide::W64, CmpOp::SGt, 0)
            }
            1 => {
                let bits = self.draw.between(1, 20) as i32;
                self.alu(Wide::W64, AluOp::Rsh, count, Operand::Imm(bits));
                (Wide::W64, CmpOp::Ne, 0)
            }
            _ => {
                self.alu(Wide::W64, AluOp::Add, count, Operand::Imm(1));
                (Wide::W64, CmpOp::Lt, self.draw.between(2, 12) as i32)
            }
        };
        self.code.push_to(Inst::Jmp { wide, op, dst: count, src: Operand::Imm(src), off: 0 }, head);
    }

    /// A program whose first instruction is where a loop comes back to: it counts in its frame. r1 stays.
    pub(super) fn main_looped(&mut self, head: super::code::Label) {
        let (counter, sum) = (-8 * self.draw.between(1, SLOTS as i64), -8 * self.draw.between(1, SLOTS as i64));
        let limit = self.draw.between(1, 9) as i32;
        let out = self.code.label();
        let word = |off: i64| (off as i16, Width::B8);
        let reg = Reg(0);
        let load = |off: i64| Inst::Load { width: Width::B8, signed: false, dst: reg, src: Reg::FP, off: off as i16 };
        if sum != counter {
            self.code.push(load(sum));
            self.loaded(reg, Width::B8, false);
            for _ in 0..=self.draw.below(2) {
                self.round_op(reg, &[]);
            }
            self.store_word(word(sum), Operand::Reg(reg));
        }
        self.code.push(load(counter));
        self.alu(Wide::W64, AluOp::Add, reg, Operand::Imm(1));
        let past = Inst::Jmp { wide: Wide::W64, op: CmpOp::Ge, dst: reg, src: Operand::Imm(limit), off: 0 };
        self.code.push_to(past, out);
        self.store_word(word(counter), Operand::Reg(reg));
        self.code.push_to(Inst::Ja { off: 0, long: false }, head);
        self.code.mark(out);
        self.loaded(reg, Width::B8, false);
    }
}

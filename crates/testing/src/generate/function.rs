//! Functions: their statements, their registers, their ends.

use super::{
    code::{Code, Label},
    state::{Holds, Number, RUNS, Slot, State},
    surroundings::Surroundings,
    types::Signature,
    words::{USUAL, Words},
};
use crate::draw::Draw;
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Reg, Wide, Width};

/// Where functions keep the context.
pub(super) const CTX: Reg = Reg(6);
const FP: Reg = Reg::FP;

/// A function that was named and is to be made.
#[derive(Clone, Debug)]
pub(super) struct Todo {
    pub(super) label: Label,
    pub(super) signature: Signature,
    /// r1–r5.
    pub(super) arguments: [Holds; 5],
    /// The largest value that it may return; none for any.
    pub(super) returns: Option<i32>,
    pub(super) depth: u32,
    /// It is a small one that begins with a loop.
    pub(super) looped: bool,
}

/// A program that was made.
pub(super) struct Made {
    pub(super) code: Code,
    pub(super) bounded: bool,
}

/// Makes one program.
pub(super) struct Maker<'a> {
    pub(super) around: &'a Surroundings,
    pub(super) draw: Draw,
    pub(super) code: Code,
    pub(super) state: State,
    pub(super) todo: Vec<Todo>,
    pub(super) bounded: bool,
    /// Statements that may still be made.
    pub(super) left: u32,
    /// How many decisions out of 1,024 are wrong ones.
    reckless: u64,
    pub(super) fills_frames: bool,
    /// Registers that the statement at hand, and those around it, need.
    pub(super) busy: u16,
    /// Where the function gives up.
    out: Label,
    out_used: bool,
    /// Where it does what is forbidden.
    forbidden: Label,
    forbidden_used: bool,
    /// It holds what it has to give back: it may not leave.
    pub(super) held: bool,
    pub(super) in_loop: bool,
    pub(super) nesting: u32,
    /// Calls that it is deep in, at most.
    pub(super) depth: u32,
    has_ctx: bool,
    /// Words of the function's frame that are each accessed as what they are.
    pub(super) words: Words,
    /// Bytes of the program's own frame, at most.
    pub(super) main_frame: i32,
}

impl<'a> Maker<'a> {
    pub(super) fn new(
        around: &'a Surroundings,
        mut draw: Draw,
        short: bool,
        careful: bool,
        fills_frames: bool,
    ) -> Maker<'a> {
        let mut code = Code::default();
        let reckless = if careful || draw.chance(5, 8) { 0 } else { 1 << draw.below(7) };
        let left = if short { 1 + draw.below(5) } else { 4 + draw.below(14) } as u32;
        let (out, forbidden) = (code.label(), code.label());
        Maker {
            around,
            draw,
            code,
            state: State::new(),
            todo: Vec::new(),
            bounded: true,
            left,
            reckless,
            fills_frames,
            busy: 0,
            out,
            out_used: false,
            forbidden,
            forbidden_used: false,
            held: false,
            in_loop: false,
            nesting: 0,
            depth: 0,
            has_ctx: true,
            words: Words::default(),
            main_frame: USUAL,
        }
    }

    pub(super) fn program(mut self) -> Made {
        let label = self.code.label();
        let [_, others @ ..] = [Holds::Nothing; 5];
        let mut arguments = [Holds::Ctx; 5];
        arguments[1..].copy_from_slice(&others);
        self.todo.push(Todo {
            label,
            signature: Signature::Main,
            arguments,
            returns: Some(self.around.returns),
            depth: 0,
            looped: false,
        });
        while !self.todo.is_empty() {
            let next = self.todo.remove(0);
            self.function(next);
            self.left = self.left.max(3);
        }
        Made { code: self.code, bounded: self.bounded }
    }

    fn function(&mut self, todo: Todo) {
        self.code.function(todo.label, todo.signature);
        self.state = State::new();
        self.state.registers[1..6].copy_from_slice(&todo.arguments);
        (self.out, self.forbidden) = (self.code.label(), self.code.label());
        (self.out_used, self.forbidden_used) = (false, false);
        (self.busy, self.nesting, self.depth) = (0, 0, todo.depth);
        self.has_ctx = todo.arguments[0] == Holds::Ctx;
        if todo.looped {
            self.words = Words::default();
            return self.looped(&todo);
        }
        if todo.depth == 0 && !self.fills_frames && self.draw.chance(1, 48) {
            self.main_looped(todo.label);
        }
        if self.has_ctx {
            self.copy(CTX, Reg(1));
            self.busy = 1 << CTX.0;
        }
        for argument in 1..=5 {
            // What is needed longer stands where calls leave it.
            let holds = self.state.of(Reg(argument));
            if !matches!(holds, Holds::Nothing | Holds::Ctx) && self.draw.chance(2, 3) {
                let to = self.draw.of(&[Reg(7), Reg(8), Reg(9)]);
                self.copy(to, Reg(argument));
            }
        }
        for reg in (1..10).map(Reg) {
            if let Holds::OrNull { size } = self.state.of(reg)
                && !self.wrong()
            {
                self.leave(Inst::Jmp { wide: Wide::W64, op: CmpOp::Eq, dst: reg, src: Operand::Imm(0), off: 0 });
                self.state.set(reg, Holds::Memory { size, writable: true });
            }
        }
        self.begin_words(todo.depth);
        if self.fills_frames && !self.words.private {
            for (slot, holds) in self.state.stack.iter_mut().enumerate() {
                let off = -8 * (slot as i16 + 1);
                self.code.push(Inst::Store { width: Width::B8, dst: Reg::FP, off, src: Operand::Imm(0) });
                *holds = Slot::Whole(Holds::Number([0; RUNS]));
            }
        }
        let statements = if todo.depth == 0 { self.left } else { self.draw.below(5) as u32 + 1 };
        self.block(statements);
        self.end_words();
        self.end(todo.returns);
    }

    /// So many statements.
    pub(super) fn block(&mut self, statements: u32) {
        for _ in 0..statements {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            self.statement();
        }
    }

    fn end(&mut self, returns: Option<i32>) {
        let result = (0..10).map(Reg).find(|reg| self.state.number(*reg).is_some());
        match (returns, result) {
            (None, Some(reg)) => self.copy(Reg(0), reg),
            (Some(most), Some(reg)) if self.draw.chance(1, 3) && (most + 1) & most == 0 => {
                self.copy(Reg(0), reg);
                self.alu(Wide::W64, AluOp::And, Reg(0), Operand::Imm(most));
            }
            _ => {
                let most = i64::from(returns.unwrap_or(7));
                let value = self.draw.between(0, most) as i32;
                self.set(Reg(0), value);
            }
        }
        if !self.wrong() {
            self.code.push(Inst::Exit);
        }
        if self.forbidden_used {
            self.code.mark(self.forbidden);
            self.set(Reg(0), 0);
            self.code.push(Inst::Load { width: Width::B1, signed: false, dst: Reg(0), src: Reg(0), off: 0 });
            self.code.push(Inst::Exit);
        }
        if self.out_used {
            self.code.mark(self.out);
            self.set(Reg(0), 0);
            self.code.push(Inst::Exit);
        }
    }

    /// Whether the program takes wrong decisions at all.
    pub(super) fn reckless(&self) -> bool {
        self.reckless > 0
    }

    /// Whether this decision is a wrong one.
    pub(super) fn wrong(&mut self) -> bool {
        self.reckless > 0 && self.draw.chance(self.reckless, 1024)
    }

    fn statement(&mut self) {
        let busy = self.busy;
        let around = self.around;
        // Of a frame that is the function's own nobody gets an address.
        let open = !self.words.private;
        if self.words.any() && self.draw.chance(1, 4) {
            if self.draw.chance(1, 3) {
                self.rounds()
            } else {
                self.work_on_words()
            }
            self.busy = busy;
            return;
        }
        // A statement that cannot be made here makes room for arithmetic.
        match self.draw.below(109) {
            0..8 => _ = self.source(),
            8..26 => self.arithmetic(),
            26..34 => self.branch(),
            34..48 => self.access(),
            48..62 if !open => self.work_on_words(),
            48..50 => self.stale(),
            50..56 => self.spill(),
            56..62 => self.fill(),
            62..68 if open => self.look_up(),
            68..74 if around.packet.is_some() && self.has_ctx => self.packet(),
            74..80 if open => self.call_helper(),
            80..83 => self.record(),
            83..86 => self.repeat(),
            86..89 => self.call_function(),
            89..91 if open => self.call_back(),
            91..94 => self.claim(),
            94..96 => self.atomic(),
            96 if around.legacy && self.has_ctx && !self.held => self.legacy_load(),
            97 if !around.writable.is_empty() && self.has_ctx => self.store_field(),
            98 if self.has_ctx && !self.held && !self.in_loop => self.tail_call(),
            99 => self.two_ways(),
            100..105 => self.rounds(),
            105..109 => self.call_looped(),
            _ => self.arithmetic(),
        }
        self.busy = busy;
    }

    // Registers.

    /// A register keeps what it holds for the rest of the statement.
    pub(super) fn keep(&mut self, reg: Reg) -> Reg {
        self.busy |= 1 << reg.0;
        reg
    }

    pub(super) fn is_busy(&self, reg: Reg) -> bool {
        self.busy >> reg.0 & 1 != 0
    }

    /// A register to write to: one that holds nothing of worth, mostly.
    pub(super) fn free(&mut self) -> Reg {
        let all = [Reg(0), Reg(1), Reg(2), Reg(3), Reg(4), Reg(5), Reg(7), Reg(8), Reg(9), Reg(6)];
        let all = &all[..if self.has_ctx { 9 } else { 10 }];
        let from = self.draw.below(all.len() as u64) as usize;
        let order = || (0..all.len()).map(move |n| (n + from) % all.len());
        let open: Vec<Reg> = order().map(|n| all[n]).filter(|reg| !self.is_busy(*reg)).collect();
        let empty = open.iter().find(|reg| self.state.of(**reg) == Holds::Nothing);
        let numbers = || open.iter().find(|reg| self.state.number(**reg).is_some());
        *empty.or_else(numbers).or(open.first()).unwrap_or(&Reg(0))
    }

    /// The registers that hold what `wanted` wants.
    pub(super) fn holding(&mut self, wanted: impl Fn(Holds) -> bool) -> Option<Reg> {
        let count = (0..10).filter(|n| wanted(self.state.registers[*n])).count() as u64;
        let nth = if count == 0 { return None } else { self.draw.below(count) as usize };
        (0..10).filter(|n| wanted(self.state.registers[*n])).nth(nth).map(|n| Reg(n as u8))
    }

    /// `dst = src`.
    pub(super) fn copy(&mut self, dst: Reg, src: Reg) {
        self.code.push(Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst, src: Operand::Reg(src) });
        self.state.set(dst, self.state.of(src));
    }

    /// `dst = imm`.
    pub(super) fn set(&mut self, dst: Reg, imm: i32) {
        self.code.push(Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst, src: Operand::Imm(imm) });
        self.state.set(dst, Holds::Number([i64::from(imm) as u64; RUNS]));
    }

    /// `dst = fp + off`.
    pub(super) fn stack_address(&mut self, dst: Reg, off: i32) {
        self.copy(dst, FP);
        self.add(dst, off);
        self.state.set(dst, Holds::Stack(off));
    }

    /// `dst += imm`, of a pointer: what it holds then is the caller's to say.
    pub(super) fn add(&mut self, dst: Reg, imm: i32) {
        self.code.push(Inst::Alu { wide: Wide::W64, op: AluOp::Add, dst, src: Operand::Imm(imm) });
    }

    /// Any number of `bits` bits, in each run another.
    pub(super) fn any_number(&mut self, bits: u32) -> Number {
        let mask = u64::MAX >> (64 - bits);
        std::array::from_fn(|run| match run {
            0 => mask,
            1 => 0,
            _ => self.draw.word() & mask,
        })
    }

    // Ways out.

    /// A jump to where the function gives up.
    pub(super) fn leave(&mut self, jump: Inst) {
        self.out_used = true;
        self.code.push_to(jump, self.out);
    }

    /// A jump to what is forbidden: it had better never be taken.
    pub(super) fn never(&mut self, jump: Inst) {
        self.forbidden_used = true;
        self.code.push_to(jump, self.forbidden);
    }

    /// Registers that a call leaves: what it gives back is the caller's to say.
    pub(super) fn called(&mut self) {
        for reg in 0..6 {
            self.state.set(Reg(reg), Holds::Nothing);
        }
    }
}

//! Loops whose counter does not go up by the same in each round: a loop inside steps it, a circle that is entered at two
//! places does, one way of two, or several places. A second counter ends them in any case.

use super::{CTX, Holds, Label, Maker, Stretch};
use crate::instructions::WIDE;
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Reg, Wide, Width};

/// What a round of such a loop works with.
struct Uneven {
    counter: Reg,
    step: i32,
    /// Bytes that are gone over, and how many by a step.
    stretch: Option<(Stretch, i32)>,
    /// Counts the rounds of what is inside.
    inner: Reg,
    /// How many these are.
    times: Operand,
    sum: Reg,
    out: Label,
}

impl Maker<'_> {
    /// One of these loops.
    pub(super) fn uneven(&mut self) {
        let sum = self.sum();
        let most = self.draw.between(1, 5) as i32;
        let stretch =
            if self.around.packet.is_some() && self.draw.chance(1, 2) { self.checked_stretch() } else { None };
        let (rounds, counter, inner) = (self.free_kept(), self.free_kept(), self.free_kept());
        let times = if stretch.is_none() && self.draw.chance(2, 3) {
            let times = self.free();
            let number = self.holding(|h| matches!(h, Holds::Number(_)));
            self.source_of(times, number);
            Operand::Reg(self.keep(times))
        } else {
            Operand::Imm(self.draw.between(1, 4) as i32)
        };
        let (first, step) = (self.draw.of(&[0, 0, 4, 10, -4]), self.draw.of(&[1, 1, -1, -1, 2, -2, 3]));
        self.set(rounds, 0);
        self.set(counter, first);
        let (head, out) = (self.code.label(), self.code.label());
        let round = Uneven { counter, step, stretch, inner, times, sum, out };
        self.code.mark(head);
        match self.draw.below(6) {
            0 | 1 => self.inner_loop(&round),
            2 | 3 => self.circle(&round),
            4 => self.one_way(&round),
            _ => {
                self.step(&round);
                self.round_op(sum, &[counter]);
                self.step(&round);
            }
        }
        if self.draw.chance(1, 3) {
            self.step(&round);
        }
        let goal = Operand::Imm(first + step * self.draw.between(1, 12) as i32);
        let goes_on = self.draw.of(if step < 0 {
            &[CmpOp::Ne, CmpOp::SGt, CmpOp::Gt]
        } else {
            &[CmpOp::Ne, CmpOp::SLt, CmpOp::Lt]
        });
        let (wide, other) = (self.draw.of(&WIDE), self.draw.of(&WIDE));
        let test = |op| Inst::Jmp { wide, op, dst: counter, src: goal, off: 0 };
        let guard = |op| Inst::Jmp { wide: other, op, dst: rounds, src: Operand::Imm(most), off: 0 };
        self.add(rounds, 1);
        if self.draw.chance(1, 2) {
            self.code.push_to(guard(CmpOp::Eq), out);
            self.code.push_to(test(goes_on), head);
        } else {
            let op = if goes_on == CmpOp::Ne {
                CmpOp::Eq
            } else if step < 0 {
                CmpOp::SLe
            } else {
                CmpOp::SGe
            };
            self.code.push_to(test(op), out);
            let op = self.draw.of(&[CmpOp::Ne, CmpOp::Lt]);
            self.code.push_to(guard(op), head);
        }
        self.code.mark(out);
        if let Some((stretch, _)) = &round.stretch {
            self.state.set(stretch.reg, Holds::Nothing);
        }
        self.state.set(inner, Holds::Nothing);
        for reg in [sum, counter, rounds] {
            self.loaded(reg, Width::B8, false);
        }
        self.alu(Wide::W64, AluOp::Mul, sum, Operand::Imm(31));
        self.alu(Wide::W64, AluOp::Add, sum, Operand::Reg(counter));
        self.alu(Wide::W64, AluOp::Mul, sum, Operand::Imm(31));
        self.alu(Wide::W64, AluOp::Add, sum, Operand::Reg(rounds));
        if self.draw.chance(2, 3) {
            self.show(sum);
        }
    }

    fn free_kept(&mut self) -> Reg {
        let reg = self.free();
        self.keep(reg)
    }

    /// A number from 0 to 3 that the verifier does not know more of.
    fn source_of(&mut self, reg: Reg, number: Option<Reg>) {
        match number {
            Some(number) => self.copy(reg, number),
            None => self.set(reg, 2),
        }
        self.alu(Wide::W64, AluOp::And, reg, Operand::Imm(3));
    }

    /// Bytes of the packet; each access asks whether it is inside.
    fn checked_stretch(&mut self) -> Option<(Stretch, i32)> {
        if self.state.of(CTX) != Holds::Ctx {
            return None;
        }
        let fields = self.around.packet?;
        let reg = self.load_pointer(fields.data, Holds::Packet { proven: 0 });
        let end = self.load_pointer(fields.end, Holds::PacketEnd);
        let stretch = Stretch { reg, size: 64, writable: false, end: Some(end), check: None };
        Some((stretch, self.draw.of(&[1, 1, 2, 4])))
    }

    /// A step: of the counter, and of what is gone over.
    fn step(&mut self, round: &Uneven) {
        let wide = if self.draw.chance(3, 4) { Wide::W64 } else { Wide::W32 };
        self.code.push(Inst::Alu { wide, op: AluOp::Add, dst: round.counter, src: Operand::Imm(round.step) });
        let Some((stretch, bytes)) = &round.stretch else { return };
        let item = self.free();
        self.inside(stretch, *bytes, round.out);
        let width = match bytes {
            1 => Width::B1,
            2 => Width::B2,
            _ => Width::B4,
        };
        self.load_of(item, stretch.reg, 0, width);
        self.code.push(Inst::Alu { wide: Wide::W32, op: AluOp::Add, dst: round.sum, src: Operand::Reg(item) });
        self.state.set(item, Holds::Nothing);
        self.add(stretch.reg, *bytes);
    }

    /// The end of a round of what is inside.
    fn inner_again(&mut self, round: &Uneven, head: Label) {
        self.code.push(Inst::Alu { wide: Wide::W64, op: AluOp::Add, dst: round.inner, src: Operand::Imm(1) });
        let op = self.draw.of(&[CmpOp::Lt, CmpOp::SLt]);
        self.code.push_to(Inst::Jmp { wide: Wide::W64, op, dst: round.inner, src: round.times, off: 0 }, head);
    }

    /// A loop inside, whose rounds step.
    fn inner_loop(&mut self, round: &Uneven) {
        let head = self.code.label();
        self.code.push(Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst: round.inner, src: Operand::Imm(0) });
        self.code.mark(head);
        self.step(round);
        if self.draw.chance(1, 2) {
            self.round_op(round.sum, &[round.inner, round.counter]);
        }
        self.inner_again(round, head);
    }

    /// A circle inside that is entered at two places, as the number of rounds says.
    fn circle(&mut self, round: &Uneven) {
        let (first, second) = (self.code.label(), self.code.label());
        let other = self.code.label();
        self.code.push(Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst: round.inner, src: Operand::Imm(0) });
        let dst = if let Operand::Reg(times) = round.times { times } else { round.sum };
        let (op, src) = (self.draw.of(&[CmpOp::Eq, CmpOp::Ne, CmpOp::Set]), Operand::Imm(self.draw.below(3) as i32));
        self.code.push_to(Inst::Jmp { wide: Wide::W64, op, dst, src, off: 0 }, other);
        self.code.mark(first);
        self.round_op(round.sum, &[round.counter]);
        if self.draw.chance(1, 4) {
            self.step(round);
        }
        self.code.mark(second);
        self.step(round);
        self.inner_again(round, first);
        let past = self.code.label();
        self.code.push_to(Inst::Ja { off: 0, long: false }, past);
        self.code.mark(other);
        self.round_op(round.sum, &[round.counter]);
        self.code.push_to(Inst::Ja { off: 0, long: false }, second);
        self.code.mark(past);
    }

    /// One way of two steps; the other does, too, at times, by something else.
    fn one_way(&mut self, round: &Uneven) {
        let (past, end) = (self.code.label(), self.code.label());
        self.ask(&[round.sum], past);
        self.step(round);
        if self.draw.chance(1, 2) {
            self.code.push_to(Inst::Ja { off: 0, long: false }, end);
            self.code.mark(past);
            self.round_op(round.sum, &[round.counter]);
            let step = self.draw.of(&[round.step, -round.step, 2 * round.step]);
            self.step(&Uneven { step, stretch: None, ..*round });
            self.code.mark(end);
        } else {
            self.code.mark(past);
        }
    }
}

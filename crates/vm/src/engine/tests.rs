//! What holds where the compiler makes no jump of an operation's last call.

use super::{Checked, Mode, Trusted, enter, handler_at};
use crate::predecode::{Ops, predecode};
use crate::{Code, Env, Exit, Func, HelperFn, Link};
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Reg, Wide, encode};

/// As [`Checked`] or [`Trusted`], but that no call becomes a jump.
struct Stacked<M>(M);

impl<M: Mode> Mode for Stacked<M> {
    const CHECKED: bool = M::CHECKED;
    const STACKS: bool = true;
}

struct Nothing;

// SAFETY: there are no maps and no helpers.
unsafe impl Link for Nothing {
    fn map(&self, _: u16) -> u64 {
        0
    }
    fn map_value(&self, _: u16, _: u32) -> u64 {
        0
    }
    fn memory(&self, _: u16, _: u64) -> u64 {
        0
    }
    fn helper(&self, _: u16) -> HelperFn {
        unreachable!("no helper is called")
    }
}

fn alu(op: AluOp, dst: u8, imm: i32) -> Inst {
    Inst::Alu { wide: Wide::W64, op, dst: Reg(dst), src: Operand::Imm(imm) }
}

fn ops<M: Mode>(insts: &[Inst], starts: &[u32]) -> Ops {
    let code = Code {
        insns: insts.iter().flat_map(|inst| encode(inst).to_vec()).collect(),
        funcs: starts.iter().map(|&start| Func { start, stack: 0 }).collect(),
        ..Code::default()
    };
    predecode(&code, &Nothing, handler_at::<M>).expect("well-formed")
}

/// Runs on a stack that is far too small for a frame for each instruction.
fn runs<M: Mode>(insts: &[Inst], starts: &[u32]) {
    let ops = ops::<Stacked<M>>(insts, starts);
    std::thread::scope(|scope| {
        let run = || {
            let entry = ops.funcs[0];
            let end = enter::<Stacked<M>>(&ops, &Env::new(), None, 0, entry, [0; 5], None);
            end.map_err(|fault| fault.trap(|at| at as u32))
        };
        let thread = std::thread::Builder::new().stack_size(1 << 20).spawn_scoped(scope, run).expect("a thread");
        assert_eq!(thread.join().expect("it did not panic"), Ok(Exit::Return(7)));
    });
}

fn both(insts: &[Inst], starts: &[u32]) {
    runs::<Checked>(insts, starts);
    runs::<Trusted>(insts, starts);
}

const ROUNDS: i32 = 300_000;
const SEVEN: [Inst; 2] =
    [Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst: Reg::R0, src: Operand::Imm(7) }, Inst::Exit];

fn again(off: i16) -> Inst {
    Inst::Jmp { wide: Wide::W64, op: CmpOp::Ne, dst: Reg(6), src: Operand::Imm(0), off }
}

#[test]
fn a_loop_of_calls_that_are_no_jumps_keeps_the_native_stack() {
    both(&[&[alu(AluOp::Mov, 6, ROUNDS), alu(AluOp::Sub, 6, 1), again(-2)], &SEVEN[..]].concat(), &[0]);
}

#[test]
fn a_straight_line_of_calls_that_are_no_jumps_keeps_the_native_stack() {
    let mut line = vec![alu(AluOp::Add, 1, 1); ROUNDS as usize];
    line.extend(SEVEN);
    both(&line, &[0]);
}

#[test]
fn jumps_onward_that_are_calls_keep_the_native_stack() {
    // Each jumps over the next one: over those that a straight line would be stopped at, too.
    let mut line = vec![Inst::Ja { off: 1, long: false }; ROUNDS as usize];
    line.extend(SEVEN);
    line.extend(SEVEN);
    both(&line, &[0]);
}

#[test]
fn subprograms_that_are_no_jumps_keep_the_native_stack() {
    let call = [alu(AluOp::Mov, 6, ROUNDS), Inst::CallLocal { rel: 4 }, alu(AluOp::Sub, 6, 1), again(-3)];
    both(&[&call[..], &SEVEN[..], &SEVEN[..]].concat(), &[0, 6]);
}

//! Generated programs: verdict and log at level 2, line by line, beside the running kernel's.
//!
//! `ALVEARY_PROGRAMS` says how many programs, `ALVEARY_SEED` which, `ALVEARY_SHOW` of which one both logs are printed.

use alveary_abi::{HelperId, Profile, ProgType};
use alveary_isa::{AluOp, Insn, Inst, Operand, Reg, Swap, Wide, Width, encode};
use alveary_spec::Kernel;
use alveary_testing::{
    Draw, bpf,
    instructions::{CMP, WIDE, WIDTHS},
    program,
};
use alveary_verifier::{Env, LogLevel, Verdict, check};

const NUMBERS: [Reg; 6] = [Reg::R0, Reg::R5, Reg::R6, Reg::R7, Reg::R8, Reg::R9];
const OPS: [AluOp; 16] = [
    AluOp::Add,
    AluOp::Add,
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Or,
    AluOp::And,
    AluOp::And,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Mod,
    AluOp::Xor,
    AluOp::Mov,
    AluOp::Mov,
    AluOp::Arsh,
];
fn draw_inst(draw: &mut Draw, left: u64) -> Inst {
    let (dst, wide) = (draw.of(&NUMBERS), draw.of(&WIDE));
    let src = if draw.below(2) == 0 { Operand::Reg(draw.of(&NUMBERS)) } else { Operand::Imm(draw.imm()) };
    match draw.below(24) {
        0 => Inst::Neg { wide, dst },
        1 => {
            let bits = if wide == Wide::W64 { draw.of(&[8, 16, 32]) } else { draw.of(&[8, 16]) };
            Inst::MovSx { wide, bits, dst, src: draw.of(&NUMBERS) }
        }
        2 => Inst::Swap { kind: draw.of(&[Swap::ToLe, Swap::ToBe, Swap::Bswap]), bits: draw.of(&[16, 32, 64]), dst },
        3..8 => {
            let off = draw.below(left.clamp(1, 8)) as i16;
            Inst::Jmp { wide, op: draw.of(&CMP), dst, src, off }
        }
        8..10 => {
            let width = draw.of(&WIDTHS);
            Inst::Store { width, dst: Reg::FP, off: slot(draw, width), src }
        }
        10..12 => {
            let width = draw.of(&WIDTHS);
            let signed = width != Width::B8 && draw.below(3) == 0;
            Inst::Load { width, signed, dst, src: Reg::FP, off: slot(draw, width) }
        }
        12 => Inst::CallHelper { id: HelperId::GET_PRANDOM_U32.0 as i32 },
        _ => {
            let op = draw.of(&OPS);
            let bits = if wide == Wide::W64 { 64 } else { 32 };
            let src = match (op, src) {
                (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, Operand::Imm(_)) => Operand::Imm(draw.below(bits) as i32),
                (AluOp::Div | AluOp::Mod, Operand::Imm(0)) => Operand::Imm(7),
                _ => src,
            };
            Inst::Alu { wide, op, dst, src }
        }
    }
}

/// An offset in three slots of the stack, aligned.
fn slot(draw: &mut Draw, width: Width) -> i16 {
    let bytes = width.bytes() as i16;
    -(bytes * (1 + draw.below(24 / bytes as u64) as i16))
}

fn draw_program(draw: &mut Draw, length: u64) -> Vec<Inst> {
    let mut program = Vec::new();
    for reg in [Reg::R6, Reg::R7, Reg::R8] {
        program.push(Inst::CallHelper { id: HelperId::GET_PRANDOM_U32.0 as i32 });
        program.push(Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst: reg, src: Operand::Reg(Reg::R0) });
    }
    for reg in [Reg::R5, Reg::R9] {
        program.push(Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst: reg, src: Operand::Imm(draw.imm()) });
    }
    program.extend((0..length).map(|at| draw_inst(draw, length - at)));
    // What is at its end makes numbers precise: an access to the stack at an offset that is not known.
    program.extend([
        Inst::Alu { wide: Wide::W64, op: AluOp::And, dst: Reg::R6, src: Operand::Imm(7) },
        Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst: Reg::R1, src: Operand::Reg(Reg::FP) },
        Inst::Alu { wide: Wide::W64, op: AluOp::Add, dst: Reg::R1, src: Operand::Reg(Reg::R6) },
        Inst::Store { width: Width::B1, dst: Reg::R1, off: -8, src: Operand::Imm(0) },
        Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst: Reg::R0, src: Operand::Imm(0) },
        Inst::Exit,
    ]);
    program
}

/// What both print: not what the work was, nor what the kernel says of its own passes.
fn lines(log: &str) -> Vec<&str> {
    let others = ["verification time", "stack depth"];
    log.lines().map(str::trim_end).filter(|line| !others.iter().any(|start| line.starts_with(start))).collect()
}

#[test]
fn logs_are_those_of_the_kernel() {
    if !bpf::permitted("logs_are_those_of_the_kernel") {
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let count = number("ALVEARY_PROGRAMS").unwrap_or(200);
    let mut draw = Draw::new(number("ALVEARY_SEED").unwrap_or(1u64));
    let (kernel, maps) = (Kernel::of(Profile::linux_6_18()), Default::default());
    let mut differing = Vec::new();
    let mut accepted = 0;
    for at in 0..count {
        let insts = draw_program(&mut draw, 20);
        let insns: Vec<Insn> = insts.iter().flat_map(|inst| encode(inst).as_slice().to_vec()).collect();
        let (accepts, theirs) = bpf::Prog::verifier_log(ProgType::SOCKET_FILTER, &insns, 2, 0);
        let env = Env { log: LogLevel::ALL, ..Env::new(&kernel, &maps) };
        let report = check(&program(ProgType::SOCKET_FILTER, insns), &env);
        if number("ALVEARY_SHOW") == Some(at) {
            println!("{theirs}\n\n{}", report.log);
        }
        let (theirs, ours) = (lines(&theirs), lines(&report.log));
        accepted += usize::from(accepts);
        // Registers that are compared with themselves end in states that the kernel calls a fault of its own.
        let fault = theirs.iter().any(|line| line.starts_with("verifier bug"));
        if (fault || theirs == ours) && accepts == (report.verdict == Verdict::Accept) {
            continue;
        }
        let same = theirs.iter().zip(&ours).take_while(|(a, b)| a == b).count();
        let from = same.saturating_sub(6);
        differing.push(format!(
            "program {at}, {accepts} and {:?}, after\n  {}\nkernel: {}\nwe:     {}",
            report.verdict,
            theirs[from..same].join("\n  "),
            theirs.get(same).unwrap_or(&""),
            ours.get(same).unwrap_or(&"")
        ));
    }
    println!("{count} programs, {accepted} accepted, {} logs differ", differing.len());
    assert!(differing.is_empty(), "{}", differing.join("\n\n"));
}

//! Programs with one thing changed, as a slip of the pen would: a check removed or turned round, an offset, a size, a
//! register, a constant, an operation.

use alveary_isa::{AluOp, CmpOp, Insn, Inst, Operand, Reg, decode, encode};
use alveary_spec::Program;
use alveary_testing::{
    Draw,
    instructions::{CMP, WIDTHS},
};

/// A mutant of `program`, and what was changed; `None` if there is nothing to change where the draw fell.
pub(crate) fn mutant(program: &Program, draw: &mut Draw) -> Option<(Program, String)> {
    let at = draw.below(program.insns.len().max(1) as u64) as usize;
    let before = decode(&program.insns, at).ok().filter(|_| !is_second_slot(&program.insns, at))?;
    let (what, after) = change(before, draw)?;
    let encoded = encode(&after);
    if after == before || encoded.as_slice().len() != 1 {
        return None;
    }
    let mut changed = program.clone();
    // The kind of a constant (a map, an address) is in `src`, which encoding keeps.
    changed.insns[at] = encoded.as_slice()[0];
    Some((changed, format!("{what} at {at}")))
}

fn is_second_slot(insns: &[Insn], at: usize) -> bool {
    const LD_IMM64: u8 = 0x18;
    let mut slot = 0;
    while slot < at {
        slot += if insns[slot].op == LD_IMM64 { 2 } else { 1 };
    }
    slot != at
}

fn change(inst: Inst, draw: &mut Draw) -> Option<(&'static str, Inst)> {
    Some(match inst {
        Inst::Jmp { wide, op, dst, src, off } => match draw.below(6) {
            0 => ("check removed", Inst::Ja { off: 0, long: false }),
            1 => ("check always taken", Inst::Ja { off: off.into(), long: false }),
            2 => ("check turned round", Inst::Jmp { wide, op: opposite(op), dst, src, off }),
            3 => ("comparison", Inst::Jmp { wide, op: draw.of(&CMP), dst, src, off }),
            4 => ("compared with", Inst::Jmp { wide, op, dst, src: operand(src, draw), off }),
            _ => ("compared register", Inst::Jmp { wide, op, dst: register(draw), src, off }),
        },
        Inst::Load { width, signed, dst, src, off } => match draw.below(4) {
            0 => ("size of load", Inst::Load { width: draw.of(&WIDTHS), signed, dst, src, off }),
            1 => ("base of load", Inst::Load { width, signed, dst, src: register(draw), off }),
            2 => ("target of load", Inst::Load { width, signed, dst: register(draw), src, off }),
            _ => ("offset of load", Inst::Load { width, signed, dst, src, off: offset(off, draw) }),
        },
        Inst::Store { width, dst, off, src } => match draw.below(4) {
            0 => ("size of store", Inst::Store { width: draw.of(&WIDTHS), dst, off, src }),
            1 => ("base of store", Inst::Store { width, dst: register(draw), off, src }),
            2 => ("stored value", Inst::Store { width, dst, off, src: operand(src, draw) }),
            _ => ("offset of store", Inst::Store { width, dst, off: offset(off, draw), src }),
        },
        Inst::Alu { wide, op, dst, src } => match draw.below(4) {
            0 => ("operation", Inst::Alu { wide, op: draw.of(&OPERATIONS), dst, src }),
            1 => ("operand", Inst::Alu { wide, op, dst, src: operand(src, draw) }),
            2 => ("target", Inst::Alu { wide, op, dst: register(draw), src }),
            _ => ("removed", Inst::Ja { off: 0, long: false }),
        },
        Inst::Atomic { width, op, dst, src, off } => {
            ("offset of atomic", Inst::Atomic { width, op, dst, src, off: offset(off, draw) })
        }
        Inst::CallHelper { .. } | Inst::CallLocal { .. } | Inst::CallKfunc { .. } => {
            ("call removed", Inst::Ja { off: 0, long: false })
        }
        Inst::Neg { .. } | Inst::MovSx { .. } | Inst::Swap { .. } => ("removed", Inst::Ja { off: 0, long: false }),
        _ => return None,
    })
}

const OPERATIONS: [AluOp; 10] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::Or,
    AluOp::And,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Xor,
    AluOp::Mov,
];

const fn opposite(op: CmpOp) -> CmpOp {
    match op {
        CmpOp::Eq => CmpOp::Ne,
        CmpOp::Ne | CmpOp::Set => CmpOp::Eq,
        CmpOp::Gt => CmpOp::Le,
        CmpOp::Ge => CmpOp::Lt,
        CmpOp::Lt => CmpOp::Ge,
        CmpOp::Le => CmpOp::Gt,
        CmpOp::SGt => CmpOp::SLe,
        CmpOp::SGe => CmpOp::SLt,
        CmpOp::SLt => CmpOp::SGe,
        CmpOp::SLe => CmpOp::SGt,
    }
}

fn register(draw: &mut Draw) -> Reg {
    Reg(draw.below(11) as u8)
}

fn operand(src: Operand, draw: &mut Draw) -> Operand {
    match src {
        Operand::Reg(_) => Operand::Reg(register(draw)),
        Operand::Imm(imm) => Operand::Imm(match draw.below(5) {
            0 => imm.wrapping_add(1),
            1 => imm.wrapping_sub(1),
            2 => imm.wrapping_mul(2),
            3 => imm.wrapping_neg(),
            _ => draw.next() as i32,
        }),
    }
}

fn offset(off: i16, draw: &mut Draw) -> i16 {
    off.wrapping_add(draw.of(&[1, -1, 2, -2, 4, -4, 8, -8, 16, -16, 64, -64, 512]))
}

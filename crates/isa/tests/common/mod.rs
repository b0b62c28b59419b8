//! Instructions for tests: every shape, from a seed, so that a failure can be repeated.
#![allow(dead_code, reason = "each test binary uses its part")]

use alveary_isa::{Inst, Operand, Reg, Swap, Wide, Width};
pub(crate) use alveary_testing::Draw;
use alveary_testing::instructions::{ALU, ATOMIC, CMP, WIDE, WIDTHS};

fn off(draw: &mut Draw) -> i16 {
    let any = draw.next() as i16;
    draw.of(&[0, 1, -1, 8, -8, i16::MAX, i16::MIN, any])
}

fn reg(draw: &mut Draw) -> Reg {
    Reg(draw.below(11) as u8)
}

fn operand(draw: &mut Draw) -> Operand {
    if draw.chance(1, 2) { Operand::Reg(reg(draw)) } else { Operand::Imm(draw.imm()) }
}

/// How many shapes [`inst`] knows.
pub(crate) const SHAPES: usize = 29;

/// One instruction of shape `shape`.
pub(crate) fn inst(draw: &mut Draw, shape: usize) -> Inst {
    let (dst, src, off, imm) = (reg(draw), reg(draw), off(draw), draw.imm());
    let wide = draw.of(&WIDE);
    let width = draw.of(&WIDTHS);
    match shape {
        0 => Inst::Alu { wide, op: draw.of(&ALU), dst, src: operand(draw) },
        1 => Inst::Neg { wide, dst },
        2 => Inst::MovSx { wide: Wide::W64, bits: draw.of(&[8, 16, 32]), dst, src },
        3 => Inst::MovSx { wide: Wide::W32, bits: draw.of(&[8, 16]), dst, src },
        4 => Inst::Swap { kind: draw.of(&[Swap::ToLe, Swap::ToBe, Swap::Bswap]), bits: draw.of(&[16, 32, 64]), dst },
        5 => Inst::AddrSpaceCast { dst, src, to: draw.next() as u16, from: draw.next() as u16 },
        6 => Inst::LoadImm64 { dst, value: draw.next() >> draw.below(64) },
        7 => Inst::MapFd { dst, fd: imm },
        8 => Inst::MapValueFd { dst, fd: imm, off: draw.imm() as u32 },
        9 => Inst::VarAddr { dst, btf_id: imm as u32, btf_fd: draw.imm() },
        10 => Inst::FuncAddr { dst, rel: imm },
        11 => Inst::MapIdx { dst, idx: imm as u32 },
        12 => Inst::MapValueIdx { dst, idx: imm as u32, off: draw.imm() as u32 },
        13 => Inst::Load { width, signed: width != Width::B8 && draw.below(2) == 0, dst, src, off },
        14 => Inst::Store { width, dst, off, src: operand(draw) },
        15 => Inst::Atomic { width: draw.of(&[Width::B4, Width::B8]), op: draw.of(&ATOMIC), dst, src, off },
        16 => Inst::LoadAcquire { width, dst, src, off },
        17 => Inst::StoreRelease { width, dst, src, off },
        18 => Inst::LoadAbs { width: draw.of(&WIDTHS[..3]), imm },
        19 => Inst::LoadInd { width: draw.of(&WIDTHS[..3]), src, imm },
        20 => Inst::Ja { off: i32::from(off), long: false },
        21 => Inst::Ja { off: imm, long: true },
        22 => Inst::MayGoto { off },
        23 => Inst::GotoX { dst },
        24 => Inst::Jmp { wide, op: draw.of(&CMP), dst, src: operand(draw), off },
        25 => draw.of(&[Inst::CallHelper { id: imm }, Inst::CallKfunc { btf_id: imm, off }]),
        26 => Inst::CallLocal { rel: imm },
        27 => Inst::CallX { dst, in_imm: dst != Reg::R0 && draw.below(2) == 0 },
        _ => Inst::Exit,
    }
}

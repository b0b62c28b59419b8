//! Programs from bytes: instructions of which most decode, most jumps land, and most addresses are near to something.
//! Knows no maps and no helpers: who generates a program brings its calls.

use alveary_isa::{AluOp, Insn, Inst, Operand, Reg, Swap, Wide, Width, encode};
use alveary_testing::instructions::{ALU, ATOMIC, CMP, WIDTHS};
use arbitrary::{Result, Unstructured};

/// A piece of a function, before it is known where it will stand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece {
    /// An instruction.
    Inst(Inst),
    /// A jump over so many pieces, backwards if negative. One that would leave the function ends at its edge.
    Jump(Inst, i8),
    /// A call of function n.
    Call(usize),
    /// The address of function n.
    Address(Reg, usize),
}

impl Piece {
    fn slots(self) -> usize {
        match self {
            Piece::Inst(inst) => inst.slots(),
            Piece::Jump(..) | Piece::Call(_) => 1,
            Piece::Address(..) => 2,
        }
    }
}

/// `dst = imm`.
pub(crate) fn set(dst: Reg, imm: i32) -> Piece {
    Piece::Inst(Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst, src: Operand::Imm(imm) })
}

/// `dst = src`.
pub(crate) fn copy(dst: Reg, src: Reg) -> Piece {
    Piece::Inst(Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst, src: Operand::Reg(src) })
}

/// `dst += imm`.
pub(crate) fn add(dst: Reg, imm: i32) -> Piece {
    Piece::Inst(Inst::Alu { wide: Wide::W64, op: AluOp::Add, dst, src: Operand::Imm(imm) })
}

/// Functions one behind the other: their slots, and where each starts. Functions that are named and not there are
/// taken modulo.
pub(crate) fn lay_out(functions: &[Vec<Piece>]) -> (Vec<Insn>, Vec<u32>) {
    let mut starts = Vec::new();
    let mut end = 0;
    for function in functions {
        starts.push(end as u32);
        end += function.iter().map(|piece| piece.slots()).sum::<usize>();
    }
    let mut insns = Vec::with_capacity(end);
    for function in functions {
        let first = insns.len();
        let places: Vec<usize> =
            function.iter().scan(first, |at, piece| Some(std::mem::replace(at, *at + piece.slots()))).collect();
        for (index, piece) in function.iter().enumerate() {
            let after = places[index] as i32 + 1;
            let to = |n: usize| starts[n % starts.len()] as i32 - after;
            let inst = match *piece {
                Piece::Inst(inst) => inst,
                Piece::Jump(inst, over) => {
                    let target = (index as i64 + 1 + i64::from(over)).clamp(0, function.len() as i64 - 1);
                    aimed(inst, places[target as usize] as i32 - after)
                }
                Piece::Call(n) => Inst::CallLocal { rel: to(n) },
                Piece::Address(dst, n) => Inst::FuncAddr { dst, rel: to(n) },
            };
            insns.extend_from_slice(encode(&inst).as_slice());
        }
    }
    (insns, starts)
}

/// A jump with another offset.
fn aimed(inst: Inst, to: i32) -> Inst {
    let near = to as i16;
    match inst {
        Inst::Jmp { wide, op, dst, src, .. } => Inst::Jmp { wide, op, dst, src, off: near },
        Inst::MayGoto { .. } => Inst::MayGoto { off: near },
        Inst::Ja { long, .. } => Inst::Ja { off: to, long },
        other => other,
    }
}

/// A register that holds an address, and the offsets from it at which there is something.
pub(crate) type Base = (Reg, std::ops::RangeInclusive<i16>);

/// A piece that calls nothing outside the program. It accesses memory by the given registers, mostly.
pub(crate) fn plain(u: &mut Unstructured<'_>, bases: &[Base]) -> Result<Piece> {
    let wide = if u.arbitrary()? { Wide::W64 } else { Wide::W32 };
    let width = *u.choose(&WIDTHS)?;
    let inst = match u.int_in_range(0..=15)? {
        0 | 1 => Inst::Alu { wide, op: *u.choose(&ALU)?, dst: scratch(u)?, src: operand(u)? },
        2 if u.ratio(1, 4)? => return Ok(add(address(u, bases)?.0, small(u)?)),
        2..=4 => {
            let signed = width != Width::B8 && u.arbitrary()?;
            let (src, off) = address(u, bases)?;
            Inst::Load { width, signed, dst: scratch(u)?, src, off }
        }
        5 | 6 => {
            let (dst, off) = address(u, bases)?;
            Inst::Store { width, dst, off, src: operand(u)? }
        }
        7 => {
            let width = if u.arbitrary()? { Width::B8 } else { Width::B4 };
            let (dst, off) = aligned(u, bases)?;
            Inst::Atomic { width, op: *u.choose(&ATOMIC)?, dst, src: scratch(u)?, off }
        }
        8 => {
            let jump = Inst::Jmp { wide, op: *u.choose(&CMP)?, dst: scratch(u)?, src: operand(u)?, off: 0 };
            return Ok(Piece::Jump(jump, u.int_in_range(-3..=6)?));
        }
        9 => {
            let jump = match u.int_in_range(0..=3)? {
                0 => Inst::MayGoto { off: 0 },
                1 => Inst::Ja { off: 0, long: true },
                _ => Inst::Ja { off: 0, long: false },
            };
            return Ok(Piece::Jump(jump, u.int_in_range(-2..=4)?));
        }
        10 => match u.int_in_range(0..=3)? {
            0 => return Ok(Piece::Address(scratch(u)?, u.int_in_range(0..=3)?)),
            1 if u.ratio(1, 8)? => Inst::CallX { dst: scratch(u)?, in_imm: false },
            _ => return Ok(Piece::Call(u.int_in_range(0..=3)?)),
        },
        11 => Inst::Neg { wide, dst: scratch(u)? },
        12 => {
            let kind = *u.choose(&[Swap::ToLe, Swap::ToBe, Swap::Bswap])?;
            Inst::Swap { kind, bits: *u.choose(&[16, 32, 64])?, dst: scratch(u)? }
        }
        13 => Inst::MovSx { wide, bits: *u.choose(&[8, 16])?, dst: scratch(u)?, src: any(u)? },
        14 => {
            let (base, off) = aligned(u, bases)?;
            if u.arbitrary()? {
                Inst::LoadAcquire { width, dst: scratch(u)?, src: base, off }
            } else {
                Inst::StoreRelease { width, dst: base, src: any(u)?, off }
            }
        }
        _ if u.ratio(1, 8)? => Inst::Exit,
        _ => Inst::LoadImm64 { dst: scratch(u)?, value: u.arbitrary()? },
    };
    Ok(Piece::Inst(inst))
}

/// Registers that programs here compute with.
pub(crate) fn scratch(u: &mut Unstructured<'_>) -> Result<Reg> {
    // Those that hold addresses are left alone, mostly.
    if u.ratio(1, 64)? { any(u) } else { Ok(Reg(u.int_in_range(0..=5)?)) }
}

/// Where something is, mostly; at times at an edge or anywhere.
fn address(u: &mut Unstructured<'_>, bases: &[Base]) -> Result<(Reg, i16)> {
    let (base, offsets) = u.choose(bases)?;
    let off = match u.int_in_range(0..=63)? {
        0 => return Ok((any(u)?, u.int_in_range(-16..=64)?)),
        1 => u.arbitrary()?,
        2 => *u.choose(&[*offsets.start(), *offsets.end(), -1, -513, i16::MAX, i16::MIN])?,
        _ => u.int_in_range(offsets.clone())?,
    };
    Ok((*base, off))
}

/// The same, nearly always a multiple of 8: anything else stops an atomic operation.
fn aligned(u: &mut Unstructured<'_>, bases: &[Base]) -> Result<(Reg, i16)> {
    let (base, off) = address(u, bases)?;
    Ok((base, if u.ratio(31, 32)? { off & !7 } else { off }))
}

fn any(u: &mut Unstructured<'_>) -> Result<Reg> {
    Ok(Reg(u.int_in_range(0..=10)?))
}

fn operand(u: &mut Unstructured<'_>) -> Result<Operand> {
    Ok(if u.arbitrary()? { Operand::Reg(any(u)?) } else { Operand::Imm(small(u)?) })
}

/// Small numbers, edges, and anything.
pub(crate) fn small(u: &mut Unstructured<'_>) -> Result<i32> {
    match u.int_in_range(0..=7)? {
        0 => u.arbitrary(),
        1 => Ok(*u.choose(&[0, 1, -1, i32::MAX, i32::MIN, 0xffff, -0x8000, 4096])?),
        _ => u.int_in_range(-64..=64),
    }
}

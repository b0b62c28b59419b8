//! From instructions to slots: the inverse of [`decode`](crate::decode). Every [`Inst`] has an encoding; whether the
//! values in it are defined (a swap of 3 bits, register 15) is `decode`'s to say.

use crate::opcode::*;
use crate::{AluOp, Insn, Inst, Operand, Reg, Swap, Wide};
use std::ops::Deref;

/// The one or two slots of an encoded instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Encoded {
    slots: [Insn; 2],
    len: u8,
}

impl Encoded {
    /// The slots, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Insn] {
        &self.slots[..usize::from(self.len)]
    }
}

impl Deref for Encoded {
    type Target = [Insn];

    fn deref(&self) -> &[Insn] {
        self.as_slice()
    }
}

/// Writes an instruction. `decode(&encode(&inst), 0)` gives `inst` back if its values are defined.
///
/// Two spellings share an encoding: `callx r0` with its register in `dst` and in `imm`; it reads back as the first.
/// The offset of a short jump is truncated to 16 bits.
#[must_use]
pub fn encode(inst: &Inst) -> Encoded {
    let zero = Insn::default();
    let first = match *inst {
        Inst::Alu { wide, op, dst, src } => {
            let (bits, off) = alu_bits(op);
            with_operand(alu_class(wide) | bits, dst, src, off)
        }
        Inst::Neg { wide, dst } => Insn { op: alu_class(wide) | ALU_NEG, dst, ..zero },
        Inst::MovSx { wide, bits, dst, src } => {
            Insn { op: alu_class(wide) | ALU_MOV | SOURCE_REG, dst, src, off: i16::from(bits), imm: 0 }
        }
        Inst::Swap { kind, bits, dst } => {
            let op = match kind {
                Swap::ToLe => CLASS_ALU,
                Swap::ToBe => CLASS_ALU | SOURCE_REG,
                Swap::Bswap => CLASS_ALU64,
            };
            Insn { op: op | ALU_END, dst, imm: i32::from(bits), ..zero }
        }
        Inst::AddrSpaceCast { dst, src, to, from } => Insn {
            op: CLASS_ALU64 | ALU_MOV | SOURCE_REG,
            dst,
            src,
            off: OFF_ADDR_SPACE_CAST,
            imm: (u32::from(to) << 16 | u32::from(from)) as i32,
        },
        Inst::LoadImm64 { dst, value } => return ld_imm64(dst, 0, value as i32, (value >> 32) as i32),
        Inst::MapFd { dst, fd } => return ld_imm64(dst, 1, fd, 0),
        Inst::MapValueFd { dst, fd, off } => return ld_imm64(dst, 2, fd, off as i32),
        Inst::VarAddr { dst, btf_id, btf_fd } => return ld_imm64(dst, 3, btf_id as i32, btf_fd),
        Inst::FuncAddr { dst, rel } => return ld_imm64(dst, 4, rel, 0),
        Inst::MapIdx { dst, idx } => return ld_imm64(dst, 5, idx as i32, 0),
        Inst::MapValueIdx { dst, idx, off } => return ld_imm64(dst, 6, idx as i32, off as i32),
        Inst::Load { width, signed, dst, src, off } => {
            let mode = if signed { MODE_MEMSX } else { MODE_MEM };
            Insn { op: CLASS_LDX | mode | size_bits(width), dst, src, off, imm: 0 }
        }
        Inst::Store { width, dst, off, src } => {
            let op = MODE_MEM | size_bits(width);
            match src {
                Operand::Reg(src) => Insn { op: CLASS_STX | op, dst, src, off, imm: 0 },
                Operand::Imm(imm) => Insn { op: CLASS_ST | op, dst, src: Reg::R0, off, imm },
            }
        }
        Inst::Atomic { width, op, dst, src, off } => {
            let imm = ATOMIC.iter().find(|row| row.1 == op).map_or(0, |row| row.0);
            Insn { op: CLASS_STX | MODE_ATOMIC | size_bits(width), dst, src, off, imm }
        }
        Inst::LoadAcquire { width, dst, src, off } => {
            Insn { op: CLASS_STX | MODE_ATOMIC | size_bits(width), dst, src, off, imm: ATOMIC_LOAD_ACQUIRE }
        }
        Inst::StoreRelease { width, dst, src, off } => {
            Insn { op: CLASS_STX | MODE_ATOMIC | size_bits(width), dst, src, off, imm: ATOMIC_STORE_RELEASE }
        }
        Inst::LoadAbs { width, imm } => Insn { op: CLASS_LD | MODE_ABS | size_bits(width), imm, ..zero },
        Inst::LoadInd { width, src, imm } => Insn { op: CLASS_LD | MODE_IND | size_bits(width), src, imm, ..zero },
        Inst::Ja { off, long: false } => Insn { op: CLASS_JMP | JMP_JA, off: off as i16, ..zero },
        Inst::Ja { off, long: true } => Insn { op: CLASS_JMP32 | JMP_JA, imm: off, ..zero },
        Inst::MayGoto { off } => Insn { op: CLASS_JMP | JMP_JCOND, off, ..zero },
        Inst::GotoX { dst } => Insn { op: CLASS_JMP | JMP_JA | SOURCE_REG, dst, ..zero },
        Inst::Jmp { wide, op, dst, src, off } => {
            let class = match wide {
                Wide::W32 => CLASS_JMP32,
                Wide::W64 => CLASS_JMP,
            };
            let bits = CMP.iter().find(|row| row.1 == op).map_or(0, |row| row.0);
            with_operand(class | bits, dst, src, off)
        }
        Inst::CallHelper { id } => Insn { op: CLASS_JMP | JMP_CALL, imm: id, ..zero },
        Inst::CallLocal { rel } => Insn { op: CLASS_JMP | JMP_CALL, src: Reg(1), imm: rel, ..zero },
        Inst::CallKfunc { btf_id, off } => Insn { op: CLASS_JMP | JMP_CALL, src: Reg(2), off, imm: btf_id, ..zero },
        Inst::CallX { dst, in_imm: false } => Insn { op: CLASS_JMP | JMP_CALL | SOURCE_REG, dst, ..zero },
        Inst::CallX { dst, in_imm: true } => {
            Insn { op: CLASS_JMP | JMP_CALL | SOURCE_REG, imm: i32::from(dst.0), ..zero }
        }
        Inst::Exit => Insn { op: CLASS_JMP | JMP_EXIT, ..zero },
    };
    Encoded { slots: [first, zero], len: 1 }
}

fn alu_class(wide: Wide) -> u8 {
    match wide {
        Wide::W32 => CLASS_ALU,
        Wide::W64 => CLASS_ALU64,
    }
}

fn alu_bits(op: AluOp) -> (u8, i16) {
    ALU.iter().find(|row| row.2 == op).map_or((0, 0), |row| (row.0, row.1))
}

fn with_operand(op: u8, dst: Reg, src: Operand, off: i16) -> Insn {
    match src {
        Operand::Reg(src) => Insn { op: op | SOURCE_REG, dst, src, off, imm: 0 },
        Operand::Imm(imm) => Insn { op, dst, src: Reg::R0, off, imm },
    }
}

fn ld_imm64(dst: Reg, kind: u8, low: i32, high: i32) -> Encoded {
    let first = Insn { op: LD_IMM64, dst, src: Reg(kind), off: 0, imm: low };
    Encoded { slots: [first, Insn { imm: high, ..Insn::default() }], len: 2 }
}

//! From slots to instructions. Strict: what RFC 9669 reserves must be zero, and what it does not define is an
//! error that names the field. Knows nothing of programs: whether a jump lands somewhere is not asked here.

use crate::opcode::*;
use crate::{Insn, Inst, Operand, Reg, Swap, Wide, Width};
use std::fmt;

/// The field of a slot that an encoding error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The operation code.
    Op,
    /// The destination register.
    Dst,
    /// The source register, or the kind of call, jump or constant.
    Src,
    /// The offset.
    Off,
    /// The immediate.
    Imm,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Op => "op",
            Field::Dst => "dst",
            Field::Src => "src",
            Field::Off => "off",
            Field::Imm => "imm",
        })
    }
}

/// Why a slot is no instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecodeErrorKind {
    /// A field holds a value that is not defined there.
    Undefined {
        /// Which field.
        field: Field,
        /// What it holds.
        found: i64,
        /// What is defined there, in words.
        defined: &'static str,
    },
    /// The program ends before this slot.
    NoSlot,
    /// The program ends after the first slot of an `ld_imm64`.
    NoSecondSlot,
}

/// An encoding that is not defined: which slot, which field, what was found, what is defined there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecodeError {
    /// The slot that is wrong; for the second half of an `ld_imm64` the second.
    pub slot: usize,
    /// Its operation code; zero if there is no such slot.
    pub op: u8,
    /// What is wrong with it.
    pub kind: DecodeErrorKind,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DecodeError { slot, op, kind } = self;
        match kind {
            DecodeErrorKind::Undefined { field: Field::Op, found, defined } => {
                write!(f, "slot {slot}: operation code {found:#04x} is not defined; expected {defined}")
            }
            DecodeErrorKind::Undefined { field, found, defined } => {
                write!(f, "slot {slot} (op {op:#04x}): {field} is {found}; expected {defined}")
            }
            DecodeErrorKind::NoSlot => write!(f, "slot {slot}: the program ends before it"),
            DecodeErrorKind::NoSecondSlot => {
                write!(f, "slot {slot} (op {op:#04x}): ld_imm64 takes two slots, the program ends after the first")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// Reads the instruction at slot `at`: registers `r0`–`r10`, as in every object.
///
/// # Errors
/// A slot that RFC 9669, Linux and clang leave undefined.
pub fn decode(insns: &[Insn], at: usize) -> Result<Inst, DecodeError> {
    decode_up_to(insns, at, Reg::FP)
}

/// Reads the instruction at slot `at` of lowered code, where [`Reg::AX`] and [`Reg::ENV`] may stand.
///
/// # Errors
/// As [`decode`].
pub fn decode_lowered(insns: &[Insn], at: usize) -> Result<Inst, DecodeError> {
    decode_up_to(insns, at, Reg::ENV)
}

fn decode_up_to(insns: &[Insn], at: usize, last: Reg) -> Result<Inst, DecodeError> {
    let Some(&insn) = insns.get(at) else {
        return Err(DecodeError { slot: at, op: 0, kind: DecodeErrorKind::NoSlot });
    };
    let slot = Slot { at, insn, last };
    match insn.op & 7 {
        CLASS_LD if insn.op == LD_IMM64 => {
            let Some(&second) = insns.get(at + 1) else {
                return Err(DecodeError { slot: at, op: insn.op, kind: DecodeErrorKind::NoSecondSlot });
            };
            slot.ld_imm64(Slot { at: at + 1, insn: second, last })
        }
        CLASS_LD => slot.legacy_packet(),
        CLASS_LDX => slot.load(),
        CLASS_ST => slot.store_imm(),
        CLASS_STX => slot.store_reg(),
        CLASS_ALU => slot.alu(Wide::W32),
        CLASS_ALU64 => slot.alu(Wide::W64),
        CLASS_JMP => slot.jump(Wide::W64),
        _ => slot.jump(Wide::W32),
    }
}

/// A slot that is being read, and the last register that may stand in it.
#[derive(Clone, Copy)]
struct Slot {
    at: usize,
    insn: Insn,
    last: Reg,
}

type Decoded = Result<Inst, DecodeError>;

impl Slot {
    fn ld_imm64(self, second: Slot) -> Decoded {
        let dst = self.dst()?;
        self.reserved(&[Field::Off])?;
        if second.insn.op != 0 {
            return Err(second.undefined(Field::Op, "0 in the second slot of ld_imm64"));
        }
        second.reserved(&[Field::Dst, Field::Src, Field::Off])?;
        let (low, high) = (self.insn.imm, second.insn.imm);
        let inst = match self.insn.src.0 {
            0 => return Ok(Inst::LoadImm64 { dst, value: u64::from(low as u32) | u64::from(high as u32) << 32 }),
            2 => return Ok(Inst::MapValueFd { dst, fd: low, off: high as u32 }),
            3 => return Ok(Inst::VarAddr { dst, btf_id: low as u32, btf_fd: high }),
            6 => return Ok(Inst::MapValueIdx { dst, idx: low as u32, off: high as u32 }),
            1 => Inst::MapFd { dst, fd: low },
            4 => Inst::FuncAddr { dst, rel: low },
            5 => Inst::MapIdx { dst, idx: low as u32 },
            _ => return Err(self.undefined(Field::Src, "0 to 6: the kind of constant")),
        };
        second.reserved(&[Field::Imm])?;
        Ok(inst)
    }

    fn legacy_packet(self) -> Decoded {
        let Insn { op, imm, .. } = self.insn;
        let width = width(op);
        if width == Width::B8 {
            return Err(self.undefined(Field::Op, "0x18 (ld_imm64), or a packet load of 1, 2 or 4 bytes"));
        }
        self.reserved(&[Field::Dst, Field::Off])?;
        match op & 0xe0 {
            MODE_ABS => {
                self.reserved(&[Field::Src])?;
                Ok(Inst::LoadAbs { width, imm })
            }
            MODE_IND => Ok(Inst::LoadInd { width, src: self.src()?, imm }),
            _ => Err(self.undefined(Field::Op, "0x18 (ld_imm64), mode ABS or mode IND in class LD")),
        }
    }

    fn load(self) -> Decoded {
        let width = width(self.insn.op);
        let signed = match self.insn.op & 0xe0 {
            MODE_MEM => false,
            MODE_MEMSX if width != Width::B8 => true,
            MODE_MEMSX => return Err(self.undefined(Field::Op, "a sign-extending load of 1, 2 or 4 bytes")),
            _ => return Err(self.undefined(Field::Op, "mode MEM or MEMSX in class LDX")),
        };
        self.reserved(&[Field::Imm])?;
        Ok(Inst::Load { width, signed, dst: self.dst()?, src: self.src()?, off: self.insn.off })
    }

    fn store_imm(self) -> Decoded {
        let Insn { op, off, imm, .. } = self.insn;
        if op & 0xe0 != MODE_MEM {
            return Err(self.undefined(Field::Op, "mode MEM in class ST"));
        }
        self.reserved(&[Field::Src])?;
        Ok(Inst::Store { width: width(op), dst: self.dst()?, off, src: Operand::Imm(imm) })
    }

    fn store_reg(self) -> Decoded {
        let Insn { op, off, imm, .. } = self.insn;
        let width = width(op);
        match op & 0xe0 {
            MODE_MEM => {
                self.reserved(&[Field::Imm])?;
                Ok(Inst::Store { width, dst: self.dst()?, off, src: Operand::Reg(self.src()?) })
            }
            MODE_ATOMIC => {
                let (dst, src) = (self.dst()?, self.src()?);
                match imm {
                    ATOMIC_LOAD_ACQUIRE => return Ok(Inst::LoadAcquire { width, dst, src, off }),
                    ATOMIC_STORE_RELEASE => return Ok(Inst::StoreRelease { width, dst, src, off }),
                    _ => {}
                }
                if !matches!(width, Width::B4 | Width::B8) {
                    return Err(
                        self.undefined(Field::Imm, "0x100 (load-acquire) or 0x110 (store-release) at this size")
                    );
                }
                match ATOMIC.iter().find(|row| row.0 == imm) {
                    Some(&(_, op)) => Ok(Inst::Atomic { width, op, dst, src, off }),
                    None => Err(self.undefined(
                        Field::Imm,
                        "add 0x00, or 0x40, and 0x50, xor 0xa0 (with fetch + 1), xchg 0xe1, cmpxchg 0xf1, \
                         load-acquire 0x100 or store-release 0x110",
                    )),
                }
            }
            _ => Err(self.undefined(Field::Op, "mode MEM or ATOMIC in class STX")),
        }
    }

    fn alu(self, wide: Wide) -> Decoded {
        let Insn { op, off, imm, .. } = self.insn;
        let from_reg = op & SOURCE_REG != 0;
        let dst = self.dst()?;
        match op & 0xf0 {
            ALU_NEG if !from_reg => {
                self.reserved(&[Field::Src, Field::Off, Field::Imm])?;
                Ok(Inst::Neg { wide, dst })
            }
            ALU_END => {
                let kind = match (wide, from_reg) {
                    (Wide::W32, false) => Swap::ToLe,
                    (Wide::W32, true) => Swap::ToBe,
                    (Wide::W64, false) => Swap::Bswap,
                    (Wide::W64, true) => return Err(self.undefined(Field::Op, "0xd7 (byte swap) in class ALU64")),
                };
                self.reserved(&[Field::Src, Field::Off])?;
                match imm {
                    16 | 32 | 64 => Ok(Inst::Swap { kind, bits: imm as u8, dst }),
                    _ => Err(self.undefined(Field::Imm, "16, 32 or 64 bits to swap")),
                }
            }
            ALU_MOV if from_reg && off != 0 => self.mov_with_off(wide, dst),
            bits => {
                let mut rows = ALU.iter().filter(|row| row.0 == bits).peekable();
                if rows.peek().is_none() {
                    return Err(self.undefined(Field::Op, "an arithmetic operation"));
                }
                let Some(&(_, _, op)) = rows.find(|row| row.1 == off) else {
                    let signed = bits == 0x30 || bits == 0x90;
                    return Err(self.undefined(Field::Off, if signed { "0, or 1 for signed" } else { "0 (reserved)" }));
                };
                Ok(Inst::Alu { wide, op, dst, src: self.operand()? })
            }
        }
    }

    /// `BPF_MOV | BPF_X` that does more than move.
    fn mov_with_off(self, wide: Wide, dst: Reg) -> Decoded {
        let Insn { off, imm, .. } = self.insn;
        let src = self.src()?;
        match (wide, off) {
            (Wide::W64, OFF_ADDR_SPACE_CAST) => {
                Ok(Inst::AddrSpaceCast { dst, src, to: (imm as u32 >> 16) as u16, from: imm as u16 })
            }
            (_, 8 | 16) | (Wide::W64, 32) => {
                self.reserved(&[Field::Imm])?;
                Ok(Inst::MovSx { wide, bits: off as u8, dst, src })
            }
            (Wide::W32, _) => Err(self.undefined(Field::Off, "0, or 8 or 16 bits to extend the sign from")),
            (Wide::W64, _) => {
                Err(self
                    .undefined(Field::Off, "0, or 8, 16 or 32 bits to extend the sign from, or 1 for addr_space_cast"))
            }
        }
    }

    fn jump(self, wide: Wide) -> Decoded {
        let Insn { op, off, imm, .. } = self.insn;
        let from_reg = op & SOURCE_REG != 0;
        match (op & 0xf0, wide, from_reg) {
            (JMP_JA, Wide::W64, false) => {
                self.reserved(&[Field::Dst, Field::Src, Field::Imm])?;
                Ok(Inst::Ja { off: i32::from(off), long: false })
            }
            (JMP_JA, Wide::W32, false) => {
                self.reserved(&[Field::Dst, Field::Src, Field::Off])?;
                Ok(Inst::Ja { off: imm, long: true })
            }
            (JMP_JA, Wide::W64, true) => {
                self.reserved(&[Field::Src, Field::Off, Field::Imm])?;
                Ok(Inst::GotoX { dst: self.dst()? })
            }
            (JMP_CALL, Wide::W64, false) => self.call(),
            (JMP_CALL, Wide::W64, true) => self.call_register(),
            (JMP_EXIT, Wide::W64, false) => {
                self.reserved(&[Field::Dst, Field::Src, Field::Off, Field::Imm])?;
                Ok(Inst::Exit)
            }
            (JMP_JCOND, Wide::W64, false) => {
                self.reserved(&[Field::Dst, Field::Imm])?;
                match self.insn.src.0 {
                    0 => Ok(Inst::MayGoto { off }),
                    _ => Err(self.undefined(Field::Src, "0 (may_goto)")),
                }
            }
            (bits, ..) => match CMP.iter().find(|row| row.0 == bits) {
                Some(&(_, op)) => Ok(Inst::Jmp { wide, op, dst: self.dst()?, src: self.operand()?, off }),
                None => Err(self.undefined(
                    Field::Op,
                    match wide {
                        Wide::W64 => "a comparison, ja, call, exit or may_goto in class JMP",
                        Wide::W32 => "a comparison or ja in class JMP32",
                    },
                )),
            },
        }
    }

    fn call(self) -> Decoded {
        let Insn { src, off, imm, .. } = self.insn;
        self.reserved(&[Field::Dst])?;
        let inst = match src.0 {
            0 => Inst::CallHelper { id: imm },
            1 => Inst::CallLocal { rel: imm },
            2 => return Ok(Inst::CallKfunc { btf_id: imm, off }),
            _ => return Err(self.undefined(Field::Src, "0 (helper), 1 (subprogram) or 2 (kernel function)")),
        };
        self.reserved(&[Field::Off])?;
        Ok(inst)
    }

    /// `callx`: the register is in `dst`; clang before 19 wrote its number into `imm`.
    fn call_register(self) -> Decoded {
        let Insn { dst, imm, .. } = self.insn;
        self.reserved(&[Field::Src, Field::Off])?;
        if imm == 0 {
            return Ok(Inst::CallX { dst: self.dst()?, in_imm: false });
        }
        if dst != Reg::R0 {
            return Err(self.undefined(Field::Imm, "0 (reserved), because dst names the register to call"));
        }
        match u8::try_from(imm) {
            Ok(number) if number <= self.last.0 => Ok(Inst::CallX { dst: Reg(number), in_imm: true }),
            _ => Err(self.undefined(Field::Imm, "the number of the register to call")),
        }
    }

    fn dst(self) -> Result<Reg, DecodeError> {
        self.register(self.insn.dst, Field::Dst)
    }

    fn src(self) -> Result<Reg, DecodeError> {
        self.register(self.insn.src, Field::Src)
    }

    fn register(self, reg: Reg, field: Field) -> Result<Reg, DecodeError> {
        if reg <= self.last {
            return Ok(reg);
        }
        Err(self.undefined(field, if self.last == Reg::FP { "a register, 0 to 10" } else { "a register, 0 to 12" }))
    }

    /// The second operand; the field that it does not use is reserved.
    fn operand(self) -> Result<Operand, DecodeError> {
        if self.insn.op & SOURCE_REG != 0 {
            self.reserved(&[Field::Imm])?;
            Ok(Operand::Reg(self.src()?))
        } else {
            self.reserved(&[Field::Src])?;
            Ok(Operand::Imm(self.insn.imm))
        }
    }

    fn reserved(self, fields: &[Field]) -> Result<(), DecodeError> {
        match fields.iter().find(|&&field| self.value(field) != 0) {
            Some(&field) => Err(self.undefined(field, "0 (reserved)")),
            None => Ok(()),
        }
    }

    fn undefined(self, field: Field, defined: &'static str) -> DecodeError {
        let kind = DecodeErrorKind::Undefined { field, found: self.value(field), defined };
        DecodeError { slot: self.at, op: self.insn.op, kind }
    }

    fn value(self, field: Field) -> i64 {
        let Insn { op, dst, src, off, imm } = self.insn;
        match field {
            Field::Op => i64::from(op),
            Field::Dst => i64::from(dst.0),
            Field::Src => i64::from(src.0),
            Field::Off => i64::from(off),
            Field::Imm => i64::from(imm),
        }
    }
}

//! The tables that both directions read: the numbers of RFC 9669's encoding (decode, encode) and the signs of its
//! notation (disassembler, assembler). No rules.

use crate::{AluOp, AtomicOp, CmpOp, Width};

pub(crate) const CLASS_LD: u8 = 0;
pub(crate) const CLASS_LDX: u8 = 1;
pub(crate) const CLASS_ST: u8 = 2;
pub(crate) const CLASS_STX: u8 = 3;
pub(crate) const CLASS_ALU: u8 = 4;
pub(crate) const CLASS_JMP: u8 = 5;
pub(crate) const CLASS_JMP32: u8 = 6;
pub(crate) const CLASS_ALU64: u8 = 7;

/// `BPF_X`: the source operand is a register.
pub(crate) const SOURCE_REG: u8 = 8;

pub(crate) const MODE_ABS: u8 = 0x20;
pub(crate) const MODE_IND: u8 = 0x40;
pub(crate) const MODE_MEM: u8 = 0x60;
pub(crate) const MODE_MEMSX: u8 = 0x80;
pub(crate) const MODE_ATOMIC: u8 = 0xc0;

pub(crate) const ALU_NEG: u8 = 0x80;
pub(crate) const ALU_MOV: u8 = 0xb0;
pub(crate) const ALU_END: u8 = 0xd0;

pub(crate) const JMP_JA: u8 = 0x00;
pub(crate) const JMP_CALL: u8 = 0x80;
pub(crate) const JMP_EXIT: u8 = 0x90;
/// Linux: conditional pseudo jumps; `src` = 0 is `may_goto`.
pub(crate) const JMP_JCOND: u8 = 0xe0;

pub(crate) const ATOMIC_LOAD_ACQUIRE: i32 = 0x100;
pub(crate) const ATOMIC_STORE_RELEASE: i32 = 0x110;

/// `BPF_LD | BPF_IMM | BPF_DW`.
pub(crate) const LD_IMM64: u8 = 0x18;

/// `off` of a `BPF_MOV` that is Linux's `addr_space_cast`.
pub(crate) const OFF_ADDR_SPACE_CAST: i16 = 1;

/// Operation bits, value of `off`, operation. `Neg` and `End` stand apart: they have no second operand.
pub(crate) const ALU: [(u8, i16, AluOp); 14] = [
    (0x00, 0, AluOp::Add),
    (0x10, 0, AluOp::Sub),
    (0x20, 0, AluOp::Mul),
    (0x30, 0, AluOp::Div),
    (0x30, 1, AluOp::SDiv),
    (0x40, 0, AluOp::Or),
    (0x50, 0, AluOp::And),
    (0x60, 0, AluOp::Lsh),
    (0x70, 0, AluOp::Rsh),
    (0x90, 0, AluOp::Mod),
    (0x90, 1, AluOp::SMod),
    (0xa0, 0, AluOp::Xor),
    (ALU_MOV, 0, AluOp::Mov),
    (0xc0, 0, AluOp::Arsh),
];

/// Operation bits and comparison.
pub(crate) const CMP: [(u8, CmpOp); 11] = [
    (0x10, CmpOp::Eq),
    (0x20, CmpOp::Gt),
    (0x30, CmpOp::Ge),
    (0x40, CmpOp::Set),
    (0x50, CmpOp::Ne),
    (0x60, CmpOp::SGt),
    (0x70, CmpOp::SGe),
    (0xa0, CmpOp::Lt),
    (0xb0, CmpOp::Le),
    (0xc0, CmpOp::SLt),
    (0xd0, CmpOp::SLe),
];

/// `imm` of a 4 or 8 byte atomic, and operation.
pub(crate) const ATOMIC: [(i32, AtomicOp); 10] = [
    (0x00, AtomicOp::Add { fetch: false }),
    (0x01, AtomicOp::Add { fetch: true }),
    (0x40, AtomicOp::Or { fetch: false }),
    (0x41, AtomicOp::Or { fetch: true }),
    (0x50, AtomicOp::And { fetch: false }),
    (0x51, AtomicOp::And { fetch: true }),
    (0xa0, AtomicOp::Xor { fetch: false }),
    (0xa1, AtomicOp::Xor { fetch: true }),
    (0xe1, AtomicOp::Xchg),
    (0xf1, AtomicOp::Cmpxchg),
];

/// The size bits of a load or store.
pub(crate) const fn width(op: u8) -> Width {
    match op & 0x18 {
        0x00 => Width::B4,
        0x08 => Width::B2,
        0x10 => Width::B1,
        _ => Width::B8,
    }
}

/// The inverse of [`width`].
pub(crate) const fn size_bits(width: Width) -> u8 {
    match width {
        Width::B4 => 0x00,
        Width::B2 => 0x08,
        Width::B1 => 0x10,
        Width::B8 => 0x18,
    }
}

/// Assignment sign and operation, as the notation of the kernel and llvm has them.
pub(crate) const ALU_SIGNS: [(&str, AluOp); 14] = [
    ("+=", AluOp::Add),
    ("-=", AluOp::Sub),
    ("*=", AluOp::Mul),
    ("/=", AluOp::Div),
    ("s/=", AluOp::SDiv),
    ("|=", AluOp::Or),
    ("&=", AluOp::And),
    ("<<=", AluOp::Lsh),
    (">>=", AluOp::Rsh),
    ("%=", AluOp::Mod),
    ("s%=", AluOp::SMod),
    ("^=", AluOp::Xor),
    ("=", AluOp::Mov),
    ("s>>=", AluOp::Arsh),
];

/// Comparison sign and comparison.
pub(crate) const CMP_SIGNS: [(&str, CmpOp); 11] = [
    ("==", CmpOp::Eq),
    ("!=", CmpOp::Ne),
    ("&", CmpOp::Set),
    (">", CmpOp::Gt),
    (">=", CmpOp::Ge),
    ("<", CmpOp::Lt),
    ("<=", CmpOp::Le),
    ("s>", CmpOp::SGt),
    ("s>=", CmpOp::SGe),
    ("s<", CmpOp::SLt),
    ("s<=", CmpOp::SLe),
];

/// The sign of a comparison.
pub(crate) fn cmp_sign(op: CmpOp) -> &'static str {
    CMP_SIGNS.iter().find(|row| row.1 == op).map_or("==", |row| row.0)
}

/// The sign of an arithmetic operation.
pub(crate) fn alu_sign(op: AluOp) -> &'static str {
    ALU_SIGNS.iter().find(|row| row.1 == op).map_or("=", |row| row.0)
}

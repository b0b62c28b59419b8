//! What an instruction means: one enum that every reader (engine, verifier, disassembler) matches on.

use crate::{Reg, Width};

/// A register or a constant as second operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// `BPF_X`.
    Reg(Reg),
    /// `BPF_K`. Sign-extended in 64-bit operations.
    Imm(i32),
}

/// Whether an operation works on 64 bits, or on 32 with the upper half of `dst` zeroed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wide {
    /// `BPF_ALU`, `BPF_JMP32`.
    W32,
    /// `BPF_ALU64`, `BPF_JMP`.
    W64,
}

/// Arithmetic of two operands (RFC 9669, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the RFC's")]
pub enum AluOp {
    Add,
    Sub,
    Mul,
    /// Unsigned; by zero gives zero.
    Div,
    /// Signed (`off` = 1).
    SDiv,
    Or,
    And,
    /// The shift amount is masked to the width.
    Lsh,
    Rsh,
    /// Unsigned; by zero gives `dst`.
    Mod,
    /// Signed (`off` = 1).
    SMod,
    Xor,
    Mov,
    /// Arithmetic shift right.
    Arsh,
}

/// Byte swaps (`BPF_END`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Swap {
    /// Host to little endian and truncate.
    ToLe,
    /// Host to big endian and truncate.
    ToBe,
    /// Unconditionally (`BPF_ALU64 | BPF_END`).
    Bswap,
}

/// Comparisons of conditional jumps (RFC 9669, section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the RFC's")]
pub enum CmpOp {
    Eq,
    Ne,
    /// `dst & src` is not zero.
    Set,
    Gt,
    Ge,
    Lt,
    Le,
    SGt,
    SGe,
    SLt,
    SLe,
}

/// Atomic operations (RFC 9669, section 5.3), 4 or 8 bytes wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the RFC's")]
pub enum AtomicOp {
    Add {
        fetch: bool,
    },
    Or {
        fetch: bool,
    },
    And {
        fetch: bool,
    },
    Xor {
        fetch: bool,
    },
    /// `src` and memory change places.
    Xchg,
    /// Compared with `r0`; `src` is stored if equal; `r0` gets the old value.
    Cmpxchg,
}

/// One instruction, decoded. Jump offsets count slots from the next instruction.
///
/// `src` of `ld_imm64` says what its constant names; the variants `Map…`, `Var…` and `Func…` hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant's line says what its fields are; their names are RFC 9669's")]
pub enum Inst {
    /// `dst = dst op src`; `Mov` is `dst = src`.
    Alu { wide: Wide, op: AluOp, dst: Reg, src: Operand },
    /// `dst = -dst`.
    Neg { wide: Wide, dst: Reg },
    /// `dst = (s8|s16|s32)src`: sign extension from `bits`, to `wide`.
    MovSx { wide: Wide, bits: u8, dst: Reg, src: Reg },
    /// Byte swap of the low `bits` (16, 32 or 64).
    Swap { kind: Swap, bits: u8, dst: Reg },
    /// Linux: `dst = addr_space_cast(src, to, from)`.
    AddrSpaceCast { dst: Reg, src: Reg, to: u16, from: u16 },
    /// `ld_imm64` with a plain constant (`src` = 0).
    LoadImm64 { dst: Reg, value: u64 },
    /// `src` = 1: a map by file descriptor.
    MapFd { dst: Reg, fd: i32 },
    /// `src` = 2: address in the value of a map by file descriptor.
    MapValueFd { dst: Reg, fd: i32, off: u32 },
    /// `src` = 3: address of a kernel variable by BTF id, and the module's BTF.
    VarAddr { dst: Reg, btf_id: u32, btf_fd: i32 },
    /// `src` = 4: address of a subprogram, in slots from the next instruction of the first slot.
    FuncAddr { dst: Reg, rel: i32 },
    /// `src` = 5: a map by index (in Alveary: into `Program::maps`).
    MapIdx { dst: Reg, idx: u32 },
    /// `src` = 6: address in the value of a map by index.
    MapValueIdx { dst: Reg, idx: u32, off: u32 },
    /// `dst = *(width *)(src + off)`, sign-extended if `signed`.
    Load { width: Width, signed: bool, dst: Reg, src: Reg, off: i16 },
    /// `*(width *)(dst + off) = src`.
    Store { width: Width, dst: Reg, off: i16, src: Operand },
    /// Atomic read-modify-write of `*(width *)(dst + off)`.
    Atomic { width: Width, op: AtomicOp, dst: Reg, src: Reg, off: i16 },
    /// Linux: `dst = load_acquire((width *)(src + off))`.
    LoadAcquire { width: Width, dst: Reg, src: Reg, off: i16 },
    /// Linux: `store_release((width *)(dst + off), src)`.
    StoreRelease { width: Width, dst: Reg, src: Reg, off: i16 },
    /// Legacy packet access: `r0 = ntoh(*(width *)skb[imm])`; the context is in `r6`.
    LoadAbs { width: Width, imm: i32 },
    /// Legacy packet access: `r0 = ntoh(*(width *)skb[src + imm])`.
    LoadInd { width: Width, src: Reg, imm: i32 },
    /// Unconditional jump; 16-bit (`BPF_JMP`) or 32-bit (`BPF_JMP32`, `long`) offset.
    Ja { off: i32, long: bool },
    /// Linux: jump that is taken when the loop budget is used up.
    MayGoto { off: i16 },
    /// Linux: jump to the address in a register (`BPF_JMP | BPF_JA | BPF_X`).
    GotoX { dst: Reg },
    /// Conditional jump.
    Jmp { wide: Wide, op: CmpOp, dst: Reg, src: Operand, off: i16 },
    /// Call of a helper by number (`src` = 0).
    CallHelper { id: i32 },
    /// Call of a subprogram, in slots from the next instruction (`src` = 1).
    CallLocal { rel: i32 },
    /// Call of a kernel function by BTF id (`src` = 2); `off` is the index of the module's BTF in `fd_array`.
    CallKfunc { btf_id: i32, off: i16 },
    /// clang's `callx`: call of the function whose address is in a register. The register stands in `dst`;
    /// clang before 19 wrote its number into `imm`, which `in_imm` keeps (in `r0` both are the same encoding).
    CallX { dst: Reg, in_imm: bool },
    /// Return from the program or subprogram.
    Exit,
}

impl Inst {
    /// How many slots the instruction takes: two for every `ld_imm64`.
    #[must_use]
    pub const fn slots(&self) -> usize {
        match self {
            Inst::LoadImm64 { .. }
            | Inst::MapFd { .. }
            | Inst::MapValueFd { .. }
            | Inst::VarAddr { .. }
            | Inst::FuncAddr { .. }
            | Inst::MapIdx { .. }
            | Inst::MapValueIdx { .. } => 2,
            _ => 1,
        }
    }
}

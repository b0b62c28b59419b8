//! One encoded instruction slot: 8 bytes, nothing interpreted.

use std::fmt;

/// The byte order of an encoded instruction. It orders `off` and `imm`, and which half of the
/// register byte is `dst` (RFC 9669, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endian {
    /// Least significant byte first (`bpfel`).
    Little,
    /// Most significant byte first (`bpfeb`).
    Big,
}

impl Endian {
    /// The byte order of the machine that this runs on.
    pub const HOST: Endian = if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little };
}

/// A register number. `r0`–`r10` are the program's; two more exist in lowered code only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reg(pub u8);

impl Reg {
    /// Return value of calls and of the program.
    pub const R0: Reg = Reg(0);
    /// First argument; the context on entry.
    pub const R1: Reg = Reg(1);
    /// Second argument.
    pub const R2: Reg = Reg(2);
    /// Third argument.
    pub const R3: Reg = Reg(3);
    /// Fourth argument.
    pub const R4: Reg = Reg(4);
    /// Fifth argument.
    pub const R5: Reg = Reg(5);
    /// Saved by the callee.
    pub const R6: Reg = Reg(6);
    /// Saved by the callee.
    pub const R7: Reg = Reg(7);
    /// Saved by the callee.
    pub const R8: Reg = Reg(8);
    /// Saved by the callee.
    pub const R9: Reg = Reg(9);
    /// The frame pointer: the end of the stack frame, read-only.
    pub const FP: Reg = Reg(10);
    /// Scratch of the lowering (Linux's `BPF_REG_AX`). Never in an object.
    pub const AX: Reg = Reg(11);
    /// Address of the running engine's environment. Read-only, never in an object.
    pub const ENV: Reg = Reg(12);

    /// Whether this register exists in lowered code only.
    #[must_use]
    pub const fn is_hidden(self) -> bool {
        self.0 > 10
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Width of a memory access, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Width {
    /// One byte (`BPF_B`).
    B1 = 1,
    /// Two bytes (`BPF_H`).
    B2 = 2,
    /// Four bytes (`BPF_W`).
    B4 = 4,
    /// Eight bytes (`BPF_DW`).
    B8 = 8,
}

impl Width {
    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self as usize
    }
}

/// One encoded instruction slot. `ld_imm64` takes two.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Insn {
    /// Operation code.
    pub op: u8,
    /// Destination register.
    pub dst: Reg,
    /// Source register, or what kind of call or constant this is.
    pub src: Reg,
    /// Signed offset.
    pub off: i16,
    /// Signed immediate.
    pub imm: i32,
}

impl Default for Reg {
    fn default() -> Self {
        Reg::R0
    }
}

impl Insn {
    /// Bytes in one slot.
    pub const SIZE: usize = 8;

    /// Reads a slot. Every 8 bytes are a slot; what it means is [`crate::decode`]'s to say.
    #[must_use]
    pub const fn from_bytes(b: [u8; 8], endian: Endian) -> Insn {
        let (dst, src, off, imm) = match endian {
            Endian::Little => {
                (b[1] & 15, b[1] >> 4, i16::from_le_bytes([b[2], b[3]]), i32::from_le_bytes([b[4], b[5], b[6], b[7]]))
            }
            Endian::Big => {
                (b[1] >> 4, b[1] & 15, i16::from_be_bytes([b[2], b[3]]), i32::from_be_bytes([b[4], b[5], b[6], b[7]]))
            }
        };
        Insn { op: b[0], dst: Reg(dst), src: Reg(src), off, imm }
    }

    /// Writes the slot; the inverse of [`Insn::from_bytes`].
    #[must_use]
    pub const fn to_bytes(self, endian: Endian) -> [u8; 8] {
        let (regs, off, imm) = match endian {
            Endian::Little => (self.dst.0 & 15 | self.src.0 << 4, self.off.to_le_bytes(), self.imm.to_le_bytes()),
            Endian::Big => (self.dst.0 << 4 | self.src.0 & 15, self.off.to_be_bytes(), self.imm.to_be_bytes()),
        };
        [self.op, regs, off[0], off[1], imm[0], imm[1], imm[2], imm[3]]
    }
}

impl fmt::Debug for Insn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(op {:#04x} dst {} src {} off {} imm {})", self.op, self.dst.0, self.src.0, self.off, self.imm)
    }
}

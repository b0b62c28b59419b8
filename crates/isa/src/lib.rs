//! The instruction set: instructions as they are encoded ([`Insn`]) and as they are meant ([`Inst`]).
//!
//! Stands on nothing. Knows no program type, no helper, no map: a call to helper 1 is a call to helper 1.
//! Source of every rule here: RFC 9669, and `include/uapi/linux/bpf.h` for what Linux adds.

#![forbid(unsafe_code)]

pub mod asm;
pub mod cbpf;
pub mod cfg;
mod decode;
pub mod disasm;
mod encode;
mod group;
mod insn;
mod inst;
mod opcode;

pub use decode::{DecodeError, DecodeErrorKind, Field, decode, decode_lowered};
pub use encode::{Encoded, encode};
pub use group::ConformanceGroup;
pub use insn::{Endian, Insn, Reg, Width};
pub use inst::{AluOp, AtomicOp, CmpOp, Inst, Operand, Swap, Wide};

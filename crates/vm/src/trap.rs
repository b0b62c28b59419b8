//! How a run ends.

use alveary_isa::Width;
use std::fmt;

/// How a run that was not trapped ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The program returned.
    Return(u64),
    /// A tail call: the owner looks up [`crate::Env::next`] and enters it.
    Tail,
}

/// Why and where a run was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// Slot of the object's program ([`crate::Code::origin`]).
    pub insn: u32,
    /// Why.
    pub kind: TrapKind,
}

/// Why a run was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrapKind {
    /// A load from memory that the program was not given.
    Load {
        /// The address.
        addr: u64,
        /// Bytes.
        width: Width,
    },
    /// A store to memory that the program was not given, or may only read.
    Store {
        /// The address.
        addr: u64,
        /// Bytes.
        width: Width,
    },
    /// An atomic operation on an address that is not a multiple of its width.
    Misaligned {
        /// The address.
        addr: u64,
        /// Bytes.
        width: Width,
    },
    /// A helper was called with an argument that its row does not allow.
    BadArg {
        /// The helper ([`crate::Call::tag`]).
        tag: u32,
        /// The argument, from 0.
        arg: u8,
        /// What it was.
        value: u64,
    },
    /// A call, by register, of something that is not a function of this program or a helper that it may call.
    BadCall {
        /// What was called.
        target: u64,
    },
    /// An instruction that has no meaning here.
    BadInsn,
    /// More than eight frames.
    Depth,
    /// The instruction budget is used up.
    Budget,
    /// A tail call from a callback or a subprogram that may not make one.
    TailCall,
    /// A helper gave up, for a reason of its own (its number).
    Helper(u32),
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {}: {}", self.insn, self.kind)
    }
}

impl std::error::Error for Trap {}

impl fmt::Display for TrapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrapKind::Load { addr, width } => write!(f, "load of {} bytes at {addr:#x}, outside", width.bytes()),
            TrapKind::Store { addr, width } => write!(f, "store of {} bytes at {addr:#x}, outside", width.bytes()),
            TrapKind::Misaligned { addr, width } => {
                write!(f, "atomic operation on {} bytes at {addr:#x}, which is not aligned", width.bytes())
            }
            TrapKind::BadArg { tag, arg, value } => {
                write!(f, "helper {tag} may not be called with {value:#x} as argument {}", arg + 1)
            }
            TrapKind::BadCall { target } => write!(f, "call of {target:#x}, which is no function"),
            TrapKind::BadInsn => f.write_str("an instruction that has no meaning here"),
            TrapKind::Depth => f.write_str("more than eight frames of calls"),
            TrapKind::Budget => f.write_str("the instruction budget is used up"),
            TrapKind::TailCall => f.write_str("a tail call where none may be made"),
            TrapKind::Helper(number) => write!(f, "a helper stopped the program: {number}"),
        }
    }
}

//! How a run ends.

use alveary_isa::Width;

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

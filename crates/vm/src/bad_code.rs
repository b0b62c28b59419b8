//! Why code is refused.

use alveary_isa::DecodeError;
use std::fmt;

/// Code that no engine can run: which slot, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadCode {
    /// Slot of the object's program ([`crate::Code::origin`]).
    pub insn: u32,
    /// What is wrong with it.
    pub why: BadCodeKind,
}

/// What is wrong with a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadCodeKind {
    /// There is no instruction at all.
    Empty,
    /// There are more slots than can be addressed.
    TooLong,
    /// There is more of something than there may be, for compiling to end soon.
    TooMany {
        /// What.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// No defined instruction.
    Undefined(DecodeError),
    /// An instruction that this engine does not run; its name.
    Unsupported(&'static str),
    /// A jump to a slot that is not in the same function.
    JumpOutside {
        /// Where it goes.
        target: i64,
    },
    /// A jump into the second slot of an `ld_imm64`.
    JumpIntoConstant {
        /// Where it goes.
        target: i64,
    },
    /// A function's last instruction is neither `exit` nor a jump.
    FallsOffTheEnd,
    /// A call of, or an address of, a slot where no function begins.
    NoFunction {
        /// The slot.
        target: i64,
    },
    /// A helper call whose number is none of [`crate::Code::calls`].
    NoHelper {
        /// The number.
        call: i64,
    },
    /// A map or variable without an address ([`crate::Code::syms`]).
    NoSymbol,
    /// [`crate::Code::syms`] gives an address to a slot that is no `ld_imm64`, or does not stand in order.
    MisplacedSymbol,
    /// [`crate::Code::funcs`] is empty, not in order, or has a start that is no instruction.
    MisplacedFunction,
    /// All native code together would be more than there may be.
    NoRoom {
        /// Bytes that this code takes.
        needed: usize,
        /// Bytes that others take.
        in_use: usize,
        /// Bytes that all native code together may take.
        limit: usize,
    },
    /// The operating system gives no memory that can be executed.
    NoPages {
        /// Bytes that this code takes.
        needed: usize,
    },
    /// A register that only the engine writes: `r10`, or `r12` in lowered code.
    WritesReadOnly {
        /// Its number.
        register: u8,
    },
}

impl fmt::Display for BadCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instruction {}: ", self.insn)?;
        match self.why {
            BadCodeKind::Empty => write!(f, "the program has no instruction"),
            BadCodeKind::TooLong => write!(f, "the program has too many instructions"),
            BadCodeKind::TooMany { what, found, most } => {
                write!(f, "the program has {found} {what}, of {most} that may be")
            }
            BadCodeKind::Undefined(error) => write!(f, "{error}"),
            BadCodeKind::Unsupported(name) => write!(f, "{name} is not supported"),
            BadCodeKind::JumpOutside { target } => write!(f, "jump to {target}, outside the function"),
            BadCodeKind::JumpIntoConstant { target } => {
                write!(f, "jump to {target}, the second slot of an ld_imm64")
            }
            BadCodeKind::FallsOffTheEnd => write!(f, "the function ends here without an exit or a jump"),
            BadCodeKind::NoFunction { target } => write!(f, "no function begins at {target}"),
            BadCodeKind::NoHelper { call } => write!(f, "call of helper {call}, which the program was not given"),
            BadCodeKind::NoSymbol => write!(f, "a map or variable that was given no address"),
            BadCodeKind::MisplacedSymbol => write!(f, "an address is given to a slot that takes none"),
            BadCodeKind::MisplacedFunction => write!(f, "a function begins at a slot that is no instruction"),
            BadCodeKind::NoRoom { needed, in_use, limit } => write!(
                f,
                "its native code takes {needed} bytes, {in_use} are in use, and all together may be {limit}: allow more \
                 (`--native-limit`, `native_limit`), or unload other programs"
            ),
            BadCodeKind::NoPages { needed } => {
                write!(f, "the system gives no {needed} bytes of memory that can be executed: is that forbidden here?")
            }
            BadCodeKind::WritesReadOnly { register } => write!(f, "r{register} is read-only"),
        }
    }
}

impl std::error::Error for BadCode {}

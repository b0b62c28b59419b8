//! What was learnt of each instruction of a program that was accepted, for those who run it: only what holds in every
//! run, by whatever path.
//!
//! Two sources, because Linux's algorithm vouches for less than it knows. What a path knows of pointers, and of which
//! branches are taken, holds for every path that ends in a state that was seen, since states are compared by it
//! (`record`). The range of a number is compared only where a check depended on it: ranges are found by an analysis of
//! their own, that follows every way and never ends one early (`flow`). docs/soundness.md has the argument.
//!
//! | file | holds |
//! |---|---|
//! | `record` | what the exploration sees |
//! | `flow` | ranges of numbers, by going round until nothing changes |
//! | `effect` | what one instruction makes of them |
//! | `values` | registers and stack of that analysis |
//! | `print` | facts in words |

mod effect;
mod flow;
mod print;
mod record;
mod values;

pub use print::Words;
pub(crate) use record::Recorder;

use crate::{program::Prepared, scalar::Scalar};

/// Registers whose values are followed: r0–r9.
pub const REGISTERS: usize = 10;

/// What is known of a program's instructions, by slot.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    slots: Vec<Fact>,
    /// By slot, in order: registers before the first instruction of each stretch of code without jumps.
    entries: Vec<(u32, [Scalar; REGISTERS])>,
    /// Bytes of stack of each function, in the order of the code.
    stacks: Vec<(u32, u32)>,
    /// The first instruction that was seen to read the kernel's own memory.
    pub(crate) kernel_memory: Option<u32>,
}

/// What is known of one instruction.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// Some run may come here. Of an instruction that is not reached nothing else is said.
    pub reached: bool,
    /// Of a conditional jump: some run may go on behind it.
    pub falls_through: bool,
    /// Of a conditional jump: some run may take it.
    pub jumps: bool,
    /// Of a load, store or atomic operation: what is accessed.
    pub access: Option<Access>,
    /// What the register holds then that the instruction writes; anything, if it writes none.
    pub result: Scalar,
    /// What that register then points to, if it is a pointer by every path.
    pub pointer: Option<Pointer>,
    /// Of a division or modulo by a register: it is never zero.
    pub divisor_not_zero: bool,
    /// Of a call of a helper: its arguments.
    pub call: Option<Box<Call>>,
}

/// What a load, store or atomic operation accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// What the pointer points into.
    pub base: Base,
    /// Where the first byte lies, from the start of that (of a frame: from its end, thus negative): least and most.
    pub offset: (i64, i64),
}

/// A pointer that a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// What it points into.
    pub base: Base,
    /// Where in it, as in [`Access::offset`].
    pub offset: (i64, i64),
    /// It may be NULL instead.
    pub or_null: bool,
}

/// Memory that pointers point into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Base {
    /// The program's context.
    Context,
    /// The stack frame of the function that the instruction is in.
    Frame,
    /// The stack frame of a function that called it.
    OuterFrame,
    /// The packet, from `data` on.
    Packet,
    /// What lies before the packet, from `data_meta` on.
    PacketMeta,
    /// The end of the packet: compared with, never accessed.
    PacketEnd,
    /// A value of a map.
    Value(MapRef),
    /// A key of a map, in a callback.
    Key(MapRef),
    /// The map itself, as helpers take it.
    Map(MapRef),
    /// A function of the program, by its number, to be called back.
    Function(u32),
    /// Memory of this size: a record that a helper gave, what a global function was given.
    Memory(u32),
    /// An object of the kernel's (a socket, flow keys, a trace buffer): its kind, as the kernel's log names it.
    Object(&'static str),
}

/// A map as a program knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MapRef {
    /// One of its maps, by its number.
    Own(u16),
    /// Any map that stands in the map of this number.
    In(u16),
}

/// What is known of a call of a helper.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The arguments that the helper takes.
    pub args: Vec<Argument>,
    /// The index of the array's entry that is looked up, if it is always the same.
    pub key: Option<u64>,
}

/// What is known of an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Argument {
    /// A number, or by some path a pointer: this is what it can be.
    Number(Scalar),
    /// A pointer, by every path.
    Pointer(Pointer),
}

impl Argument {
    /// The number, if it is always the same.
    #[must_use]
    pub fn constant(&self) -> Option<u64> {
        match self {
            Argument::Number(number) => number.value(),
            Argument::Pointer(_) => None,
        }
    }

    /// The map, if it is always the same of the program's own.
    #[must_use]
    pub fn map(&self) -> Option<u16> {
        match self {
            Argument::Pointer(Pointer { base: Base::Map(MapRef::Own(map)), .. }) => Some(*map),
            _ => None,
        }
    }
}

impl Fact {
    /// Of an instruction that no run comes to.
    pub const DEAD: Fact = Fact {
        reached: false,
        falls_through: false,
        jumps: false,
        access: None,
        result: Scalar::UNKNOWN,
        pointer: None,
        divisor_not_zero: false,
        call: None,
    };

    /// Whether the upper half of the result is zero.
    #[must_use]
    pub fn fits32(&self) -> bool {
        self.result.wide.umax <= u64::from(u32::MAX)
    }
}

impl Facts {
    /// What is known of the instruction at a slot.
    #[must_use]
    pub fn at(&self, slot: u32) -> &Fact {
        self.slots.get(slot as usize).unwrap_or(&Fact::DEAD)
    }

    /// The registers r0–r9 before the instruction at a slot, where a stretch of code without jumps begins: at the start
    /// of a function, where a jump goes to, behind a jump and a call.
    #[must_use]
    pub fn entry(&self, slot: u32) -> Option<&[Scalar; REGISTERS]> {
        let at = self.entries.binary_search_by_key(&slot, |entry| entry.0).ok()?;
        Some(&self.entries[at].1)
    }

    /// The program's functions: first slot, and bytes of stack that each uses.
    pub fn functions(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.stacks.iter().copied()
    }

    /// Bytes that facts of a program may take until they are put together.
    pub(crate) fn bytes(program: &Prepared<'_>) -> usize {
        Recorder::bytes(program) + flow::bytes(program) + program.program.insns.len() * size_of::<Fact>()
    }

    /// Puts together what the exploration saw and what the analysis finds.
    pub(crate) fn of(program: &Prepared<'_>, recorder: Recorder) -> Facts {
        let kernel_memory = recorder.kernel_memory;
        let mut slots = recorder.into_facts();
        let entries = flow::find(program, &mut slots);
        let stacks = program.subprogs.iter().map(|subprog| (subprog.start, subprog.stack_depth)).collect();
        Facts { slots, entries, stacks, kernel_memory }
    }
}

//! One function call: its registers and its part of the stack.

use super::{Reg, Stack, Type, reg::Kind};

/// What is known of one byte of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Byte {
    /// Nothing was written.
    Invalid,
    /// Part of a spilled register.
    Spill,
    /// Something was written.
    Misc,
    /// It is zero.
    Zero,
}

/// Eight bytes of the stack. `bytes[7]` is the lowest in memory order of the kernel's counting: byte `i` lies at
/// `-8 * (slot + 1) + 7 - i`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) bytes: [Byte; 8],
    pub(crate) reg: Reg,
}

impl Slot {
    pub(crate) const EMPTY: Slot = Slot { bytes: [Byte::Invalid; 8], reg: Reg::UNINIT };

    /// A register is spilled here, all of it or its low part.
    pub(crate) fn is_spill(&self) -> bool {
        self.bytes[7] == Byte::Spill
    }

    pub(crate) fn is_scalar_spill(&self) -> bool {
        self.is_spill() && self.reg.is_scalar()
    }

    /// A whole scalar is spilled here.
    pub(crate) fn is_whole_scalar_spill(&self) -> bool {
        self.bytes[0] == Byte::Spill && self.reg.is_scalar()
    }
}

/// Number of registers: r0–r10.
pub(crate) const REGS: usize = 11;
/// Of `r10`.
pub(crate) const FP: usize = 10;
/// The call site of a frame that nobody called.
pub(crate) const ENTRY: u32 = u32::MAX;

/// A function call.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) regs: [Reg; REGS],
    pub(crate) stack: Stack,
    /// The slot of the call, or [`ENTRY`].
    pub(crate) callsite: u32,
    pub(crate) number: u8,
    pub(crate) subprog: u32,
    pub(crate) in_callback: bool,
    pub(crate) in_async_callback: bool,
    /// How often an asynchronous callback was entered on the way here.
    pub(crate) async_entries: u32,
    /// What a callback may return.
    pub(crate) callback_range: (i32, i32),
    /// How often this frame's call has called back.
    pub(crate) callback_depth: u32,
}

impl Frame {
    pub(crate) fn new(callsite: u32, number: u8, subprog: u32) -> Frame {
        let mut regs = [Reg::UNINIT; REGS];
        regs[FP] = Reg { frame: number, ..Reg::pointer(Type::of(Kind::Stack)) };
        Frame {
            regs,
            stack: Stack::default(),
            callsite,
            number,
            subprog,
            in_callback: false,
            in_async_callback: false,
            async_entries: 0,
            callback_range: (0, 0),
            callback_depth: 0,
        }
    }

    /// Makes room for at least so many bytes.
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.stack.grow(bytes.div_ceil(8));
    }

    /// Its registers, and those that are spilled to its stack.
    pub(crate) fn all_regs(&self) -> impl Iterator<Item = &Reg> {
        self.regs.iter().chain(self.stack.spilled())
    }

    /// Changes those of them that `picks` picks.
    pub(crate) fn change_regs(&mut self, picks: impl Fn(&Reg) -> bool, mut change: impl FnMut(&mut Reg)) {
        self.regs.iter_mut().filter(|reg| picks(reg)).for_each(&mut change);
        self.stack.change_spilled(picks, change);
    }

    /// The bytes that were touched, counted in whole slots.
    pub(crate) fn allocated(&self) -> i64 {
        self.stack.len() as i64 * 8
    }
}

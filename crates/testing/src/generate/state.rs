//! What a program that is being made holds at the place where it is made: kinds of pointers, and numbers by what they
//! are in a few imagined runs.

use alveary_isa::Reg;

/// Imagined runs. In the first, numbers are as large as they can be, in the second as small.
pub(super) const RUNS: usize = 8;

/// What a number is in each run.
pub(super) type Number = [u64; RUNS];

/// What a register or a slot of the stack holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// Nothing that may be used.
    Nothing,
    Number(Number),
    Ctx,
    /// Into the packet: so many bytes from here are known to be there.
    Packet {
        proven: i32,
    },
    /// The same, before the packet: up to `data`.
    Meta {
        proven: i32,
    },
    PacketEnd,
    /// Memory of this many bytes from here on.
    Memory {
        size: i32,
        writable: bool,
    },
    /// The same, or null.
    OrNull {
        size: i32,
    },
    /// An address in the frame, from its top.
    Stack(i32),
}

/// Eight bytes of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Never written.
    Empty,
    /// Written, with what nobody knows.
    Bytes,
    Whole(Holds),
}

/// Slots of a function's frame that programs use.
pub(super) const SLOTS: usize = 14;

#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) registers: [Holds; 11],
    pub(super) stack: [Slot; SLOTS],
    /// The runs that come here, as bits.
    pub(super) alive: u16,
}

impl State {
    pub(super) fn new() -> State {
        let mut registers = [Holds::Nothing; 11];
        registers[10] = Holds::Stack(0);
        State { registers, stack: [Slot::Empty; SLOTS], alive: (1 << RUNS) - 1 }
    }

    pub(super) fn of(&self, reg: Reg) -> Holds {
        self.registers[usize::from(reg.0)]
    }

    pub(super) fn set(&mut self, reg: Reg, holds: Holds) {
        self.registers[usize::from(reg.0)] = holds;
    }

    pub(super) fn number(&self, reg: Reg) -> Option<Number> {
        match self.of(reg) {
            Holds::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The runs that come here; all, if none does: then the place is likely to be dead, and what stands there is free.
    pub(super) fn runs(&self) -> impl Iterator<Item = usize> + use<> {
        let alive = if self.alive == 0 { u16::MAX } else { self.alive };
        (0..RUNS).filter(move |run| alive >> run & 1 != 0)
    }

    /// Two ways come together.
    pub(super) fn join(&mut self, other: &State) {
        let alive = other.alive;
        let join = |a: &Holds, b: &Holds| match (*a, *b) {
            (Holds::Number(mut a), Holds::Number(b)) => {
                (0..RUNS).filter(|run| alive >> run & 1 != 0).for_each(|run| a[run] = b[run]);
                Holds::Number(a)
            }
            (Holds::Packet { proven: a }, Holds::Packet { proven: b }) => Holds::Packet { proven: a.min(b) },
            (a, b) if a == b => a,
            _ => Holds::Nothing,
        };
        for (mine, theirs) in self.registers.iter_mut().zip(&other.registers) {
            *mine = join(mine, theirs);
        }
        for (mine, theirs) in self.stack.iter_mut().zip(&other.stack) {
            *mine = match (*mine, *theirs) {
                (Slot::Whole(a), Slot::Whole(b)) => match join(&a, &b) {
                    Holds::Nothing => Slot::Bytes,
                    holds => Slot::Whole(holds),
                },
                (Slot::Empty, _) | (_, Slot::Empty) => Slot::Empty,
                _ => Slot::Bytes,
            };
        }
        self.alive |= alive;
    }

    /// The packet was changed: nothing that points to it is good any more.
    pub(super) fn forget_packet(&mut self) {
        let gone = |holds: &Holds| matches!(holds, Holds::Packet { .. } | Holds::PacketEnd | Holds::Meta { .. });
        for holds in self.registers.iter_mut().filter(|holds| gone(holds)) {
            *holds = Holds::Nothing;
        }
        for slot in &mut self.stack {
            if matches!(slot, Slot::Whole(holds) if gone(holds)) {
                *slot = Slot::Bytes;
            }
        }
    }

    /// Index of the slot that holds the byte at an offset from the frame's top, if it is one of those that are used.
    pub(super) fn slot_at(off: i32) -> Option<usize> {
        usize::try_from((-off - 1) / 8).ok().filter(|slot| off < 0 && *slot < SLOTS)
    }

    /// What a store of `size` bytes at `off` of the stack leaves, other than a whole slot of something.
    pub(super) fn written(&mut self, off: i32, size: i32) {
        for byte in off..off + size {
            if let Some(slot) = State::slot_at(byte) {
                self.stack[slot] = Slot::Bytes;
            }
        }
    }
}

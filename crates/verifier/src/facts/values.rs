//! Registers and stack of the analysis of ranges: all numbers, a pointer being one of which nothing is known.
//! Knows no instructions.

use super::REGISTERS;
use crate::scalar::Scalar;

/// What is known at one point of the program, whatever the way to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Values {
    pub(super) regs: [Scalar; REGISTERS],
    /// Places of the frame whose content is known, in the order of their offsets; none overlaps another.
    stack: Vec<Place>,
}

/// A number on the stack.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    /// From the frame's end, thus negative.
    off: i64,
    bytes: i64,
    value: Scalar,
}

impl Values {
    /// Nothing is known.
    pub(super) const UNKNOWN: Values = Values { regs: [Scalar::UNKNOWN; REGISTERS], stack: Vec::new() };

    /// At the start of a function: what it is given in r1–r5.
    pub(super) fn of_callee(&self) -> Values {
        let mut values = Values::UNKNOWN;
        values.regs[1..6].copy_from_slice(&self.regs[1..6]);
        values
    }

    /// The registers that no call keeps.
    pub(super) fn forget_caller_saved(&mut self) {
        self.regs[..6].fill(Scalar::UNKNOWN);
    }

    /// Bytes that a place takes.
    pub(super) const PLACE: usize = size_of::<Place>();

    /// How many places of the frame are known.
    pub(super) fn places(&self) -> usize {
        self.stack.len()
    }

    pub(super) fn forget_stack(&mut self) {
        self.stack.clear();
    }

    /// Forgets what stands in the bytes from `from` to before `to`.
    pub(super) fn forget_bytes(&mut self, from: i64, to: i64) {
        self.stack.retain(|place| place.off >= to || place.off + place.bytes <= from);
    }

    /// Stores the low `bytes` bytes of a number.
    pub(super) fn store(&mut self, off: i64, bytes: i64, mut value: Scalar) {
        self.forget_bytes(off, off + bytes);
        if bytes < 8 {
            value.zero_extend(bytes as u32 * 8);
        }
        if !value.is_unknown() {
            let at = self.stack.partition_point(|place| place.off < off);
            self.stack.insert(at, Place { off, bytes, value });
        }
    }

    /// The number, zero-extended, that was stored in just these bytes.
    pub(super) fn load(&self, off: i64, bytes: i64) -> Option<Scalar> {
        let at = self.stack.binary_search_by_key(&off, |place| place.off).ok()?;
        Some(self.stack[at].value).filter(|_| self.stack[at].bytes == bytes)
    }

    /// Takes in what is known on another way here; whether that changed something. With `widen`, what changes is
    /// given up at once, so that a loop comes to an end.
    pub(super) fn take_in(&mut self, other: &Values, widen: bool) -> bool {
        let mut changed = false;
        for (mine, theirs) in self.regs.iter_mut().zip(&other.regs) {
            changed |= take_in(mine, theirs, widen);
        }
        self.stack.retain_mut(|place| match other.load(place.off, place.bytes) {
            Some(theirs) => {
                changed |= take_in(&mut place.value, &theirs, widen);
                true
            }
            None => {
                changed = true;
                false
            }
        });
        changed
    }
}

/// Makes `mine` stand for what `theirs` can be, too; whether it did not.
pub(super) fn take_in(mine: &mut Scalar, theirs: &Scalar, widen: bool) -> bool {
    if mine.covers(theirs) {
        return false;
    }
    let before = *mine;
    *mine = mine.join(theirs);
    if widen {
        mine.widen_from(&before);
    }
    true
}

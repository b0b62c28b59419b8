//! The stack of a frame. States share what they have in common: each piece of it is copied when one of them writes there,
//! so that many states of a large stack take little more memory than their registers.

use super::{Reg, frame::Slot};
use crate::budget::Counted;
use std::{
    ops::{Index, IndexMut},
    rc::Rc,
};

/// Slots that are shared, or copied, together.
const PIECE: usize = 4;

/// Slot `n` is at `-8 * (n + 1)` from the frame pointer; there are as many as were touched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stack {
    /// The last one may reach past the end; what is there is empty.
    pieces: Vec<Rc<Counted<[Slot; PIECE]>>>,
    len: usize,
}

impl Stack {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&Slot> {
        (slot < self.len).then(|| &self[slot])
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut Slot> {
        (slot < self.len).then(|| &mut self[slot])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.pieces.iter().flat_map(|piece| piece.iter()).take(self.len)
    }

    /// Makes room for at least so many slots.
    pub(crate) fn grow(&mut self, slots: usize) {
        self.len = self.len.max(slots);
        let pieces = self.len.div_ceil(PIECE);
        if self.pieces.len() < pieces {
            self.pieces.resize_with(pieces, || Rc::new(Counted::new([Slot::EMPTY; PIECE])));
        }
    }

    /// The registers that are spilled here.
    pub(crate) fn spilled(&self) -> impl Iterator<Item = &Reg> {
        self.iter().filter(|slot| slot.is_spill()).map(|slot| &slot.reg)
    }

    /// Changes those spilled registers that `picks` picks.
    pub(crate) fn change_spilled(&mut self, picks: impl Fn(&Reg) -> bool, mut change: impl FnMut(&mut Reg)) {
        let picked = |slot: &Slot| slot.is_spill() && picks(&slot.reg);
        for piece in self.pieces.iter_mut().filter(|piece| piece.iter().any(picked)) {
            let slots = Rc::make_mut(piece).iter_mut().filter(|slot| picked(slot));
            slots.for_each(|slot| change(&mut slot.reg));
        }
    }
}

impl Index<usize> for Stack {
    type Output = Slot;

    fn index(&self, slot: usize) -> &Slot {
        &self.pieces[slot / PIECE][slot % PIECE]
    }
}

impl IndexMut<usize> for Stack {
    fn index_mut(&mut self, slot: usize) -> &mut Slot {
        &mut Rc::make_mut(&mut self.pieces[slot / PIECE])[slot % PIECE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::frame::Byte;

    #[test]
    fn what_one_writes_the_others_do_not_see() {
        let mut one = Stack::default();
        one.grow(20);
        one[9] = Slot { bytes: [Byte::Spill; 8], reg: Reg::UNKNOWN };
        let mut other = one.clone();
        other[9].bytes = [Byte::Zero; 8];
        other.grow(30);
        assert_eq!((one.len(), other.len()), (20, 30));
        assert_eq!((one[9].bytes, other[9].bytes), ([Byte::Spill; 8], [Byte::Zero; 8]));
        assert_eq!((one.iter().count(), one.spilled().count(), other.spilled().count()), (20, 1, 0));
        assert!(one.get(20).is_none() && other.get(29).is_some());
        // Pieces that nobody has written to are one.
        assert!(
            Rc::ptr_eq(&one.pieces[0], &other.pieces[0])
                && !Rc::ptr_eq(&one.pieces[9 / PIECE], &other.pieces[9 / PIECE])
        );
    }

    #[test]
    fn only_what_is_picked_is_changed_and_copied() {
        let mut one = Stack::default();
        one.grow(16);
        one[3] = Slot { bytes: [Byte::Spill; 8], reg: Reg { id: 7, ..Reg::UNKNOWN } };
        one[12] = Slot { bytes: [Byte::Spill; 8], reg: Reg { id: 8, ..Reg::UNKNOWN } };
        let mut other = one.clone();
        other.change_spilled(|reg| reg.id == 8, |reg| reg.precise = true);
        assert!(other[12].reg.precise && !other[3].reg.precise && !one[12].reg.precise);
        assert!(Rc::ptr_eq(&one.pieces[0], &other.pieces[0]));
    }
}

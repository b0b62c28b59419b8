//! Which entry of a full LRU map makes room for a new one.
//!
//! Two lists over the slots, as in the kernel: new entries join the front of the inactive one. Looking an entry up
//! only sets its used mark. Who needs a slot goes through the inactive list from its end: a used entry moves to the
//! front of the active list and loses its mark, the first unused one goes. Before that the active list gives its
//! unused tail back while it is the longer one.
//!
//! The kernel takes and returns slots in batches for each CPU, and so evicts up to 128 entries at a time and before the
//! map is full; here it is one entry, and only when the map is full. With `BPF_F_NO_COMMON_LRU` the kernel has lists for
//! each CPU; here the flag changes nothing.
//!
//! Links are in the slots: number + 1 of the neighbours, and which list. The lock of the lists comes after a bucket's:
//! a victim's bucket is only tried, and who is at work in it keeps its entry.

use crate::table::{Slot, Table};
use std::sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed};

/// Bytes that each slot carries for this: hash, used mark, two links, list, and four to fill up.
pub(crate) const EXTRA: u32 = 24;
/// Where a lookup sets the used mark, from the slot's beginning.
pub(crate) const USED: u32 = 12;

const HASH: u64 = 8;
const FRONT: u64 = 16;
const BACK: u64 = 20;
const LIST: u64 = 24;

/// Entries that are looked at before one is taken that was used.
const SCAN: u32 = 128;

/// The lists of one table.
#[derive(Debug, Default)]
pub(crate) struct Lru(Mutex<Lists>);

#[derive(Debug, Default)]
struct Lists {
    inactive: List,
    active: List,
}

/// The ends of a list, as number + 1.
#[derive(Debug, Default)]
struct List {
    front: u32,
    back: u32,
    len: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Which {
    Inactive = 1,
    Active = 2,
}

impl Lru {
    /// A slot for a new entry, taken from another one if there is none: its hash is set, it is on the inactive list.
    /// `None` if writers are at work on all others.
    pub(crate) fn allocate(&self, table: &Table, hash: u32) -> Option<Slot> {
        let mut lists = self.lists();
        let slot = table.allocate().or_else(|| lists.evict(table))?;
        field(table, slot, HASH).store(hash, Relaxed);
        field(table, slot, u64::from(USED)).store(0, Relaxed);
        lists.join(table, slot, Which::Inactive);
        Some(slot)
    }

    /// `new`, which holds a key of this hash, takes part in place of `old`.
    pub(crate) fn replace(&self, table: &Table, old: Slot, new: Slot, hash: u32) {
        let mut lists = self.lists();
        lists.leave(table, old);
        field(table, new, HASH).store(hash, Relaxed);
        mark_used(table, new);
        lists.join(table, new, Which::Inactive);
    }

    /// Gives back a slot that is in no chain.
    pub(crate) fn release(&self, table: &Table, slot: Slot) {
        let mut lists = self.lists();
        lists.leave(table, slot);
        table.release(slot);
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entry was used.
#[inline]
pub(crate) fn mark_used(table: &Table, slot: Slot) {
    let used = field(table, slot, u64::from(USED));
    if used.load(Relaxed) == 0 {
        // One byte, as in inlined lookups, on either byte order.
        used.store(u32::from_ne_bytes([1, 0, 0, 0]), Relaxed);
    }
}

impl Lists {
    /// Takes a slot out of its chain and its list.
    fn evict(&mut self, table: &Table) -> Option<Slot> {
        self.balance(table);
        let unused = (0..SCAN.min(self.inactive.len)).find_map(|_| self.try_last(table, Which::Inactive, false));
        unused
            .or_else(|| (0..self.inactive.len).find_map(|_| self.try_last(table, Which::Inactive, true)))
            .or_else(|| (0..self.active.len).find_map(|_| self.try_last(table, Which::Active, true)))
    }

    /// Moves unused entries from the end of the active list while it is the longer one.
    fn balance(&mut self, table: &Table) {
        for _ in 0..SCAN {
            let Some(last) = self.active.back.checked_sub(1).filter(|_| self.inactive.len < self.active.len) else {
                return;
            };
            let to = if take_mark(table, last) { Which::Active } else { Which::Inactive };
            self.leave(table, last);
            self.join(table, last, to);
        }
    }

    /// Evicts the last of a list; if it was used (unless `even_used`) or is being worked on, it moves to a front.
    fn try_last(&mut self, table: &Table, list: Which, even_used: bool) -> Option<Slot> {
        let slot = self.list(list).back.checked_sub(1)?;
        let used = !even_used && take_mark(table, slot);
        let evicted = !used && unlink(table, slot);
        self.leave(table, slot);
        if evicted {
            return Some(slot);
        }
        self.join(table, slot, if used { Which::Active } else { list });
        None
    }

    fn list(&mut self, which: Which) -> &mut List {
        if which == Which::Active { &mut self.active } else { &mut self.inactive }
    }

    /// Puts a slot at the front of a list.
    fn join(&mut self, table: &Table, slot: Slot, which: Which) {
        let list = self.list(which);
        field(table, slot, LIST).store(which as u32, Relaxed);
        field(table, slot, FRONT).store(0, Relaxed);
        field(table, slot, BACK).store(list.front, Relaxed);
        match list.front.checked_sub(1) {
            Some(second) => field(table, second, FRONT).store(slot + 1, Relaxed),
            None => list.back = slot + 1,
        }
        list.front = slot + 1;
        list.len += 1;
    }

    /// Takes a slot off its list.
    fn leave(&mut self, table: &Table, slot: Slot) {
        let which = field(table, slot, LIST).swap(0, Relaxed);
        let list = self.list(if which == Which::Active as u32 { Which::Active } else { Which::Inactive });
        let (front, back) = (field(table, slot, FRONT).load(Relaxed), field(table, slot, BACK).load(Relaxed));
        match front.checked_sub(1) {
            Some(before) => field(table, before, BACK).store(back, Relaxed),
            None => list.front = back,
        }
        match back.checked_sub(1) {
            Some(behind) => field(table, behind, FRONT).store(front, Relaxed),
            None => list.back = front,
        }
        list.len -= 1;
    }
}

fn field(table: &Table, slot: Slot, at: u64) -> &std::sync::atomic::AtomicU32 {
    table.memory.word32(table.slot_at(slot) + at)
}

/// Whether the entry was used since the mark was last taken.
fn take_mark(table: &Table, slot: Slot) -> bool {
    field(table, slot, u64::from(USED)).swap(0, Relaxed) != 0
}

/// Takes a slot out of its chain, unless it is in none yet or someone is at work there.
fn unlink(table: &Table, slot: Slot) -> bool {
    let hash = field(table, slot, HASH).load(Relaxed);
    table.try_lock(hash).is_some_and(|bucket| bucket.unlink(slot))
}

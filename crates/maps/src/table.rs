//! A concurrent hash table of slots: chains, locks, free slots. Knows keys, not values.
//!
//! # Layout
//! From the mapping's start: buckets of 8 bytes (head, version), then slots, then, if there is one value for each CPU,
//! values. A slot is
//!
//! | at | what |
//! |---|---|
//! | 0 | number + 1 of the next slot of the chain, 0 for none (32 bits) |
//! | 4 | number + 1 of the next free slot (32 bits) |
//! | 8 | [`Shape::extra`] bytes of the map type |
//! | key | the key, padded to 8 bytes |
//! | key + padded key | the value, if it is one for all CPUs |
//!
//! Slots are 32 or 64 bytes or a multiple of 32, so that small ones never straddle a cache line.
//!
//! # Protocol
//! Writers of a bucket hold its lock: its version is odd. Each change of a chain is one store to one link: a new slot
//! becomes the head, a removed one is passed over by its predecessor, a replaced one makes way for the new one in
//! place. So a reader that walks along sees every key that is there all the time, unless a slot under its feet is
//! recycled into another chain. That takes an unlock of this bucket after the reader came, so the version tells: what
//! was found or missed counts only if it has not changed; otherwise the reader starts again, and after some attempts takes
//! the lock. A hit by a key that is read and written at once ([`Table::keys_are_whole`]) is a hit whatever the version is.
//!
//! Fences make this hold on weakly ordered machines: a writer publishes the odd version before its links (release),
//! and fills a slot only after a release fence, so that a reader which sees any byte of a slot's new life also sees,
//! behind its acquire fence, the version that the slot's removal left. The version has 31 bits of count: a reader would
//! have to sleep through 2^31 changes of one bucket to be deceived.
//!
//! As in the kernel, a reader may hold the value of a slot that is deleted and recycled meanwhile: it then reads and
//! writes another entry's value, never anything outside the map.
//!
//! Free slots are a stack whose head carries a count against recycling between read and exchange; slots that were
//! never used are not on it but behind `fresh`, so that a map costs what is touched. As in the kernel's preallocated
//! tables, each CPU has one spare slot: an update of an existing key takes it and leaves the replaced slot in its
//! place, so it succeeds in a full map, and who looked the old value up keeps reading the old value.

use crate::{
    Errno, hash,
    memory::{LINE, Memory, round_up},
    value::Wait,
};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*, fence};

/// Attempts to look a key up beside writers before the lock is taken.
const ATTEMPTS: u32 = 16;

/// What a table is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) key_size: u32,
    /// Bytes of one value, already rounded up to 8.
    pub(crate) value_size: u32,
    /// Bytes that the map type wants in each slot (LRU links), a multiple of 8.
    pub(crate) extra: u32,
    pub(crate) max: u32,
    /// Values of each entry: 0 if one for all CPUs.
    pub(crate) cpus: u32,
    /// CPUs that write.
    pub(crate) writers: u32,
    pub(crate) seed: u64,
}

/// Where the parts are, as offsets in the mapping.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) mask: u32,
    pub(crate) slots: u64,
    pub(crate) slot: u32,
    pub(crate) key: u32,
    pub(crate) values: u64,
    pub(crate) value_stride: u32,
    pub(crate) cpu_stride: u64,
    /// Slots, the spare ones among them.
    pub(crate) total: u32,
}

/// Number of a slot.
pub(crate) type Slot = u32;

/// The table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) memory: Memory,
    pub(crate) shape: Shape,
    pub(crate) geometry: Geometry,
    free: Free,
    spare: Box<[Spare]>,
}

/// The free slots: count << 32 | number + 1 of the first, and the first that was never used.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Free {
    head: AtomicU64,
    fresh: AtomicU32,
}

/// A CPU's spare slot: its number + 1, 0 while it is in use.
#[derive(Debug)]
#[repr(align(64))]
struct Spare(AtomicU32);

impl Table {
    pub(crate) fn new(shape: Shape) -> Result<Table, Errno> {
        // As the kernel: the buckets' array must not exceed 4 GiB (its buckets are 16 bytes).
        let buckets = shape.max.checked_next_power_of_two().filter(|n| *n <= 1 << 27).ok_or(Errno::E2BIG)?;
        // User space writes too: one more.
        let spares = shape.writers + 1;
        let total = shape.max + spares;
        let key = 8 + shape.extra;
        let behind_key = u64::from(key) + round_up(u64::from(shape.key_size), 8);
        let inside = if shape.cpus == 0 { u64::from(shape.value_size) } else { 0 };
        let slot = match behind_key + inside {
            small @ ..=64 => small.next_power_of_two().max(32),
            large => round_up(large, 32),
        };
        let slots = round_up(u64::from(buckets) * 8, LINE);
        let end = round_up(slots + slot * u64::from(total), LINE);
        let per_cpu = round_up(u64::from(shape.value_size) * u64::from(total), LINE);
        let (values, value_stride, cpu_stride) = match shape.cpus {
            0 => (slots + behind_key, slot as u32, 0),
            _ => (end, shape.value_size, per_cpu),
        };
        let cpus = u64::from(shape.cpus);
        let memory =
            Memory::reserve(per_cpu.checked_mul(cpus).and_then(|all| all.checked_add(end)).ok_or(Errno::E2BIG)?)?;
        let mask = buckets - 1;
        let slot = slot as u32;
        let geometry = Geometry { mask, slots, slot, key, values, value_stride, cpu_stride, total };
        let spare = (0..spares).map(|n| Spare(AtomicU32::new(shape.max + n + 1))).collect();
        Ok(Table { memory, shape, geometry, free: Free::default(), spare })
    }

    /// Hash of a key.
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u32 {
        hash(key, self.shape.seed)
    }

    /// Finds the slot of `key` without a lock.
    #[inline]
    pub(crate) fn find(&self, key: &[u8], hash: u32) -> Option<Slot> {
        let head = self.head(hash & self.geometry.mask);
        let version = self.version(hash & self.geometry.mask);
        let before = version.load(Acquire);
        let found = self.walk(head, key);
        if found.is_some() && self.keys_are_whole() {
            return found;
        }
        // Pairs with the writers' release fences: bytes of a recycled slot that the walk saw bring their version along.
        fence(Acquire);
        if version.load(Relaxed) == before {
            return found;
        }
        self.find_again(key, hash)
    }

    /// Whether keys are read and written at once, so that a slot that has one has it whole. Of others a part may be seen of
    /// the key that a slot had, and a part of the one that it gets.
    fn keys_are_whole(&self) -> bool {
        matches!(self.shape.key_size, 1 | 4 | 8)
    }

    #[cold]
    fn find_again(&self, key: &[u8], hash: u32) -> Option<Slot> {
        let bucket = hash & self.geometry.mask;
        for _ in 0..ATTEMPTS {
            let before = self.version(bucket).load(Acquire);
            let found = self.walk(self.head(bucket), key);
            fence(Acquire);
            let is_whole = found.is_some() && self.keys_are_whole();
            if is_whole || self.version(bucket).load(Relaxed) == before {
                return found;
            }
        }
        self.lock(hash).find(key)
    }

    #[inline]
    fn walk(&self, head: &AtomicU32, key: &[u8]) -> Option<Slot> {
        let mut link = head.load(Acquire);
        while link != 0 {
            let slot = link - 1;
            if self.memory.equals(self.key_at(slot), key) {
                return Some(slot);
            }
            link = self.next(slot).load(Acquire);
        }
        None
    }

    /// Locks the bucket of `hash`.
    pub(crate) fn lock(&self, hash: u32) -> Bucket<'_> {
        let mut wait = Wait::default();
        loop {
            match self.try_lock(hash) {
                Some(bucket) => return bucket,
                None => wait.once(),
            }
        }
    }

    /// Locks the bucket of `hash` unless it is locked.
    pub(crate) fn try_lock(&self, hash: u32) -> Option<Bucket<'_>> {
        let bucket = hash & self.geometry.mask;
        let version = self.version(bucket);
        let now = version.load(Relaxed) & !1;
        version.compare_exchange(now, now + 1, Acquire, Relaxed).ok()?;
        // The odd version goes before every link that is changed under it.
        fence(Release);
        Some(Bucket { table: self, head: self.head(bucket), version, locked: now + 1 })
    }

    /// Takes a free slot.
    pub(crate) fn allocate(&self) -> Option<Slot> {
        let mut head = self.free.head.load(Acquire);
        while head as u32 != 0 {
            let slot = head as u32 - 1;
            let next = u64::from(self.next_free(slot).load(Relaxed));
            let new = (head >> 32).wrapping_add(1) << 32 | next;
            match self.free.head.compare_exchange_weak(head, new, AcqRel, Acquire) {
                Ok(_) => return Some(slot),
                Err(now) => head = now,
            }
        }
        let fresh = self.free.fresh.fetch_update(Relaxed, Relaxed, |n| (n < self.shape.max).then_some(n + 1));
        // A slot may have come back since the stack was found empty, but then the map was full in between.
        fresh.ok()
    }

    /// Gives a slot back that is in no chain.
    pub(crate) fn release(&self, slot: Slot) {
        let mut head = self.free.head.load(Relaxed);
        loop {
            self.next_free(slot).store(head as u32, Relaxed);
            let new = (head >> 32).wrapping_add(1) << 32 | u64::from(slot + 1);
            match self.free.head.compare_exchange_weak(head, new, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Takes the spare slot of `writer`; [`Table::leave_spare`] must follow at once.
    pub(crate) fn take_spare(&self, writer: u32) -> Slot {
        let spare = self.spare_of(writer);
        let mut wait = Wait::default();
        loop {
            match spare.swap(0, Acquire) {
                0 => wait.once(),
                link => return link - 1,
            }
        }
    }

    /// Makes `slot`, which is in no chain any more, the spare one of `writer`.
    pub(crate) fn leave_spare(&self, writer: u32, slot: Slot) {
        self.spare_of(writer).store(slot + 1, Release);
    }

    fn spare_of(&self, writer: u32) -> &AtomicU32 {
        &self.spare[(writer as usize).min(self.spare.len() - 1)].0
    }

    /// Fills in the key of a slot that is in no chain.
    pub(crate) fn write_key(&self, slot: Slot, key: &[u8]) {
        // What the slot was removed under goes before its new content.
        fence(Release);
        self.memory.write(self.key_at(slot), key);
    }

    /// Where the value of a slot for `cpu` is.
    #[inline]
    pub(crate) fn value_at(&self, slot: Slot, cpu: u32) -> u64 {
        let Geometry { values, value_stride, cpu_stride, .. } = self.geometry;
        values + u64::from(cpu) * cpu_stride + u64::from(slot) * u64::from(value_stride)
    }

    /// Where the key of a slot is.
    #[inline]
    pub(crate) fn key_at(&self, slot: Slot) -> u64 {
        self.slot_at(slot) + u64::from(self.geometry.key)
    }

    /// Where a slot is.
    #[inline]
    pub(crate) fn slot_at(&self, slot: Slot) -> u64 {
        self.geometry.slots + u64::from(slot) * u64::from(self.geometry.slot)
    }

    /// The key behind `after` in bucket order, from the start if `after` is `None` or is not there.
    pub(crate) fn next_key(&self, after: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        let mut first = 0;
        if let Some(key) = after {
            let hash = self.hash(key);
            let bucket = self.lock(hash);
            if let Some(slot) = bucket.find(key) {
                let next = self.next(slot).load(Relaxed);
                if next != 0 {
                    self.memory.read(self.key_at(next - 1), out);
                    return Ok(());
                }
                first = (hash & self.geometry.mask) + 1;
            }
        }
        for bucket in first..=self.geometry.mask {
            if self.head(bucket).load(Relaxed) == 0 {
                continue;
            }
            let bucket = self.lock(bucket);
            let head = bucket.head.load(Relaxed);
            if head != 0 {
                self.memory.read(self.key_at(head - 1), out);
                return Ok(());
            }
        }
        Err(Errno::ENOENT)
    }

    fn head(&self, bucket: u32) -> &AtomicU32 {
        self.memory.word32(u64::from(bucket) * 8)
    }

    fn version(&self, bucket: u32) -> &AtomicU32 {
        self.memory.word32(u64::from(bucket) * 8 + 4)
    }

    #[inline]
    fn next(&self, slot: Slot) -> &AtomicU32 {
        self.memory.word32(self.slot_at(slot))
    }

    fn next_free(&self, slot: Slot) -> &AtomicU32 {
        self.memory.word32(self.slot_at(slot) + 4)
    }
}

/// A bucket whose lock is held.
pub(crate) struct Bucket<'a> {
    table: &'a Table,
    head: &'a AtomicU32,
    version: &'a AtomicU32,
    locked: u32,
}

impl Bucket<'_> {
    /// Finds the slot of `key`.
    pub(crate) fn find(&self, key: &[u8]) -> Option<Slot> {
        self.table.walk(self.head, key)
    }

    /// Makes a filled slot the first of the chain.
    pub(crate) fn insert(&self, slot: Slot) {
        self.table.next(slot).store(self.head.load(Relaxed), Release);
        self.head.store(slot + 1, Release);
    }

    /// Puts the filled slot `new` in the place of `old`.
    pub(crate) fn replace(&self, old: Slot, new: Slot) {
        self.table.next(new).store(self.table.next(old).load(Relaxed), Release);
        if let Some(link) = self.link_to(old) {
            link.store(new + 1, Release);
        }
    }

    /// Takes a slot out of the chain; `false` if it is not in it. Its own link stays: readers may stand on it.
    pub(crate) fn unlink(&self, slot: Slot) -> bool {
        let Some(link) = self.link_to(slot) else { return false };
        link.store(self.table.next(slot).load(Relaxed), Release);
        true
    }

    fn link_to(&self, slot: Slot) -> Option<&AtomicU32> {
        let mut link = self.head;
        loop {
            match link.load(Relaxed) {
                0 => return None,
                there if there == slot + 1 => return Some(link),
                there => link = self.table.next(there - 1),
            }
        }
    }
}

impl Drop for Bucket<'_> {
    fn drop(&mut self) {
        self.version.store(self.locked.wrapping_add(1), Release);
    }
}

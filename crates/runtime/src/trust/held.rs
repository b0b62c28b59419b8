//! What a run holds and must give back however it ends: a spin lock, ring buffer reservations, memory that is lent,
//! inner maps that it has looked up.

use super::map_regions;
use crate::{LoadedMap, Prog};
use alveary_abi::HelperId;
use alveary_isa::{Inst, decode};
use alveary_maps::Value;
use alveary_vm::{Env, Region, Trap, TrapKind};
use std::{
    cell::{Cell, RefCell},
    sync::atomic::{AtomicU32, Ordering},
};

/// How often a lock is tried before the program is stopped: who holds it may never let go.
const SPINS: u32 = 1 << 24;

/// Reservations that may be open at once: each is a region, which every access may have to be held against.
const RESERVATIONS: usize = 128;
/// Different inner maps that a program may look up in one run: each is searched for at every access that misses.
const INNER_MAPS: usize = 1024;

/// What one virtual CPU holds.
#[derive(Debug, Default)]
pub(crate) struct Held {
    lock: Cell<Option<*const AtomicU32>>,
    reservations: RefCell<Vec<Reservation>>,
    /// Numbers of the regions of memory that is lent.
    lent: RefCell<Vec<usize>>,
    /// Memory to lend, when it is not lent: it stays allocated, since a proven program may keep an address for longer
    /// than it was given it, and read there what is lent next.
    buffers: RefCell<Vec<Box<[Cell<u8>]>>>,
    inner: RefCell<Vec<Known>>,
    /// There may be something of it.
    touched: Cell<bool>,
}

/// An inner map that the program knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// Its word: the address of a [`LoadedMap`].
    word: u64,
    /// Number of the program's map that it was found in.
    outer: usize,
    /// Its first region, and the one behind its last.
    regions: (usize, usize),
}

#[derive(Debug)]
struct Reservation {
    map: LoadedMap,
    addr: u64,
    /// Number of its region.
    region: usize,
}

impl Held {
    /// Takes a lock. `false`: a lock is held already, or this one stays taken.
    pub(crate) fn lock(&self, lock: &AtomicU32) -> bool {
        if self.lock.get().is_some() {
            return false;
        }
        for _ in 0..SPINS {
            if lock.compare_exchange_weak(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                self.lock.set(Some(lock));
                self.touched.set(true);
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }

    /// Releases the lock that is held. `false`: it is another, or none.
    pub(crate) fn unlock(&self, lock: &AtomicU32) -> bool {
        let held = self.lock.get().is_some_and(|l| std::ptr::eq(l, lock));
        if held {
            lock.store(0, Ordering::Release);
            self.lock.set(None);
        }
        held
    }

    /// Keeps a reservation, and lets the program write to it. The map's memory is its owner's until it is committed.
    pub(crate) fn reserve(&self, env: &Env, first: usize, map: &LoadedMap, value: Value) {
        let region = self.free_number(first);
        let addr = value.addr as u64;
        // SAFETY: the map gave out these bytes for this program alone until they are committed, which `commit` and
        // `clear` do after taking the region back; the map is kept.
        unsafe { env.set_region(region, Region { addr, len: value.len.into(), write: true, slots: None }) };
        self.reservations.borrow_mut().push(Reservation { map: map.clone(), addr, region });
        self.touched.set(true);
    }

    /// Lets the program read a copy of `bytes` during `call`.
    pub(crate) fn lend<R>(&self, env: &Env, first: usize, bytes: &[u8], call: impl FnOnce(u64) -> R) -> R {
        let copy = self.buffer(bytes.len());
        copy.iter().zip(bytes).for_each(|(to, from)| to.set(*from));
        let region = self.free_number(first);
        let (addr, len) = (copy.as_ptr() as u64, bytes.len() as u64);
        // SAFETY: `copy` lives, and nobody writes to it, until the region is taken back below. Its bytes are cells.
        unsafe { env.set_region(region, Region { addr, len, write: false, slots: None }) };
        self.lent.borrow_mut().push(region);
        let result = call(addr);
        self.lent.borrow_mut().retain(|n| *n != region);
        forget(env, region);
        self.buffers.borrow_mut().push(copy);
        result
    }

    /// Memory of at least so many bytes that is not lent.
    fn buffer(&self, len: usize) -> Box<[Cell<u8>]> {
        let mut free = self.buffers.borrow_mut();
        match free.iter().position(|buffer| buffer.len() >= len) {
            Some(at) => free.swap_remove(at),
            None => vec![Cell::new(0); len].into(),
        }
    }

    /// The first number from `first` on that has no region. Numbers are used again, since each costs every access a
    /// look at it, region or not.
    fn free_number(&self, first: usize) -> usize {
        let (reservations, lent, inner) = (self.reservations.borrow(), self.lent.borrow(), self.inner.borrow());
        let taken = |n: usize| {
            lent.contains(&n)
                || reservations.iter().any(|r| r.region == n)
                || inner.iter().any(|map| (map.regions.0..map.regions.1).contains(&n))
        };
        (first..).find(|n| !taken(*n)).unwrap_or(first)
    }

    /// The first number from `first` on behind all that have a region.
    fn free_region(&self, first: usize) -> usize {
        let (reservations, lent, inner) = (self.reservations.borrow(), self.lent.borrow(), self.inner.borrow());
        let behind = reservations.iter().map(|r| r.region + 1).chain(lent.iter().map(|n| n + 1));
        behind.chain(inner.iter().map(|map| map.regions.1)).fold(first, usize::max)
    }

    /// Makes the program know a map that it found in its map `outer`: it may pass it to helpers and touch its values,
    /// those of `cpu` or, with `all`, of every CPU.
    ///
    /// # Safety
    /// `word` is the address of a [`LoadedMap`] that lives, with its map, until [`Held::leave`] was called.
    pub(crate) unsafe fn know(&self, env: &Env, first: usize, (word, outer): (u64, usize), cpu: u32, all: Option<u32>) {
        if self.inner.borrow().iter().any(|map| map.word == word) {
            return;
        }
        let from = self.free_region(first);
        let mut number = from;
        // SAFETY: the caller's promise.
        let map = unsafe { &*(word as *const LoadedMap) };
        map_regions(map, cpu, all, &mut |region| {
            // SAFETY: values of a map that lives until `leave` takes the regions back, by the caller's promise; they
            // are accessed by programs, and by the map through atomics.
            unsafe { env.set_region(number, region) };
            number += 1;
        });
        self.inner.borrow_mut().push(Known { word, outer, regions: (from, number) });
        self.touched.set(true);
    }

    /// The inner map that a word names, and the program's map that it was found in.
    pub(crate) fn inner(&self, word: u64) -> Option<(&LoadedMap, usize)> {
        let inner = self.inner.borrow();
        let found = inner.iter().find(|map| map.word == word)?;
        // SAFETY: `know` was told that it lives until the program has left it.
        Some((unsafe { &*(word as *const LoadedMap) }, found.outer))
    }

    /// The inner maps that the program knows.
    pub(crate) fn inner_maps(&self) -> impl Iterator<Item = &LoadedMap> {
        // SAFETY: as for `inner`.
        (0..).map_while(|i| self.inner.borrow().get(i).map(|map| unsafe { &*(map.word as *const LoadedMap) }))
    }

    /// The program knows no inner maps any more; gives those that it knew, without their regions.
    pub(crate) fn leave(&self, env: &Env) -> Vec<Known> {
        let known = self.inner.take();
        known.iter().flat_map(|map| map.regions.0..map.regions.1).for_each(|number| forget(env, number));
        known
    }

    /// Whether the program may not know the inner map of this word, having looked up too many others.
    pub(crate) fn knows_enough(&self, word: u64) -> bool {
        let inner = self.inner.borrow();
        inner.len() >= INNER_MAPS && !inner.iter().any(|map| map.word == word)
    }

    /// Whether the program knows an inner map.
    pub(crate) fn knows_any(&self) -> bool {
        !self.inner.borrow().is_empty()
    }

    /// The trap of a program that ended with something in its hands: at the first call that could have given it that.
    pub(crate) fn kept(&self, prog: &Prog) -> Trap {
        let helper = if self.lock.get().is_some() { HelperId::SPIN_LOCK } else { HelperId::RINGBUF_RESERVE };
        let insns = &prog.program.insns;
        let calls = |at: &usize| matches!(decode(insns, *at), Ok(Inst::CallHelper { id }) if id as u32 == helper.0);
        let insn = (0..insns.len()).find(calls).unwrap_or(0) as u32;
        Trap { insn, kind: TrapKind::Helper(helper.0) }
    }

    /// Whether no more can be reserved.
    pub(crate) fn is_full(&self) -> bool {
        self.reservations.borrow().len() >= RESERVATIONS
    }

    /// Whether `addr` is a reservation.
    pub(crate) fn is_reserved(&self, addr: u64) -> bool {
        self.reservations.borrow().iter().any(|r| r.addr == addr)
    }

    /// Gives a reservation back to its map.
    pub(crate) fn commit(&self, env: &Env, addr: u64, discard: bool, flags: u64) {
        let mut all = self.reservations.borrow_mut();
        if let Some(i) = all.iter().position(|r| r.addr == addr) {
            all.swap_remove(i).end(env, discard, flags);
        }
    }

    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock.get().is_none() && self.reservations.borrow().is_empty()
    }

    /// Whether a run has nothing to give back and knows nothing, as most do.
    #[inline(always)]
    pub(crate) fn is_untouched(&self) -> bool {
        !self.touched.get()
    }

    /// A run has ended, after which nothing is held or known.
    pub(crate) fn untouch(&self) {
        self.touched.set(!self.is_empty() || self.knows_any());
    }

    /// Whether another program may take over: nothing is held, nothing lent.
    pub(crate) fn lets_go(&self) -> bool {
        self.is_empty() && self.lent.borrow().is_empty()
    }

    /// Gives everything back: the run was stopped.
    pub(crate) fn clear(&self, env: &Env) {
        if let Some(lock) = self.lock.take() {
            // SAFETY: the lock stands in a map value of a program that ran. Its batch still keeps the program's maps,
            // and is in the domain that keeps the inner ones.
            unsafe { &*lock }.store(0, Ordering::Release);
        }
        for reservation in self.reservations.take() {
            reservation.end(env, true, 0);
        }
        self.leave(env);
    }
}

impl Known {
    /// The map's word, and the number of the outer map, for [`Held::know`].
    pub(crate) fn found(&self) -> (u64, usize) {
        (self.word, self.outer)
    }
}

impl Reservation {
    fn end(self, env: &Env, discard: bool, flags: u64) {
        forget(env, self.region);
        if let Some(streams) = self.map.map.streams() {
            // An address that the map gave out is one that it takes back.
            let _ = streams.commit(self.addr, discard, flags);
        }
    }
}

/// Takes a region back.
fn forget(env: &Env, region: usize) {
    // SAFETY: an empty region covers nothing.
    unsafe { env.set_region(region, Region::default()) };
}

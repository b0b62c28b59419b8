//! Quiescence: when may an object that was taken out of a map be dropped?
//!
//! A virtual CPU is inside the domain while it runs a batch. What a map gives up meanwhile waits until every CPU that
//! was inside has left. Map values need none of this (they never go away before their map), only objects that are
//! swapped as a whole: programs, inner maps.

use std::{
    any::Any,
    cell::Cell,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::*, fence},
    },
};

/// The virtual CPUs that may see the objects of a set of maps.
///
/// Time in a domain is a counter that each [`Domain::retire`] advances. A reader that enters notes the time; garbage
/// notes the time at which it was retired, and is dropped when no reader inside has noted an earlier one.
pub struct Domain {
    time: AtomicU64,
    /// There is garbage: a reader that leaves shall look.
    waiting: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    readers: Vec<Arc<Seen>>,
    garbage: Vec<(u64, Box<dyn Any + Send>)>,
}

/// The time that a reader noted when it entered, 0 while it is outside; on a cache line of its own.
#[repr(align(64))]
struct Seen(AtomicU64);

impl Domain {
    /// A domain without readers.
    #[must_use]
    pub fn new() -> Arc<Domain> {
        Arc::new(Domain { time: AtomicU64::new(1), waiting: AtomicBool::new(false), state: Mutex::default() })
    }

    /// A new reader: one for each virtual CPU.
    #[must_use]
    pub fn reader(self: &Arc<Self>) -> Reader {
        let seen = Arc::new(Seen(AtomicU64::new(0)));
        self.state().readers.push(seen.clone());
        Reader { domain: self.clone(), seen, depth: Cell::new(0) }
    }

    /// Drops `garbage`, which no reader can find any more, when every reader that may have found it has left: at once
    /// if none is inside, otherwise with the `leave`, `retire` or [`Domain::collect`] that finds it free.
    pub fn retire(&self, garbage: Box<dyn Any + Send>) {
        // Who enters from here on reads at least this time, and with it everything that was written before: it cannot
        // find the garbage.
        let time = self.time.fetch_add(1, SeqCst) + 1;
        self.state().garbage.push((time, garbage));
        self.waiting.store(true, SeqCst);
        self.collect();
    }

    /// Drops what may be dropped; gives the number of objects that still wait.
    pub fn collect(&self) -> usize {
        let mut state = self.state();
        // Pairs with the fence of `enter`: either it comes first and its time is seen here, or this comes first and
        // that reader finds nothing that was retired before.
        fence(SeqCst);
        state.readers.retain(|seen| Arc::strong_count(seen) > 1 || seen.0.load(Acquire) != 0);
        let oldest = state.readers.iter().map(|seen| seen.0.load(Acquire)).filter(|&time| time != 0).min();
        let oldest = oldest.unwrap_or(u64::MAX);
        let (free, wait) = std::mem::take(&mut state.garbage).into_iter().partition(|(time, _)| *time <= oldest);
        state.garbage = wait;
        let left = state.garbage.len();
        self.waiting.store(left > 0, SeqCst);
        drop(state);
        // Outside the lock: what is dropped may hold maps whose objects retire in turn.
        drop::<Vec<_>>(free);
        left
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Domain")
            .field("time", &self.time)
            .field("readers", &state.readers.len())
            .field("garbage", &state.garbage.len())
            .finish()
    }
}

/// A virtual CPU's part in a [`Domain`].
pub struct Reader {
    domain: Arc<Domain>,
    seen: Arc<Seen>,
    /// Batches inside one another.
    depth: Cell<u32>,
}

impl Reader {
    /// Enters: until the batch is dropped, no object that a map of the domain holds or held since goes away.
    ///
    /// Costs one store and a fence, its end one store: enter once a batch, not once a packet. A reader that stays
    /// inside keeps garbage alive.
    #[inline]
    pub fn enter(&self) -> Batch<'_> {
        self.stay();
        Batch { reader: self }
    }

    /// Enters until [`Reader::leave`]: for one who cannot hold a [`Batch`] between packets.
    #[inline]
    pub fn stay(&self) {
        if self.depth.replace(self.depth.get() + 1) == 0 {
            self.seen.0.store(self.domain.time.load(Acquire), Relaxed);
            fence(SeqCst);
        }
    }

    /// Ends a [`Reader::stay`].
    #[inline]
    pub fn leave(&self) {
        let Reader { domain, seen, depth } = self;
        depth.set(depth.get() - 1);
        if depth.get() == 0 {
            seen.0.store(0, Release);
            if domain.waiting.load(Relaxed) {
                domain.collect();
            }
        }
    }

    /// Its domain.
    #[must_use]
    pub fn domain(&self) -> &Arc<Domain> {
        &self.domain
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("seen", &self.seen.0).field("depth", &self.depth).finish()
    }
}

/// A reader is inside its domain for as long as this lives.
#[derive(Debug)]
pub struct Batch<'a> {
    reader: &'a Reader,
}

impl Drop for Batch<'_> {
    #[inline]
    fn drop(&mut self) {
        self.reader.leave();
    }
}

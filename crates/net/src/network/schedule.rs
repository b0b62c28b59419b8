//! What is to happen, in the order of its time; at one time, in the order in which it was planned.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

/// Some things, each with its time.
pub(super) struct Schedule<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    planned: u64,
}

struct Entry<T> {
    /// The time, and how many were planned before.
    order: (u64, u64),
    thing: T,
}

impl<T> Default for Schedule<T> {
    fn default() -> Schedule<T> {
        Schedule { heap: BinaryHeap::new(), planned: 0 }
    }
}

impl<T> Schedule<T> {
    pub(super) fn add(&mut self, time: u64, thing: T) {
        self.heap.push(Reverse(Entry { order: (time, self.planned), thing }));
        self.planned += 1;
    }

    /// The first, with its time, if it is not later than that.
    pub(super) fn before(&mut self, until: u64) -> Option<(u64, T)> {
        self.heap.peek().filter(|first| first.0.order.0 <= until)?;
        self.heap.pop().map(|Reverse(entry)| (entry.order.0, entry.thing))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Entry<T>) -> bool {
        self.order == other.order
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Entry<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Entry<T>) -> Ordering {
        self.order.cmp(&other.order)
    }
}

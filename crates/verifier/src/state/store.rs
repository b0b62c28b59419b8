//! Where checkpoints live: an arena with free places, so that states name each other by number.

use super::State;
use std::ops::{Index, IndexMut};

/// Names a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StateId(u32);

/// A checkpoint.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) state: State,
    pub(crate) hits: u32,
    pub(crate) misses: u32,
    /// It is no longer compared with; it lives on for those that descend from it.
    pub(crate) evicted: bool,
}

/// All checkpoints.
#[derive(Debug, Default)]
pub(crate) struct Store {
    places: Vec<Option<Checkpoint>>,
    free: Vec<u32>,
    /// Bytes that the states hold.
    held: usize,
}

impl Store {
    pub(crate) fn add(&mut self, state: State) -> StateId {
        self.held += state.bytes();
        let checkpoint = Some(Checkpoint { state, hits: 0, misses: 0, evicted: false });
        match self.free.pop() {
            Some(at) => {
                self.places[at as usize] = checkpoint;
                StateId(at)
            }
            None => {
                self.places.push(checkpoint);
                StateId(self.places.len() as u32 - 1)
            }
        }
    }

    pub(crate) fn remove(&mut self, id: StateId) {
        if let Some(gone) = self.places[id.0 as usize].take() {
            self.held -= gone.state.bytes();
            self.free.push(id.0);
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Store::default();
    }

    /// Bytes that all of them take, beside what states share.
    pub(crate) fn bytes(&self) -> usize {
        self.held + self.places.capacity() * size_of::<Option<Checkpoint>>()
    }
}

impl Index<StateId> for Store {
    type Output = Checkpoint;

    fn index(&self, id: StateId) -> &Checkpoint {
        self.places[id.0 as usize].as_ref().unwrap_or_else(|| unreachable!("names of removed states are gone"))
    }
}

impl IndexMut<StateId> for Store {
    fn index_mut(&mut self, id: StateId) -> &mut Checkpoint {
        self.places[id.0 as usize].as_mut().unwrap_or_else(|| unreachable!("names of removed states are gone"))
    }
}

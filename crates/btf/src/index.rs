//! Types by name. Built at the first question; the strings stay where they are.

use crate::{Btf, Kind, TypeId};
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

/// Chains of types whose names have one hash, by that hash. The hash is seeded, so that nobody can choose names that
/// collide.
pub(crate) struct Index {
    seed: RandomState,
    first: HashMap<u64, u32>,
    /// For each type of the set the next one in its chain, 0 at the end.
    next: Vec<u32>,
}

impl Index {
    fn new(btf: &Btf) -> Index {
        let seed = RandomState::new();
        let mut first = HashMap::with_capacity(btf.offsets.len());
        let mut next = vec![0; btf.offsets.len()];
        // From the back, so that a chain gives the lowest id first.
        for (i, at) in btf.offsets.iter().enumerate().rev() {
            let name = btf.string_bytes(btf.word(*at as usize)).unwrap_or_default();
            if !name.is_empty() {
                let id = btf.first_id() + i as u32;
                next[i] = first.insert(seed.hash_one(name), id).unwrap_or(0);
            }
        }
        Index { seed, first, next }
    }
}

impl Btf {
    /// The first type with this name and kind, the base's before this set's own.
    #[must_use]
    pub fn find(&self, name: &str, kind: Kind) -> Option<TypeId> {
        self.named(name).find(|id| self.ty(*id).is_some_and(|t| t.kind() == kind))
    }

    /// Every type with this name, the base's first, then by id.
    pub fn named<'a>(&'a self, name: &'a str) -> Box<dyn Iterator<Item = TypeId> + 'a> {
        let own = self.named_here(name);
        match &self.base {
            Some(base) => Box::new(base.named(name).chain(own)),
            None => Box::new(own),
        }
    }

    fn named_here<'a>(&'a self, name: &'a str) -> impl Iterator<Item = TypeId> + 'a {
        let index = self.index.get_or_init(|| Index::new(self));
        let first = self.first_id();
        let head = index.first.get(&index.seed.hash_one(name.as_bytes())).copied();
        let following = move |id: &u32| index.next.get((id - first) as usize).copied().filter(|next| *next != 0);
        std::iter::successors(head, following).map(TypeId).filter(move |id| self.name(*id) == name)
    }
}

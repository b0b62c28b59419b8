//! Types by name. Built at the first question; the strings stay where
//! they are.

use crate::{
    Btf, Kind, TypeId,
    hash::{Chains, Seed},
};

/// Chains of types, by the hashes of their names.
pub(crate) struct Index {
    seed: Seed,
    chains: Chains,
}

impl Index {
    fn new(btf: &Btf) -> Index {
        let seed = Seed::new();
        let mut chains = Chains::new(btf.offsets.len());
        // From the back, so that a chain gives the lowest id first.
        for (i, at) in btf.offsets.iter().enumerate().rev() {
            let name = btf.string_bytes(btf.word(*at as usize)).unwrap_or_default();
            if !name.is_empty() {
                chains.push(seed.bytes(name), i as u32 + 1);
            }
        }
        Index { seed, chains }
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
        // The empty name stands for none.
        let chain = (!name.is_empty()).then(|| index.chains.of(index.seed.bytes(name.as_bytes())));
        chain.into_iter().flatten().map(move |n| TypeId(first + n - 1)).filter(move |id| self.name(*id) == name)
    }
}

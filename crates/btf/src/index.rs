//! Types by name. The first questions are answered by looking at all names, which takes a tenth of the time that the
//! index takes to be built; who asks more often gets it. The strings stay where they are.
//!
//! Names are kept without their flavour (`task_struct` for `task_struct___old`), so that one index finds both a type and
//! everything that CO-RE takes for it.

use crate::{
    Btf, Kind, TypeId,
    hash::{Chains, Seed},
};
use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

/// Questions that are answered without the index.
const UNINDEXED: u32 = 4;

/// How types are found by name.
#[derive(Default)]
pub(crate) struct Names {
    asked: AtomicU32,
    index: OnceLock<Index>,
}

impl Names {
    /// The index, once it is worth its while.
    fn index(&self, btf: &Btf) -> Option<&Index> {
        // Threads that miss each other's questions ask a few more without it.
        if self.index.get().is_none() && self.asked.fetch_add(1, Ordering::Relaxed) < UNINDEXED {
            return None;
        }
        Some(self.index.get_or_init(|| Index::new(btf)))
    }
}

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
                chains.push(seed.bytes(essential(name)), i as u32 + 1);
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

    /// Every type whose name is `name`, flavours (`___…`) aside on both sides; the base's first, then by id.
    pub fn flavours<'a>(&'a self, name: &'a str) -> Box<dyn Iterator<Item = TypeId> + 'a> {
        let name = essential_name(name);
        let own = self.chain(name).filter(move |id| essential_name(self.name(*id)) == name);
        match &self.base {
            Some(base) => Box::new(base.flavours(name).chain(own)),
            None => Box::new(own),
        }
    }

    fn named_here<'a>(&'a self, name: &'a str) -> impl Iterator<Item = TypeId> + 'a {
        self.chain(essential_name(name)).filter(move |id| self.name(*id) == name)
    }

    /// The types of this set whose names may be `name`, flavours aside.
    fn chain<'a>(&'a self, name: &'a str) -> impl Iterator<Item = TypeId> + 'a {
        let first = self.first_id();
        // The empty name stands for none.
        let index = if name.is_empty() { None } else { Some(self.names.index(self)) };
        let (chain, scan) = match index {
            None => (None, None),
            Some(Some(index)) => (Some(index.chains.of(index.seed.bytes(name.as_bytes()))), None),
            Some(None) => (None, Some(self.beginning(name.as_bytes()))),
        };
        chain.into_iter().flatten().chain(scan.into_iter().flatten()).map(move |n| TypeId(first + n - 1))
    }

    /// The types of this set whose names begin so, counted from 1.
    fn beginning<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
        let before = self.base.as_ref().map_or(0, |b| b.string_end());
        let strings = self.raw.get(self.strings.clone()).unwrap_or_default();
        let begins = move |at: &u32| {
            let off = self.word(*at as usize);
            if off < before {
                return self.string_bytes(off).is_some_and(|text| text.starts_with(name));
            }
            let text = strings.get((off - before) as usize..).unwrap_or_default();
            text.first() == name.first() && text.starts_with(name)
        };
        (1..).zip(&self.offsets).filter(move |(_, at)| begins(at)).map(|(n, _)| n)
    }
}

/// A name without its flavour: what stands before the last `___` that has something on both sides. A program may so
/// hold several forms of a kernel's type under names of their own.
///
/// ```
/// use alveary_btf::essential_name;
/// assert_eq!(essential_name("task_struct___v5"), "task_struct");
/// assert_eq!(essential_name("___special"), "___special");
/// ```
#[must_use]
pub fn essential_name(name: &str) -> &str {
    // The cut is in front of an ASCII character.
    name.get(..essential(name.as_bytes()).len()).unwrap_or(name)
}

fn essential(name: &[u8]) -> &[u8] {
    if !has_three(name) {
        return name;
    }
    let flavoured = |w: &[u8]| w[0] != b'_' && w[1..4] == *b"___" && w[4] != b'_';
    name.windows(5).rposition(flavoured).map_or(name, |at| &name[..=at])
}

/// Whether `___` is in a name, told from every third byte: few names have it, and all are asked.
fn has_three(name: &[u8]) -> bool {
    let is = |at: usize| name.get(at) == Some(&b'_');
    let around = |at: usize| is(at - 1) && (is(at - 2) || is(at + 1)) || is(at + 1) && is(at + 2);
    (2..name.len()).step_by(3).any(|at| is(at) && around(at))
}

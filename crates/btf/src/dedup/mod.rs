//! Sets in which each type stands once: the same types of many compilation units made one, forward declarations made
//! the types that they declare. Gives what libbpf's `btf__dedup` gives.
//!
//! In five steps: types that refer to none are compared by their words; structs and unions by the graphs that they
//! head (`equal`), since they may refer to themselves; forward declarations of a unique name become what they declare;
//! what refers to those follows from the references; the rest is renumbered. Every loop counts against a budget: types
//! made to harm end in an error, not in hours.

mod equal;
mod words;

use crate::{
    Btf, Builder, Kind, TypeId,
    hash::{Chains, Seed},
};
use alveary_diag::{Diagnostic, Place};
use std::{collections::HashMap, sync::Arc};
use words::Words;

impl Btf {
    /// This set with each type once, the base's types counted: what is there need not be here. Gives the set, and for
    /// each id (the base's and `void` too) what it has become.
    ///
    /// # Errors
    /// References that never end, or types whose comparison takes more work than their number justifies.
    pub fn dedup(&self) -> Result<(Btf, Vec<TypeId>), Diagnostic> {
        let mut dedup = Dedup::new(self);
        dedup.note_base()?;
        dedup.plain_types()?;
        dedup.records()?;
        dedup.forward_declarations();
        dedup.references()?;
        dedup.finish(self.base.clone())
    }
}

/// Comparisons that are allowed: so many at least, and so many for each word of the types.
const STEPS: usize = 1 << 22;
const STEPS_A_WORD: usize = 1 << 12;

struct Dedup {
    types: Words,
    /// What each type has become, as far as it is known; its own id if it stays.
    map: Vec<State>,
    seed: Seed,
    /// Types that stay, by the hashes of their words.
    stays: Chains,
    /// The comparison that is under way: types of the candidate, by the types that they would become.
    pairs: Vec<u32>,
    /// Those that have one.
    paired: Vec<u32>,
    /// A forward declaration of the base would have to become a type of this set.
    base_would_change: bool,
    steps: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Begun,
    Is(u32),
}

impl Dedup {
    fn new(btf: &Btf) -> Dedup {
        let types = Words::of(btf);
        let count = types.count() as usize;
        let state = |id: u32| match types.kind(id) {
            // The base's types and sections with their variables stay as they are.
            _ if id < types.first => State::Is(id),
            Kind::Var | Kind::DataSec => State::Is(id),
            _ => State::Open,
        };
        Dedup {
            map: (0..count as u32).map(state).collect(),
            seed: Seed::new(),
            stays: Chains::new(count),
            pairs: vec![0; count],
            paired: Vec::new(),
            base_would_change: false,
            steps: STEPS + STEPS_A_WORD * types.len(),
            types,
        }
    }

    fn note_base(&mut self) -> Result<(), Diagnostic> {
        for id in 1..self.types.first {
            if !matches!(self.types.kind(id), Kind::Var | Kind::DataSec) {
                self.stays.push(self.types.hash(id, self.seed), id);
            }
        }
        Ok(())
    }

    /// Types that refer to none.
    fn plain_types(&mut self) -> Result<(), Diagnostic> {
        for id in self.types.own() {
            match self.types.kind(id) {
                Kind::Int | Kind::Fwd | Kind::Float => self.settle(id)?,
                Kind::Enum | Kind::Enum64 => self.settle_enum(id)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes a type one of those of the same words, or the first of them.
    fn settle(&mut self, id: u32) -> Result<(), Diagnostic> {
        let hash = self.types.hash(id, self.seed);
        let mut found = id;
        for candidate in self.stays.of(hash) {
            step(&mut self.steps, id)?;
            if self.types.same(id, candidate) {
                found = candidate;
                break;
            }
        }
        self.settled(id, found, hash);
        Ok(())
    }

    /// An enumeration without names declares one of its name.
    fn settle_enum(&mut self, id: u32) -> Result<(), Diagnostic> {
        let hash = self.types.hash(id, self.seed);
        let mut found = id;
        let mut declared = Vec::new();
        for candidate in self.stays.of(hash) {
            step(&mut self.steps, id)?;
            if self.types.same(id, candidate) {
                found = candidate;
                break;
            }
            if self.types.enums_agree(id, candidate) {
                if self.types.parts(id) == 0 {
                    found = candidate;
                    break;
                }
                declared.push(candidate);
            }
        }
        for candidate in declared {
            self.map[candidate as usize] = State::Is(id);
        }
        self.settled(id, found, hash);
        Ok(())
    }

    /// A type is the one that was found; if that is itself, it stays, and others may be it.
    fn settled(&mut self, id: u32, found: u32, hash: u64) {
        self.map[id as usize] = State::Is(found);
        if found == id {
            self.stays.push(hash, id);
        }
    }

    /// Structs and unions.
    fn records(&mut self) -> Result<(), Diagnostic> {
        for id in self.types.own() {
            if self.map[id as usize] != State::Open || !self.types.is_record(id) {
                continue;
            }
            let hash = self.types.hash(id, self.seed);
            let candidates: Vec<u32> = self.stays.of(hash).collect();
            let mut found = id;
            for candidate in candidates {
                step(&mut self.steps, id)?;
                if !self.types.same_record(id, candidate) || !self.same_graph(id, candidate)? {
                    continue;
                }
                self.take_pairs();
                if !self.base_would_change {
                    found = candidate;
                    break;
                }
            }
            self.settled(id, found, hash);
        }
        Ok(())
    }

    /// Forward declarations that are left become the only struct or union of their name, if there is only one.
    fn forward_declarations(&mut self) {
        let mut unique: HashMap<u32, Option<u32>> = HashMap::new();
        for id in 1..self.types.count() {
            if self.types.is_record(id) && self.map[id as usize] == State::Is(id) {
                unique.entry(self.types.name(id)).and_modify(|other| *other = None).or_insert(Some(id));
            }
        }
        for id in self.types.own() {
            if self.types.kind(id) == Kind::Fwd
                && self.map[id as usize] == State::Is(id)
                && let Some(Some(record)) = unique.get(&self.types.name(id))
                && self.types.kind(*record) == self.types.declared_kind(id)
            {
                self.map[id as usize] = State::Is(*record);
            }
        }
    }

    /// Types that refer to others: each behind those, so that equal references are equal words.
    fn references(&mut self) -> Result<(), Diagnostic> {
        for root in self.types.own() {
            if self.map[root as usize] != State::Open {
                continue;
            }
            self.map[root as usize] = State::Begun;
            let mut open = vec![root];
            while let Some(&id) = open.last() {
                step(&mut self.steps, id)?;
                let mut waits_for = None;
                for to in self.types.references(id) {
                    match self.map[to as usize] {
                        State::Is(_) => {}
                        State::Begun => return Err(circle(id)),
                        State::Open => {
                            waits_for = Some(to);
                            break;
                        }
                    }
                }
                if let Some(to) = waits_for {
                    self.map[to as usize] = State::Begun;
                    open.push(to);
                    continue;
                }
                open.pop();
                let map = &self.map;
                self.types.refer(id, |to| resolve(map, to));
                self.settle(id)?;
            }
        }
        Ok(())
    }

    /// Leaves out what has become another type and numbers the rest anew.
    fn finish(mut self, base: Option<Arc<Btf>>) -> Result<(Btf, Vec<TypeId>), Diagnostic> {
        let mut numbers: Vec<u32> = (0..self.types.first).collect();
        let mut next = self.types.first;
        for id in self.types.own() {
            let stays = self.map[id as usize] == State::Is(id);
            numbers.push(if stays { next } else { 0 });
            next += u32::from(stays);
        }
        let map = &self.map;
        let ids: Vec<u32> = (0..self.types.count()).map(|id| numbers[resolve(map, id) as usize]).collect();
        let mut out = Builder::empty(self.types.endian, base);
        for id in self.types.own() {
            if map[id as usize] == State::Is(id) {
                self.types.refer(id, |to| ids[to as usize]);
                out.put_words(self.types.get(id), |name| self.types.strings.get(name));
            }
        }
        Ok((out.finish()?, ids.into_iter().map(TypeId).collect()))
    }
}

/// What a type has become in the end.
fn resolve(map: &[State], id: u32) -> u32 {
    let mut id = id;
    while let State::Is(to) = map[id as usize]
        && to != id
    {
        id = to;
    }
    id
}

fn step(steps: &mut usize, id: u32) -> Result<(), Diagnostic> {
    *steps = steps.saturating_sub(1);
    if *steps > 0 {
        return Ok(());
    }
    let why =
        Diagnostic::new("btf-dedup", "comparing the types takes more work than is reasonable", Place::BtfType { id });
    Err(why.help("the BTF is damaged, or made to harm"))
}

fn circle(id: u32) -> Diagnostic {
    Diagnostic::new("btf-dedup", "the type refers to itself with no struct or union between", Place::BtfType { id })
}

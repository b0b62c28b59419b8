//! Whether two graphs of types are the same.
//!
//! The graphs are walked side by side. Where they meet types that were met before, the pair of then must be the pair of
//! now: so circles end. Nothing is known of the result until the whole walk has ended well; then every pair of it is
//! worth something (`take_pairs`).

use super::{Dedup, State, resolve, step};
use crate::Kind;
use alveary_diag::Diagnostic;

/// Structs inside of structs that are compared member by member where a compiler has written one type twice.
const LEVELS: u32 = 16;

impl Dedup {
    /// Whether `candidate` heads the same graph as `canon`, which stays.
    pub(super) fn same_graph(&mut self, candidate: u32, canon: u32) -> Result<bool, Diagnostic> {
        for canon in self.paired.drain(..) {
            self.pairs[canon as usize] = 0;
        }
        self.base_would_change = false;
        let mut open = vec![(candidate, canon)];
        let mut found = Vec::new();
        while let Some((candidate, canon)) = open.pop() {
            step(&mut self.steps, candidate)?;
            if !self.same_node(candidate, canon, &mut found)? {
                return Ok(false);
            }
            // The first reference is followed first.
            open.extend(found.drain(..).rev());
        }
        Ok(true)
    }

    /// Compares two types by themselves; their references, if they have to be compared, go to `found`.
    fn same_node(&mut self, candidate: u32, canon: u32, found: &mut Vec<(u32, u32)>) -> Result<bool, Diagnostic> {
        if resolve(&self.map, candidate) == resolve(&self.map, canon) {
            return Ok(true);
        }
        let canon = self.declared(canon);
        let before = self.pairs[canon as usize];
        if before != 0 {
            // Compilers write some types twice in one unit: they may stand for each other.
            let twice = self.types.kind(before) == Kind::Array || self.types.kind(before) == Kind::Ptr;
            let same = before == candidate
                || twice && self.types.same(before, candidate)
                || self.twin_records(before, candidate, 0)?;
            return Ok(same);
        }
        self.pairs[canon as usize] = candidate;
        self.paired.push(canon);
        let types = &self.types;
        if types.name(candidate) != types.name(canon) {
            return Ok(false);
        }
        let (kind, canon_kind) = (types.kind(candidate), types.kind(canon));
        if kind != canon_kind && kind == Kind::Fwd {
            return Ok(types.declared_kind(candidate) == canon_kind);
        }
        if kind != canon_kind && canon_kind == Kind::Fwd {
            let declares = types.declared_kind(canon) == kind;
            self.base_would_change |= declares && canon < types.first;
            return Ok(declares);
        }
        let same = match kind {
            Kind::Enum | Kind::Enum64 => kind == canon_kind && types.enums_agree(candidate, canon),
            Kind::Void | Kind::Var | Kind::DataSec | Kind::DeclTag => false,
            _ => types.same_but_references(candidate, canon),
        };
        if same {
            let (a, b) = (types.references(candidate), types.references(canon));
            match kind {
                // The index of an array comes first, as in libbpf.
                Kind::Array => {
                    let pairs: Vec<_> = a.zip(b).collect();
                    found.extend(pairs.into_iter().rev());
                }
                _ => found.extend(a.zip(b)),
            }
        }
        Ok(same)
    }

    /// The struct or union that a forward declaration has become; else the type itself.
    fn declared(&self, id: u32) -> u32 {
        if self.types.kind(id) != Kind::Fwd {
            return id;
        }
        let becomes = resolve(&self.map, id);
        if self.types.kind(becomes) == Kind::Fwd { id } else { becomes }
    }

    /// Whether two structs are the same down to the ids that they refer to, or to twins of those.
    fn twin_records(&mut self, a: u32, b: u32, level: u32) -> Result<bool, Diagnostic> {
        step(&mut self.steps, a)?;
        if level > LEVELS || !self.types.same_record(a, b) {
            return Ok(false);
        }
        let pairs: Vec<(u32, u32)> = self.types.references(a).zip(self.types.references(b)).collect();
        for (a, b) in pairs {
            let same_array = || self.types.kind(a) == Kind::Array && self.types.same(a, b);
            if a != b && !same_array() && !self.twin_records(a, b, level + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes use of the pairs of a walk that ended well: forward declarations on either side become what stood on the
    /// other, structs and unions become those that stay.
    pub(super) fn take_pairs(&mut self) {
        for i in 0..self.paired.len() {
            let canon = self.paired[i];
            let here = resolve(&self.map, self.pairs[canon as usize]);
            let there = resolve(&self.map, canon);
            let (kind, canon_kind) = (self.types.kind(here), self.types.kind(there));
            if kind != Kind::Fwd && canon_kind == Kind::Fwd {
                self.map[there as usize] = State::Is(here);
            }
            if self.base_would_change {
                continue;
            }
            if kind == Kind::Fwd && canon_kind != Kind::Fwd {
                self.map[here as usize] = State::Is(there);
            }
            let stays = matches!(self.map[there as usize], State::Is(_));
            if self.types.is_record(here) && canon_kind != Kind::Fwd && stays && self.map[here as usize] == State::Open
            {
                self.map[here as usize] = State::Is(there);
            }
        }
    }
}

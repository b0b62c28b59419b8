//! Which types have to be written, and which only to be named: what is only pointed to needs no definition.

use super::{LEVELS, too_deep};
use crate::{Btf, Type, TypeId};
use alveary_diag::Diagnostic;

/// How much of a type is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    #[default]
    None,
    /// Its name: it is pointed to.
    Name,
    /// All of it.
    Whole,
}

/// What is needed of each type.
pub(super) struct Needs {
    needs: Vec<Need>,
    /// The types in the order in which they were met.
    met: Vec<TypeId>,
}

impl Needs {
    /// What `roots` need, and they themselves.
    pub(super) fn find(btf: &Btf, roots: impl IntoIterator<Item = TypeId>) -> Result<Needs, Diagnostic> {
        let mut needs = Needs { needs: vec![Need::None; btf.count() as usize], met: Vec::new() };
        let mut open: Vec<_> = roots.into_iter().map(|id| (id, Need::Whole)).collect();
        open.reverse();
        while let Some((id, need)) = open.pop() {
            let Some(known) = needs.needs.get_mut(id.0 as usize) else { continue };
            if *known >= need {
                continue;
            }
            if *known == Need::None {
                needs.met.push(id);
            }
            *known = need;
            match btf.ty(id) {
                Some(Type::Struct(t) | Type::Union(t)) if need == Need::Whole => {
                    let first = open.len();
                    open.extend(t.places().map(|m| (m.ty, Need::Whole)));
                    open[first..].reverse();
                }
                Some(Type::DataSec(t)) => open.extend(t.vars().map(|v| (v.ty, Need::Whole))),
                Some(Type::Ptr(to)) => open.push((to, Need::Name)),
                Some(Type::Array(t)) => open.push((t.element, need)),
                other => open.extend(other.and_then(Type::stands_for).map(|ty| (ty, need))),
            }
        }
        needs.check_circles(btf)?;
        Ok(needs)
    }

    /// How much of a type is needed.
    pub(super) fn of(&self, id: TypeId) -> Need {
        self.needs.get(id.0 as usize).copied().unwrap_or_default()
    }

    /// The needed types, those that were asked for first.
    pub(super) fn order(&self) -> impl Iterator<Item = TypeId> {
        self.met.iter().copied()
    }

    /// Refuses types that hold themselves by value, and chains without end.
    fn check_circles(&self, btf: &Btf) -> Result<(), Diagnostic> {
        let mut done = vec![false; self.needs.len()];
        let mut inside = vec![false; self.needs.len()];
        for root in self.order() {
            // A type, and whether all that it holds was looked at.
            let mut open = vec![(root, false)];
            let mut level = 0;
            while let Some((id, left)) = open.pop() {
                let at = id.0 as usize;
                if left {
                    (inside[at], done[at]) = (false, true);
                    level -= 1;
                    continue;
                }
                if done[at] {
                    continue;
                }
                if inside[at] || level > LEVELS {
                    return Err(too_deep(id));
                }
                inside[at] = true;
                level += 1;
                open.push((id, true));
                self.held(btf, id, |to| open.push((to, false)));
            }
        }
        Ok(())
    }

    /// What a type holds by value, or stands for.
    fn held(&self, btf: &Btf, id: TypeId, mut each: impl FnMut(TypeId)) {
        match btf.ty(id) {
            Some(Type::Struct(t) | Type::Union(t)) if self.of(id) == Need::Whole => {
                t.places().for_each(|m| each(m.ty));
            }
            Some(Type::Array(t)) => each(t.element),
            other => other.and_then(Type::stands_for).into_iter().for_each(each),
        }
    }
}

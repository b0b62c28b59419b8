//! Split BTF that brings a distilled base along (`.BTF.base`, as kernel modules do from Linux 6.11 on), moved over the
//! base that is really there.
//!
//! A distilled base holds no more of the kernel's types than lets them be found again: numbers and enumerations with
//! their sizes, structs and unions with their sizes where the module holds some by value, and else forward declarations.
//! All have names. What they become is looked for by name, kind and size, as libbpf's `btf__relocate` does.

use crate::{Array, Btf, Builder, Kind, Type, TypeId, layout::DEPTH};
use alveary_diag::{Diagnostic, Place};
use std::{collections::BTreeSet, sync::Arc};

/// Types without a counterpart that are named; more of them are counted.
const MOST_NAMES: usize = 8;

impl Btf {
    /// This set over `base` in place of the distilled base that it was read over. Its own types keep their order.
    ///
    /// # Errors
    /// Types of the distilled base that `base` does not have, or has several of, by name.
    pub fn relocate(&self, base: Arc<Btf>) -> Result<Btf, Diagnostic> {
        let Some(distilled) = &self.base else {
            return Err(problem("the types have no base that could be exchanged", TypeId::VOID));
        };
        if distilled.endian() != base.endian() {
            return Err(problem("the types and their base differ in byte order", TypeId::VOID)
                .expected(format!("{:?}-endian", distilled.endian()))
                .found(format!("{:?}-endian", base.endian())));
        }
        let embedded = self.embedded(distilled.count());
        let mut becomes = vec![TypeId::VOID];
        let mut missing = Vec::new();
        for id in (1..distilled.count()).map(TypeId) {
            let wanted = distilled.ty(id).filter(|t| !t.name().is_empty() && is_distilled(t.kind()));
            let Some(wanted) = wanted else {
                return Err(problem("the distilled base holds what none holds", id)
                    .expected("numbers, enumerations, structs, unions and forward declarations with names")
                    .found(format!("`{}`", distilled.c_name(id))));
            };
            match counterparts(wanted, embedded.contains(&id), &base)[..] {
                [one] => becomes.push(one),
                [one, other, ..] => {
                    return Err(problem(format!("the base has `{}` more than once", distilled.c_name(id)), id)
                        .found(format!("types {} and {}", one.0, other.0)));
                }
                [] => missing.push(describe(distilled, id, wanted)),
            }
        }
        if let Some(first) = missing.first() {
            let why = problem(format!("the base does not have {first}, which the types were made for"), TypeId::VOID)
                .help("take the types of the kernel that the module was built for");
            let named = missing.iter().skip(1).take(MOST_NAMES);
            let why = named.fold(why, |why, name| why.note(format!("nor does it have {name}")));
            return Err(match missing.len().saturating_sub(1 + MOST_NAMES) {
                0 => why,
                more => why.note(format!("and {more} more")),
            });
        }
        let (first, moved) = (distilled.count(), base.count());
        let mut out = Builder::over(base);
        for id in self.ids() {
            out.copy(self, id, |to| match becomes.get(to.0 as usize) {
                Some(base) => *base,
                None => TypeId(to.0 - first + moved),
            });
        }
        out.finish()
    }

    /// The structs and unions below `end` that those of this set hold by value: their sizes have to be right.
    fn embedded(&self, end: u32) -> BTreeSet<TypeId> {
        let mut found = BTreeSet::new();
        for id in self.ids() {
            let Some(Type::Struct(t) | Type::Union(t)) = self.ty(id) else { continue };
            for member in t.places() {
                let mut held = self.resolve(member.ty);
                for _ in 0..DEPTH {
                    let Some(Type::Array(Array { element, .. })) = self.ty(held) else { break };
                    held = self.resolve(element);
                }
                if held.0 < end && matches!(self.resolved(held), Type::Struct(_) | Type::Union(_)) {
                    found.insert(held);
                }
            }
        }
        found
    }
}

fn is_distilled(kind: Kind) -> bool {
    matches!(kind, Kind::Int | Kind::Float | Kind::Enum | Kind::Struct | Kind::Union | Kind::Fwd)
}

/// The types of `base` that a distilled one may stand for.
fn counterparts(wanted: Type<'_>, embedded: bool, base: &Btf) -> Vec<TypeId> {
    let named = || base.named(wanted.name()).filter_map(|id| Some((id, base.ty(id)?)));
    let is_record = |t: Type<'_>| matches!(t, Type::Struct(_) | Type::Union(_));
    // Where several share the name, the size has to tell them apart.
    let sized = embedded || named().filter(|(_, t)| is_record(*t)).count() > 1;
    let fits = |found: Type<'_>| match (wanted, found) {
        (Type::Int(w), Type::Int(f)) => (w.size, w.signed, w.char, w.bool) == (f.size, f.signed, f.char, f.bool),
        (Type::Float { size: w, .. }, Type::Float { size: f, .. }) => w == f,
        // Wide ones are distilled to narrow ones of their size.
        (Type::Enum(w), Type::Enum(f) | Type::Enum64(f)) => w.size == f.size,
        (Type::Struct(w), Type::Struct(f)) | (Type::Union(w), Type::Union(f)) => !sized || w.size == f.size,
        (Type::Fwd { union: w, .. }, Type::Fwd { union: f, .. }) => w == f,
        (Type::Fwd { union, .. }, Type::Struct(_)) => !union && !sized,
        (Type::Fwd { union, .. }, Type::Union(_)) => union && !sized,
        _ => false,
    };
    named().filter(|(_, found)| fits(*found)).map(|(id, _)| id).collect()
}

/// A type in words: name, and the size if that counts.
fn describe(distilled: &Btf, id: TypeId, wanted: Type<'_>) -> String {
    let name = distilled.c_name(id);
    match distilled.size_of(id) {
        Some(size) if !matches!(wanted, Type::Fwd { .. }) => format!("`{name}` of {size} bytes"),
        _ => format!("`{name}`"),
    }
}

fn problem(message: impl Into<std::borrow::Cow<'static, str>>, id: TypeId) -> Diagnostic {
    let place = if id == TypeId::VOID { Place::Nowhere } else { Place::BtfType { id: id.0 } };
    Diagnostic::new("btf-base", message, place)
}

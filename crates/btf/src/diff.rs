//! What changed between two sets: the layout of structs and unions, the names of enumerations. Types are known by name.

use crate::{Btf, CoreReloc, Enum, Type, TypeId, layout::DEPTH};
use std::collections::{BTreeMap, BTreeSet};

/// A type that is not the same in both sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name in C terms: `struct task_struct`.
    pub name: String,
    /// What is different.
    pub change: Change,
}

/// How a type differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Only the first set has it.
    Removed,
    /// Only the second set has it.
    Added,
    /// A struct or union.
    Layout {
        /// Sizes in bytes, before and after.
        size: (u32, u32),
        /// Members that are not the same, those that are gone first, then in the order of the second set.
        members: Vec<MemberChange>,
    },
    /// Names of an enumeration that have another value, or are there only before or only after.
    Values(Vec<(String, Option<i128>, Option<i128>)>),
}

/// How a member differs: as it was, and as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberChange {
    /// Its name; behind that of the struct without a name that holds it, if that is a member itself: `rcu.next`.
    pub name: String,
    /// As the first set has it.
    pub before: Option<Spot>,
    /// As the second set has it.
    pub after: Option<Spot>,
}

/// Where a member stands, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Its first bit.
    pub bit: u32,
    /// Number of its bits, if it is a bit field.
    pub bits: Option<u8>,
    /// Its type in C terms.
    pub ty: String,
}

/// Members of one struct that are looked at.
const MEMBERS: usize = 1 << 16;

impl Btf {
    /// What is different in `other`: of all types with these names in C terms (`struct sock`), or of all.
    #[must_use]
    pub fn diff(&self, other: &Btf, only: Option<&BTreeSet<String>>) -> Vec<Difference> {
        let (before, after) = (self.by_c_name(only), other.by_c_name(only));
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let change = |name: &String| match (before.get(name), after.get(name)) {
            (Some(a), Some(b)) => changed(self, *a, other, *b),
            (Some(_), None) => Some(Change::Removed),
            (None, _) => Some(Change::Added),
        };
        names.into_iter().filter_map(|name| Some(Difference { name: name.clone(), change: change(name)? })).collect()
    }

    /// The names in C terms of the structs, unions and enumerations that a CO-RE relocation goes through. What follows
    /// `___` in a name is no part of it.
    #[must_use]
    pub fn core_types(&self, reloc: &CoreReloc) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let mut ty = self.resolve(reloc.ty);
        let mut note = |ty| {
            if !self.name(ty).is_empty() {
                let name = self.c_name(ty);
                names.insert(name.split("___").next().unwrap_or_default().to_owned());
            }
        };
        note(ty);
        let access = self.string(reloc.access).unwrap_or_default();
        for step in access.split(':').skip(1).take(DEPTH as usize) {
            let Ok(step) = step.parse::<usize>() else { break };
            let next = match self.resolved(ty) {
                Type::Struct(t) | Type::Union(t) => t.members().nth(step).map(|m| m.ty),
                Type::Array(t) => Some(t.element),
                _ => None,
            };
            let Some(next) = next else { break };
            ty = self.resolve(next);
            if matches!(self.ty(ty), Some(Type::Struct(_) | Type::Union(_))) {
                note(ty);
            }
        }
        names
    }

    /// Structs, unions and enumerations by name; the first of those of one name.
    fn by_c_name(&self, only: Option<&BTreeSet<String>>) -> BTreeMap<String, TypeId> {
        let mut found = BTreeMap::new();
        for id in (1..self.count()).map(TypeId) {
            let (keyword, name) = match self.ty(id) {
                Some(Type::Struct(t)) => ("struct", t.name),
                Some(Type::Union(t)) => ("union", t.name),
                Some(Type::Enum(t) | Type::Enum64(t)) if t.values().len() != 0 => ("enum", t.name),
                _ => continue,
            };
            let known = format!("{keyword} {name}");
            if !name.is_empty() && only.is_none_or(|only| only.contains(&known)) {
                found.entry(known).or_insert(id);
            }
        }
        found
    }

    /// The members of a struct, those of structs without a name inside it too, in order.
    fn spots(&self, ty: TypeId) -> Vec<(String, Spot)> {
        let mut found = Vec::new();
        let mut open = vec![(ty, String::new(), 0u32, 0u32)];
        while let Some((ty, prefix, base, depth)) = open.pop() {
            let (Type::Struct(t) | Type::Union(t)) = self.resolved(ty) else { continue };
            for member in t.members() {
                if found.len() + open.len() > MEMBERS {
                    return found;
                }
                let bit = base.saturating_add(member.bit_offset);
                let inner = self.resolve(member.ty);
                let nested = matches!(self.ty(inner), Some(Type::Struct(_) | Type::Union(_)));
                if nested && self.name(inner).is_empty() && depth < DEPTH {
                    let dot = if member.name.is_empty() { "" } else { "." };
                    open.push((inner, format!("{prefix}{}{dot}", member.name), bit, depth + 1));
                } else {
                    let spot = Spot { bit, bits: member.bits, ty: self.c_name(member.ty) };
                    found.push((format!("{prefix}{}", member.name), spot));
                }
            }
        }
        found.sort_by_key(|(_, spot)| spot.bit);
        found
    }
}

fn changed(one: &Btf, a: TypeId, other: &Btf, b: TypeId) -> Option<Change> {
    match (one.ty(a)?, other.ty(b)?) {
        (Type::Struct(t) | Type::Union(t), Type::Struct(u) | Type::Union(u)) => {
            let (before, after) = (one.spots(a), other.spots(b));
            let known: BTreeMap<&str, &Spot> = before.iter().map(|(name, spot)| (&**name, spot)).collect();
            let still: BTreeSet<&str> = after.iter().map(|(name, _)| &**name).collect();
            let gone = before.iter().filter(|(name, _)| !still.contains(&**name));
            let mut members: Vec<MemberChange> = gone
                .map(|(name, spot)| MemberChange { name: name.clone(), before: Some(spot.clone()), after: None })
                .collect();
            members.extend(after.iter().filter(|(name, spot)| known.get(&**name) != Some(&spot)).map(
                |(name, spot)| {
                    let before = known.get(&**name).map(|spot| (*spot).clone());
                    MemberChange { name: name.clone(), before, after: Some(spot.clone()) }
                },
            ));
            let size = (t.size, u.size);
            (size.0 != size.1 || !members.is_empty()).then_some(Change::Layout { size, members })
        }
        (Type::Enum(t) | Type::Enum64(t), Type::Enum(u) | Type::Enum64(u)) => {
            let (before, after) = (values(t), values(u));
            let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
            let both = |name: &str| (before.get(name).copied(), after.get(name).copied());
            let mut found: Vec<_> = names
                .into_iter()
                .map(|name| (name.to_owned(), both(name).0, both(name).1))
                .filter(|(_, before, after)| before != after)
                .collect();
            found.sort_by_key(|(_, before, after)| after.or(*before));
            (!found.is_empty()).then_some(Change::Values(found))
        }
        _ => None,
    }
}

fn values(t: Enum<'_>) -> BTreeMap<&str, i128> {
    t.values().map(|v| (v.name, v.value)).collect()
}

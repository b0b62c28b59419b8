//! What changed between two sets: the layout of structs and unions, the names of enumerations. Types are known by name.

use crate::{Btf, CoreKind, CoreReloc, Enum, Type, TypeId, essential_name, layout::DEPTH};
use alveary_sort::{Gather, Sort};
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

/// What an object asks for: types by their names in C terms (`struct sock`), and of each the members or enumerators; `None`
/// if it is asked for as a whole.
pub type Asked = BTreeMap<String, Option<BTreeSet<String>>>;

/// Members of one struct that are looked at.
const MEMBERS: usize = 1 << 16;

impl Btf {
    /// What is different in `other`: of what is asked for, or of everything.
    #[must_use]
    pub fn diff(&self, other: &Btf, only: Option<&Asked>) -> Vec<Difference> {
        let (before, after) = (self.by_c_name(only), other.by_c_name(only));
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).gather();
        let change = |name: &String| match (before.get(name), after.get(name)) {
            (Some(a), Some(b)) => changed(self, *a, other, *b, only.and_then(|only| only.get(name)?.as_ref())),
            (Some(_), None) => Some(Change::Removed),
            (None, _) => Some(Change::Added),
        };
        names.into_iter().filter_map(|name| Some(Difference { name: name.clone(), change: change(name)? })).collect()
    }

    /// Adds what a CO-RE relocation asks for. What follows `___` in a type's name is no part of it.
    pub fn add_asked(&self, reloc: &CoreReloc, asked: &mut Asked) {
        let mut ty = self.resolve(reloc.ty);
        let mut holder = self.asked_name(ty);
        let steps = self.string(reloc.access).unwrap_or_default().split(':').map(|step| step.parse::<usize>().ok());
        match (reloc.kind, self.ty(ty)) {
            (CoreKind::TypeIdLocal, _) => return,
            (CoreKind::EnumvalExists | CoreKind::EnumvalValue, Some(Type::Enum(t) | Type::Enum64(t))) => {
                let name = steps.take(1).flatten().next().and_then(|step| t.values().nth(step)).map(|v| v.name);
                return note(asked, holder, name);
            }
            (CoreKind::TypeIdTarget | CoreKind::TypeExists | CoreKind::TypeSize | CoreKind::TypeMatches, _) => {
                return note(asked, holder, None);
            }
            _ => {}
        }
        let mut path = String::new();
        for step in steps.skip(1).take(DEPTH as usize) {
            let (next, name) = match (self.resolved(ty), step) {
                (Type::Struct(t) | Type::Union(t), Some(step)) => match t.members().nth(step) {
                    Some(member) => (member.ty, member.name),
                    None => break,
                },
                (Type::Array(t), Some(_)) => {
                    ty = self.resolve(t.element);
                    (holder, path) = (self.asked_name(ty), String::new());
                    continue;
                }
                _ => break,
            };
            path.push_str(name);
            ty = self.resolve(next);
            let record = matches!(self.ty(ty), Some(Type::Struct(_) | Type::Union(_)));
            if record && self.name(ty).is_empty() {
                path.push_str(if name.is_empty() { "" } else { "." });
                continue;
            }
            note(asked, holder.take(), Some(&path));
            if record {
                holder = self.asked_name(ty);
            }
            path.clear();
        }
        if !path.is_empty() {
            note(asked, holder, Some(path.trim_end_matches('.')));
        }
    }

    fn asked_name(&self, ty: TypeId) -> Option<String> {
        let known = matches!(self.ty(ty)?, Type::Struct(_) | Type::Union(_) | Type::Enum(_) | Type::Enum64(_));
        let name = (known && !self.name(ty).is_empty()).then(|| self.c_name(ty))?;
        Some(essential_name(&name).to_owned())
    }

    /// Structs, unions and enumerations by name; the first of those of one name.
    fn by_c_name(&self, only: Option<&Asked>) -> BTreeMap<String, TypeId> {
        let mut found = BTreeMap::new();
        for id in (1..self.count()).map(TypeId) {
            let (keyword, name) = match self.ty(id) {
                Some(Type::Struct(t)) => ("struct", t.name),
                Some(Type::Union(t)) => ("union", t.name),
                Some(Type::Enum(t) | Type::Enum64(t)) if t.values().len() != 0 => ("enum", t.name),
                _ => continue,
            };
            let known = format!("{keyword} {name}");
            if !name.is_empty() && only.is_none_or(|only| only.contains_key(&known)) {
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
        found.order_by_key(|(_, spot)| spot.bit);
        found
    }
}

/// Adds a part of a type; without a part the whole, which holds all parts.
fn note(asked: &mut Asked, holder: Option<String>, part: Option<&str>) {
    let Some(holder) = holder else { return };
    let parts = asked.entry(holder).or_insert_with(|| Some(BTreeSet::new()));
    match (part, parts) {
        (Some(part), Some(parts)) => drop(parts.insert(part.to_owned())),
        (None, parts) => *parts = None,
        (Some(_), None) => {}
    }
}

/// Whether a member is asked for, or stands in one that is.
fn is_asked(name: &str, only: Option<&BTreeSet<String>>) -> bool {
    let within =
        |part: &String| name.strip_prefix(part.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    only.is_none_or(|only| only.iter().any(within))
}

fn changed(one: &Btf, a: TypeId, other: &Btf, b: TypeId, only: Option<&BTreeSet<String>>) -> Option<Change> {
    match (one.ty(a)?, other.ty(b)?) {
        (Type::Struct(t) | Type::Union(t), Type::Struct(u) | Type::Union(u)) => {
            let (mut before, mut after) = (one.spots(a), other.spots(b));
            before.retain(|(name, _)| is_asked(name, only));
            after.retain(|(name, _)| is_asked(name, only));
            let known: BTreeMap<&str, &Spot> = before.iter().map(|(name, spot)| (&**name, spot)).gather();
            let still: BTreeSet<&str> = after.iter().map(|(name, _)| &**name).gather();
            let gone = before.iter().filter(|(name, _)| !still.contains(&**name));
            let mut members: Vec<MemberChange> = gone
                .map(|(name, spot)| MemberChange { name: name.clone(), before: Some(spot.clone()), after: None })
                .collect();
            members.extend(
                after.iter().filter(|(name, spot)| known.get(&**name).is_none_or(|before| !before.same(spot))).map(
                    |(name, spot)| {
                        let before = known.get(&**name).map(|spot| (*spot).clone());
                        MemberChange { name: name.clone(), before, after: Some(spot.clone()) }
                    },
                ),
            );
            let size = (t.size, u.size);
            // The size matters to those who ask for the whole.
            (only.is_none() && size.0 != size.1 || !members.is_empty()).then_some(Change::Layout { size, members })
        }
        (Type::Enum(t) | Type::Enum64(t), Type::Enum(u) | Type::Enum64(u)) => {
            let (before, after) = (values(t), values(u));
            let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().gather();
            let both = |name: &str| (before.get(name).copied(), after.get(name).copied());
            let mut found: Vec<_> = names
                .into_iter()
                .map(|name| (name.to_owned(), both(name).0, both(name).1))
                .filter(|(name, before, after)| before != after && is_asked(name, only))
                .collect();
            found.order_by_key(|(_, before, after)| after.or(*before));
            (!found.is_empty()).then_some(Change::Values(found))
        }
        _ => None,
    }
}

impl Spot {
    fn same(&self, other: &Spot) -> bool {
        (self.bit, self.bits) == (other.bit, other.bits)
            && (self.ty == other.ty || plain_name(&self.ty) == plain_name(&other.ty))
    }
}

/// A type's name with C's numbers in one spelling: clang says `unsigned long`, gcc `long unsigned int`.
fn plain_name(name: &str) -> String {
    let end = name.find(['*', '[', '(']).unwrap_or(name.len());
    let (base, around) = name.split_at(end);
    let mut words: Vec<&str> = base.split_ascii_whitespace().collect();
    if words.iter().all(|word| ["unsigned", "signed", "long", "short", "int", "char"].contains(word)) {
        let is_char = words.contains(&"char");
        words.retain(|word| *word != "int" && (is_char || *word != "signed"));
        words.order();
    }
    format!("{}{around}", words.join(" "))
}

fn values(t: Enum<'_>) -> BTreeMap<&str, i128> {
    t.values().map(|v| (v.name, v.value)).gather()
}

//! What each type is called. C has name spaces for structs, for enumerations, for typedefs; Rust has one.

use super::needs::{Need, Needs};
use crate::{Btf, Type, TypeId};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

/// Words that cannot be names. Those that not even `r#` makes one get a line behind them.
const KEYWORDS: [&str; 48] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "enum",
    "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move",
    "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];
const NEVER: [&str; 5] = ["crate", "self", "super", "Self", "_"];

/// Names that mean something where the definitions stand.
const TAKEN: [&str; 47] = [
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "f16",
    "f32",
    "f64",
    "f128",
    "bool",
    "char",
    "str",
    "c_char",
    "c_void",
    "behind",
    "behind_mut",
    "get_bits",
    "set_bits",
    "bit",
    "Bits",
    "Bool",
    "Function",
    "Plain",
    "Ptr",
    "PhantomData",
    "array",
    "fmt",
    "Copy",
    "Clone",
    "Debug",
    "PartialEq",
    "Eq",
    "Hash",
    "Sized",
    "Option",
    "Some",
    "None",
    "From",
    "Iterator",
    "Fn",
];

/// The names of types that have one.
pub(super) struct Names {
    names: HashMap<TypeId, String>,
    /// Types that are written by the name of another: typedefs of it under the same name, and declarations of it.
    same: HashSet<TypeId>,
    /// Names of the constants of enumerations that have none.
    constants: HashMap<TypeId, Vec<String>>,
    taken: HashSet<String>,
}

impl Names {
    pub(super) fn give(btf: &Btf, needs: &Needs) -> Names {
        let taken = TAKEN.iter().map(|name| (*name).to_owned()).collect();
        let mut names = Names { names: HashMap::new(), same: HashSet::new(), constants: HashMap::new(), taken };
        // Structs first: it is their names that programs are written with.
        let mut named = Vec::new();
        for id in needs.order() {
            let Some(ty) = btf.ty(id) else { continue };
            match ty {
                Type::DataSec(t) => names.add(id, &t.name.trim_start_matches('.').replace('.', "_")),
                _ if is_definable(ty) && !ty.name().is_empty() => names.add(id, ty.name()),
                _ => continue,
            }
            named.push(id);
        }
        names.declarations(btf, needs);
        // A struct without a name is called as its typedef is.
        for id in needs.order() {
            let Some(Type::Typedef { name, ty }) = btf.ty(id) else { continue };
            let target = behind_modifiers(btf, ty);
            if btf.ty(target).is_some_and(|t| is_definable(t) && t.name().is_empty())
                && !names.names.contains_key(&target)
            {
                names.add(target, name);
                named.push(target);
            }
        }
        names.members(btf, needs, named);
        // What only pointers, arrays and variables hold.
        for id in needs.order() {
            let nameless = btf.ty(id).is_some_and(|t| is_definable(t) && t.name().is_empty() && !is_constants(t));
            if nameless && !names.names.contains_key(&id) {
                names.add(id, &format!("anon_{}", id.0));
                names.members(btf, needs, vec![id]);
            }
        }
        names.typedefs(btf, needs);
        for id in needs.order() {
            let (Some(Type::Enum(t) | Type::Enum64(t)), None) = (btf.ty(id), names.of(id)) else { continue };
            let constants = t.values().map(|v| names.free(v.name)).collect();
            names.constants.insert(id, constants);
        }
        names
    }

    /// What a type is called, if it is by a name.
    pub(super) fn of(&self, id: TypeId) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    /// Whether a type is another one's name only, and has no definition of its own.
    pub(super) fn is_same(&self, id: TypeId) -> bool {
        self.same.contains(&id)
    }

    /// What the constants of an enumeration without a name are called, in its order.
    pub(super) fn constants(&self, id: TypeId) -> &[String] {
        self.constants.get(&id).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, id: TypeId, name: &str) {
        let name = self.free(name);
        self.names.insert(id, name);
    }

    fn free(&mut self, name: &str) -> String {
        unique(&identifier(name), &mut self.taken)
    }

    /// Declarations of what is defined elsewhere in the set are the same type.
    fn declarations(&mut self, btf: &Btf, needs: &Needs) {
        let mut records: HashMap<&str, TypeId> = HashMap::new();
        for id in needs.order() {
            if let Some(Type::Struct(t) | Type::Union(t)) = btf.ty(id) {
                records.entry(t.name).or_insert(id);
            }
        }
        for id in needs.order() {
            let Some(Type::Fwd { name, .. }) = btf.ty(id) else { continue };
            match records.get(name).and_then(|record| self.names.get(record)).cloned() {
                Some(record) => {
                    self.names.insert(id, record);
                    self.same.insert(id);
                }
                None => self.add(id, name),
            }
        }
    }

    /// Types without a name are called after the member that has them.
    fn members(&mut self, btf: &Btf, needs: &Needs, mut named: Vec<TypeId>) {
        let mut next = 0;
        while let Some(id) = named.get(next).copied() {
            next += 1;
            if needs.of(id) != Need::Whole {
                continue;
            }
            let members: Vec<(&str, TypeId)> = match btf.ty(id) {
                Some(Type::Struct(t) | Type::Union(t)) => t.members().map(|m| (m.name, m.ty)).collect(),
                Some(Type::DataSec(t)) => t.vars().map(|v| (btf.name(v.ty), v.ty)).collect(),
                _ => continue,
            };
            let mut nameless = 0;
            for (member, ty) in members {
                nameless += u32::from(member.is_empty());
                let target = behind_all(btf, ty);
                let wanted = btf.ty(target).is_some_and(|t| is_definable(t) && t.name().is_empty());
                if wanted && !self.names.contains_key(&target) {
                    let parent = self.names.get(&id).map_or("", |name| name.strip_prefix("r#").unwrap_or(name));
                    let name = match member {
                        "" => format!("{parent}__anon{nameless}"),
                        member => format!("{parent}__{member}"),
                    };
                    self.add(target, &name);
                    named.push(target);
                }
            }
        }
    }

    fn typedefs(&mut self, btf: &Btf, needs: &Needs) {
        for id in needs.order() {
            let Some(Type::Typedef { name, ty }) = btf.ty(id) else { continue };
            // `u32` and its like are what they say.
            if TAKEN.contains(&name) {
                continue;
            }
            let name_as_rust = identifier(name);
            let target = behind_modifiers(btf, ty);
            if self.names.get(&target).is_some_and(|target| *target == name_as_rust) {
                self.names.insert(id, name_as_rust.into_owned());
                self.same.insert(id);
            } else {
                self.add(id, name);
            }
        }
    }
}

/// Whether a type has a definition besides its name.
fn is_definable(ty: Type<'_>) -> bool {
    matches!(ty, Type::Struct(_) | Type::Union(_) | Type::Enum(_) | Type::Enum64(_))
}

/// Enumerations without a name may be there for their constants alone.
fn is_constants(ty: Type<'_>) -> bool {
    matches!(ty, Type::Enum(_) | Type::Enum64(_))
}

fn behind_modifiers(btf: &Btf, id: TypeId) -> TypeId {
    behind(btf, id, |ty| match ty {
        Type::Const(ty) | Type::Volatile(ty) | Type::Restrict(ty) | Type::TypeTag { ty, .. } => Some(ty),
        _ => None,
    })
}

fn behind_all(btf: &Btf, id: TypeId) -> TypeId {
    behind(btf, id, |ty| match ty {
        Type::Const(ty) | Type::Volatile(ty) | Type::Restrict(ty) | Type::TypeTag { ty, .. } | Type::Ptr(ty) => {
            Some(ty)
        }
        Type::Array(t) => Some(t.element),
        _ => None,
    })
}

fn behind(btf: &Btf, mut id: TypeId, step: impl Fn(Type<'_>) -> Option<TypeId>) -> TypeId {
    for _ in 0..crate::layout::DEPTH {
        match btf.ty(id).and_then(&step) {
            Some(next) => id = next,
            None => break,
        }
    }
    id
}

/// A name from C as Rust writes it: keywords are escaped, other characters than letters, digits and `_` replaced.
///
/// ```
/// assert_eq!(alveary_btf::rust::identifier("type"), "r#type");
/// assert_eq!(alveary_btf::rust::identifier("self"), "self_");
/// ```
#[must_use]
pub fn identifier(name: &str) -> Cow<'_, str> {
    if KEYWORDS.contains(&name) {
        return format!("r#{name}").into();
    }
    if NEVER.contains(&name) {
        return format!("{name}_").into();
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.is_empty() && name.chars().all(is_plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return name.into();
    }
    format!("_{}", name.replace(|c| !is_plain(c), "_")).into()
}

/// The name, with a number behind it if others have it; it is then taken.
pub(super) fn unique(name: &str, taken: &mut HashSet<String>) -> String {
    let mut free = name.to_owned();
    let mut number = 1u32;
    while taken.contains(&free) {
        number += 1;
        free = format!("{}___{number}", name.strip_prefix("r#").unwrap_or(name));
    }
    taken.insert(free.clone());
    free
}

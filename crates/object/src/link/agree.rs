//! Whether two objects mean the same by a name: types as libbpf compares them (names of parameters, lengths of arrays
//! and signs aside, behind pointers by name), map definitions attribute by attribute.

use super::usage::in_c;
use crate::maps::definition;
use alveary_abi::Tables;
use alveary_btf::{Btf, Composite, Linkage, Proto, Type, TypeId};
use alveary_spec::MapSpec;

/// What differs, and how each side has it; the side that stands is what is expected.
pub(super) struct Difference {
    pub(super) what: String,
    pub(super) expected: String,
    pub(super) found: String,
}

/// A type of a set.
type Of<'a> = (&'a Btf, TypeId);

/// How deep types are nested in each other, and how many are compared: none that a compiler writes comes near.
const DEPTH: u32 = 32;
const MOST_PAIRS: u32 = 1 << 14;

/// Compares two variables or functions.
pub(super) fn symbols(ours: Of<'_>, theirs: Of<'_>) -> Result<(), Difference> {
    let mut pair = Pair { ours: ours.0, theirs: theirs.0, left: MOST_PAIRS };
    let is_static = |linkage| linkage == Linkage::Static;
    let all = |what: &str| Difference {
        what: what.to_owned(),
        expected: format!("`{}`", in_c(ours.0, ours.1)),
        found: format!("`{}`", in_c(theirs.0, theirs.1)),
    };
    match (ours.0.ty(ours.1), theirs.0.ty(theirs.1)) {
        (Some(Type::Var { ty: a, linkage: x, .. }), Some(Type::Var { ty: b, linkage: y, .. }))
        | (Some(Type::Func { proto: a, linkage: x, .. }), Some(Type::Func { proto: b, linkage: y, .. })) => {
            if is_static(x) != is_static(y) {
                return Err(all("it is static in one of them"));
            }
            pair.same((a, b), true, "its type", DEPTH)
        }
        _ => Err(all("it is a function in one of them and a variable in the other")),
    }
}

/// Compares the definitions of two maps.
pub(super) fn maps(name: &str, ours: Of<'_>, theirs: Of<'_>) -> Result<(), Difference> {
    let read = |of: Of<'_>| match of.0.ty(of.1) {
        Some(Type::Var { ty, .. }) => definition(of.0, name, ty).map_err(|problem| problem.to_string()),
        _ => Err(format!("`{name}` is no variable")),
    };
    match (read(ours), read(theirs)) {
        (Ok(a), Ok(b)) => same_maps((ours.0, &a), (theirs.0, &b), ""),
        (a, b) => {
            let shown = |read: Result<MapSpec, String>| read.err().unwrap_or_else(|| "a whole definition".to_owned());
            let what = "not both are whole definitions".to_owned();
            Err(Difference { what, expected: shown(a), found: shown(b) })
        }
    }
}

fn same_maps((our_btf, a): (&Btf, &MapSpec), (their_btf, b): (&Btf, &MapSpec), of: &str) -> Result<(), Difference> {
    let numbers: [(&str, u64, u64); 8] = [
        ("type", a.def.ty.0.into(), b.def.ty.0.into()),
        ("key_size", a.def.key_size.into(), b.def.key_size.into()),
        ("value_size", a.def.value_size.into(), b.def.value_size.into()),
        ("max_entries", a.def.max_entries.into(), b.def.max_entries.into()),
        ("map_flags", a.def.flags.into(), b.def.flags.into()),
        ("map_extra", a.def.extra, b.def.extra),
        ("numa_node", a.numa_node.unwrap_or(0).into(), b.numa_node.unwrap_or(0).into()),
        ("pinning", a.pin_by_name.into(), b.pin_by_name.into()),
    ];
    if let Some((name, a, b)) = numbers.into_iter().find(|(_, a, b)| a != b) {
        let shown = |n: u64| match Tables::linux().map_types.iter().find(|row| name == "type" && n == row.ty.0.into()) {
            Some(row) => format!("`__uint(type, BPF_MAP_TYPE_{})`", row.name.to_uppercase()),
            None => format!("`__uint({name}, {n})`"),
        };
        return Err(Difference { what: format!("its {of}`{name}`"), expected: shown(a), found: shown(b) });
    }
    for (name, a, b) in [("key", a.key_type, b.key_type), ("value", a.value_type, b.value_type)] {
        let what = format!("its {of}`{name}`");
        match (a, b) {
            (None, None) => {}
            (Some(a), Some(b)) => {
                Pair { ours: our_btf, theirs: their_btf, left: MOST_PAIRS }.same((a, b), true, &what, DEPTH)?;
            }
            (a, b) => {
                let shown = |of: Option<Of<'_>>| match of {
                    Some((btf, id)) => format!("`__type({name}, {})`", btf.c_name(id)),
                    None => format!("`__uint({name}_size, …)`"),
                };
                let (expected, found) = (shown(a.map(|id| (our_btf, id))), shown(b.map(|id| (their_btf, id))));
                return Err(Difference { what, expected, found });
            }
        }
    }
    match (&a.inner, &b.inner) {
        (None, None) => Ok(()),
        (Some(a), Some(b)) => same_maps((our_btf, a), (their_btf, b), "inner map's "),
        (a, _) => {
            let shown = |inner: bool| if inner { "an inner map" } else { "none" }.to_owned();
            let (expected, found) = (shown(a.is_some()), shown(a.is_none()));
            Err(Difference { what: "its `values`".to_owned(), expected, found })
        }
    }
}

struct Pair<'a> {
    ours: &'a Btf,
    theirs: &'a Btf,
    left: u32,
}

impl Pair<'_> {
    /// Compares two types; `exact` asks structs for the same members, not only for the same name.
    fn same(&mut self, ids: (TypeId, TypeId), exact: bool, what: &str, depth: u32) -> Result<(), Difference> {
        let (mut a, mut b) = ids;
        let mut exact = exact;
        for _ in 0..DEPTH {
            let differ = |what: &str| {
                let sides = [(self.ours, ids.0), (self.theirs, ids.1)];
                let [expected, found] = sides.map(|(btf, id)| format!("`{}`", btf.c_name(id)));
                let size =
                    |(btf, id): Of<'_>| btf.size_of(id).map_or(String::new(), |size| format!(" of {size} bytes"));
                // A name may stand for two types.
                let same = expected == found;
                let tell = |name: String, side| if same { name + &size(side) } else { name };
                let (expected, found) = (tell(expected, sides[0]), tell(found, sides[1]));
                Err(Difference { what: what.to_owned(), expected, found })
            };
            let Some(left) = self.left.checked_sub(1).filter(|_| depth > 0) else { return Err(too_deep(what)) };
            self.left = left;
            let (x, y) = (self.ours.resolved(a), self.theirs.resolved(b));
            match (x, y) {
                (Type::Void, Type::Void) => return Ok(()),
                (Type::Int(x), Type::Int(y)) if x.size == y.size => return Ok(()),
                (Type::Float { size: x, .. }, Type::Float { size: y, .. }) if x == y => return Ok(()),
                (Type::Enum(x), Type::Enum(y)) | (Type::Enum64(x), Type::Enum64(y))
                    if x.name == y.name && x.size == y.size =>
                {
                    return Ok(());
                }
                (Type::Fwd { name: x, .. }, Type::Fwd { name: y, .. }) if x == y => return Ok(()),
                (Type::Fwd { name: x, union: false }, Type::Struct(Composite { name: y, .. }))
                | (Type::Struct(Composite { name: y, .. }), Type::Fwd { name: x, union: false })
                | (Type::Fwd { name: x, union: true }, Type::Union(Composite { name: y, .. }))
                | (Type::Union(Composite { name: y, .. }), Type::Fwd { name: x, union: true })
                    if x == y && !exact =>
                {
                    return Ok(());
                }
                (Type::Struct(x), Type::Struct(y)) | (Type::Union(x), Type::Union(y)) if x.name == y.name => {
                    return if exact { self.same_members(x, y, what, depth) } else { Ok(()) };
                }
                // What a pointer points to need not be known to the last member.
                (Type::Ptr(x), Type::Ptr(y)) => (a, b, exact) = (x, y, false),
                (Type::Array(x), Type::Array(y)) => (a, b) = (x.element, y.element),
                (Type::FuncProto(x), Type::FuncProto(y)) => return self.same_protos(x, y, exact, depth),
                _ => return differ(what),
            }
        }
        Err(too_deep(what))
    }

    fn same_members(&mut self, a: Composite<'_>, b: Composite<'_>, what: &str, depth: u32) -> Result<(), Difference> {
        if a.members().len() != b.members().len() {
            let shown = |t: Composite<'_>| format!("{} members in `{}`", t.members().len(), t.name);
            return Err(Difference { what: what.to_owned(), expected: shown(a), found: shown(b) });
        }
        for (x, y) in a.members().zip(b.members()) {
            let what = format!("{what}, member `{}` of `{}`", x.name, a.name);
            if (x.name, x.bit_offset, x.bits) != (y.name, y.bit_offset, y.bits) {
                let shown = |m: alveary_btf::Member<'_>| match m.bits {
                    Some(bits) => format!("`{}`, {bits} bits at bit {}", m.name, m.bit_offset),
                    None => format!("`{}` at offset {}", m.name, m.bit_offset / 8),
                };
                return Err(Difference { what, expected: shown(x), found: shown(y) });
            }
            self.same((x.ty, y.ty), true, &what, depth - 1)?;
        }
        Ok(())
    }

    fn same_protos(&mut self, a: Proto<'_>, b: Proto<'_>, exact: bool, depth: u32) -> Result<(), Difference> {
        if a.params().len() != b.params().len() {
            let shown = |t: Proto<'_>| t.params().len().to_string();
            let what = "the number of its parameters".to_owned();
            return Err(Difference { what, expected: shown(a), found: shown(b) });
        }
        for (i, (x, y)) in a.params().zip(b.params()).enumerate() {
            self.same((x.ty, y.ty), exact, &format!("parameter {}", i + 1), depth - 1)?;
        }
        self.same((a.ret, b.ret), exact, "what it returns", depth - 1)
    }
}

fn too_deep(what: &str) -> Difference {
    Difference {
        what: format!("{what} cannot be compared"),
        expected: format!("types nested in at most {DEPTH} others, and less than {MOST_PAIRS} of them"),
        found: "more".to_owned(),
    }
}

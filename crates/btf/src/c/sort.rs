//! The order in which whole sets are listed: by what types are and what they are called, so that the headers of two
//! kernels differ where the kernels do, not where their compilers met the types in another order.

use crate::{Btf, Kind, Type, TypeId, layout::DEPTH};
use std::cmp::Ordering;

impl Btf {
    /// The ids of all types that a header can show, the base's too, ordered for reading: enumerations, numbers, structs and
    /// unions, functions, each with the typedefs of them, each by name; what has no name comes last.
    #[must_use]
    pub fn sorted(&self) -> Vec<TypeId> {
        let shown = |id: &TypeId| {
            let kind = self.kind_and_third(*id).map(|(kind, _)| kind);
            !matches!(kind, None | Some(Kind::Func | Kind::Var | Kind::DataSec | Kind::DeclTag))
        };
        let mut all: Vec<Place<'_>> =
            (1..self.count()).map(TypeId).filter(shown).map(|id| Place::new(id, self.rank(id))).collect();
        all.sort_unstable_by(Place::compare);
        all.into_iter().map(|place| place.id).collect()
    }

    /// Rank, the name by which it is known, its own name. Equal ones keep the order of their ids.
    fn rank(&self, id: TypeId) -> (u8, &str, &str) {
        const LAST: u8 = 10;
        let own = self.own_name(id);
        let mut named = false;
        let mut at = id;
        for _ in 0..DEPTH {
            let Some((kind, third)) = self.kind_and_third(at) else { break };
            let name = self.own_name(at);
            named |= !name.is_empty();
            let (rank, name) = match kind {
                Kind::Enum | Kind::Enum64 => {
                    // Constants are known by the first of them.
                    let first = || match self.ty(at) {
                        Some(Type::Enum(t) | Type::Enum64(t)) => t.values().next().map(|v| v.name),
                        _ => None,
                    };
                    let first = if at == id && name.is_empty() { first() } else { None };
                    (u8::from(named), first.unwrap_or(name))
                }
                Kind::Int | Kind::Float => (2, name),
                Kind::Struct | Kind::Union => (if named { 3 } else { LAST }, name),
                Kind::FuncProto => (if named { 4 } else { LAST }, ""),
                Kind::Typedef
                | Kind::Ptr
                | Kind::Const
                | Kind::Volatile
                | Kind::Restrict
                | Kind::TypeTag
                | Kind::DeclTag => {
                    at = TypeId(third);
                    continue;
                }
                Kind::Array => {
                    let Some(Type::Array(t)) = self.ty(at) else { break };
                    at = t.element;
                    continue;
                }
                _ => (LAST, name),
            };
            return (rank, name, own);
        }
        (LAST, "", own)
    }
}

/// A type's place in the order. Nearly all are told apart by how their names begin, without a look at the strings.
struct Place<'a> {
    /// The rank and the first 15 bytes of the name, as a number that compares as they do.
    start: u128,
    /// The first 8 bytes of the type's own name.
    own_start: u64,
    id: TypeId,
    name: &'a str,
    own: &'a str,
}

impl<'a> Place<'a> {
    fn new(id: TypeId, (rank, name, own): (u8, &'a str, &'a str)) -> Place<'a> {
        let start = u128::from_be_bytes(first(name)) >> 8 | u128::from(rank) << 120;
        Place { start, own_start: u64::from_be_bytes(first(own)), id, name, own }
    }

    fn compare(&self, other: &Place<'_>) -> Ordering {
        // A text that ends inside of what was compared is compared in full: none holds a zero. Equal names are mostly
        // one string.
        let rest = |ended: bool, a: &str, b: &str| match ended || std::ptr::eq(a, b) {
            true => Ordering::Equal,
            false => a.cmp(b),
        };
        let names = || rest(self.start as u8 == 0, self.name, other.name);
        let own =
            || self.own_start.cmp(&other.own_start).then_with(|| rest(self.own_start as u8 == 0, self.own, other.own));
        self.start.cmp(&other.start).then_with(names).then_with(own).then(self.id.cmp(&other.id))
    }
}

/// The first bytes of a text, and zeros behind it.
fn first<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.iter_mut().zip(text.as_bytes()).for_each(|(to, from)| *to = *from);
    bytes
}

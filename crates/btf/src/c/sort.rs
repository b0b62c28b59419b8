//! The order in which whole sets are listed: by what types are and what they are called, so that the headers of two
//! kernels differ where the kernels do, not where their compilers met the types in another order. It is bpftool's.

use super::twins::Twins;
use crate::{Btf, Kind, TypeId, layout::DEPTH, set::Head};
use std::cmp::Ordering;

impl Btf {
    /// The ids of the types with which a header shows all that there is, the base's too, ordered for reading:
    /// enumerations, numbers, structs and unions, functions, each with the typedefs of them, each by name; then what is
    /// declared and not defined, and what has no name. Left out is what only leads to a type that has a name.
    #[must_use]
    pub fn sorted(&self) -> Vec<TypeId> {
        let mut twins = Twins::new(self);
        let mut named = Vec::new();
        let mut nameless = Vec::new();
        // The types that are shown by themselves: most references are to one of them that was seen already.
        let mut shown = vec![false; self.count() as usize];
        for id in (1..self.count()).map(TypeId) {
            let Some(head) = self.head(id) else { continue };
            if head.name == 0
                && matches!(head.kind, Kind::Ptr | Kind::Const)
                && shown.get(head.refers_to(self).0 as usize) == Some(&true)
            {
                shown[id.0 as usize] = true;
                continue;
            }
            match self.known_as(head) {
                Some(Known { rank: LAST, name: 0, own: 0 }) => nameless.push((twins.number(id), id)),
                Some(known) => {
                    shown[id.0 as usize] = known.rank < LAST && known.name != 0;
                    named.push(Place::new(self, id, known));
                }
                None => {}
            }
        }
        nameless.sort();
        named.sort_unstable_by(|a, b| a.compare(b, self).then(a.id.cmp(&b.id)));
        for same in named.chunk_by_mut(|a, b| a.compare(b, self).is_eq()) {
            if same.len() > 1 {
                same.sort_by_cached_key(|place| (twins.number(place.id), place.id));
            }
        }
        // Without a name comes before any name.
        let (first, last) = named.split_at(named.partition_point(|place| place.rank() < LAST));
        let ids = |places: &[Place]| places.iter().map(|place| place.id).collect::<Vec<_>>();
        [ids(first), nameless.into_iter().map(|(_, id)| id).collect(), ids(last)].concat()
    }

    /// What a type is ordered by; `None` if a header shows no more with it than without.
    fn known_as(&self, mut at: Head) -> Option<Known> {
        let own = at.name;
        let mut named = false;
        // What a reference without a name leads to does not count, only what it is called.
        let mut rank = None;
        for step in 0..DEPTH {
            named |= at.name != 0;
            let (found, name) = match at.kind {
                Kind::Func | Kind::Var | Kind::DataSec | Kind::DeclTag if step == 0 => return None,
                _ if at.refers() => {
                    if !named {
                        rank = Some(LAST);
                    }
                    let Some(next) = self.head(at.refers_to(self)) else { break };
                    at = next;
                    continue;
                }
                // Constants are known by the first of them.
                Kind::Enum | Kind::Enum64 if step == 0 && at.name == 0 => (0, at.first_part(self)),
                Kind::Enum | Kind::Enum64 => (u8::from(named), at.name),
                Kind::Int | Kind::Float => (2, at.name),
                Kind::Struct | Kind::Union => (if named { 3 } else { LAST }, at.name),
                Kind::FuncProto => (if named { 4 } else { LAST }, 0),
                _ => (LAST, at.name),
            };
            let leads_to_name = rank.is_some() && name != 0 && at.kind != Kind::Fwd;
            return (!leads_to_name).then_some(Known { rank: rank.unwrap_or(found), name, own });
        }
        // It ends in `void`, or never.
        Some(Known { rank: LAST, name: 0, own })
    }
}

/// The rank of what comes last.
const LAST: u8 = 10;

/// Rank, the name by which a type is known, its own: as offsets in the strings.
struct Known {
    rank: u8,
    name: u32,
    own: u32,
}

/// A type's place in the order. Nearly all are told apart by how their names begin, without a look at the strings.
struct Place {
    /// The rank and how the names begin, as a number that compares as they do.
    start: u128,
    name: u32,
    own: u32,
    id: TypeId,
}

impl Place {
    fn new(btf: &Btf, id: TypeId, Known { rank, name, own }: Known) -> Place {
        let mut start = [0; 16];
        start[0] = rank;
        // Behind no name stands a zero, then the type's own: texts hold no zeros, so that these come first.
        let (text, from) = if name == 0 { (own, 2) } else { (name, 1) };
        let text = btf.string_bytes(text).unwrap_or_default();
        start[from..].iter_mut().zip(text).for_each(|(to, from)| *to = *from);
        Place { start: u128::from_be_bytes(start), name, own, id }
    }

    fn rank(&self) -> u8 {
        (self.start >> 120) as u8
    }

    /// The order of two types, if they are not of one name.
    fn compare(&self, other: &Place, btf: &Btf) -> Ordering {
        let text = |off| btf.string_bytes(off).unwrap_or_default();
        let texts = |a, b| if a == b { Ordering::Equal } else { text(a).cmp(text(b)) };
        // A text that ends inside of what was compared is compared in full: none holds a zero.
        let rest = || if self.start as u8 == 0 { Ordering::Equal } else { texts(self.name, other.name) };
        self.start.cmp(&other.start).then_with(rest).then_with(|| texts(self.own, other.own))
    }
}

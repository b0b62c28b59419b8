//! What types of one name are told apart by where they are ordered: a number that depends on what they consist of, not on
//! where they stand. It is the one that bpftool orders by, so it is not seeded.

use crate::{Btf, Kind, TypeId, layout::DEPTH};

/// The numbers of a set's types.
pub(super) struct Twins<'a> {
    btf: &'a Btf,
    /// Parts of types that may still be looked at; afterwards all are alike.
    steps: usize,
}

/// Parts of types that are looked at for each byte of the set. The kernel's types need less than one.
const STEPS: usize = 16;

impl<'a> Twins<'a> {
    pub(super) fn new(btf: &'a Btf) -> Twins<'a> {
        Twins { btf, steps: STEPS * (btf.raw.len() + btf.base().map_or(0, |base| base.raw.len())) }
    }

    pub(super) fn number(&mut self, id: TypeId) -> u64 {
        self.of(id, true, 0)
    }

    /// With the members of a struct, or with its name alone.
    fn of(&mut self, id: TypeId, members: bool, depth: u32) -> u64 {
        let btf = self.btf;
        let Some(head) = btf.head(id) else { return 0 };
        if self.steps == 0 || depth > DEPTH {
            return 0;
        }
        self.steps -= 1;
        let mut number = self.named(0, head.name);
        match head.kind {
            Kind::Enum | Kind::Enum64 => {
                let part = if head.kind == Kind::Enum { 2 } else { 3 };
                for name in btf.words(id).skip(3).step_by(part) {
                    number = self.named(number, name);
                }
            }
            Kind::Struct | Kind::Union if members => {
                let mut words = btf.words(id).skip(3);
                while let (Some(name), Some(ty), Some(_)) = (words.next(), words.next(), words.next()) {
                    number = fold(self.named(number, name), self.of(TypeId(ty), false, depth + 1));
                }
            }
            _ if head.refers() => {
                if head.kind == Kind::Array {
                    number = fold(number, btf.words(id).nth(5).unwrap_or(0).into());
                }
                number = fold(number, self.of(head.refers_to(btf), members, depth + 1));
            }
            _ => {}
        }
        number
    }

    fn named(&mut self, number: u64, name: u32) -> u64 {
        if name == 0 {
            return number;
        }
        self.steps = self.steps.saturating_sub(1);
        let text = self.btf.string(name).unwrap_or_default();
        fold(number, text.bytes().fold(0, |number, byte| fold(number, byte.into())))
    }
}

fn fold(number: u64, next: u64) -> u64 {
    number.wrapping_mul(31).wrapping_add(next)
}

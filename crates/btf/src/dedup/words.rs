//! The words of all types of a set and its base, names made comparable: equal names are equal words.

use crate::{
    Btf, Kind, TypeId,
    hash::Seed,
    shape::{Shape, Use},
    strings::Strings,
};
use alveary_isa::Endian;
use std::ops::Range;

pub(super) struct Words {
    pub(super) endian: Endian,
    /// The first id that is not the base's.
    pub(super) first: u32,
    pub(super) strings: Strings,
    words: Vec<u32>,
    /// Where each type's words begin, and where the last one's end.
    starts: Vec<u32>,
}

impl Words {
    pub(super) fn of(btf: &Btf) -> Words {
        let mut strings = Strings::new(btf.base().map(|b| &**b));
        let mut words = Vec::new();
        let mut starts = vec![0];
        for id in 0..btf.count() {
            let start = words.len();
            words.extend(btf.words(TypeId(id)));
            if let Some(info) = words.get(start + 1).copied()
                && let Some(shape) = Shape::of(info)
            {
                for (i, _) in shape.uses(info).enumerate().filter(|(_, what)| *what == Use::Name) {
                    let name = &mut words[start + i];
                    *name = strings.offset(btf.string_bytes(*name).unwrap_or_default());
                }
            }
            starts.push(words.len() as u32);
        }
        Words { endian: btf.endian(), first: btf.first_id(), strings, words, starts }
    }

    pub(super) fn count(&self) -> u32 {
        self.starts.len() as u32 - 1
    }

    /// Number of all words.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// The ids that are not the base's.
    pub(super) fn own(&self) -> Range<u32> {
        self.first..self.count()
    }

    /// The words of a type; none for `void`.
    pub(super) fn get(&self, id: u32) -> &[u32] {
        &self.words[self.range(id)]
    }

    pub(super) fn name(&self, id: u32) -> u32 {
        self.get(id).first().copied().unwrap_or(0)
    }

    pub(super) fn kind(&self, id: u32) -> Kind {
        Shape::of(self.info(id)).map_or(Kind::Void, |shape| shape.kind)
    }

    pub(super) fn is_record(&self, id: u32) -> bool {
        matches!(self.kind(id), Kind::Struct | Kind::Union)
    }

    pub(super) fn is_enum(&self, id: u32) -> bool {
        matches!(self.kind(id), Kind::Enum | Kind::Enum64)
    }

    /// The number of its parts.
    pub(super) fn parts(&self, id: u32) -> u32 {
        self.info(id) & 0xffff
    }

    /// What a forward declaration declares.
    pub(super) fn declared_kind(&self, id: u32) -> Kind {
        if self.info(id) >> 31 == 1 { Kind::Union } else { Kind::Struct }
    }

    /// The types that it refers to.
    pub(super) fn references(&self, id: u32) -> impl Iterator<Item = u32> + '_ {
        self.with_uses(id).filter(|(_, what)| *what == Use::Type).map(|(word, _)| word)
    }

    /// Changes what it refers to.
    pub(super) fn refer(&mut self, id: u32, to: impl Fn(u32) -> u32) {
        let range = self.range(id);
        let info = self.info(id);
        let Some(shape) = Shape::of(info) else { return };
        for (word, _) in self.words[range].iter_mut().zip(shape.uses(info)).filter(|(_, what)| *what == Use::Type) {
            *word = to(*word);
        }
    }

    /// A hash that is the same for types that may be found equal: of enumerations the name, since one may declare the
    /// other; of structs and unions all but what they refer to.
    pub(super) fn hash(&self, id: u32, seed: Seed) -> u64 {
        let start = seed.number(0);
        let all = |words: &mut dyn Iterator<Item = u32>| words.fold(start, |hash, w| seed.fold(hash, w.into()));
        match self.kind(id) {
            Kind::Enum | Kind::Enum64 => seed.fold(start, self.name(id).into()),
            Kind::Struct | Kind::Union => all(&mut self.without_references(id)),
            _ => all(&mut self.get(id).iter().copied()),
        }
    }

    /// Two types are of the same words, references included.
    pub(super) fn same(&self, a: u32, b: u32) -> bool {
        self.get(a) == self.get(b)
    }

    /// Two types are of the same words but for what they refer to.
    pub(super) fn same_but_references(&self, a: u32, b: u32) -> bool {
        self.info(a) == self.info(b) && self.without_references(a).eq(self.without_references(b))
    }

    /// Two structs, or two unions, differ in nothing but what they refer to.
    pub(super) fn same_record(&self, a: u32, b: u32) -> bool {
        self.is_record(a) && self.same_but_references(a, b)
    }

    /// Two enumerations are the same, or one of them declares the other.
    pub(super) fn enums_agree(&self, a: u32, b: u32) -> bool {
        let declares = self.parts(a) == 0 || self.parts(b) == 0;
        self.same(a, b) || declares && self.name(a) == self.name(b) && self.is_enum(a) && self.is_enum(b)
    }

    fn without_references(&self, id: u32) -> impl Iterator<Item = u32> + '_ {
        self.with_uses(id).filter(|(_, what)| *what != Use::Type).map(|(word, _)| word)
    }

    fn with_uses(&self, id: u32) -> impl Iterator<Item = (u32, Use)> + '_ {
        let info = self.info(id);
        let uses = Shape::of(info).into_iter().flat_map(move |shape| shape.uses(info));
        self.get(id).iter().copied().zip(uses)
    }

    fn info(&self, id: u32) -> u32 {
        self.get(id).get(1).copied().unwrap_or(0)
    }

    fn range(&self, id: u32) -> Range<usize> {
        self.starts[id as usize] as usize..self.starts[id as usize + 1] as usize
    }
}

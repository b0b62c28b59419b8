//! Which words of a type are names, which refer to other types: what the check, the writer and the merger walk by.
//! Knows no meaning of kinds beyond that.

use crate::Kind;

/// What a word of a type is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// An offset in the string section.
    Name,
    /// The id of a type.
    Type,
    /// A number.
    Plain,
}

use Use::{Name, Plain, Type};

/// The words of a kind: its third, those behind it, and those of each of its `vlen` parts.
pub(crate) struct Shape {
    pub(crate) kind: Kind,
    pub(crate) third: Use,
    pub(crate) fixed: &'static [Use],
    pub(crate) part: &'static [Use],
}

const fn shape(kind: Kind, third: Use, fixed: &'static [Use], part: &'static [Use]) -> Shape {
    Shape { kind, third, fixed, part }
}

const SHAPES: [Shape; 19] = [
    shape(Kind::Int, Plain, &[Plain], &[]),
    shape(Kind::Ptr, Type, &[], &[]),
    shape(Kind::Array, Plain, &[Type, Type, Plain], &[]),
    shape(Kind::Struct, Plain, &[], &[Name, Type, Plain]),
    shape(Kind::Union, Plain, &[], &[Name, Type, Plain]),
    shape(Kind::Enum, Plain, &[], &[Name, Plain]),
    shape(Kind::Fwd, Plain, &[], &[]),
    shape(Kind::Typedef, Type, &[], &[]),
    shape(Kind::Volatile, Type, &[], &[]),
    shape(Kind::Const, Type, &[], &[]),
    shape(Kind::Restrict, Type, &[], &[]),
    shape(Kind::Func, Type, &[], &[]),
    shape(Kind::FuncProto, Type, &[], &[Name, Type]),
    shape(Kind::Var, Type, &[Plain], &[]),
    shape(Kind::DataSec, Plain, &[], &[Type, Plain, Plain]),
    shape(Kind::Float, Plain, &[], &[]),
    shape(Kind::DeclTag, Type, &[Plain], &[]),
    shape(Kind::TypeTag, Type, &[], &[]),
    shape(Kind::Enum64, Plain, &[], &[Name, Plain, Plain]),
];

/// Words of a type before what its kind adds: name, kind and number of parts, size or type.
pub(crate) const HEAD: usize = 3;

impl Shape {
    /// The shape of the kind in a type's second word; `None` if there is no such kind.
    pub(crate) fn of(info: u32) -> Option<&'static Shape> {
        SHAPES.get(((info >> 24 & 0x1f) as usize).checked_sub(1)?)
    }

    /// The number of words of a type of this shape, whose second word is `info`.
    pub(crate) fn len(&self, info: u32) -> usize {
        HEAD + self.fixed.len() + self.part.len() * (info & 0xffff) as usize
    }

    /// The number of parts of a type of this shape, whose second word is `info`.
    pub(crate) fn parts(&self, info: u32) -> usize {
        if self.part.is_empty() { 0 } else { (info & 0xffff) as usize }
    }

    /// What each word of a type of this shape is, whose second word is `info`.
    pub(crate) fn uses(&self, info: u32) -> impl Iterator<Item = Use> {
        let parts = std::iter::repeat_n(self.part, self.parts(info));
        [Name, Plain, self.third].into_iter().chain(self.fixed.iter().copied()).chain(parts.flatten().copied())
    }
}

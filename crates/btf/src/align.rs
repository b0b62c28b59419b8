//! Alignments, which BTF does not say: what the members' offsets let one conclude.

use crate::{Btf, Composite, Kind, Type, TypeId, layout::DEPTH};

/// Alignments that were asked for, so that each is worked out once.
pub(crate) struct Aligns<'a> {
    btf: &'a Btf,
    /// By id; 0 where it is not known yet.
    known: Vec<u8>,
}

/// What stands in `known` for types without alignment.
const NONE: u8 = u8::MAX;
/// The alignment of pointers, and the largest that a number has.
const POINTER: u32 = 8;

impl<'a> Aligns<'a> {
    pub(crate) fn new(btf: &'a Btf) -> Aligns<'a> {
        Aligns { btf, known: vec![0; btf.count() as usize] }
    }

    /// The alignment in bytes of a value of this type; `None` for what has no size. A struct whose members do not
    /// stand where their own alignments would put them is packed: 1.
    pub(crate) fn of(&mut self, id: TypeId) -> Option<u32> {
        self.nested(id, 0)
    }

    /// Whether a struct is packed: a member stands where its alignment would not let it, or the size is no multiple of
    /// the largest alignment.
    pub(crate) fn is_packed(&mut self, t: Composite<'_>) -> bool {
        self.widest(t, 0).is_none()
    }

    fn nested(&mut self, id: TypeId, depth: u32) -> Option<u32> {
        let known = self.known.get(id.0 as usize).copied()?;
        if known != 0 || depth > DEPTH {
            return (known != NONE && known != 0).then_some(known.into());
        }
        let number = |size: u32| Some(size.clamp(1, POINTER));
        let resolved = self.btf.resolve(id);
        let align = match self.btf.kind_and_third(resolved) {
            Some((Kind::Int | Kind::Enum | Kind::Enum64 | Kind::Float, size)) => number(size),
            Some((Kind::Ptr, _)) => Some(POINTER),
            _ => match self.btf.ty(resolved) {
                Some(Type::Array(t)) => self.nested(t.element, depth + 1),
                Some(Type::Struct(t) | Type::Union(t)) => Some(self.widest(t, depth).unwrap_or(1)),
                _ => None,
            },
        };
        if let Some(known) = self.known.get_mut(id.0 as usize) {
            *known = align.map_or(NONE, |a| a as u8);
        }
        align
    }

    /// The largest alignment of the members; `None` if one of them, or the end, is not where it would have to be.
    fn widest(&mut self, t: Composite<'_>, depth: u32) -> Option<u32> {
        let mut widest = 1;
        for member in t.places() {
            let Some(align) = self.nested(member.ty, depth + 1) else { continue };
            if member.bits.is_none() && !member.bit_offset.is_multiple_of(8 * align) {
                return None;
            }
            widest = widest.max(align);
        }
        t.size.is_multiple_of(widest).then_some(widest)
    }
}

//! Fields, bit fields and padding of a struct, such that Rust lays them out as BTF says.

use crate::{Btf, Type, TypeId, layout::DEPTH};
use std::collections::HashMap;

/// A member of a struct, or a variable in a section.
pub(super) struct Item<'a> {
    pub(super) name: &'a str,
    pub(super) ty: TypeId,
    pub(super) bit_offset: u32,
    pub(super) bits: Option<u32>,
}

/// A part of a struct; offsets are in bytes.
pub(super) enum Part<'a> {
    Field {
        name: &'a str,
        ty: TypeId,
        offset: u32,
    },
    /// Bytes that hold bit fields, whose offsets count from the first of them.
    Bits {
        offset: u32,
        size: u32,
        fields: Vec<Item<'a>>,
    },
    Padding {
        offset: u32,
        size: u32,
    },
}

/// The parts of a struct, and whether it is packed.
pub(super) struct Layout<'a> {
    pub(super) parts: Vec<Part<'a>>,
    pub(super) packed: bool,
}

impl<'a> Layout<'a> {
    /// Lays members out; `None` if they overlap, have no size, or end behind the struct.
    pub(super) fn of(
        btf: &Btf,
        items: impl Iterator<Item = Item<'a>>,
        size: u32,
        aligns: &mut Aligns<'_>,
    ) -> Option<Layout<'a>> {
        let mut layout = Layout { parts: Vec::new(), packed: false };
        let (mut end, mut widest) = (0, 1);
        for item in items {
            match item.bits {
                Some(bits) => layout.bits(item, bits, &mut end)?,
                None => {
                    let offset = item.bit_offset / 8;
                    layout.pad(end, offset)?;
                    let align = aligns.of(item.ty);
                    layout.packed |= !offset.is_multiple_of(align) || !item.bit_offset.is_multiple_of(8);
                    widest = widest.max(align);
                    end = offset.checked_add(btf.size_of(item.ty)?)?;
                    layout.parts.push(Part::Field { name: item.name, ty: item.ty, offset });
                }
            }
        }
        layout.pad(end, size)?;
        layout.packed |= !size.is_multiple_of(widest);
        Some(layout)
    }

    /// Puts a bit field into the bytes of the one before it, or into bytes of its own.
    fn bits(&mut self, item: Item<'a>, bits: u32, end: &mut u32) -> Option<()> {
        let last = item.bit_offset.checked_add(bits)?.div_ceil(8);
        if let Some(Part::Bits { offset, size, fields }) = self.parts.last_mut()
            && (*offset..*end).contains(&(item.bit_offset / 8))
        {
            *end = last.max(*end);
            *size = *end - *offset;
            fields.push(Item { bit_offset: item.bit_offset - 8 * *offset, ..item });
            return Some(());
        }
        let offset = item.bit_offset / 8;
        self.pad(*end, offset)?;
        *end = last;
        let field = Item { bit_offset: item.bit_offset % 8, ..item };
        self.parts.push(Part::Bits { offset, size: last - offset, fields: vec![field] });
        Some(())
    }

    fn pad(&mut self, from: u32, to: u32) -> Option<()> {
        let size = to.checked_sub(from)?;
        if size > 0 {
            self.parts.push(Part::Padding { offset: from, size });
        }
        Some(())
    }
}

/// A member that is a bit field, as either way of writing them says it.
pub(super) fn bits_of(btf: &Btf, ty: TypeId, bits: Option<u8>) -> (u32, Option<u32>) {
    match (bits, btf.resolved(ty)) {
        (Some(bits), _) => (0, Some(bits.into())),
        // Before bit fields had a flag, their types had fewer bits than their bytes.
        (None, Type::Int(t)) if !t.bool && u64::from(t.bits) < 8 * u64::from(t.size) => {
            (t.offset.into(), Some(t.bits.into()))
        }
        _ => (0, None),
    }
}

/// The alignments of types as they are written here, each worked out once.
pub(super) struct Aligns<'a> {
    btf: &'a Btf,
    known: HashMap<TypeId, u32>,
}

impl<'a> Aligns<'a> {
    pub(super) fn new(btf: &'a Btf) -> Aligns<'a> {
        Aligns { btf, known: HashMap::new() }
    }

    pub(super) fn of(&mut self, id: TypeId) -> u32 {
        self.nested(id, 0)
    }

    fn nested(&mut self, id: TypeId, depth: u32) -> u32 {
        let id = self.btf.resolve(id);
        if let Some(known) = self.known.get(&id) {
            return *known;
        }
        let number = |size: u32| if matches!(size, 1 | 2 | 4 | 8 | 16) { size } else { 1 };
        let align = match self.btf.ty(id) {
            _ if depth > 4 * DEPTH => 1,
            Some(Type::Int(t)) => number(t.size),
            Some(Type::Enum(t) | Type::Enum64(t)) => number(t.size),
            Some(Type::Float { size: size @ (4 | 8), .. }) => size,
            Some(Type::Ptr(_)) => 8,
            Some(Type::Array(t)) => self.nested(t.element, depth + 1),
            Some(Type::Struct(t)) => {
                let (mut widest, mut packed) = (1, false);
                for member in t.places() {
                    if bits_of(self.btf, member.ty, member.bits).1.is_none() {
                        let align = self.nested(member.ty, depth + 1);
                        packed |= !member.bit_offset.is_multiple_of(8 * align);
                        widest = widest.max(align);
                    }
                }
                if packed || !t.size.is_multiple_of(widest) { 1 } else { widest }
            }
            // Unions are bytes.
            _ => 1,
        };
        self.known.insert(id, align);
        align
    }
}

//! Structs and unions with their padding, enumerations.

use super::Writer;
use crate::{Composite, Enum, Type, TypeId};
use alveary_diag::Diagnostic;

/// What fills gaps, widest first, with its bits.
const FILLERS: [(&str, u64); 4] = [("long", 64), ("int", 32), ("short", 16), ("char", 8)];

/// A hole between two members.
struct Gap {
    from: u64,
    to: u64,
    /// Alignment in bits of what follows.
    align: u64,
    /// Bit fields stand on both sides.
    bits: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn put_record_name(&mut self, id: TypeId, ty: Type<'a>) {
        self.out.push_str(if matches!(ty, Type::Struct(_)) { "struct" } else { "union" });
        if !ty.name().is_empty() {
            self.out.push(' ');
        }
        self.put_tag(id, ty);
    }

    pub(super) fn define_record(
        &mut self,
        id: TypeId,
        ty: Type<'a>,
        t: Composite<'a>,
        level: u32,
    ) -> Result<(), Diagnostic> {
        let is_struct = matches!(ty, Type::Struct(_));
        let packed = is_struct && self.aligns.is_packed(t);
        self.put_record_name(id, ty);
        self.out.push_str(" {");
        let mut end = 0;
        let mut behind_bits = false;
        for member in t.members() {
            self.check_size(id)?;
            let from = u64::from(member.bit_offset);
            let align = if packed { 1 } else { self.aligns.of(member.ty).unwrap_or(0) };
            let gap =
                Gap { from: end, to: from, align: 8 * u64::from(align), bits: behind_bits && member.bits.is_some() };
            self.fill(id, &gap, level + 1)?;
            self.out.push('\n');
            self.indent(level + 1);
            self.declare(member.ty, member.name, level + 1, level + 1)?;
            let bits = match member.bits {
                Some(bits) => {
                    self.out.push_str(": ");
                    self.put_number(bits);
                    u64::from(bits)
                }
                None => 8 * u64::from(self.btf.size_of(member.ty).unwrap_or(0)),
            };
            self.out.push(';');
            end = from + bits;
            behind_bits = member.bits.is_some();
        }
        if is_struct {
            let align = 8 * u64::from(self.aligns.of(id).unwrap_or(1));
            self.fill(id, &Gap { from: end, to: 8 * u64::from(t.size), align, bits: false }, level + 1)?;
        }
        if t.members().len() != 0 || t.size != 0 {
            self.out.push('\n');
            self.indent(level);
        }
        self.out.push('}');
        if packed {
            self.out.push_str(" __attribute__((packed))");
        }
        Ok(())
    }

    /// Fills a gap with bit fields that have no name, wherever the compiler would not leave it by itself.
    fn fill(&mut self, id: TypeId, gap: &Gap, level: u32) -> Result<(), Diagnostic> {
        if gap.from >= gap.to {
            return Ok(());
        }
        let mut at = gap.from;
        // The widest filler that has a boundary of its own in the gap.
        let (mut filler, mut width) = FILLERS[FILLERS.len() - 1];
        for (name, bits) in FILLERS {
            (filler, width) = (name, bits);
            if at.next_multiple_of(bits) <= gap.to {
                break;
            }
        }
        let boundary = at.next_multiple_of(width);
        if at < boundary && boundary <= gap.to {
            let natural = |align: u64| if align == 0 { at } else { at.next_multiple_of(align) };
            let ends_there = boundary == gap.to && natural(gap.align) != boundary;
            // A filler that fits the bits before the boundary would go there.
            let would_slip = boundary != gap.to && gap.to - boundary <= boundary - at;
            if gap.bits || ends_there || would_slip {
                self.filler(filler, if gap.bits { boundary - at } else { 0 }, level);
            }
            at = boundary;
        }
        while at < gap.to {
            self.check_size(id)?;
            let bits = width.min(gap.to - at);
            // The last one is no wider than it has to be.
            let narrow = FILLERS.iter().rev().find(|(_, width)| *width >= bits).map_or(filler, |(name, _)| name);
            self.filler(if bits == width { filler } else { narrow }, bits, level);
            at += bits;
        }
        Ok(())
    }

    fn filler(&mut self, name: &str, bits: u64, level: u32) {
        self.out.push('\n');
        self.indent(level);
        self.out.push_str(name);
        self.out.push_str(": ");
        self.put_number(bits);
        self.out.push(';');
    }

    pub(super) fn define_enum(&mut self, id: TypeId, ty: Type<'a>, t: Enum<'a>, level: u32) {
        self.out.push_str(if t.name.is_empty() { "enum" } else { "enum " });
        self.put_tag(id, ty);
        if t.values().len() == 0 {
            return;
        }
        self.out.push_str(" {");
        let wide = matches!(ty, Type::Enum64(_));
        let suffix = match (wide, t.signed()) {
            (false, _) => ",",
            (true, true) => "LL,",
            (true, false) => "ULL,",
        };
        for value in t.values() {
            self.out.push('\n');
            self.indent(level + 1);
            let number = self.idents.count(value.name);
            self.put_numbered(value.name, number);
            self.out.push_str(" = ");
            self.put_number(value.value);
            self.out.push_str(suffix);
        }
        self.out.push('\n');
        self.indent(level);
        self.out.push('}');
        let fits_word = |value: i128| (value as u64) >> 32 == 0;
        if t.size == 1 {
            self.out.push_str(" __attribute__((mode(byte)))");
        } else if t.size == 8 && (!wide || t.values().all(|v| fits_word(v.value))) {
            self.out.push_str(" __attribute__((mode(word)))");
        }
    }
}

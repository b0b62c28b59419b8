//! A set of types: the bytes, and where each type stands in them.

use crate::{
    Kind, TypeId,
    index::Names,
    shape::{HEAD, Shape, Use},
    ty::Type,
};
use alveary_isa::Endian;
use alveary_sort::Sort;
use std::{fmt, ops::Range, sync::Arc};

/// A set of types. Split BTF (a kernel module's) continues the ids and strings of its base.
pub struct Btf {
    pub(crate) endian: Endian,
    /// The section as it was read, header included.
    pub(crate) raw: Vec<u8>,
    /// The type section in `raw`.
    pub(crate) types: Range<usize>,
    /// The string section in `raw`.
    pub(crate) strings: Range<usize>,
    /// The string section again, if all of it is UTF-8: names are asked for often, and are then checked already.
    pub(crate) text: Option<Box<str>>,
    /// Where each type of this set stands in `raw`.
    pub(crate) offsets: Vec<u32>,
    pub(crate) base: Option<Arc<Btf>>,
    pub(crate) names: Names,
}

/// The words that every type begins with.
pub(crate) struct Head {
    id: TypeId,
    pub(crate) kind: Kind,
    /// The offset of its name; 0 if it has none.
    pub(crate) name: u32,
    third: u32,
}

impl Head {
    /// Whether it is a reference or an array.
    pub(crate) fn refers(&self) -> bool {
        use Kind::{Array, Const, DeclTag, Ptr, Restrict, TypeTag, Typedef, Volatile};
        matches!(self.kind, Typedef | Ptr | Const | Volatile | Restrict | TypeTag | DeclTag | Array)
    }

    /// The type that a reference or an array is about.
    pub(crate) fn refers_to(&self, btf: &Btf) -> TypeId {
        TypeId(if self.kind == Kind::Array { self.first_part(btf) } else { self.third })
    }

    /// The word behind these: an array's element, the name of an enumeration's first value.
    pub(crate) fn first_part(&self, btf: &Btf) -> u32 {
        btf.words(self.id).nth(HEAD).unwrap_or(0)
    }
}

impl Btf {
    /// The byte order of the target that the types describe.
    #[must_use]
    pub fn endian(&self) -> Endian {
        self.endian
    }

    /// The set that this one continues.
    #[must_use]
    pub fn base(&self) -> Option<&Arc<Btf>> {
        self.base.as_ref()
    }

    /// The bytes of this set without its base's: what `BPF_BTF_LOAD` takes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.raw
    }

    /// Number of types with the base's and `void`: ids are below it.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.first_id() + self.offsets.len() as u32
    }

    /// The first id that is not the base's.
    #[must_use]
    pub fn first_id(&self) -> u32 {
        self.base.as_ref().map_or(1, |b| b.count())
    }

    /// The ids of this set, without `void` and the base's.
    pub fn ids(&self) -> impl Iterator<Item = TypeId> + use<> {
        (self.first_id()..self.count()).map(TypeId)
    }

    /// The type with an id; `None` if there is no such type.
    #[must_use]
    pub fn ty(&self, id: TypeId) -> Option<Type<'_>> {
        if id == TypeId::VOID {
            return Some(Type::Void);
        }
        let first = self.first_id();
        if id.0 < first {
            return self.base.as_ref()?.ty(id);
        }
        let at = *self.offsets.get((id.0 - first) as usize)?;
        Type::view(self, at as usize)
    }

    /// The name of a type; empty if it has none.
    #[must_use]
    pub fn name(&self, id: TypeId) -> &str {
        self.ty(id).map_or("", Type::name)
    }

    /// The string at an offset of the string section (the base's come first); `None` if there is none or it is
    /// not UTF-8.
    #[must_use]
    pub fn string(&self, off: u32) -> Option<&str> {
        if off == 0 {
            return Some("");
        }
        let before = self.base.as_ref().map_or(0, |b| b.string_end());
        if off < before {
            return self.base.as_ref()?.string(off);
        }
        match &self.text {
            Some(text) => {
                let from = text.get((off - before) as usize..)?;
                from.get(..before_zero(from.as_bytes())?)
            }
            None => std::str::from_utf8(self.string_bytes(off)?).ok(),
        }
    }

    pub(crate) fn string_bytes(&self, off: u32) -> Option<&[u8]> {
        let before = self.base.as_ref().map_or(0, |b| b.string_end());
        if off < before {
            return self.base.as_ref()?.string_bytes(off);
        }
        let all = self.raw.get(self.strings.clone())?;
        let from = all.get((off - before) as usize..)?;
        from.get(..before_zero(from)?)
    }

    /// The string sections of the base and of this set, one behind the other.
    pub(crate) fn all_strings(&self) -> Vec<u8> {
        let mut all = self.base.as_ref().map(|b| b.all_strings()).unwrap_or_default();
        all.extend(self.raw.get(self.strings.clone()).unwrap_or_default());
        all
    }

    /// The words of a type of this set or its base; empty for `void` and for what is not there.
    pub(crate) fn words(&self, id: TypeId) -> impl ExactSizeIterator<Item = u32> + '_ {
        let (set, at) = self.place(id).unwrap_or((self, 0));
        let count = if at == 0 {
            0
        } else {
            let info = set.word(at + 4);
            Shape::of(info).map_or(0, |shape| shape.len(info))
        };
        (0..count).map(move |i| set.word(at + 4 * i))
    }

    /// The kind of a type and its third word (its size, or the type that it refers to), without looking at its name.
    pub(crate) fn kind_and_third(&self, id: TypeId) -> Option<(Kind, u32)> {
        self.head(id).map(|head| (head.kind, head.third))
    }

    /// What every type begins with, without a look at strings. `void` has none.
    pub(crate) fn head(&self, id: TypeId) -> Option<Head> {
        let (set, at) = self.place(id)?;
        Some(Head { id, kind: Shape::of(set.word(at + 4))?.kind, name: set.word(at), third: set.word(at + 8) })
    }

    /// Whether a type's `kind_flag` is set.
    pub(crate) fn has_flag(&self, id: TypeId) -> bool {
        self.place(id).is_some_and(|(set, at)| set.word(at + 4) >> 31 == 1)
    }

    /// Whether a type is a struct or union that has a name.
    pub(crate) fn is_named_record(&self, id: TypeId) -> bool {
        self.place(id).is_some_and(|(set, at)| {
            let kind = Shape::of(set.word(at + 4)).map(|shape| shape.kind);
            set.word(at) != 0 && matches!(kind, Some(Kind::Struct | Kind::Union))
        })
    }

    /// Where a type stands: in which set of the base and this one, and where in its bytes (behind its header).
    fn place(&self, id: TypeId) -> Option<(&Btf, usize)> {
        let mut set = self;
        while let Some(base) = set.base.as_deref().filter(|_| id.0 < set.first_id()) {
            set = base;
        }
        let at = *set.offsets.get(id.0.checked_sub(set.first_id())? as usize)?;
        Some((set, at as usize))
    }

    /// The types that a type refers to.
    pub fn references(&self, id: TypeId, mut each: impl FnMut(TypeId)) {
        let Some((set, at)) = self.place(id) else { return };
        let info = set.word(at + 4);
        let Some(shape) = Shape::of(info) else { return };
        let mut note = |what: Use, at: usize| {
            if what == Use::Type {
                each(TypeId(set.word(at)));
            }
        };
        note(shape.third, at + 8);
        let mut at = at + 4 * HEAD;
        for what in shape.fixed {
            note(*what, at);
            at += 4;
        }
        for _ in 0..shape.parts(info) {
            for what in shape.part {
                note(*what, at);
                at += 4;
            }
        }
    }

    /// The offset behind the last string.
    pub(crate) fn string_end(&self) -> u32 {
        self.base.as_ref().map_or(0, |b| b.string_end()) + self.strings.len() as u32
    }

    /// A word of the type section; `read` has checked that it is there.
    pub(crate) fn word(&self, at: usize) -> u32 {
        let bytes = self.raw.get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or_default();
        match self.endian {
            Endian::Little => u32::from_le_bytes(bytes),
            Endian::Big => u32::from_be_bytes(bytes),
        }
    }

    fn set_word(&mut self, at: usize, value: u32) {
        let bytes = match self.endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        };
        if let Some(to) = self.raw.get_mut(at..at + 4) {
            to.copy_from_slice(&bytes);
        }
    }

    /// Makes the `FUNC` `id` static: loaders do that with global functions which are hidden, so that they are not
    /// verified by themselves.
    pub fn make_static(&mut self, id: TypeId) {
        let Some(Type::Func { .. }) = self.ty(id) else { return };
        let own = id.0.checked_sub(self.first_id()).and_then(|n| self.offsets.get(n as usize));
        if let Some(at) = own.map(|at| *at as usize + 4) {
            self.set_word(at, self.word(at) & !0xffff);
        }
    }

    /// Writes size and variable offsets of the `DATASEC` `id`: compilers leave them to the linker or the loader.
    /// `offset` gives a variable's place by its name; variables that it does not know keep theirs. They are listed in the
    /// order of their places afterwards: kernels take no other.
    pub fn fix_section(&mut self, id: TypeId, size: u32, mut offset: impl FnMut(&str) -> Option<u32>) {
        let Some(Type::DataSec(section)) = self.ty(id) else { return };
        let at = section.at();
        let mut vars: Vec<_> = section.vars().collect();
        for var in &mut vars {
            var.offset = offset(self.name(var.ty)).unwrap_or(var.offset);
        }
        vars.order_by_key(|var| var.offset);
        self.set_word(at + 8, size);
        for (i, var) in vars.into_iter().enumerate() {
            for (word, value) in [var.ty.0, var.offset, var.size].into_iter().enumerate() {
                self.set_word(at + 12 + 12 * i + 4 * word, value);
            }
        }
    }
}

impl fmt::Debug for Btf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Btf({} types, {} bytes)", self.count(), self.raw.len())
    }
}

/// The number of bytes before the first zero, eight at a time: names are short, and there are many.
fn before_zero(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let (words, rest) = bytes.as_chunks();
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The lowest bit that is set is the high bit of the first byte that is zero.
        let zeros = word.wrapping_sub(ONES) & !word & ONES << 7;
        if zeros != 0 {
            return Some(8 * i + zeros.trailing_zeros() as usize / 8);
        }
    }
    Some(8 * words.len() + rest.iter().position(|b| *b == 0)?)
}

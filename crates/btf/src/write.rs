//! Sets of types that grow: new types, copies of those of other sets, strings held once; and their bytes.
//!
//! What [`Builder::from`] took from a set keeps its ids, its words and its string section, so that writing what was
//! read gives the same bytes whenever types and strings stand one behind the other, as compilers lay them.

use crate::{
    Array, Btf, Enumerator, Kind, Linkage, Member, Param, SectionVar, TypeId,
    read::{HEADER, MAGIC},
    shape::{Shape, Use},
    strings::Strings,
};
use alveary_diag::Diagnostic;
use alveary_isa::Endian;
use std::sync::Arc;

/// A type to be added.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the fields are what the format calls them")]
pub enum New<'a> {
    Int { name: &'a str, size: u32, bits: u8, signed: bool, char: bool, bool: bool },
    Ptr(TypeId),
    Array(Array),
    Struct { name: &'a str, size: u32, members: &'a [Member<'a>] },
    Union { name: &'a str, size: u32, members: &'a [Member<'a>] },
    Enum { name: &'a str, size: u32, signed: bool, values: &'a [Enumerator<'a>] },
    Enum64 { name: &'a str, size: u32, signed: bool, values: &'a [Enumerator<'a>] },
    Fwd { name: &'a str, union: bool },
    Typedef { name: &'a str, ty: TypeId },
    Volatile(TypeId),
    Const(TypeId),
    Restrict(TypeId),
    Func { name: &'a str, proto: TypeId, linkage: Linkage },
    FuncProto { ret: TypeId, params: &'a [Param<'a>] },
    Var { name: &'a str, ty: TypeId, linkage: Linkage },
    DataSec { name: &'a str, size: u32, vars: &'a [SectionVar] },
    Float { name: &'a str, size: u32 },
    DeclTag { name: &'a str, ty: TypeId, component: Option<u32> },
    TypeTag { name: &'a str, ty: TypeId },
}

/// A set of types that grows.
pub struct Builder {
    endian: Endian,
    base: Option<Arc<Btf>>,
    /// The words of the types, one behind the other.
    words: Vec<u32>,
    count: u32,
    strings: Strings,
}

impl Builder {
    /// No types yet.
    #[must_use]
    pub fn new(endian: Endian) -> Builder {
        Builder { endian, base: None, words: Vec::new(), count: 0, strings: Strings::new(None) }
    }

    /// Split BTF: continues the ids and strings of `base`.
    #[must_use]
    pub fn over(base: Arc<Btf>) -> Builder {
        let strings = Strings::new(Some(&base));
        Builder { endian: base.endian(), base: Some(base), words: Vec::new(), count: 0, strings }
    }

    /// No types yet, over a base or not.
    pub(crate) fn empty(endian: Endian, base: Option<Arc<Btf>>) -> Builder {
        base.map_or_else(|| Builder::new(endian), Builder::over)
    }

    /// Adds a type by its words, whose names `text` knows.
    pub(crate) fn put_words<'a>(&mut self, words: &[u32], text: impl Fn(u32) -> &'a [u8]) {
        let info = words.get(1).copied().unwrap_or(0);
        let Some(shape) = Shape::of(info) else { return };
        for (word, what) in words.iter().zip(shape.uses(info)) {
            self.words.push(if what == Use::Name { self.strings.offset(text(*word)) } else { *word });
        }
        self.count += 1;
    }

    /// The byte order in which it is written.
    #[must_use]
    pub fn endian(&self) -> Endian {
        self.endian
    }

    /// The offset of a text in the string section; it is added if it is not there.
    pub fn string(&mut self, text: &str) -> u32 {
        self.strings.offset(text.as_bytes())
    }

    /// The offset of another set's text, which need not be UTF-8; an offset outside of its strings gives the empty one.
    pub fn copy_string(&mut self, from: &Btf, off: u32) -> u32 {
        self.strings.offset(from.string_bytes(off).unwrap_or_default())
    }

    /// The id that the next type gets.
    #[must_use]
    pub fn next_id(&self) -> TypeId {
        TypeId(self.base.as_ref().map_or(1, |b| b.count()) + self.count)
    }

    /// Adds a type. Types that it refers to may follow later. Parts past the 65,535 that the format can count are left
    /// out.
    pub fn add(&mut self, ty: &New<'_>) -> TypeId {
        match *ty {
            New::Int { name, size, bits, signed, char, bool } => {
                let encoding = u32::from(signed) | u32::from(char) << 1 | u32::from(bool) << 2;
                self.put(name, Kind::Int, false, 0, size, [encoding << 24 | u32::from(bits)])
            }
            New::Ptr(ty) => self.refer("", Kind::Ptr, ty),
            New::Array(t) => self.put("", Kind::Array, false, 0, 0, [t.element.0, t.index.0, t.len]),
            New::Struct { name, size, members } => self.composite(name, Kind::Struct, size, members),
            New::Union { name, size, members } => self.composite(name, Kind::Union, size, members),
            New::Enum { name, size, signed, values } => {
                let parts = self.parts(values, |b, v| [b.string(v.name), v.value as u32]);
                self.put(name, Kind::Enum, signed, values.len(), size, parts)
            }
            New::Enum64 { name, size, signed, values } => {
                let parts = self.parts(values, |b, v| [b.string(v.name), v.value as u32, (v.value >> 32) as u32]);
                self.put(name, Kind::Enum64, signed, values.len(), size, parts)
            }
            New::Fwd { name, union } => self.put(name, Kind::Fwd, union, 0, 0, []),
            New::Typedef { name, ty } => self.refer(name, Kind::Typedef, ty),
            New::Volatile(ty) => self.refer("", Kind::Volatile, ty),
            New::Const(ty) => self.refer("", Kind::Const, ty),
            New::Restrict(ty) => self.refer("", Kind::Restrict, ty),
            New::Func { name, proto, linkage } => {
                self.put(name, Kind::Func, false, linkage.number() as usize, proto.0, [])
            }
            New::FuncProto { ret, params } => {
                let parts = self.parts(params, |b, p| [b.string(p.name), p.ty.0]);
                self.put("", Kind::FuncProto, false, params.len(), ret.0, parts)
            }
            New::Var { name, ty, linkage } => self.put(name, Kind::Var, false, 0, ty.0, [linkage.number()]),
            New::DataSec { name, size, vars } => {
                let parts = self.parts(vars, |_, v| [v.ty.0, v.offset, v.size]);
                self.put(name, Kind::DataSec, false, vars.len(), size, parts)
            }
            New::Float { name, size } => self.put(name, Kind::Float, false, 0, size, []),
            New::DeclTag { name, ty, component } => {
                self.put(name, Kind::DeclTag, false, 0, ty.0, [component.unwrap_or(u32::MAX)])
            }
            New::TypeTag { name, ty } => self.refer(name, Kind::TypeTag, ty),
        }
    }

    /// Adds a copy of a type of another set; `refer` says what its references become. `void` and ids that are not
    /// there give `void`.
    pub fn copy(&mut self, from: &Btf, id: TypeId, mut refer: impl FnMut(TypeId) -> TypeId) -> TypeId {
        let words: Vec<u32> = from.words(id).collect();
        let Some((info, shape)) = words.get(1).and_then(|info| Some((*info, Shape::of(*info)?))) else {
            return TypeId::VOID;
        };
        for (word, what) in words.into_iter().zip(shape.uses(info)) {
            self.words.push(match what {
                Use::Name => self.strings.offset(from.string_bytes(word).unwrap_or_default()),
                Use::Type => refer(TypeId(word)).0,
                Use::Plain => word,
            });
        }
        self.count += 1;
        TypeId(self.next_id().0 - 1)
    }

    /// Adds copies of all types of another set, its base's left out: references to those stay as they are. Gives how
    /// far their ids have moved.
    pub fn append(&mut self, other: &Btf) -> u32 {
        let first = other.first_id();
        let moved = self.next_id().0 - first;
        for id in other.ids() {
            self.copy(other, id, |to| if to.0 < first { to } else { TypeId(to.0 + moved) });
        }
        moved
    }

    /// The bytes: header, types, strings. Without the base's.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let types = 4 * self.words.len() as u32;
        let strings = self.strings.bytes();
        let mut out = Vec::with_capacity(HEADER + types as usize + strings.len());
        let word = |n: u32| to_bytes(n, self.endian);
        out.extend(match self.endian {
            Endian::Little => MAGIC.to_le_bytes(),
            Endian::Big => MAGIC.to_be_bytes(),
        });
        out.extend([1, 0]);
        out.extend([HEADER as u32, 0, types, types, strings.len() as u32].into_iter().flat_map(word));
        out.extend(self.words.iter().copied().flat_map(word));
        out.extend(strings);
        out
    }

    /// The set, checked.
    ///
    /// # Errors
    /// A type refers to one that was never added.
    pub fn finish(self) -> Result<Btf, Diagnostic> {
        let bytes = self.write();
        Btf::read_owned(bytes, self.base)
    }

    fn composite(&mut self, name: &str, kind: Kind, size: u32, members: &[Member<'_>]) -> TypeId {
        let flag = members.iter().any(|m| m.bits.is_some());
        let parts =
            self.parts(members, |b, m| [b.string(m.name), m.ty.0, m.bit_offset | u32::from(m.bits.unwrap_or(0)) << 24]);
        self.put(name, kind, flag, members.len(), size, parts)
    }

    fn refer(&mut self, name: &str, kind: Kind, ty: TypeId) -> TypeId {
        self.put(name, kind, false, 0, ty.0, [])
    }

    fn parts<T, const N: usize>(&mut self, parts: &[T], words: impl Fn(&mut Builder, &T) -> [u32; N]) -> Vec<u32> {
        parts.iter().take(PARTS).flat_map(|part| words(self, part)).collect()
    }

    fn put(
        &mut self,
        name: &str,
        kind: Kind,
        flag: bool,
        parts: usize,
        third: u32,
        tail: impl IntoIterator<Item = u32>,
    ) -> TypeId {
        let name = self.string(name);
        let info = (kind as u32) << 24 | u32::from(flag) << 31 | parts.min(PARTS) as u32;
        self.words.extend([name, info, third]);
        self.words.extend(tail);
        self.count += 1;
        TypeId(self.next_id().0 - 1)
    }
}

/// What a set holds already, to be continued.
impl From<&Btf> for Builder {
    fn from(btf: &Btf) -> Builder {
        let strings = btf.raw.get(btf.strings.clone()).unwrap_or_default().to_vec();
        Builder {
            endian: btf.endian,
            base: btf.base.clone(),
            words: btf.types.clone().step_by(4).map(|at| btf.word(at)).collect(),
            count: btf.offsets.len() as u32,
            strings: Strings::holding(btf.base.as_deref(), strings),
        }
    }
}

impl Btf {
    /// The bytes in either byte order, without the base's. In the set's own order they are those that were read,
    /// whenever types and strings stood one behind the other.
    #[must_use]
    pub fn write(&self, endian: Endian) -> Vec<u8> {
        Builder { endian, ..Builder::from(self) }.write()
    }
}

/// The most parts that a type can count.
const PARTS: usize = 0xffff;

pub(crate) fn to_bytes(word: u32, endian: Endian) -> [u8; 4] {
    match endian {
        Endian::Little => word.to_le_bytes(),
        Endian::Big => word.to_be_bytes(),
    }
}

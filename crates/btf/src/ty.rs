//! The views: one per kind of type, reading straight from the bytes that [`Btf::read`] has checked.

use crate::{Btf, TypeId, shape::Shape};

/// `BTF_KIND_…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the format's")]
pub enum Kind {
    Void = 0,
    Int,
    Ptr,
    Array,
    Struct,
    Union,
    Enum,
    Fwd,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Func,
    FuncProto,
    Var,
    DataSec,
    Float,
    DeclTag,
    TypeTag,
    Enum64,
}

/// Who sees a variable or a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Linkage {
    Static,
    Global,
    Extern,
}

impl Linkage {
    pub(crate) fn number(self) -> u32 {
        self as u32
    }

    fn of(number: u32) -> Linkage {
        match number {
            0 => Linkage::Static,
            1 => Linkage::Global,
            _ => Linkage::Extern,
        }
    }
}

/// A type.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the fields are what the format calls them")]
pub enum Type<'a> {
    Void,
    Int(Int<'a>),
    Ptr(TypeId),
    Array(Array),
    Struct(Composite<'a>),
    Union(Composite<'a>),
    Enum(Enum<'a>),
    Fwd { name: &'a str, union: bool },
    Typedef { name: &'a str, ty: TypeId },
    Volatile(TypeId),
    Const(TypeId),
    Restrict(TypeId),
    Func { name: &'a str, proto: TypeId, linkage: Linkage },
    FuncProto(Proto<'a>),
    Var { name: &'a str, ty: TypeId, linkage: Linkage },
    DataSec(Section<'a>),
    Float { name: &'a str, size: u32 },
    DeclTag { name: &'a str, ty: TypeId, component: Option<u32> },
    TypeTag { name: &'a str, ty: TypeId },
    Enum64(Enum<'a>),
}

impl<'a> Type<'a> {
    pub(crate) fn view(btf: &'a Btf, at: usize) -> Option<Type<'a>> {
        let info = btf.word(at + 4);
        let kind = Shape::of(info)?.kind;
        let name = btf.string(btf.word(at)).unwrap_or_default();
        let third = btf.word(at + 8);
        let ty = TypeId(third);
        let parts = Parts { btf, at: at + 12, len: info & 0xffff, flag: info >> 31 == 1 };
        Some(match kind {
            Kind::Void => Type::Void,
            Kind::Int => {
                let word = btf.word(at + 12);
                Type::Int(Int {
                    name,
                    size: third,
                    signed: word >> 24 & 1 != 0,
                    char: word >> 24 & 2 != 0,
                    bool: word >> 24 & 4 != 0,
                    offset: (word >> 16) as u8,
                    bits: word as u8,
                })
            }
            Kind::Ptr => Type::Ptr(ty),
            Kind::Array => Type::Array(Array {
                element: TypeId(btf.word(at + 12)),
                index: TypeId(btf.word(at + 16)),
                len: btf.word(at + 20),
            }),
            Kind::Struct => Type::Struct(Composite { name, size: third, parts }),
            Kind::Union => Type::Union(Composite { name, size: third, parts }),
            Kind::Enum => Type::Enum(Enum { name, size: third, wide: false, parts }),
            Kind::Enum64 => Type::Enum64(Enum { name, size: third, wide: true, parts }),
            Kind::Fwd => Type::Fwd { name, union: parts.flag },
            Kind::Typedef => Type::Typedef { name, ty },
            Kind::Volatile => Type::Volatile(ty),
            Kind::Const => Type::Const(ty),
            Kind::Restrict => Type::Restrict(ty),
            Kind::Func => Type::Func { name, proto: ty, linkage: Linkage::of(parts.len) },
            Kind::FuncProto => Type::FuncProto(Proto { ret: ty, parts }),
            Kind::Var => Type::Var { name, ty, linkage: Linkage::of(btf.word(at + 12)) },
            Kind::DataSec => Type::DataSec(Section { name, size: third, parts }),
            Kind::Float => Type::Float { name, size: third },
            Kind::DeclTag => {
                let component = btf.word(at + 12);
                Type::DeclTag { name, ty, component: (component != u32::MAX).then_some(component) }
            }
            Kind::TypeTag => Type::TypeTag { name, ty },
        })
    }

    /// The type whose values are its own: what a typedef, `const` and its like, or a variable is of.
    pub(crate) fn stands_for(self) -> Option<TypeId> {
        match self {
            Type::Typedef { ty, .. }
            | Type::Const(ty)
            | Type::Volatile(ty)
            | Type::Restrict(ty)
            | Type::TypeTag { ty, .. }
            | Type::Var { ty, .. } => Some(ty),
            _ => None,
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Type::Void => Kind::Void,
            Type::Int(_) => Kind::Int,
            Type::Ptr(_) => Kind::Ptr,
            Type::Array(_) => Kind::Array,
            Type::Struct(_) => Kind::Struct,
            Type::Union(_) => Kind::Union,
            Type::Enum(_) => Kind::Enum,
            Type::Fwd { .. } => Kind::Fwd,
            Type::Typedef { .. } => Kind::Typedef,
            Type::Volatile(_) => Kind::Volatile,
            Type::Const(_) => Kind::Const,
            Type::Restrict(_) => Kind::Restrict,
            Type::Func { .. } => Kind::Func,
            Type::FuncProto(_) => Kind::FuncProto,
            Type::Var { .. } => Kind::Var,
            Type::DataSec(_) => Kind::DataSec,
            Type::Float { .. } => Kind::Float,
            Type::DeclTag { .. } => Kind::DeclTag,
            Type::TypeTag { .. } => Kind::TypeTag,
            Type::Enum64(_) => Kind::Enum64,
        }
    }

    /// Its name; empty if it has none. A tag's is its text.
    #[must_use]
    pub fn name(self) -> &'a str {
        match self {
            Type::Int(t) => t.name,
            Type::Struct(t) | Type::Union(t) => t.name,
            Type::Enum(t) | Type::Enum64(t) => t.name,
            Type::DataSec(t) => t.name,
            Type::Fwd { name, .. }
            | Type::Typedef { name, .. }
            | Type::Func { name, .. }
            | Type::Var { name, .. }
            | Type::Float { name, .. }
            | Type::DeclTag { name, .. }
            | Type::TypeTag { name, .. } => name,
            Type::Void
            | Type::Ptr(_)
            | Type::Array(_)
            | Type::Volatile(_)
            | Type::Const(_)
            | Type::Restrict(_)
            | Type::FuncProto(_) => "",
        }
    }
}

/// An integer type.
#[derive(Clone, Copy, Debug)]
pub struct Int<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its size in bytes.
    pub size: u32,
    /// It is signed.
    pub signed: bool,
    /// It is a character.
    pub char: bool,
    /// It is a truth value.
    pub bool: bool,
    /// First bit of the number in those bytes (not 0 only in bit fields of old compilers).
    pub offset: u8,
    /// Number of bits.
    pub bits: u8,
}

/// An array type.
#[derive(Clone, Copy, Debug)]
pub struct Array {
    /// Type of the elements.
    pub element: TypeId,
    /// Type of the index.
    pub index: TypeId,
    /// Number of elements; 0 also for a flexible array.
    pub len: u32,
}

/// The parts behind a type's three words.
#[derive(Clone, Copy, Debug)]
struct Parts<'a> {
    btf: &'a Btf,
    at: usize,
    len: u32,
    flag: bool,
}

impl<'a> Parts<'a> {
    /// Where each part stands.
    fn places(self, size: usize) -> impl ExactSizeIterator<Item = usize> + Clone + use<'a> {
        (0..self.len as usize).map(move |i| self.at + size * i)
    }

    fn string(self, at: usize) -> &'a str {
        self.btf.string(self.btf.word(at)).unwrap_or_default()
    }
}

/// A struct or a union.
#[derive(Clone, Copy, Debug)]
pub struct Composite<'a> {
    /// Its name; empty if it has none.
    pub name: &'a str,
    /// Its size in bytes.
    pub size: u32,
    parts: Parts<'a>,
}

/// A member of a struct or a union.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its name; empty for an anonymous struct or union.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
    /// Its first bit, counted from the struct's start.
    pub bit_offset: u32,
    /// Number of its bits, if it is a bit field.
    pub bits: Option<u8>,
}

impl<'a> Composite<'a> {
    /// Its members, in order.
    pub fn members(self) -> impl ExactSizeIterator<Item = Member<'a>> + Clone + use<'a> {
        self.places().zip(self.parts.places(12)).map(move |(place, at)| Member { name: self.parts.string(at), ..place })
    }

    /// Its members without their names, which take most of the time.
    pub(crate) fn places(self) -> impl ExactSizeIterator<Item = Member<'a>> + Clone + use<'a> {
        self.parts.places(12).map(move |at| {
            let word = self.parts.btf.word(at + 8);
            let bits = if self.parts.flag { (word >> 24) as u8 } else { 0 };
            Member {
                name: "",
                ty: TypeId(self.parts.btf.word(at + 4)),
                bit_offset: if self.parts.flag { word & 0xff_ffff } else { word },
                bits: (bits != 0).then_some(bits),
            }
        })
    }
}

/// An enumeration, of either width.
#[derive(Clone, Copy, Debug)]
pub struct Enum<'a> {
    /// Its name; empty if it has none.
    pub name: &'a str,
    /// Its size in bytes.
    pub size: u32,
    wide: bool,
    parts: Parts<'a>,
}

/// A name of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enumerator<'a> {
    /// The name.
    pub name: &'a str,
    /// Its value.
    pub value: i128,
}

impl<'a> Enum<'a> {
    /// Whether its values are signed.
    #[must_use]
    pub fn signed(self) -> bool {
        self.parts.flag
    }

    /// Its names, in order.
    pub fn values(self) -> impl ExactSizeIterator<Item = Enumerator<'a>> + Clone + use<'a> {
        self.parts.places(if self.wide { 12 } else { 8 }).map(move |at| {
            let low = self.parts.btf.word(at + 4);
            let value = match (self.wide, self.parts.flag) {
                (false, false) => i128::from(low),
                (false, true) => i128::from(low as i32),
                (true, flag) => {
                    let whole = u64::from(self.parts.btf.word(at + 8)) << 32 | u64::from(low);
                    if flag { i128::from(whole as i64) } else { i128::from(whole) }
                }
            };
            Enumerator { name: self.parts.string(at), value }
        })
    }
}

/// What a function takes and gives.
#[derive(Clone, Copy, Debug)]
pub struct Proto<'a> {
    /// Type of what it gives back.
    pub ret: TypeId,
    parts: Parts<'a>,
}

/// A parameter of a function. A last one without name and type stands for `...`.
#[derive(Clone, Copy, Debug)]
pub struct Param<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
}

impl<'a> Proto<'a> {
    /// Its parameters, in order.
    pub fn params(self) -> impl ExactSizeIterator<Item = Param<'a>> + Clone + use<'a> {
        self.parts
            .places(8)
            .map(move |at| Param { name: self.parts.string(at), ty: TypeId(self.parts.btf.word(at + 4)) })
    }

    /// The types of its parameters, without the names, which take most of the time.
    pub(crate) fn types(self) -> impl ExactSizeIterator<Item = TypeId> + Clone + use<'a> {
        self.parts.places(8).map(move |at| TypeId(self.parts.btf.word(at + 4)))
    }
}

/// A data section (`DATASEC`).
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its size in bytes.
    pub size: u32,
    parts: Parts<'a>,
}

/// A variable in a data section.
#[derive(Clone, Copy, Debug)]
pub struct SectionVar {
    /// Its `VAR` (or, for an extern function, its `FUNC`).
    pub ty: TypeId,
    /// Its offset in the section.
    pub offset: u32,
    /// Its size in bytes.
    pub size: u32,
}

impl<'a> Section<'a> {
    /// Its variables, in order.
    pub fn vars(self) -> impl ExactSizeIterator<Item = SectionVar> + Clone + use<'a> {
        self.parts.places(12).map(move |at| SectionVar {
            ty: TypeId(self.parts.btf.word(at)),
            offset: self.parts.btf.word(at + 4),
            size: self.parts.btf.word(at + 8),
        })
    }

    /// Where it stands in the set's bytes.
    pub(crate) fn at(self) -> usize {
        self.parts.at - 12
    }
}

//! What a relocation asks of a part of a type, as a number.

use super::{
    Problem,
    access::{Access, Step, composite},
};
use alveary_btf::{Btf, CoreKind, Kind, Member, Type, TypeId};
use alveary_isa::Endian;

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) number: u64,
    /// Bytes that a load or store of the field takes, and the field's type, where the kind says so.
    pub(super) access: Option<(u32, TypeId)>,
    /// The compiler must have come to the same: of bit fields there are several true answers.
    pub(super) certain: bool,
}

impl Value {
    fn of(number: u64) -> Value {
        Value { number, access: None, certain: true }
    }
}

/// The answer for a part of a type, or for the lack of it. `None`: an instruction that asks so has no meaning.
pub(super) fn value(kind: CoreKind, part: Option<&Access<'_>>) -> Result<Option<Value>, Problem> {
    let exists = Ok(Some(Value::of(part.is_some().into())));
    let value = match (kind, part) {
        (CoreKind::FieldExists | CoreKind::TypeExists | CoreKind::TypeMatches | CoreKind::EnumvalExists, _) => {
            return exists;
        }
        (CoreKind::TypeIdLocal | CoreKind::TypeIdTarget | CoreKind::TypeSize, None) => Value::of(0),
        (_, None) => return Ok(None),
        // Ids are renumbered when objects are linked: what stands in the instruction says nothing.
        (CoreKind::TypeIdLocal | CoreKind::TypeIdTarget, Some(part)) => {
            Value { certain: false, ..Value::of(part.root.0.into()) }
        }
        (CoreKind::TypeSize, Some(part)) => Value::of(size_of(part.btf, part.root).ok_or(Problem::Unsized)?.into()),
        (CoreKind::EnumvalValue, Some(part)) => Value::of(enumerator(part).ok_or(Problem::Kind)?),
        (_, Some(part)) => field(kind, part)?,
    };
    Ok(Some(value))
}

fn enumerator(part: &Access<'_>) -> Option<u64> {
    let step = part.steps.first()?;
    match part.btf.ty(step.ty)? {
        Type::Enum(t) | Type::Enum64(t) => Some(t.values().nth(step.index as usize)?.value as u64),
        _ => None,
    }
}

fn field(kind: CoreKind, part: &Access<'_>) -> Result<Value, Problem> {
    let step = part.steps.last().ok_or(Problem::Kind)?;
    match (step.name, composite(part.btf, step.ty)) {
        (Some(_), Some(of)) => {
            let member = of.members().nth(step.index as usize).ok_or(Problem::Kind)?;
            match member.bits {
                Some(bits) => bit_field(kind, part, member, bits.into()),
                None => plain(kind, part, member),
            }
        }
        _ => element(kind, part, step),
    }
}

fn element(kind: CoreKind, part: &Access<'_>, step: &Step<'_>) -> Result<Value, Problem> {
    let size = size_of(part.btf, step.ty).ok_or(Problem::Unsized)?;
    match kind {
        CoreKind::FieldOffset => Ok(Value { access: Some((size, step.ty)), ..Value::of((part.bit / 8).into()) }),
        CoreKind::FieldSize => Ok(Value::of(size.into())),
        _ => Err(Problem::Element),
    }
}

fn plain(kind: CoreKind, part: &Access<'_>, member: Member<'_>) -> Result<Value, Problem> {
    let ty = part.btf.resolve(member.ty);
    let size = size_of(part.btf, ty).ok_or(Problem::Unsized)?;
    let bits = size.checked_mul(8).ok_or(Problem::Far)?;
    let offset = part.bit / 8;
    Ok(match kind {
        CoreKind::FieldOffset => Value { access: Some((size, ty)), ..Value::of(offset.into()) },
        CoreKind::FieldSize => Value::of(size.into()),
        CoreKind::FieldSigned => Value::of(is_signed(part.btf, ty).into()),
        _ => shift(kind, part, Window { bits, offset, size })?,
    })
}

/// A bit field: in which bytes it is read, and by which shifts it comes out of 64 bits.
fn bit_field(kind: CoreKind, part: &Access<'_>, member: Member<'_>, bits: u32) -> Result<Value, Problem> {
    let ty = part.btf.resolve(member.ty);
    if kind == CoreKind::FieldSigned {
        return Ok(Value::of(is_signed(part.btf, ty).into()));
    }
    let mut size = size_of(part.btf, ty).filter(|size| *size > 0).ok_or(Problem::Unsized)?;
    let mut offset = part.bit / 8 / size * size;
    // A load of the field's own type may not reach its last bit.
    while u64::from(part.bit) + u64::from(bits) - u64::from(offset) * 8 > u64::from(size) * 8 {
        if size >= 8 {
            return Err(Problem::BitField);
        }
        size *= 2;
        offset = part.bit / 8 / size * size;
    }
    let value = match kind {
        CoreKind::FieldOffset => Value::of(offset.into()),
        CoreKind::FieldSize => Value::of(size.into()),
        _ => shift(kind, part, Window { bits, offset, size })?,
    };
    Ok(Value { certain: kind == CoreKind::FieldRshift, ..value })
}

/// The bytes that a field is read from.
struct Window {
    bits: u32,
    offset: u32,
    size: u32,
}

/// The left shift that brings a field's first bit to the top of 64 bits, and the right one that brings it down.
fn shift(kind: CoreKind, part: &Access<'_>, window: Window) -> Result<Value, Problem> {
    let Window { bits, offset, size } = window;
    let before = i64::from(part.bit) - i64::from(offset) * 8;
    let number = match (kind, part.btf.endian()) {
        (CoreKind::FieldLshift, Endian::Little) => 64 - (before + i64::from(bits)),
        (CoreKind::FieldLshift, Endian::Big) => (8 - i64::from(size)) * 8 + before,
        (CoreKind::FieldRshift, _) => 64 - i64::from(bits),
        _ => return Err(Problem::Kind),
    };
    Ok(Value::of(number as u64))
}

fn is_signed(btf: &Btf, ty: TypeId) -> bool {
    match btf.ty(ty) {
        Some(Type::Int(t)) => t.signed,
        Some(Type::Enum(t) | Type::Enum64(t)) => t.signed(),
        _ => false,
    }
}

/// Whether a load of `own` may become one of `other`, of another size: what is read is zero-extended, which keeps the
/// value of pointers and unsigned integers alone.
pub(super) fn may_resize(own: Type<'_>, other: Type<'_>) -> bool {
    match (own, other) {
        (Type::Ptr(_), Type::Ptr(_)) => true,
        (Type::Int(own), Type::Int(other)) => !own.signed && !other.signed,
        _ => false,
    }
}

/// Names of the type that is as wide as a pointer, as compilers write them.
pub(super) const LONG: [&str; 11] = [
    "long",
    "long int",
    "int long",
    "unsigned long",
    "long unsigned",
    "unsigned long int",
    "unsigned int long",
    "long unsigned int",
    "long int unsigned",
    "int unsigned long",
    "int long unsigned",
];

/// The size in bytes of a type; pointers are as wide as the types' own `long`.
pub(super) fn size_of(btf: &Btf, ty: TypeId) -> Option<u32> {
    let (mut ty, mut count) = (ty, 1u32);
    while let Type::Array(t) = btf.resolved(ty) {
        // An endless chain has no size, which `size_of` finds out.
        btf.size_of(ty)?;
        count = count.checked_mul(t.len)?;
        ty = t.element;
    }
    if !matches!(btf.resolved(ty), Type::Ptr(_)) {
        return count.checked_mul(btf.size_of(ty)?);
    }
    let long = LONG.iter().find_map(|name| btf.size_of(btf.find(name, Kind::Int)?));
    count.checked_mul(long.filter(|size| matches!(size, 4 | 8)).unwrap_or(8))
}

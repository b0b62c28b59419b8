//! The kernel's types: what stands at a place of one of its structs. Knows no registers.
//!
//! Types may come from anybody's file: every walk ends after [`STEPS`] steps, though structs in structs never go that
//! deep.

use crate::state::Flags;
use alveary_abi::Errno;
use alveary_btf::{Btf, Composite, Kind, Member, Type, TypeId};

/// The deepest that structs in structs are followed.
const STEPS: u32 = 64;

/// What a load gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Number,
    /// A pointer to a struct, by the member of this name; what the member's tags and the unions around it make of it.
    Object {
        to: TypeId,
        member: &'a str,
        flags: Flags,
    },
    /// A pointer to something else.
    Pointer,
}

/// Why nothing can be loaded, as the kernel says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missed {
    pub(crate) errno: Errno,
    pub(crate) message: String,
}

/// The bytes that are asked for.
#[derive(Clone, Copy)]
struct Bytes {
    off: u64,
    size: u64,
}

/// Where one step leads.
enum Step<'a> {
    Found(Found<'a>),
    /// A struct that begins there.
    Into(TypeId),
}

/// What `size` bytes at `off` of a struct are.
pub(crate) fn load(btf: &Btf, ty: TypeId, off: u32, size: u32) -> Result<Found<'_>, Missed> {
    let (mut ty, mut bytes) = (ty, Bytes { off: off.into(), size: size.into() });
    let mut flags = Flags::NONE;
    for _ in 0..STEPS {
        match step(btf, ty, bytes, &mut flags)? {
            Step::Found(found) => return Ok(found),
            Step::Into(inner) => (ty, bytes.off) = (inner, 0),
        }
    }
    Err(not_a_field(btf, ty, 0))
}

/// Whether what stands at `off` of a type is a `wanted`: the type itself, or one that begins there, unless it must be the
/// type itself.
pub(crate) fn is_one(btf: &Btf, ty: TypeId, off: u32, wanted: TypeId, strict: bool) -> Result<bool, Missed> {
    if strict || off == 0 && ty == wanted {
        return Ok(off == 0 && ty == wanted);
    }
    let (mut ty, mut bytes) = (ty, Bytes { off: off.into(), size: 1 });
    let mut flags = Flags::NONE;
    for _ in 0..STEPS {
        match step(btf, ty, bytes, &mut flags)? {
            Step::Into(inner) if inner == wanted => return Ok(true),
            Step::Into(inner) => (ty, bytes.off) = (inner, 0),
            Step::Found(_) => return Ok(false),
        }
    }
    Ok(false)
}

/// Whether the kernel lists a member that points to `to` among those of its struct that stay good: in a struct whose name
/// has this suffix (`task_struct__safe_rcu`).
pub(crate) fn is_listed(btf: &Btf, ty: TypeId, member: &str, to: TypeId, suffix: &str) -> bool {
    let Some(kind) = btf.ty(ty).map(Type::kind).filter(|kind| matches!(kind, Kind::Struct | Kind::Union)) else {
        return false;
    };
    let list = btf.find(&format!("{}{suffix}", btf.name(ty)), kind).and_then(|id| btf.ty(id));
    let Some(Type::Struct(list) | Type::Union(list)) = list else { return false };
    list.members().any(|known| {
        known.name == member && matches!(btf.ty(known.ty), Some(Type::Ptr(target)) if btf.resolve(target) == to)
    })
}

/// One struct: the member that has the bytes, through structs that begin before them.
fn step<'a>(btf: &'a Btf, ty: TypeId, bytes: Bytes, flags: &mut Flags) -> Result<Step<'a>, Missed> {
    let (mut ty, Bytes { mut off, size }) = (ty, bytes);
    for _ in 0..STEPS {
        let composite = match btf.resolved(ty) {
            Type::Struct(composite) => composite,
            Type::Union(composite) => {
                if composite.members().len() != 1 {
                    *flags = flags.with(Flags::UNTRUSTED);
                }
                composite
            }
            other => {
                return Err(missed(Errno::EINVAL, format!("Type '{}' is not a struct\n", shown(other.name()))));
            }
        };
        let name = shown(composite.name);
        if off + size > composite.size.into() {
            match behind(btf, composite, off) {
                Some(Behind::Number) => return Ok(Step::Found(Found::Number)),
                Some(Behind::Element(element, inside)) => (ty, off) = (element, inside),
                None => {
                    let message = format!("access beyond struct {name} at off {off} size {size}\n");
                    return Err(missed(Errno::EACCES, message));
                }
            }
            continue;
        }
        let (member, place) = match holder(btf, composite, Bytes { off, size })? {
            Holder::Member(member, place) => (shown(member.name), place),
            Holder::BitField => return Ok(Step::Found(Found::Number)),
            Holder::Nobody => return Err(not_a_field(btf, ty, off)),
        };
        match btf.resolved(place.ty) {
            Type::Struct(_) | Type::Union(_) if off == place.start => return Ok(Step::Into(place.ty)),
            Type::Struct(_) | Type::Union(_) => {
                (ty, off) = (place.ty, off - place.start);
                continue;
            }
            Type::Ptr(_) if place.size != size || off != place.start => {
                let start = place.start;
                let message = format!(
                    "cannot access ptr member {member} with moff {start} in struct {name} with off {off} size {size}\n"
                );
                return Err(missed(Errno::EACCES, message));
            }
            Type::Ptr(target) => {
                let to = btf.resolve(target);
                let object = matches!(btf.ty(to), Some(Type::Struct(_) | Type::Union(_)));
                let flags = flags.with(tag(btf, target));
                return Ok(Step::Found(if object { Found::Object { to, member, flags } } else { Found::Pointer }));
            }
            _ => {}
        }
        // Numbers of an array may be read together.
        if off + size > place.end && !flags.has(Flags::UNTRUSTED) {
            let end = place.end;
            let message = format!(
                "access beyond the end of member {member} (mend:{end}) in struct {name} with off {off} size {size}\n"
            );
            return Err(missed(Errno::EACCES, message));
        }
        return Ok(Step::Found(Found::Number));
    }
    Err(not_a_field(btf, ty, off))
}

/// Who has the bytes that are asked for.
enum Holder<'a> {
    Member(Member<'a>, Place),
    BitField,
    Nobody,
}

/// Where a member is, or that element of it, if it is an array, in which the bytes begin.
struct Place {
    ty: TypeId,
    start: u64,
    size: u64,
    /// Where the whole member ends.
    end: u64,
}

fn holder<'a>(btf: &'a Btf, composite: Composite<'a>, bytes: Bytes) -> Result<Holder<'a>, Missed> {
    let Bytes { off, size } = bytes;
    for member in composite.members() {
        let start = u64::from(member.bit_offset / 8);
        if off + size <= start {
            break;
        }
        if let Some(bits) = member.bits {
            let end = (u64::from(member.bit_offset) + u64::from(bits)).div_ceil(8);
            if off <= start && end <= off + size {
                return Ok(Holder::BitField);
            }
            continue;
        }
        if off < start {
            break;
        }
        let Some(whole) = btf.size_of(member.ty) else {
            return Err(missed(Errno::EFAULT, format!("field {} doesn't have size\n", shown(member.name))));
        };
        let end = start + u64::from(whole);
        if off >= end {
            continue;
        }
        let (ty, count) = element(btf, member.ty);
        let size = u64::from(whole / count.max(1)).max(1);
        let start = start + (off - start) / size * size;
        return Ok(Holder::Member(member, Place { ty, start, size, end }));
    }
    Ok(Holder::Nobody)
}

/// What an array is made of, and how often, all dimensions taken together; of anything else, that, once.
fn element(btf: &Btf, ty: TypeId) -> (TypeId, u32) {
    let (mut ty, mut count) = (btf.resolve(ty), 1u32);
    for _ in 0..STEPS {
        let Type::Array(array) = btf.resolved(ty) else { break };
        (ty, count) = (array.element, count.saturating_mul(array.len));
    }
    (ty, count)
}

/// What lies behind a struct's end.
enum Behind {
    Number,
    /// An element, and how far inside it.
    Element(TypeId, u64),
}

/// A struct may end with an array of any length.
fn behind(btf: &Btf, composite: Composite<'_>, off: u64) -> Option<Behind> {
    let last = composite.members().last()?;
    let Type::Array(array) = btf.resolved(last.ty) else { return None };
    let start = u64::from(last.bit_offset / 8);
    if array.len != 0 || off < start {
        return None;
    }
    match btf.resolved(array.element) {
        Type::Int(_) => Some(Behind::Number),
        Type::Struct(element) | Type::Union(element) if element.size > 0 => {
            Some(Behind::Element(array.element, (off - start) % u64::from(element.size)))
        }
        _ => None,
    }
}

/// What the tag of a pointer's target says of it.
fn tag(btf: &Btf, target: TypeId) -> Flags {
    match btf.ty(target) {
        Some(Type::TypeTag { name: "user", .. }) => Flags::USER,
        Some(Type::TypeTag { name: "percpu", .. }) => Flags::PER_CPU,
        Some(Type::TypeTag { name: "rcu", .. }) => Flags::RCU,
        _ => Flags::NONE,
    }
}

fn shown(name: &str) -> &str {
    if name.is_empty() { "(anon)" } else { name }
}

fn not_a_field(btf: &Btf, ty: TypeId, off: u64) -> Missed {
    let name = shown(btf.resolved(ty).name());
    missed(Errno::EINVAL, format!("struct {name} doesn't have field at offset {off}\n"))
}

fn missed(errno: Errno, message: String) -> Missed {
    Missed { errno, message }
}

//! A kernel's types from bytes: structs that hold one another and themselves, unions, arrays, bit fields, pointers with
//! tags. Knows neither programs nor what is made of the types.

use alveary_btf::{Array, Btf, Builder, Member, New, TypeId};
use alveary_isa::Endian;
use arbitrary::{Result, Unstructured};

/// Structs that helpers give, take, or that lie behind maps; and lists of members that stay good.
const STRUCTS: [&str; 12] = [
    "task_struct",
    "task_struct__safe_rcu",
    "task_struct__safe_trusted",
    "task_struct__safe_rcu_or_null",
    "mm_struct",
    "vm_area_struct",
    "pt_regs",
    "bpf_map",
    "bpf_array",
    "bpf_htab",
    "file",
    "",
];
const MEMBERS: [&str; 5] = ["a", "b", "c", "d", ""];
const TAGS: [&str; 4] = ["rcu", "user", "percpu", "other"];

/// The types, if they are a set that can be read. The first is the struct that most programs begin with.
pub(crate) fn kernel_types(u: &mut Unstructured<'_>) -> Result<Option<Btf>> {
    let mut types = Builder::new(Endian::Little);
    let count = u.int_in_range(1..=40)?;
    composite(u, &mut types, count, Some(STRUCTS[0]))?;
    for _ in 1..count {
        any(u, &mut types, count)?;
    }
    Ok(types.finish().ok())
}

fn any(u: &mut Unstructured<'_>, types: &mut Builder, count: u32) -> Result<()> {
    let size = *u.choose(&[1, 2, 4, 8, 16])?;
    match u.int_in_range(0..=11)? {
        0 | 1 => {
            types.add(&New::Int { name: "int", size, bits: size as u8 * 8, signed: true, char: false, bool: false })
        }
        2 | 3 => types.add(&New::Ptr(one(u, count)?)),
        4 => {
            let (element, index) = (one(u, count)?, one(u, count)?);
            types.add(&New::Array(Array { element, index, len: *u.choose(&[0, 0, 1, 2, 3, 16, 1 << 20, u32::MAX])? }))
        }
        5 => types.add(&New::TypeTag { name: u.choose(&TAGS)?, ty: one(u, count)? }),
        6 => match u.int_in_range(0..=3)? {
            0 => types.add(&New::Const(one(u, count)?)),
            1 => types.add(&New::Typedef { name: "number", ty: one(u, count)? }),
            2 => types.add(&New::Fwd { name: "task_struct", union: u.arbitrary()? }),
            _ => types.add(&New::Enum { name: "choice", size: size.min(8), signed: false, values: &[] }),
        },
        _ => return composite(u, types, count, None),
    };
    Ok(())
}

/// A struct or union: its members mostly one behind the other, at times anywhere.
fn composite(u: &mut Unstructured<'_>, types: &mut Builder, count: u32, name: Option<&str>) -> Result<()> {
    let mut members = Vec::new();
    let mut end = 0u32;
    for _ in 0..u.int_in_range(0..=6)? {
        let bits = if u.ratio(1, 5)? { Some(u.int_in_range(0..=64)?) } else { None };
        let gap = u.choose(&[0, 0, 0, 32, 64])?;
        let bit_offset = if u.ratio(1, 12)? { u.int_in_range(0..=0xff_ffff)? } else { end + gap };
        end = bit_offset.saturating_add(bits.map_or(*u.choose(&[64, 64, 32, 8, 0])?, u32::from)).min(1 << 20);
        members.push(Member { name: u.choose(&MEMBERS)?, ty: one(u, count)?, bit_offset, bits });
    }
    let size = if u.ratio(1, 8)? { *u.choose(&[0, 1, 8, 4096, u32::MAX])? } else { end.div_ceil(8) };
    let name = if let Some(name) = name { name } else { u.choose(&STRUCTS)? };
    let members = members.as_slice();
    types.add(&if u.ratio(1, 4)? { New::Union { name, size, members } } else { New::Struct { name, size, members } });
    Ok(())
}

/// A type of those that there will be, or nothing.
fn one(u: &mut Unstructured<'_>, count: u32) -> Result<TypeId> {
    Ok(TypeId(u.int_in_range(0..=count)?))
}

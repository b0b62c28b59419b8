//! Any bytes as BTF, and what is made of it: names, sizes, values as text and back.

use crate::budget::within;
use alveary_btf::{Btf, Ext, Snippet, Type, TypeId, parse_plain};
use alveary_isa::Endian;
use std::sync::Arc;

/// Types that are looked at closely: enough for any path, few enough to be fast.
const TYPES: usize = 64;
/// What stands in memory where a value is read.
const SAMPLE: [u8; 40] = *b"\x01\0\0\0\x02\x03sample\0\0\xff\xff\xff\xff\x7f\x80\0\0\0\0\0\0\xf8\x7f0123456789ab";

/// The input: the length of the first part in four bytes (little-endian), a set of types, and behind it a `.BTF.ext`
/// section or a set that continues the first.
///
/// Reading takes memory in proportion; each id below the count has a type that refers to ids below the count; each
/// type has a name, a size, a value, a text; a text that is parsed gives as many bytes as the type has.
pub fn btf(bytes: &[u8]) {
    let Some((len, rest)) = bytes.split_first_chunk::<4>() else { return };
    let (first, second) = rest.split_at((u32::from_le_bytes(*len) as usize).min(rest.len()));
    let most = (64 << 10) + 64 * bytes.len();
    let read = |bytes, base| within(most, "reading BTF", || Btf::read(bytes, base));
    let base = match read(first, None) {
        Ok(btf) => Arc::new(btf),
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert_eq!(base.bytes(), first);
    types(&base);
    match within(most, "reading .BTF.ext", || Ext::read(second, &base)) {
        Ok(ext) => records(&base, &ext),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(split) = read(second, Some(base.clone())) {
        assert_eq!(split.first_id(), base.count());
        types(&split);
    }
}

fn types(btf: &Btf) {
    assert!(btf.ty(TypeId(btf.count())).is_none());
    for id in btf.ids().take(TYPES) {
        let ty = btf.ty(id).expect("an id below the count has a type");
        refers_inside(btf, ty);
        let name = btf.name(id);
        if !name.is_empty() {
            assert!(btf.named(name).any(|found| btf.name(found) == name));
            assert!(btf.find(name, ty.kind()).is_some_and(|found| found <= id));
        }
        let _ = btf.c_name(id);
        let value = btf.value(id, &SAMPLE);
        let (line, lines) = (value.to_string(), format!("{value:#}"));
        assert!(line.len() <= lines.len());
        for text in [line.as_str(), "-1", "[{}, 2]", "10.0.0.1/8"] {
            if let Ok(bytes) = btf.parse_value(id, &Snippet::whole("fuzz", text)) {
                assert_eq!(Some(bytes.len() as u32), btf.size_of(id), "{text}");
            }
            if let Ok(bytes) = parse_plain(4, Endian::Little, &Snippet::whole("fuzz", text)) {
                assert_eq!(bytes.len(), 4);
            }
        }
    }
}

/// What a type refers to is there.
fn refers_inside(btf: &Btf, ty: Type<'_>) {
    let there = |id: TypeId| assert!(id.0 < btf.count(), "{id:?} of {ty:?}");
    match ty {
        Type::Ptr(ty) | Type::Volatile(ty) | Type::Const(ty) | Type::Restrict(ty) => there(ty),
        Type::Typedef { ty, .. } | Type::Var { ty, .. } | Type::DeclTag { ty, .. } | Type::TypeTag { ty, .. } => {
            there(ty);
        }
        Type::Func { proto, .. } => there(proto),
        Type::Array(array) => [array.element, array.index].into_iter().for_each(there),
        Type::Struct(of) | Type::Union(of) => of.members().for_each(|member| there(member.ty)),
        Type::FuncProto(of) => of.params().for_each(|param| there(param.ty)),
        Type::DataSec(of) => of.vars().for_each(|var| there(var.ty)),
        Type::Enum(of) | Type::Enum64(of) => assert!(of.values().count() <= 0xffff),
        Type::Void | Type::Int(_) | Type::Fwd { .. } | Type::Float { .. } => {}
    }
}

fn records(btf: &Btf, ext: &Ext) {
    for (_, relocs) in &ext.core {
        for reloc in relocs.iter().take(TYPES) {
            assert!(btf.describe_core(reloc).contains('`'));
        }
    }
}

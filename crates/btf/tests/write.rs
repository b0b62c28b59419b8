//! What is written: the bytes that were read, the types that were added.

use alveary_btf::{
    Array, Btf, Builder, CoreKind, CoreReloc, Enumerator, Ext, FuncInfo, Kind, LineInfo, Linkage, Member, New, Param,
    SectionVar, Type, TypeId,
};
use alveary_isa::Endian;
use std::{fmt::Write, sync::Arc};

/// A type of every kind.
fn all_kinds(endian: Endian) -> Builder {
    let mut b = Builder::new(endian);
    let int = b.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
    let member = |name, ty, bit_offset, bits| Member { name, ty, bit_offset, bits };
    let ptr = b.add(&New::Ptr(TypeId(4)));
    b.add(&New::Array(Array { element: ptr, index: int, len: 3 }));
    b.add(&New::Struct { name: "s", size: 8, members: &[member("next", ptr, 0, None)] });
    b.add(&New::Union { name: "u", size: 4, members: &[member("i", int, 0, Some(3)), member("next", int, 0, None)] });
    b.add(&New::Enum { name: "e", size: 4, signed: true, values: &[Enumerator { name: "E", value: -5 }] });
    let far = Enumerator { name: "FAR", value: 1 << 40 };
    b.add(&New::Enum64 { name: "e64", size: 8, signed: false, values: &[far] });
    b.add(&New::Fwd { name: "far", union: true });
    b.add(&New::Typedef { name: "t", ty: int });
    b.add(&New::Volatile(int));
    b.add(&New::Const(int));
    b.add(&New::Restrict(ptr));
    let proto = b.add(&New::FuncProto { ret: int, params: &[Param { name: "next", ty: ptr }] });
    let func = b.add(&New::Func { name: "f", proto, linkage: Linkage::Global });
    let var = b.add(&New::Var { name: "v", ty: int, linkage: Linkage::Extern });
    b.add(&New::DataSec { name: ".data", size: 4, vars: &[SectionVar { ty: var, offset: 0, size: 4 }] });
    b.add(&New::Float { name: "double", size: 8 });
    b.add(&New::DeclTag { name: "tag", ty: func, component: Some(0) });
    b.add(&New::TypeTag { name: "user", ty: int });
    b
}

/// What a set says, whatever its byte order.
fn words(btf: &Btf) -> String {
    btf.ids().fold(String::new(), |mut out, id| {
        let ty = btf.ty(id).unwrap();
        let _ = match ty {
            Type::Struct(t) | Type::Union(t) => {
                writeln!(out, "{:?} {} {} {:?}", ty.kind(), t.name, t.size, t.members().collect::<Vec<_>>())
            }
            Type::Enum(t) | Type::Enum64(t) => {
                writeln!(out, "{:?} {} {} {:?}", ty.kind(), t.name, t.signed(), t.values().collect::<Vec<_>>())
            }
            Type::FuncProto(t) => writeln!(out, "{:?} {:?}", t.ret, t.params().collect::<Vec<_>>()),
            Type::DataSec(t) => writeln!(out, "{} {} {:?}", t.name, t.size, t.vars().collect::<Vec<_>>()),
            other => writeln!(out, "{other:?}"),
        };
        out
    })
}

#[test]
fn every_kind_reads_as_it_was_added_in_both_byte_orders() {
    let little = all_kinds(Endian::Little).finish().unwrap();
    let big = all_kinds(Endian::Big).finish().unwrap();
    assert_eq!(little.count(), 20);
    assert_eq!(words(&little), words(&big));
    assert!(words(&little).contains("FAR\", value: 1099511627776"), "{}", words(&little));
    assert!(words(&little).contains("E\", value: -5"));
    assert_eq!(little.write(Endian::Big), big.bytes());
    assert_eq!(big.write(Endian::Little), little.bytes());
}

#[test]
fn what_was_read_is_written_as_it_was() {
    let bytes = all_kinds(Endian::Little).write();
    let btf = Btf::read(&bytes, None).unwrap();
    assert_eq!(btf.write(Endian::Little), bytes);
    let Ok(kernel) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        println!("SKIP: the kernel has no BTF");
        return;
    };
    let btf = Btf::read(&kernel, None).unwrap();
    assert!(btf.write(Endian::Little) == kernel);
    let swapped = Btf::read_owned(btf.write(Endian::Big), None).unwrap();
    assert!(swapped.write(Endian::Little) == kernel);
}

#[test]
fn a_layout_of_another_order_is_written_in_the_usual_one() {
    let usual = all_kinds(Endian::Little).write();
    let word = |at: usize| u32::from_le_bytes(usual[at..at + 4].try_into().unwrap()) as usize;
    let (types, strings) = (word(12), word(20));
    // A longer header, strings before types.
    let mut odd = usual[..4].to_vec();
    for n in [28, (strings + 3) & !3, types, 0, strings, 0] {
        odd.extend((n as u32).to_le_bytes());
    }
    odd.extend(&usual[24 + types..]);
    odd.resize(28 + ((strings + 3) & !3), 0);
    odd.extend(&usual[24..24 + types]);
    assert_eq!(Btf::read(&odd, None).unwrap().write(Endian::Little), usual);
}

#[test]
fn a_text_is_held_once_also_when_the_base_has_it() {
    let base = Arc::new(all_kinds(Endian::Little).finish().unwrap());
    let mut split = Builder::over(base.clone());
    assert_eq!(split.next_id(), TypeId(20));
    let next = split.string("next");
    assert_eq!(base.string(next), Some("next"));
    let (a, b) = (split.string("new"), split.string("new"));
    assert_eq!(a, b);
    let ty = split.add(&New::Typedef { name: "new", ty: TypeId(1) });
    let split = split.finish().unwrap();
    assert_eq!(split.find("new", Kind::Typedef), Some(ty));
    assert_eq!(split.bytes().len(), 24 + 12 + "new\0".len());
    // A set of many names, so that the table has to grow.
    let mut many = Builder::new(Endian::Little);
    for _ in 0..2 {
        for i in 0..5000 {
            many.add(&New::Float { name: &format!("name{i}"), size: 8 });
        }
    }
    let many = many.finish().unwrap();
    assert_eq!(many.named("name4711").count(), 2);
    assert_eq!(
        many.bytes().len(),
        24 + 10_000 * 12 + 1 + (0..5000).map(|i| format!("name{i}").len() + 1).sum::<usize>()
    );
}

#[test]
fn a_set_appended_to_another_keeps_its_shape() {
    let one = all_kinds(Endian::Little).finish().unwrap();
    let mut both = Builder::from(&one);
    assert_eq!(both.append(&one), 19);
    let both = both.finish().unwrap();
    assert_eq!(both.count(), 39);
    let strings = |btf: &Btf| u32::from_le_bytes(btf.bytes()[20..24].try_into().unwrap());
    assert_eq!(strings(&both), strings(&one), "the strings are there once");
    let Some(Type::Ptr(to)) = both.ty(TypeId(21)) else { panic!("no pointer") };
    assert_eq!(to, TypeId(23));
}

#[test]
fn references_to_types_that_were_never_added_are_refused() {
    let mut b = Builder::new(Endian::Little);
    b.add(&New::Ptr(TypeId(7)));
    assert_eq!(b.finish().unwrap_err().code.0, "btf-reference");
}

#[test]
fn ext_records_are_written_as_they_are_read() {
    for endian in [Endian::Little, Endian::Big] {
        let mut b = all_kinds(endian);
        let text = b.string("return 0;");
        let ext = Ext {
            funcs: vec![(
                "xdp".into(),
                vec![FuncInfo { insn: 0, ty: TypeId(14) }, FuncInfo { insn: 9, ty: TypeId(14) }],
            )],
            lines: vec![("xdp".into(), vec![LineInfo { insn: 3, file: text, text, line: 70, column: 5 }])],
            core: vec![(
                "tc".into(),
                vec![CoreReloc { insn: 1, ty: TypeId(4), access: text, kind: CoreKind::EnumvalValue }],
            )],
        };
        let bytes = ext.write(&mut b);
        let again = Ext::read(&bytes, &b.finish().unwrap()).unwrap();
        assert_eq!((&again.funcs, &again.lines, &again.core), (&ext.funcs, &ext.lines, &ext.core));
        let none = Ext::default().write(&mut all_kinds(endian));
        assert_eq!(none.len(), 32);
    }
}

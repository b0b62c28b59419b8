//! What changed between two sets.

use alveary_btf::{Btf, Builder, Change, CoreKind, CoreReloc, Enumerator, Member, New, TypeId};
use alveary_isa::Endian;
use std::collections::BTreeSet;

/// Two versions of a kernel's types.
fn kernel(new: bool) -> Btf {
    let mut b = Builder::new(Endian::Little);
    let int = b.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
    let long = b.add(&New::Int { name: "long", size: 8, bits: 64, signed: true, char: false, bool: false });
    let member = |name, ty, bit_offset| Member { name, ty, bit_offset, bits: None };
    let inner = b.add(&New::Union { name: "", size: 4, members: &[member("a", int, 0), member("b", int, 0)] });
    if new {
        let members =
            [member("added", int, 0), member("", inner, 32), member("x", inner, 64), member("flags", long, 128)];
        b.add(&New::Struct { name: "task", size: 24, members: &members });
        b.add(&New::Struct { name: "fresh", size: 4, members: &[member("n", int, 0)] });
    } else {
        let members = [member("", inner, 0), member("x", inner, 32), member("flags", int, 64), member("gone", int, 96)];
        b.add(&New::Struct { name: "task", size: 16, members: &members });
    }
    b.add(&New::Struct { name: "same", size: 4, members: &[member("n", int, 0)] });
    let values = [("KEPT", 0), if new { ("NEW", 1) } else { ("OLD", 1) }, ("MOVED", if new { 5 } else { 2 })];
    let values = values.map(|(name, value)| Enumerator { name, value });
    b.add(&New::Enum { name: "state", size: 4, signed: false, values: &values });
    b.finish().unwrap()
}

#[test]
fn changes_are_told_by_type_and_member() {
    let found = kernel(false).diff(&kernel(true), None);
    let names: Vec<&str> = found.iter().map(|d| &*d.name).collect();
    assert_eq!(names, ["enum state", "struct fresh", "struct task"]);
    let values = |name: &str, before, after| (name.to_owned(), before, after);
    let expected = vec![values("NEW", None, Some(1)), values("OLD", Some(1), None), values("MOVED", Some(2), Some(5))];
    assert_eq!(found[0].change, Change::Values(expected));
    assert_eq!(found[1].change, Change::Added);
    let Change::Layout { size: (16, 24), members } = &found[2].change else { panic!("{:?}", found[2]) };
    let told: Vec<String> = members
        .iter()
        .map(|m| format!("{} {:?} {:?}", m.name, m.before.as_ref().map(|s| s.bit), m.after.as_ref().map(|s| s.bit)))
        .collect();
    assert_eq!(
        told,
        [
            "gone Some(96) None",
            "added None Some(0)",
            "a Some(0) Some(32)",
            "b Some(0) Some(32)",
            "x.a Some(32) Some(64)",
            "x.b Some(32) Some(64)",
            "flags Some(64) Some(128)",
        ]
    );
    assert_eq!(kernel(true).diff(&kernel(true), None), []);
}

#[test]
fn only_what_is_asked_for_is_compared() {
    let only = BTreeSet::from(["enum state".to_owned(), "struct same".to_owned()]);
    let found = kernel(true).diff(&kernel(false), Some(&only));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, "enum state");
}

#[test]
fn a_relocation_names_the_types_that_it_goes_through() {
    let mut b = Builder::new(Endian::Little);
    let int = b.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
    let member = |name, ty| Member { name, ty, bit_offset: 0, bits: None };
    let inner = b.add(&New::Struct { name: "inner", size: 4, members: &[member("n", int)] });
    let outer = b.add(&New::Struct { name: "outer___old", size: 4, members: &[member("inner", inner)] });
    let access = b.string("0:0:0");
    let btf = b.finish().unwrap();
    let reloc = CoreReloc { insn: 0, ty: outer, access, kind: CoreKind::FieldOffset };
    assert_eq!(btf.core_types(&reloc), BTreeSet::from(["struct inner".to_owned(), "struct outer".to_owned()]));
    let nothing = CoreReloc { ty: TypeId(77), access: 4000, ..reloc };
    assert_eq!(btf.core_types(&nothing), BTreeSet::new());
}

//! What changed between two sets.

use alveary_btf::{Asked, Btf, Builder, Change, CoreKind, CoreReloc, Difference, Enumerator, Member, New, TypeId};
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
    let only = Asked::from([("enum state".to_owned(), None), ("struct same".to_owned(), None)]);
    let found = kernel(true).diff(&kernel(false), Some(&only));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, "enum state");
}

#[test]
fn only_the_members_that_are_asked_for_are_compared() {
    let asked = |ty: &str, parts: &[&str]| {
        Asked::from([(ty.to_owned(), Some(parts.iter().map(|part| part.to_string()).collect()))])
    };
    let changes = |only: &Asked| kernel(false).diff(&kernel(true), Some(only));
    let [Difference { change: Change::Layout { members, .. }, .. }] =
        &changes(&asked("struct task", &["x", "gone"]))[..]
    else {
        panic!("not one difference")
    };
    assert_eq!(members.iter().map(|m| &*m.name).collect::<Vec<_>>(), ["gone", "x.a", "x.b"]);
    let [Difference { change: Change::Values(values), .. }] = &changes(&asked("enum state", &["OLD"]))[..] else {
        panic!("not one difference")
    };
    assert_eq!(values[..], [("OLD".to_owned(), Some(1), None)]);
    assert_eq!(changes(&asked("struct same", &["n"])), []);
    assert_eq!(changes(&asked("enum state", &["KEPT"])), []);
}

#[test]
fn numbers_of_two_compilers_are_the_same() {
    let set = |name| {
        let mut b = Builder::new(Endian::Little);
        let long = b.add(&New::Int { name, size: 8, bits: 64, signed: false, char: false, bool: false });
        b.add(&New::Struct {
            name: "s",
            size: 8,
            members: &[Member { name: "n", ty: long, bit_offset: 0, bits: None }],
        });
        b.finish().unwrap()
    };
    assert_eq!(set("long unsigned int").diff(&set("unsigned long"), None), []);
    assert_eq!(set("long long unsigned int").diff(&set("unsigned long"), None).len(), 1);
}

#[test]
fn a_relocation_asks_for_the_members_that_it_goes_through() {
    let mut b = Builder::new(Endian::Little);
    let int = b.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
    let member = |name, ty| Member { name, ty, bit_offset: 0, bits: None };
    let inner = b.add(&New::Struct { name: "inner", size: 4, members: &[member("n", int)] });
    let hidden = b.add(&New::Union { name: "", size: 4, members: &[member("inner", inner)] });
    let row = b.add(&New::Array(alveary_btf::Array { element: inner, index: int, len: 2 }));
    let members = [member("x", hidden), member("", hidden), member("row", row)];
    let outer = b.add(&New::Struct { name: "outer___old", size: 4, members: &members });
    let values = [Enumerator { name: "IDLE", value: 0 }, Enumerator { name: "BUSY", value: 1 }];
    let state = b.add(&New::Enum { name: "state", size: 4, signed: false, values: &values });
    let paths = ["0:0:0:0", "0:1:0", "0:2:1:0", "1", "0", "0:0"].map(|path| b.string(path));
    let btf = b.finish().unwrap();
    let asked = |ty, access, kind| {
        let mut asked = Asked::new();
        btf.add_asked(&CoreReloc { insn: 0, ty, access, kind }, &mut asked);
        let parts =
            |parts: Option<BTreeSet<String>>| parts.map(|parts| parts.into_iter().collect::<Vec<_>>().join(" "));
        asked.into_iter().map(|(ty, p)| (ty, parts(p))).collect::<Vec<_>>()
    };
    let whole = |ty: &str| (ty.to_owned(), None);
    let part = |ty: &str, parts: &str| (ty.to_owned(), Some(parts.to_owned()));
    let [deep, nameless, element, second, first, holder] = paths;
    assert_eq!(asked(outer, deep, CoreKind::FieldOffset), [part("struct inner", "n"), part("struct outer", "x.inner")]);
    assert_eq!(asked(outer, nameless, CoreKind::FieldExists), [part("struct outer", "inner")]);
    assert_eq!(asked(outer, element, CoreKind::FieldSize), [part("struct inner", "n"), part("struct outer", "row")]);
    assert_eq!(asked(outer, holder, CoreKind::FieldExists), [part("struct outer", "x")]);
    assert_eq!(asked(state, second, CoreKind::EnumvalValue), [part("enum state", "BUSY")]);
    assert_eq!(asked(outer, first, CoreKind::TypeSize), [whole("struct outer")]);
    assert_eq!(asked(outer, first, CoreKind::TypeIdLocal), []);
    assert_eq!(asked(TypeId(77), 4000, CoreKind::FieldOffset), []);
}

//! Types in ELF files of any machine: 32 and 64 bits, either byte order; a module's, with the base that it brings along.

use alveary_btf::{Btf, Builder, Kind, Member, New, Type, TypeId};
use alveary_isa::Endian::{self, Big, Little};
use alveary_object::read_types;
use std::sync::Arc;

/// An ELF file with these sections, and one of their names behind them.
fn elf(endian: Endian, wide: bool, sections: &[(&str, &[u8])]) -> Vec<u8> {
    let put = |out: &mut Vec<u8>, n: u64, size: usize| match endian {
        Little => out.extend(&n.to_le_bytes()[..size]),
        Big => out.extend(&n.to_be_bytes()[8 - size..]),
    };
    let (header, word) = if wide { (64, 8) } else { (52, 4) };
    let mut names = vec![0];
    let mut content = Vec::new();
    // Name, type, offset, size.
    let mut table = vec![[0; 4]];
    for (name, bytes) in sections {
        table.push([names.len(), 1, header + content.len(), bytes.len()]);
        names.extend(name.as_bytes());
        names.push(0);
        content.extend(*bytes);
    }
    table.push([0, 3, header + content.len(), names.len()]);
    content.extend(names);
    let mut out = b"\x7fELF".to_vec();
    out.extend([if wide { 2 } else { 1 }, if endian == Little { 1 } else { 2 }, 1]);
    out.resize(16, 0);
    put(&mut out, 3, 2);
    put(&mut out, 40, 2);
    put(&mut out, 1, 4);
    put(&mut out, 0, word);
    put(&mut out, 0, word);
    put(&mut out, (header + content.len()) as u64, word);
    put(&mut out, 0, 4);
    for n in [header, 0, 0, if wide { 64 } else { 40 }, table.len(), table.len() - 1] {
        put(&mut out, n as u64, 2);
    }
    out.extend(content);
    for [name, kind, at, size] in table {
        put(&mut out, name as u64, 4);
        put(&mut out, kind as u64, 4);
        for n in [0, 0, at, size] {
            put(&mut out, n as u64, word);
        }
        put(&mut out, 0, 8);
        put(&mut out, 0, word);
        put(&mut out, 0, word);
    }
    out
}

fn int(name: &str) -> New<'_> {
    New::Int { name, size: 4, bits: 32, signed: true, char: false, bool: false }
}

fn member(name: &str, ty: TypeId, bit_offset: u32) -> Member<'_> {
    Member { name, ty, bit_offset, bits: None }
}

/// A kernel's types, with an integer of another name in front so that ids differ from those of what is distilled of it.
fn kernel(list_size: u32) -> Btf {
    let mut b = Builder::new(Little);
    b.add(&int("first"));
    let int = b.add(&int("int"));
    b.add(&New::Struct { name: "list_head", size: list_size, members: &[member("next", int, 0)] });
    b.add(&New::Struct { name: "task_struct", size: 4096, members: &[member("pid", int, 0)] });
    b.finish().unwrap()
}

/// A module's types over a base that was distilled for it: `int`, `struct list_head` by value, `struct task_struct` behind
/// a pointer.
fn module() -> (Btf, Btf) {
    let mut base = Builder::new(Little);
    base.add(&New::Fwd { name: "task_struct", union: false });
    base.add(&int("int"));
    base.add(&New::Struct { name: "list_head", size: 16, members: &[] });
    let base = base.finish().unwrap();
    let mut own = Builder::over(Arc::new(Btf::read(base.bytes(), None).unwrap()));
    let ptr = own.add(&New::Ptr(TypeId(1)));
    let members = [member("list", TypeId(3), 0), member("task", ptr, 128), member("count", TypeId(2), 192)];
    own.add(&New::Struct { name: "conn", size: 32, members: &members });
    (base, own.finish().unwrap())
}

#[test]
fn types_are_found_in_files_of_every_class_and_byte_order() {
    for (endian, wide) in [(Little, true), (Big, true), (Little, false), (Big, false)] {
        let mut types = Builder::new(endian);
        types.add(&int("int"));
        let types = types.finish().unwrap();
        let file = elf(endian, wide, &[(".text", b"code"), (".BTF", types.bytes()), (".BTF.ext", b"")]);
        let found = read_types(&file, None).unwrap().unwrap();
        assert_eq!(found.bytes(), types.bytes(), "{endian:?} {wide}");
        assert!(read_types(&elf(endian, wide, &[(".text", b"code")]), None).unwrap().is_none());
        // Wherever it is cut it is refused.
        for len in 0..file.len() {
            assert!(read_types(&file[..len], None).is_err(), "{len} bytes of {}", file.len());
        }
    }
}

#[test]
fn a_modules_types_are_read_over_what_it_brings_along_and_moved_over_the_kernels() {
    let (base, own) = module();
    let file = elf(Little, true, &[(".BTF", own.bytes()), (".BTF.base", base.bytes())]);
    let alone = read_types(&file, None).unwrap().unwrap();
    assert_eq!(alone.count(), 6);

    let kernel = Arc::new(kernel(16));
    let moved = read_types(&file, Some(kernel.clone())).unwrap().unwrap();
    assert_eq!((moved.first_id(), moved.ids().count()), (kernel.count(), 2));
    let Some(Type::Struct(conn)) = moved.find("conn", Kind::Struct).and_then(|id| moved.ty(id)) else { panic!() };
    let types: Vec<_> = conn.members().map(|m| (m.name, moved.c_name(m.ty), m.bit_offset)).collect();
    let expected = [("list", "struct list_head", 0), ("task", "struct task_struct *", 128), ("count", "int", 192)];
    assert_eq!(types, expected.map(|(name, ty, at)| (name, ty.to_owned(), at)));
    assert_eq!(conn.members().next().map(|m| moved.size_of(m.ty)), Some(Some(16)));
}

#[test]
fn a_kernel_that_a_module_was_not_built_for_is_refused_by_name() {
    let (base, own) = module();
    let file = elf(Little, true, &[(".BTF", own.bytes()), (".BTF.base", base.bytes())]);
    let refused = |kernel: Btf| read_types(&file, Some(Arc::new(kernel))).unwrap_err();
    let why = refused(kernel(24));
    assert_eq!(why.code.0, "btf-base");
    assert!(why.message.contains("`struct list_head` of 16 bytes"), "{why}");

    let mut empty = Builder::new(Little);
    empty.add(&int("other"));
    let why = refused(empty.finish().unwrap());
    assert!(why.message.contains("`struct task_struct`") && why.notes.len() == 2, "{why}");

    let mut twice = Builder::from(&kernel(16));
    twice.add(&New::Struct { name: "list_head", size: 16, members: &[] });
    assert!(refused(twice.finish().unwrap()).message.contains("`struct list_head` more than once"));
    let big = Builder::new(Big).finish().unwrap();
    assert_eq!(refused(big).found.as_deref(), Some("Big-endian"));
}

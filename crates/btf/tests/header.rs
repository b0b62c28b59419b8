//! The C header: what it says in small, and that all of the kernel's compiles to the layout that its BTF gives.

use alveary_btf::{Array, Btf, Builder, Composite, Enumerator, Linkage, Member, New, Param, Type, TypeId};
use alveary_isa::Endian;
use std::{
    collections::HashMap,
    fmt::Write,
    fs,
    path::Path,
    process::{Command, Stdio},
};

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
const CLANG: &str = "clang-19";

fn member(name: &'static str, ty: TypeId, bit_offset: u32, bits: Option<u8>) -> Member<'static> {
    Member { name, ty, bit_offset, bits }
}

fn int(b: &mut Builder) -> TypeId {
    b.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false })
}

/// The header of a set without what stands around every header.
fn header(b: Builder) -> String {
    let btf = b.finish().unwrap();
    let text = btf.to_c(btf.ids()).unwrap();
    let (_, text) = text.split_once("#define __bpf_fastcall\n#endif\n#endif\n\n").unwrap();
    text.split_once("#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n#pragma clang attribute pop").unwrap().0.to_owned()
}

#[test]
fn what_is_pointed_to_is_declared_and_what_is_held_is_defined_first() {
    let mut b = Builder::new(Endian::Little);
    let int = int(&mut b);
    let list = b.next_id();
    b.add(&New::Struct {
        name: "list",
        size: 24,
        members: &[
            member("next", TypeId(list.0 + 1), 0, None),
            member("owner", TypeId(list.0 + 3), 64, None),
            member("inner", TypeId(list.0 + 4), 128, None),
        ],
    });
    b.add(&New::Ptr(list));
    b.add(&New::Struct { name: "owner", size: 24, members: &[member("list", list, 0, None)] });
    b.add(&New::Ptr(TypeId(list.0 + 2)));
    b.add(&New::Struct { name: "inner", size: 4, members: &[member("n", int, 0, None)] });
    // The last member of `list` ends at byte 20 of 24: pointers align the struct, no filler is needed.
    let text = "struct inner {\n\tint n;\n};\n\nstruct owner;\n\nstruct list {\n\tstruct list *next;\n\tstruct owner *owner;\n\
                \tstruct inner inner;\n};\n\nstruct owner {\n\tstruct list list;\n};\n\n";
    assert_eq!(header(b), text);
}

#[test]
fn names_that_several_types_have_are_numbered() {
    let mut b = Builder::new(Endian::Little);
    let int = int(&mut b);
    b.add(&New::Struct { name: "twin", size: 4, members: &[member("a", int, 0, None)] });
    b.add(&New::Struct { name: "twin", size: 4, members: &[member("b", int, 0, None)] });
    b.add(&New::Enum { name: "e", size: 1, signed: false, values: &[Enumerator { name: "A", value: 1 }] });
    b.add(&New::Typedef { name: "A", ty: TypeId(3) });
    let text = header(b);
    assert!(text.contains("struct twin___2 {\n\tint b;\n};"), "{text}");
    assert!(text.contains("enum e {\n\tA = 1,\n} __attribute__((mode(byte)));"), "{text}");
    assert!(text.contains("typedef struct twin___2 A___2;"), "{text}");
}

#[test]
fn declarations_wrap_around_the_name() {
    let mut b = Builder::new(Endian::Little);
    let int = int(&mut b);
    let constant = b.add(&New::Const(int));
    let ptr = b.add(&New::Ptr(constant));
    let array = b.add(&New::Array(Array { element: ptr, index: int, len: 3 }));
    let to_array = b.add(&New::Ptr(array));
    let params = [Param { name: "a", ty: to_array }, Param { name: "", ty: TypeId::VOID }];
    let proto = b.add(&New::FuncProto { ret: TypeId::VOID, params: &params });
    let call = b.add(&New::Ptr(proto));
    let calls = b.add(&New::Array(Array { element: call, index: int, len: 2 }));
    b.add(&New::Typedef { name: "calls", ty: calls });
    let union = [member("low", int, 0, Some(3)), member("", TypeId(11), 32, None)];
    b.add(&New::Struct { name: "s", size: 8, members: &union });
    b.add(&New::Union { name: "", size: 4, members: &[member("x", int, 0, None)] });
    let text = header(b);
    assert!(text.contains("typedef void (*calls[2])(const int *(*a)[3], ...);"), "{text}");
    assert!(text.contains("struct s {\n\tint low: 3;\n\tunion {\n\t\tint x;\n\t};\n};"), "{text}");
}

#[test]
fn packed_structs_and_holes_keep_their_layout() {
    let mut b = Builder::new(Endian::Little);
    let int = int(&mut b);
    let char = b.add(&New::Int { name: "char", size: 1, bits: 8, signed: true, char: false, bool: false });
    b.add(&New::Struct { name: "p", size: 5, members: &[member("c", char, 0, None), member("n", int, 8, None)] });
    b.add(&New::Struct { name: "h", size: 16, members: &[member("c", char, 0, None), member("d", char, 64, None)] });
    let text = header(b);
    assert!(text.contains("\tint n;\n} __attribute__((packed));"), "{text}");
    assert!(text.contains("struct h {\n\tchar c;\n\tlong: 0;\n\tchar d;\n\tlong: 0;\n};"), "{text}");
}

#[test]
fn types_made_to_harm_are_refused_soon() {
    // A struct that holds itself.
    let mut b = Builder::new(Endian::Little);
    b.add(&New::Struct { name: "s", size: 8, members: &[member("s", TypeId(1), 0, None)] });
    // Unions without a name, each of two of the next: 2^100 of them.
    let mut doubling = Builder::new(Endian::Little);
    for id in 1..=100 {
        let next = TypeId(id % 100 + 1);
        doubling.add(&New::Union {
            name: "",
            size: 8,
            members: &[member("a", next, 0, None), member("b", next, 0, None)],
        });
    }
    let mut deep = Builder::new(Endian::Little);
    deep.add(&New::Typedef { name: "top", ty: TypeId(2) });
    for id in 2..100_000 {
        deep.add(&New::Ptr(TypeId(id + 1)));
    }
    deep.add(&New::Ptr(TypeId(1)));
    let mut calls = Builder::new(Endian::Little);
    calls.add(&New::Typedef { name: "top", ty: TypeId(2) });
    for id in 2..60 {
        let param = Param { name: "", ty: TypeId(id + 1) };
        calls.add(&New::FuncProto { ret: TypeId(id + 1), params: &[param, param] });
    }
    calls.add(&New::Ptr(TypeId::VOID));
    let mut wide = Builder::new(Endian::Little);
    wide.add(&New::Struct { name: "s", size: u32::MAX, members: &[] });
    for set in [b, doubling, deep, calls, wide] {
        let btf = set.finish().unwrap();
        let why = btf.to_c(btf.ids()).unwrap_err();
        assert_eq!(why.code.0, "btf-c");
    }
}

/// The declarations of a header by their first lines, in order.
fn order(b: Builder) -> Vec<String> {
    let btf = b.finish().unwrap();
    let text = btf.to_c_whole(btf.sorted()).unwrap();
    let (_, text) = text.split_once("#define __bpf_fastcall\n#endif\n#endif\n\n").unwrap();
    let (types, _) = text.split_once("\n/* BPF kfuncs */").unwrap();
    let blocks = types.split("\n\n").filter(|block| !block.is_empty());
    blocks.map(|block| block.lines().take(2).map(str::trim).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn whole_sets_are_ordered_by_kind_and_name_whatever_the_order_of_their_ids() {
    let constants = |name| [Enumerator { name, value: 1 }];
    let mut b = Builder::new(Endian::Little);
    b.add(&New::Fwd { name: "away", union: false });
    let proto = b.add(&New::FuncProto { ret: TypeId::VOID, params: &[] });
    let call = b.add(&New::Ptr(proto));
    b.add(&New::Typedef { name: "call_t", ty: call });
    let int = int(&mut b);
    let zebra = b.add(&New::Struct { name: "zebra", size: 4, members: &[member("n", int, 0, None)] });
    b.add(&New::Typedef { name: "zebra_t", ty: zebra });
    b.add(&New::Struct { name: "ape", size: 4, members: &[member("n", int, 0, None)] });
    let nameless = b.add(&New::Struct { name: "", size: 4, members: &[member("n", int, 0, None)] });
    b.add(&New::Typedef { name: "bare_t", ty: nameless });
    b.add(&New::Typedef { name: "number_t", ty: int });
    b.add(&New::Enum { name: "state", size: 4, signed: false, values: &constants("ON") });
    b.add(&New::Enum { name: "", size: 4, signed: false, values: &constants("MOST") });
    b.add(&New::Enum { name: "", size: 4, signed: false, values: &constants("LEAST") });
    let expected = [
        "enum { LEAST = 1,",
        "enum { MOST = 1,",
        "enum state { ON = 1,",
        "typedef int number_t;",
        "typedef struct { int n;",
        "struct ape { int n;",
        "struct zebra { int n;",
        "typedef struct zebra zebra_t;",
        "typedef void (*call_t)(void);",
        "struct away;",
    ];
    assert_eq!(order(b), expected);
}

#[test]
fn types_of_one_name_are_ordered_by_what_they_consist_of() {
    let twins = |names: [&'static str; 3]| {
        let mut b = Builder::new(Endian::Little);
        let int = int(&mut b);
        for name in names {
            b.add(&New::Struct { name: "twin", size: 4, members: &[member(name, int, 0, None)] });
        }
        order(b)
    };
    let expected = ["struct twin { int a;", "struct twin___2 { int b;", "struct twin___3 { int c;"];
    for names in [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]] {
        assert_eq!(twins(names), expected);
    }
}

#[test]
fn functions_that_programs_may_call_get_prototypes() {
    let mut b = Builder::new(Endian::Little);
    let int = int(&mut b);
    let proto = b.add(&New::FuncProto { ret: int, params: &[Param { name: "n", ty: int }] });
    for (name, tags) in [("zoom", &["bpf_kfunc"][..]), ("inner", &[]), ("add", &["bpf_fastcall", "bpf_kfunc"])] {
        let func = b.add(&New::Func { name, proto, linkage: Linkage::Static });
        for tag in tags {
            b.add(&New::DeclTag { name: tag, ty: func, component: None });
        }
    }
    let btf = b.finish().unwrap();
    let text = btf.to_c_whole(btf.ids()).unwrap();
    let prototypes = "\n/* BPF kfuncs */\n#ifndef BPF_NO_KFUNC_PROTOTYPES\n\
                      extern __bpf_fastcall int add(int n) __weak __ksym;\n\
                      extern int zoom(int n) __weak __ksym;\n#endif\n\n";
    assert!(text.contains(prototypes), "{text}");
    assert!(!btf.to_c(btf.ids()).unwrap().contains("zoom"), "a choice of types brings no functions along");
}

#[test]
fn a_type_tag_with_a_flag_is_the_attribute_that_it_names() {
    let mut b = Builder::new(Endian::Little);
    let tagged = b.add(&New::TypeTag { name: "address_space(1)", ty: TypeId::VOID });
    let ptr = b.add(&New::Ptr(tagged));
    b.add(&New::Typedef { name: "arena_t", ty: ptr });
    let mut bytes = b.finish().unwrap().bytes().to_vec();
    for (flag, attribute) in [(0, "btf_type_tag(\"address_space(1)\")"), (0x80, "address_space(1)")] {
        // The type section begins behind the 24 bytes of the header; the flag is the highest bit of the second word.
        bytes[24 + 7] |= flag;
        let btf = Btf::read(&bytes, None).unwrap();
        let text = btf.to_c(btf.ids()).unwrap();
        assert!(text.contains(&format!("typedef void __attribute__(({attribute})) *arena_t;")), "{text}");
    }
}

/// The list of variable arguments is the compiler's own type: on BPF it is a pointer, whatever the kernel's was.
fn is_va_list(btf: &Btf, ty: TypeId) -> bool {
    let mut ty = ty;
    while let Some(Type::Typedef { name, ty: next }) = btf.ty(ty) {
        if name == "__builtin_va_list" {
            return true;
        }
        ty = next;
    }
    false
}

/// What the compiler is to confirm of a struct.
fn asserts(btf: &Btf, tag: &str, t: Composite<'_>, out: &mut String) {
    writeln!(out, "_Static_assert(sizeof({tag}) == {}, \"{tag}\");", t.size).unwrap();
    let mut open: Vec<(Composite<'_>, u32)> = vec![(t, 0)];
    while let Some((t, base)) = open.pop() {
        for m in t.members().filter(|m| m.bits.is_none()) {
            let at = base + m.bit_offset;
            match btf.resolved(m.ty) {
                Type::Struct(inner) | Type::Union(inner) if m.name.is_empty() => open.push((inner, at)),
                _ if m.name.is_empty() => {}
                _ => {
                    writeln!(out, "_Static_assert(__builtin_offsetof({tag}, {}) == {}, \"\");", m.name, at / 8).unwrap()
                }
            }
        }
    }
}

#[test]
fn the_kernels_header_compiles_to_the_layout_that_its_types_give() {
    let clang = Command::new(CLANG).arg("--version").stdout(Stdio::null()).status();
    if !Path::new(VMLINUX).exists() || !clang.is_ok_and(|s| s.success()) {
        println!("SKIP: needs {VMLINUX} and {CLANG}");
        return;
    }
    let btf = Btf::read_owned(fs::read(VMLINUX).unwrap(), None).unwrap();
    let tag = |id| match btf.ty(id) {
        Some(Type::Struct(t)) if !t.name.is_empty() => Some((format!("struct {}", t.name), t)),
        Some(Type::Union(t)) if !t.name.is_empty() => Some((format!("union {}", t.name), t)),
        _ => None,
    };
    // Types whose name others have too are numbered: which of them is which cannot be asked by name.
    let mut times: HashMap<&str, u32> = HashMap::new();
    for id in btf.ids() {
        if let Some(Type::Struct(_) | Type::Union(_) | Type::Enum(_) | Type::Enum64(_) | Type::Fwd { .. }) = btf.ty(id)
        {
            *times.entry(btf.name(id)).or_default() += 1;
        }
    }
    for ids in [btf.ids().collect(), btf.sorted()] {
        let mut text = btf.to_c_whole(ids.iter().copied()).unwrap();
        let mut asserted = 0;
        for (tag, t) in ids.iter().copied().filter_map(tag).filter(|(_, t)| times[t.name] == 1) {
            if t.members().any(|m| is_va_list(&btf, m.ty)) {
                continue;
            }
            asserts(&btf, &tag, t, &mut text);
            asserted += 1;
        }
        assert!(asserted > 5000, "only {asserted} structs were looked at");
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vmlinux.c");
        fs::write(&file, &text).unwrap();
        let compiled = Command::new(CLANG)
            .args(["--target=bpf", "-fsyntax-only", "-Wno-everything", "-ferror-limit=20"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    }
}

//! Types in Rust: what they look like, that they hold what the bytes say, and that all of the kernel's compile.

use alveary_btf::{
    Array, Btf, Builder, Composite, Enumerator, Linkage, Member, New, SectionVar, Type, TypeId, plain::Plain,
    rust::RustTypes,
};
use alveary_isa::Endian;
use std::{
    collections::HashSet,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

fn member(name: &'static str, ty: TypeId, bit_offset: u32, bits: Option<u8>) -> Member<'static> {
    Member { name, ty, bit_offset, bits }
}

fn int(b: &mut Builder, name: &str, size: u32, signed: bool) -> TypeId {
    b.add(&New::Int { name, size, bits: 8 * size as u8, signed, char: false, bool: name == "_Bool" })
}

/// The definitions of some types of a set, without what stands around them.
fn definitions(b: Builder) -> String {
    let btf = b.finish().unwrap();
    let text = RustTypes::new(&btf, btf.ids()).unwrap().definitions().unwrap();
    text.split_once('\n').unwrap().1.to_owned()
}

fn file(name: &str, text: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, text).unwrap();
    file
}

fn rustc(file: &Path, options: &[&str]) -> Output {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let out = file.with_extension("out");
    Command::new(compiler).args(["--edition", "2024"]).args(options).arg(file).arg("-o").arg(out).output().unwrap()
}

/// Has rustc compile a program that holds these types in `types`, and runs it.
fn run(name: &str, btf: &Btf, main: &str) {
    let directory = file(name, "").with_extension("d");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("types.rs"), btf.to_rust(btf.ids()).unwrap()).unwrap();
    let source = directory.join("main.rs");
    fs::write(&source, format!("mod types;\nuse types::*;\n{main}")).unwrap();
    let compiled = rustc(&source, &["-D", "warnings"]);
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let output = Command::new(source.with_extension("out")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_struct_is_one_with_its_padding_and_offsets() {
    let mut b = Builder::new(Endian::Little);
    let u8 = int(&mut b, "unsigned char", 1, false);
    let int = int(&mut b, "int", 4, true);
    let flex = b.add(&New::Array(Array { element: int, index: int, len: 0 }));
    let members = [member("kind", u8, 0, None), member("type", int, 32, None), member("rest", flex, 64, None)];
    b.add(&New::Struct { name: "entry", size: 8, members: &members });
    let text = "
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct entry {
    pub kind: u8,
    pub __pad1: [u8; 3],
    pub r#type: i32,
    pub rest: [i32; 0],
}
layout! {
    entry: 8;
    kind: 0;
    __pad1: 1;
    r#type: 4;
    rest: 8;
}
";
    assert_eq!(definitions(b), text);
}

#[test]
fn what_is_only_pointed_to_is_declared_and_the_names_of_c_become_one_name_space() {
    let mut b = Builder::new(Endian::Little);
    let int = int(&mut b, "int", 4, true);
    // enum twin, struct twin, typedef struct twin twin; typedef int u32; a constant that is called like a type.
    b.add(&New::Enum { name: "twin", size: 4, signed: false, values: &[Enumerator { name: "self", value: 1 }] });
    let twin = b.add(&New::Struct { name: "twin", size: 4, members: &[member("a", int, 0, None)] });
    b.add(&New::Typedef { name: "twin", ty: twin });
    let u32 = b.add(&New::Typedef { name: "u32", ty: int });
    let far = b.add(&New::Fwd { name: "far", union: false });
    let ptr = b.add(&New::Ptr(far));
    b.add(&New::Struct {
        name: "holder",
        size: 16,
        members: &[member("n", u32, 0, None), member("far", ptr, 64, None)],
    });
    b.add(&New::Enum { name: "", size: 4, signed: true, values: &[Enumerator { name: "far", value: -1 }] });
    let text = definitions(b);
    for line in [
        "pub struct twin(pub u32);",
        "    pub const self_: Self = Self(1);",
        "pub struct twin___2 {\n    pub a: i32,",
        "pub type twin___3 = twin___2;",
        "    pub n: i32,\n    pub __pad1: [u8; 4],\n    pub far: Ptr<far>,",
        "pub struct far {\n    __declared: [u8; 0],",
        "pub const far___2: i32 = -1;",
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
    assert!(!text.contains("pub type u32"), "{text}");
}

/// Bit fields, a union in place, an enumeration, a packed struct, arrays, a truth value: as a C compiler lays them out.
fn many() -> Btf {
    let mut b = Builder::new(Endian::HOST);
    let u8 = int(&mut b, "unsigned char", 1, false);
    let u16 = int(&mut b, "unsigned short", 2, false);
    let u32 = int(&mut b, "unsigned int", 4, false);
    let s32 = int(&mut b, "int", 4, true);
    let truth = int(&mut b, "_Bool", 1, false);
    let char = int(&mut b, "char", 1, true);
    let values = [Enumerator { name: "IDLE", value: 0 }, Enumerator { name: "BUSY", value: 7 }];
    let state = b.add(&New::Enum { name: "state", size: 4, signed: false, values: &values });
    let six = b.add(&New::Array(Array { element: u8, index: u32, len: 16 }));
    let name = b.add(&New::Array(Array { element: char, index: u32, len: 8 }));
    let address = [member("v4", u32, 0, None), member("v6", six, 0, None)];
    let address = b.add(&New::Union { name: "", size: 16, members: &address });
    let tight = [member("tag", u8, 0, None), member("port", u16, 8, None), member("weight", u32, 24, None)];
    let tight = b.add(&New::Struct { name: "tight", size: 7, members: &tight });
    // Big-endian machines count bits from the other end of the same bytes.
    let place = |first: u32, bits: u32| if Endian::HOST == Endian::Big { 32 - first - bits } else { first };
    let members = [
        member("low", u32, place(0, 3), Some(3)),
        member("signed_one", s32, place(3, 5), Some(5)),
        member("now", state, place(8, 4), Some(4)),
        member("", address, 32, None),
        member("on", truth, 160, None),
        member("tight", tight, 168, None),
        member("name", name, 224, None),
    ];
    b.add(&New::Struct { name: "many", size: 36, members: &members });
    let var = b.add(&New::Var { name: "counter", ty: s32, linkage: Linkage::Global });
    let hidden = b.add(&New::Var { name: "hidden", ty: s32, linkage: Linkage::Static });
    let vars = [SectionVar { ty: hidden, offset: 0, size: 4 }, SectionVar { ty: var, offset: 4, size: 4 }];
    b.add(&New::DataSec { name: ".bss", size: 8, vars: &vars });
    b.finish().unwrap()
}

#[test]
fn values_are_read_from_bytes_and_written_back_as_they_were() {
    let main = r#"
fn main() {
    let bytes: Vec<u8> = (1..=36).map(|n| n * 7).collect();
    let word = u32::from_ne_bytes(bytes[..4].try_into().unwrap());
    let mut value = many::from_bytes(&bytes);
    assert_eq!(value.low(), word & 7);
    assert_eq!(value.signed_one(), (word << 24) as i32 >> 27);
    assert_eq!(value.now(), state(word >> 8 & 15));
    assert_eq!(value.__anon1.v4(), u32::from_ne_bytes(bytes[4..8].try_into().unwrap()));
    assert_eq!(value.__anon1.v6(), bytes[4..20]);
    assert!(value.on.get());
    assert_eq!({ value.tight.port }, u16::from_ne_bytes(bytes[22..24].try_into().unwrap()));
    let mut back = [0; 36];
    value.to_bytes(&mut back);
    assert_eq!(back, *bytes);

    value.set_signed_one(-3);
    value.set_now(state::BUSY);
    value.__anon1.set_v4(5);
    assert_eq!((value.low(), value.signed_one(), value.now()), (word & 7, -3, state::BUSY));
    assert_eq!(value.__anon1.v6()[4..], bytes[8..20]);
    assert_eq!(many::from_bytes(&bytes[..2]).name, [0; 8]);
    assert_eq!(bss { counter: 4, ..bss::zeroed() }.counter, 4);
    println!("{value:?}");
}
"#;
    run("many", &many(), main);
}

#[test]
fn numbers_read_what_is_there() {
    assert_eq!(u32::from_bytes(&[1, 0]).to_le(), 1u32.to_le());
    assert_eq!(<[u16; 2]>::from_bytes(&[9; 8]), [0x909; 2]);
    let mut short = [0xff; 3];
    7u64.to_bytes(&mut short);
    assert_eq!(short, 7u64.to_ne_bytes()[..3]);
}

#[test]
fn types_made_to_harm_are_refused_or_kept_as_bytes() {
    // A struct that holds itself, and one that does so through an array and a typedef.
    let mut itself = Builder::new(Endian::Little);
    itself.add(&New::Struct { name: "s", size: 8, members: &[member("s", TypeId(1), 0, None)] });
    let mut around = Builder::new(Endian::Little);
    around.add(&New::Struct { name: "s", size: 8, members: &[member("s", TypeId(2), 0, None)] });
    around.add(&New::Array(Array { element: TypeId(3), index: TypeId(1), len: 1 }));
    around.add(&New::Typedef { name: "t", ty: TypeId(1) });
    let mut deep = Builder::new(Endian::Little);
    deep.add(&New::Typedef { name: "top", ty: TypeId(2) });
    for id in 2..100_000 {
        deep.add(&New::Ptr(TypeId(id + 1)));
    }
    deep.add(&New::Ptr(TypeId(1)));
    for set in [itself, around, deep] {
        let btf = set.finish().unwrap();
        assert_eq!(btf.to_rust(btf.ids()).unwrap_err().code.0, "btf-rust");
    }
    // Members over each other, behind the end, without a size; a struct of 4 GB; names that are none.
    let mut odd = Builder::new(Endian::HOST);
    let long = int(&mut odd, "long", 8, true);
    let far = odd.add(&New::Fwd { name: "far", union: false });
    for (name, members) in [
        ("over", [member("a", long, 0, None), member("b", long, 32, None)]),
        ("behind", [member("a", long, 0, None), member("b", long, 96, None)]),
        ("sizeless", [member("a", long, 0, None), member("b", far, 64, None)]),
        ("bit fields", [member("a", far, 0, Some(3)), member("a b", long, 64, Some(64))]),
    ] {
        odd.add(&New::Struct { name, size: 16, members: &members });
    }
    odd.add(&New::Struct { name: "vast", size: u32::MAX, members: &[] });
    odd.add(&New::Enum { name: "3", size: 3, signed: false, values: &[Enumerator { name: "{", value: 3 }] });
    let btf = odd.finish().unwrap();
    let names = "use std::mem::size_of; fn main() { assert_eq!(size_of::<over>() + size_of::<_bit_fields>(), 32); }";
    run("odd", &btf, names);
}

/// The structs and unions that have a name, and their sizes: what the text has to assert.
fn records(btf: &Btf) -> impl Iterator<Item = (TypeId, Composite<'_>)> {
    btf.ids().filter_map(|id| match btf.ty(id) {
        Some(Type::Struct(t) | Type::Union(t)) if !t.name.is_empty() => Some((id, t)),
        _ => None,
    })
}

/// Has rustc compile these types of the kernel, whose text asserts their layout. Gives how many have a name.
fn compile_kernel_types(name: &str, btf: &Btf, roots: &[TypeId]) -> usize {
    let text = btf.to_rust(roots.iter().copied()).unwrap();
    let types = RustTypes::new(btf, roots.iter().copied()).unwrap();
    let wanted: HashSet<TypeId> = roots.iter().copied().collect();
    // What stands behind each `layout! {` and `variants! {`, found in one pass: the text has 300,000 lines, 10,000 names are looked for.
    let pairs = text.lines().zip(text.lines().skip(1));
    let sizes: HashSet<&str> = pairs.filter_map(|(line, next)| line.ends_with("! {").then_some(next)).collect();
    let mut asserted = 0;
    for (id, t) in records(btf) {
        let Ok(known) = types.name(id) else { continue };
        let line = format!("    {known}: {};", t.size);
        let is_root = wanted.contains(&id);
        assert!(!is_root || t.size == 0 || sizes.contains(&*line), "the size of `{}` is not asserted", t.name);
        asserted += usize::from(is_root);
    }
    let kept_as_bytes = text.matches("    __bytes: 0;\n").count();
    assert_eq!(kept_as_bytes, 0, "structs whose members were not laid out");
    // Comparing and printing are derived: compiling that thousands of times takes long and shows nothing of the layout.
    let text = text.replace(", Debug, PartialEq)]", ")]");
    let file = file(&format!("{name}.rs"), &format!("#![no_std]\n{text}"));
    let compiled = rustc(&file, &["--crate-type", "lib", "--emit", "metadata"]);
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    asserted
}

#[test]
fn what_programs_see_of_the_kernel_compiles_to_the_layout_that_it_gives() {
    /// Structs, unions and enumerations that are compiled: a sixth of the kernel's.
    const MOST: usize = 2000;
    if !Path::new(VMLINUX).exists() {
        println!("SKIP what_programs_see_of_the_kernel_compiles_to_the_layout_that_it_gives: needs {VMLINUX}");
        return;
    }
    let btf = Btf::read_owned(fs::read(VMLINUX).unwrap(), None).unwrap();
    let is_start =
        |name: &str| ["sk_buff", "task_struct", "xdp_md", "__sk_buff"].contains(&name) || name.starts_with("bpf_");
    // Those that programs ask for, and what they lead to, the nearest first.
    let mut near: Vec<TypeId> = records(&btf).filter(|(_, t)| is_start(t.name)).map(|(id, _)| id).collect();
    let mut seen: HashSet<TypeId> = near.iter().copied().collect();
    let mut roots = Vec::new();
    let mut next = 0;
    while let Some(&id) = near.get(next).filter(|_| roots.len() < MOST) {
        next += 1;
        if matches!(btf.ty(id), Some(Type::Struct(_) | Type::Union(_) | Type::Enum(_) | Type::Enum64(_))) {
            roots.push(id);
        }
        btf.references(id, |to| near.extend(Some(to).filter(|to| *to != TypeId::VOID && seen.insert(*to))));
    }
    let asserted = compile_kernel_types("near", &btf, &roots);
    assert!(asserted > 1000, "only {asserted} structs were looked at");
}

#[test]
fn all_of_the_kernels_types_compile_to_the_layout_that_they_give() {
    if env::var_os("ALVEARY_FULL").is_none() || !Path::new(VMLINUX).exists() {
        println!(
            "SKIP all_of_the_kernels_types_compile_to_the_layout_that_they_give: takes a minute of rustc and {VMLINUX}, \
             runs with ALVEARY_FULL=1 and in `cargo xtask test --full`"
        );
        return;
    }
    let btf = Btf::read_owned(fs::read(VMLINUX).unwrap(), None).unwrap();
    let asserted = compile_kernel_types("vmlinux", &btf, &btf.sorted());
    assert!(asserted > 5000, "only {asserted} structs were looked at");
}

#[test]
fn rustfmt_leaves_definitions_as_they_are() {
    let formatter = Command::new("rustfmt").arg("--version").stdout(Stdio::null()).status();
    if !formatter.is_ok_and(|s| s.success()) {
        println!("SKIP rustfmt_leaves_definitions_as_they_are: rustfmt is missing");
        return;
    }
    let btf = many();
    let text = RustTypes::new(&btf, btf.ids()).unwrap().definitions().unwrap();
    let file = file("formatted.rs", &text);
    let options = ["--edition", "2024", "--config-path", "/dev/null", "--check"];
    let checked = Command::new("rustfmt").args(options).arg(&file).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

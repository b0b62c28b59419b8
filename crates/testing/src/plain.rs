//! Programs from text, maps and kernels from a few numbers.

use alveary_abi::{MapDef, MapType, Profile, ProgType};
use alveary_btf::{Builder, FuncInfo, Linkage, Member, New, Param, TypeId};
use alveary_isa::{Endian, Insn, Inst, Reg, asm::assemble, encode};
use alveary_spec::{Kernel, MapSpec, Program};
use std::sync::Arc;

/// The newest kernel, with some CPUs.
#[must_use]
pub fn kernel(cpus: u32) -> Kernel {
    Kernel { cpus, ..Kernel::of(Profile::linux_6_18()) }
}

/// What a map of this type and sizes is made from.
#[must_use]
pub fn def(ty: MapType, key_size: u32, value_size: u32, max_entries: u32) -> MapDef {
    MapDef { ty, key_size, value_size, max_entries, flags: 0, extra: 0, special: Vec::new() }
}

/// A map as an object would define it.
#[must_use]
pub fn map_spec(name: &str, def: MapDef) -> MapSpec {
    MapSpec::new(name, def, ".maps")
}

/// Instructions from text, helpers by name (`call bpf_map_lookup_elem`). `load` says what stands for an address that is
/// loaded by name (`r1 = m0 ll`); the names of functions in the text stand for themselves.
///
/// # Panics
/// If the text is no program.
#[must_use]
pub fn code(text: &str, load: impl Fn(Reg, &str) -> Inst) -> Vec<Insn> {
    let profile = Profile::linux_6_18();
    let number = |name: &str| profile.helper_named(name.strip_prefix("bpf_")?).map(|h| h.id.0 as i32);
    let (assembly, errors) = assemble(text, &number);
    assert!(errors.is_empty(), "{text}\n{errors:?}");
    let section = &assembly.sections[0];
    let mut insns = section.insns.clone();
    for reference in &section.references {
        let at = reference.slot as usize;
        let dst = insns[at].dst;
        let inst = match section.labels.iter().find(|l| l.name == reference.symbol) {
            Some(label) => Inst::FuncAddr { dst, rel: label.slot as i32 - at as i32 - 1 },
            None => load(dst, &reference.symbol),
        };
        insns[at..at + 2].copy_from_slice(&encode(&inst));
    }
    insns
}

/// A program of one function under the GPL.
#[must_use]
pub fn program(ty: ProgType, insns: Vec<Insn>) -> Program {
    Program {
        name: "main".into(),
        section: "test".into(),
        ty,
        insns,
        subprogs: vec![(0, "main".into())],
        license: "GPL".to_owned(),
        ..Program::default()
    }
}

/// `int main(struct xdp_md *)`, and behind `f:` a function of this linkage that takes a pointer to two 64-bit numbers. A
/// map that `main` names is the only one, `m`.
///
/// # Panics
/// If the text is no program of two functions.
#[must_use]
pub fn with_function(text: &str, linkage: Linkage) -> Program {
    let mut types = Builder::new(Endian::HOST);
    let int = types.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
    let long = types.add(&New::Int { name: "long", size: 8, bits: 64, signed: true, char: false, bool: false });
    let member = |name, bit_offset| Member { name, ty: long, bit_offset, bits: None };
    let pair = types.add(&New::Struct { name: "pair", size: 16, members: &[member("a", 0), member("b", 64)] });
    let context = types.add(&New::Struct { name: "xdp_md", size: 4, members: &[] });
    let [pair, context] = [pair, context].map(|to| types.add(&New::Ptr(to)));
    let mut function = |name: &str, ty: TypeId, linkage: Linkage| {
        let proto = types.add(&New::FuncProto { ret: int, params: &[Param { name: "a", ty }] });
        types.add(&New::Func { name, proto, linkage })
    };
    let functions = [function("main", context, Linkage::Global), function("f", pair, linkage)];
    let (main, _) = text.split_once("\nf:\n").expect("two functions");
    let load = |dst, _: &str| Inst::MapIdx { dst, idx: 0 };
    let start = code(&main.replace("call f", "r0 = r0"), load).len() as u32;
    let mut program = program(ProgType::XDP, code(text, load));
    program.maps = vec!["m".to_owned()];
    program.btf = Some(Arc::new(types.finish().expect("the types are whole")));
    program.funcs = [0, start].into_iter().zip(functions).map(|(insn, ty)| FuncInfo { insn, ty }).collect();
    program.subprogs.push((start, "f".into()));
    program
}

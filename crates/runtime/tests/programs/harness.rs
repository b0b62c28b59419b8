//! A small family to run programs in, and programs from text.

use alveary_abi::{MapDef, MapType, Profile, ProgType, Special};
use alveary_diag::Diagnostic;
use alveary_isa::{Insn, Inst, asm::assemble, encode};
use alveary_runtime::{Backing, Bind, Family, LoadedMap, Prog, Ran, Runtime, World};
use alveary_spec::{Initial, Kernel, MapSpec, Program};
use alveary_vm::Region;
use std::{cell::Cell, sync::Arc};

/// A context of bytes that programs may write; no field is known.
pub(crate) struct Bench;

pub(crate) type Bytes = [Cell<u8>; 64];

// SAFETY: there are no backings; the region is the context's bytes, which are cells.
unsafe impl Family for Bench {
    type Ctx = Bytes;
    type State = ();
    const NAME: &'static str = "bench";
    const TYPES: &'static [ProgType] = &[ProgType::XDP, ProgType::SCHED_CLS];
    fn backings() -> &'static [Backing] {
        &[]
    }
    fn helpers() -> &'static [Bind] {
        &[]
    }
    fn regions(ctx: &Bytes, add: &mut dyn FnMut(Region)) {
        add(Region { addr: ctx.as_ptr() as u64, len: 64, write: true, slots: None });
    }
}

pub(crate) fn kernel() -> Kernel {
    Kernel { profile: Profile::linux_6_18(), btf: None, kconfig: Default::default(), cpus: 2, page: 4096 }
}

pub(crate) fn runtime() -> Arc<Runtime> {
    Runtime::builder(kernel(), World::repeatable()).family::<Bench>(Arc::new(())).build()
}

pub(crate) fn map_spec(name: &str, ty: MapType, key_size: u32, value_size: u32, max_entries: u32) -> MapSpec {
    MapSpec {
        name: name.into(),
        def: MapDef { ty, key_size, value_size, max_entries, flags: 0, extra: 0, special: vec![] },
        key_type: None,
        value_type: None,
        inner: None,
        initial: Initial::Empty,
        addresses: vec![],
        freeze: false,
        pin_by_name: false,
        numa_node: None,
        section: ".maps".into(),
    }
}

pub(crate) fn map(runtime: &Runtime, ty: MapType, key: u32, value: u32, max: u32) -> LoadedMap {
    runtime.create_map(&map_spec("map", ty, key, value, max)).expect("a map")
}

pub(crate) fn map_with(runtime: &Runtime, ty: MapType, value: u32, special: Special) -> LoadedMap {
    let mut spec = map_spec("map", ty, 4, value, 4);
    spec.def.special.push(special);
    runtime.create_map(&spec).expect("a map")
}

/// Instructions from text. `m0 ll`, `m1 ll` are the program's maps, `v0 ll` the first one's only value.
pub(crate) fn code(text: &str) -> Vec<Insn> {
    let profile = Profile::linux_6_18();
    let number = |name: &str| profile.helper_named(name.strip_prefix("bpf_")?).map(|h| h.id.0 as i32);
    let (assembly, errors) = assemble(text, &number);
    assert!(errors.is_empty(), "{text}\n{errors:?}");
    let section = &assembly.sections[0];
    let mut insns = section.insns.clone();
    for reference in &section.references {
        let at = reference.slot as usize;
        let dst = insns[at].dst;
        let inst = match (reference.symbol.split_at(1), section.labels.iter().find(|l| l.name == reference.symbol)) {
            (_, Some(label)) => Inst::FuncAddr { dst, rel: label.slot as i32 - at as i32 - 1 },
            (("m", n), _) => Inst::MapIdx { dst, idx: n.parse().expect("m0, m1 …") },
            (("v", n), _) => Inst::MapValueIdx { dst, idx: n.parse().expect("v0, v1 …"), off: 0 },
            _ => panic!("what is {}?", reference.symbol),
        };
        insns[at..at + 2].copy_from_slice(&encode(&inst));
    }
    insns
}

pub(crate) fn program(text: &str) -> Program {
    let insns = code(text);
    let (assembly, _) = assemble(text, &|_| Some(1));
    let labels = assembly.sections[0].labels.iter().filter(|l| l.name.starts_with("fn_"));
    let subprogs = [(0, "main".into())].into_iter().chain(labels.map(|l| (l.slot, l.name.as_str().into()))).collect();
    Program {
        name: "main".into(),
        section: "test".into(),
        ty: ProgType::XDP,
        expected: None,
        flags: 0,
        insns,
        maps: vec![],
        subprogs,
        funcs: vec![],
        lines: vec![],
        license: "GPL".into(),
        btf: None,
    }
}

pub(crate) fn load(runtime: &Runtime, text: &str, maps: &[LoadedMap]) -> Arc<Prog> {
    runtime.load(Arc::new(program(text)), maps.to_vec()).unwrap_or_else(|e| panic!("{text}\n{e}"))
}

pub(crate) fn run_prog(runtime: &Arc<Runtime>, prog: &Arc<Prog>) -> Result<Ran, Diagnostic> {
    let context = [const { Cell::new(0) }; 64];
    runtime.vcpu(0).expect("CPU 0").run::<Bench>(prog, &context)
}

/// Runs a program once; its `r0`.
pub(crate) fn run(runtime: &Arc<Runtime>, text: &str, maps: &[LoadedMap]) -> u64 {
    run_prog(runtime, &load(runtime, text, maps)).unwrap_or_else(|e| panic!("{text}\n{e}")).value
}

/// Runs a program that is stopped; why.
pub(crate) fn fault(runtime: &Arc<Runtime>, text: &str, maps: &[LoadedMap]) -> Diagnostic {
    run_prog(runtime, &load(runtime, text, maps)).expect_err("a trap")
}

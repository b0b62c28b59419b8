//! A small family to run programs in, and programs from text.

use alveary_abi::{MapType, ProgType, Special};
use alveary_diag::Diagnostic;
use alveary_isa::{Insn, Inst, asm::assemble};
use alveary_runtime::{Backing, Bind, Family, LoadedMap, Prog, Ran, Runtime, World};
use alveary_spec::{Kernel, MapSpec, Program};
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
    alveary_testing::kernel(2)
}

pub(crate) fn runtime() -> Arc<Runtime> {
    Runtime::builder(kernel(), World::repeatable()).family::<Bench>(Arc::new(())).build()
}

pub(crate) fn map_spec(name: &str, ty: MapType, key_size: u32, value_size: u32, max_entries: u32) -> MapSpec {
    alveary_testing::map_spec(name, alveary_testing::def(ty, key_size, value_size, max_entries))
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
    alveary_testing::code(text, |dst, name| match name.split_at(1) {
        ("m", n) => Inst::MapIdx { dst, idx: n.parse().expect("m0, m1 …") },
        ("v", n) => Inst::MapValueIdx { dst, idx: n.parse().expect("v0, v1 …"), off: 0 },
        _ => panic!("what is {name}?"),
    })
}

pub(crate) fn program(text: &str) -> Program {
    let insns = code(text);
    let (assembly, _) = assemble(text, &|_| Some(1));
    let labels = assembly.sections[0].labels.iter().filter(|l| l.name.starts_with("fn_"));
    let subprogs = [(0, "main".into())].into_iter().chain(labels.map(|l| (l.slot, l.name.as_str().into()))).collect();
    Program { subprogs, ..alveary_testing::program(ProgType::XDP, insns) }
}

pub(crate) fn load(runtime: &Runtime, text: &str, maps: &[LoadedMap]) -> Arc<Prog> {
    runtime.load_unverified(Arc::new(program(text)), maps.to_vec()).unwrap_or_else(|e| panic!("{text}\n{e}"))
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

//! Proven programs as native code: what leaves the engine and comes back to it does so as when it is interpreted.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use crate::harness::{Bench, Bytes, kernel, map_spec, program, run_prog};
use alveary_abi::{Arg, Helper, HelperId, MapType, Proto};
use alveary_runtime::{AnyFamily, Args, Cx, Engine, Fault, Feed, LoadedMap, Prog, Ran, Runtime, World};
use alveary_spec::Program;
use std::{
    cell::Cell,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Runs of a program that all see the same context.
struct Runs {
    left: u32,
    context: Bytes,
    ends: Vec<u64>,
}

impl Feed<Bench> for Runs {
    fn next(&mut self) -> Option<(&Bytes, u64)> {
        self.left = self.left.checked_sub(1)?;
        Some((&self.context, 0))
    }

    fn ran(&mut self, end: Result<Ran, Box<Fault>>) -> ControlFlow<()> {
        self.ends.push(end.expect("it ends").value);
        ControlFlow::Continue(())
    }
}

/// What three runs in a batch give, and the words of the first map then.
fn run(
    engine: Engine,
    text: &str,
    types: &[MapType],
    prepare: impl Fn(&Runtime, &[LoadedMap], &Arc<Prog>),
) -> (Vec<u64>, u64) {
    let runtime = Runtime::builder(kernel(), World::repeatable()).family::<Bench>(Arc::new(())).engine(engine).build();
    let specs = types.iter().enumerate().map(|(number, &ty)| {
        let value_size = if ty == MapType::PROG_ARRAY { 4 } else { 8 };
        map_spec(&format!("map{number}"), ty, 4, value_size, 1)
    });
    let maps: Vec<LoadedMap> = specs.map(|spec| runtime.create_map(&spec).expect("a map")).collect();
    let names = (0..maps.len()).map(|number| format!("map{number}")).collect();
    let program = Arc::new(Program { maps: names, ..program(text) });
    let prog = runtime.load(program, maps.clone()).unwrap_or_else(|why| panic!("{text}\n{why}"));
    assert_eq!(prog.is_native(), engine == Engine::Jit, "{:?}", prog.trust());
    prepare(&runtime, &maps, &prog);
    let mut runs = Runs { left: 3, context: [const { Cell::new(0) }; 64], ends: Vec::new() };
    runtime.vcpu(0).expect("CPU 0").batch::<Bench>(&prog).expect("its family").run_all(&mut runs);
    let mut word = [0; 8];
    maps[0].map.read(&0_u32.to_ne_bytes(), &mut word).expect("the value");
    (runs.ends, u64::from_ne_bytes(word))
}

#[test]
fn thirty_three_tail_calls_in_each_run() {
    let text = "r6 = r1\nr2 = v0 ll\nr3 = *(u64 *)(r2 + 0)\nr3 += 1\n*(u64 *)(r2 + 0) = r3\nr1 = r6\nr2 = m1 ll\nr3 = 0\n\
                call bpf_tail_call\nr0 = 3\nexit\n";
    let types = [MapType::ARRAY, MapType::PROG_ARRAY];
    for engine in [Engine::Interp, Engine::Jit] {
        let ran = run(engine, text, &types, |runtime, maps, itself| {
            runtime.set_slot(&maps[1], 0, itself).expect("a slot");
        });
        assert_eq!(ran, (vec![3; 3], 3 * 34), "{engine:?}");
    }
}

#[test]
fn what_is_printed_is_what_registers_hold() {
    // The prototype ends with the format's size; what the format asks for stands in the registers behind that.
    let format = u64::from_le_bytes(*b"%d %d %d");
    let text = format!(
        "r1 = {format} ll\n*(u64 *)(r10 - 16) = r1\nr1 = 0\n*(u64 *)(r10 - 8) = r1\nr1 = r10\nr1 += -16\nr2 = 9\n\
         r3 = 7\nr4 = 8\nr5 = 9\ncall bpf_trace_printk\nexit\n"
    );
    for engine in [Engine::Interp, Engine::Jit] {
        let builder = Runtime::builder(kernel(), World::repeatable()).family::<Bench>(Arc::new(())).engine(engine);
        let runtime = builder.build();
        let prog = runtime.load(Arc::new(program(&text)), vec![]).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(prog.is_native(), engine == Engine::Jit);
        assert_eq!(run_prog(&runtime, &prog).expect("it ends").value, 5, "{engine:?}");
        let (lines, _) = runtime.trace().drain();
        assert_eq!(lines[0].text, b"7 8 9", "{engine:?}");
    }
}

#[test]
fn a_panic_of_a_helper_leaves_native_code_as_any_other() {
    static OWN: Helper = Helper::new(HelperId::FIRST_OWN, "own").protos(&[Proto::takes(&[Arg::Any])]);
    for engine in [Engine::Interp, Engine::Jit] {
        let builder = Runtime::builder(kernel(), World::repeatable()).family::<Bench>(Arc::new(())).engine(engine);
        let times = AtomicU64::new(0);
        let body = move |_: &Cx<'_, AnyFamily>, args: &Args<'_>| match times.fetch_add(1, Ordering::Relaxed) {
            0 => std::panic::panic_any("of the helper"),
            _ => args.scalar(0) as i64,
        };
        let runtime = builder.helper_fn::<AnyFamily>(&OWN, body).build();
        let text = format!("r1 = 7\ncall {}\nr0 += 1\nexit\n", HelperId::FIRST_OWN.0);
        let prog = runtime.load(Arc::new(program(&text)), vec![]).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(prog.is_native(), engine == Engine::Jit);
        let first = catch_unwind(AssertUnwindSafe(|| drop(run_prog(&runtime, &prog))));
        assert_eq!(first.expect_err("it panicked").downcast_ref(), Some(&"of the helper"));
        assert_eq!(run_prog(&runtime, &prog).expect("it ends").value, 8, "{engine:?}");
    }
}

#[test]
fn what_one_runtime_proved_another_like_it_runs() {
    let runtime = |engine, cpus| {
        let kernel = alveary_spec::Kernel { cpus, ..kernel() };
        Runtime::builder(kernel, World::repeatable()).family::<Bench>(Arc::new(())).engine(engine).build()
    };
    let map = |runtime: &Runtime, ty, value_size| {
        vec![runtime.create_map(&map_spec("map", ty, 4, value_size, 1)).expect("a map")]
    };
    let text = "r1 = v0 ll\nr0 = *(u64 *)(r1 + 0)\nr0 += 3\n*(u64 *)(r1 + 0) = r0\nexit\n";
    let program = Arc::new(Program { maps: vec!["map".to_owned()], ..program(text) });
    let one = runtime(Engine::Interp, 2);
    let maps = map(&one, MapType::ARRAY, 8);
    let verified = one.prove(&program, &maps).expect("it is safe");
    for engine in [Engine::Interp, Engine::Jit] {
        let other = runtime(engine, 2);
        let prog = other.load_verified(&verified, map(&other, MapType::ARRAY, 8)).expect("all is as there");
        assert_eq!(prog.is_native(), engine == Engine::Jit);
        assert_eq!(run_prog(&other, &prog).expect("it ends").value, 3, "its map is its own");
    }
    let refused = |runtime: &Arc<Runtime>, ty, value_size| {
        let maps = map(runtime, ty, value_size);
        runtime.load_verified(&verified, maps).expect_err("not what was proven").code.0
    };
    assert_eq!(refused(&one, MapType::ARRAY, 4), "proof-elsewhere", "the value is too short");
    assert_eq!(refused(&one, MapType::HASH, 8), "proof-elsewhere");
    assert_eq!(refused(&runtime(Engine::Jit, 3), MapType::ARRAY, 8), "proof-elsewhere", "other values for each CPU");
    let maps = map(&runtime(Engine::Jit, 2), MapType::ARRAY, 8);
    assert_eq!(one.load_verified(&verified, maps).expect_err("another's map").code.0, "map-foreign");
}

#[test]
fn a_map_that_is_found_in_a_hash_table_is_a_map() {
    // The table's entry, which is no map, must not be taken for one.
    let text = "*(u64 *)(r10 - 8) = 7\nr1 = m0 ll\nr2 = r10\nr2 += -8\ncall bpf_map_lookup_elem\nif r0 != 0 goto there\n\
                exit\nthere:\nr1 = r0\n*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\n\
                if r0 == 0 goto out\nr1 = *(u64 *)(r0 + 0)\nr1 += 1\n*(u64 *)(r0 + 0) = r1\nr0 = r1\nout:\nexit\n";
    for engine in [Engine::Interp, Engine::Jit] {
        let builder = Runtime::builder(kernel(), World::repeatable()).family::<Bench>(Arc::new(())).engine(engine);
        let runtime = builder.build();
        let template = map_spec("inner", MapType::ARRAY, 4, 8, 1);
        let mut spec = map_spec("outer", MapType::HASH_OF_MAPS, 8, 4, 4);
        spec.inner = Some(Box::new(template.clone()));
        let (outer, inner) = (runtime.create_map(&spec).expect("a map"), runtime.create_map(&template).expect("a map"));
        runtime.set_map(&outer, &7_u64.to_ne_bytes(), &inner, 0).expect("an entry");
        let program = Arc::new(Program { maps: vec!["outer".into()], ..program(text) });
        let prog = runtime.load(program, vec![outer]).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(prog.is_native(), engine == Engine::Jit, "{:?}", prog.trust());
        let ends = [1, 2].map(|_| run_prog(&runtime, &prog).expect("it ends").value);
        assert_eq!(ends, [1, 2], "{engine:?}");
    }
}

//! Helpers of an embedder whose bodies are closures, called by programs that run over plain memory.

use alveary_abi::{Arg, Helper, HelperId, MapType, MemAccess, MemSize, Profile, ProgType, ProgTypeRow, Proto, Version};
use alveary_isa::{Inst, asm::assemble};
use alveary_runtime::{AnyFamily, Backing, Bind, Family, Prog, Runtime, World};
use alveary_spec::{Kernel, Program};
use alveary_vm::Region;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

const PLAIN: ProgType = ProgType(ProgType::FIRST_OWN.0 + 2);

/// Programs that get memory itself: r1 is its address, r2 its length.
struct Plain;

// SAFETY: there are no backings; the region is a boxed slice of cells that the context owns.
unsafe impl Family for Plain {
    type Ctx = Box<[std::cell::Cell<u8>]>;
    type State = ();
    const NAME: &'static str = "plain";
    const TYPES: &'static [ProgType] = &[PLAIN];
    fn backings() -> &'static [Backing] {
        &[]
    }
    fn helpers() -> &'static [Bind] {
        &[]
    }
    fn regions(ctx: &Self::Ctx, add: &mut dyn FnMut(Region)) {
        add(Region { addr: ctx.as_ptr() as u64, len: ctx.len() as u64, write: true, slots: None });
    }
    fn registers(ctx: &Self::Ctx) -> Option<[u64; 5]> {
        Some([ctx.as_ptr() as u64, ctx.len() as u64, 0, 0, 0])
    }
}

/// Rows live as long as the process: these are made when the test runs.
fn row(number: u32, args: &[Arg]) -> &'static Helper {
    let protos = Box::leak(Box::new([Proto::takes(args).packet_memory()]));
    Box::leak(Box::new(Helper::new(HelperId(HelperId::FIRST_OWN.0 + number), "own").protos(protos)))
}

fn builder() -> alveary_runtime::Builder {
    let linux = Profile::linux_6_18();
    let tables = linux.tables().clone().with_prog_type(ProgTypeRow {
        ty: PLAIN,
        name: "plain",
        doc: "",
        ctx: None,
        attach: &[],
        direct_packet_write: true,
        ret: &[],
        verdicts: &[],
        since: Version(0, 0),
    });
    let profile = Profile::new(linux.version, linux.limits, tables);
    let kernel = Kernel::of(profile);
    Runtime::builder(kernel, World::repeatable()).family::<Plain>(Arc::new(()))
}

fn load(runtime: &Runtime, text: &str) -> Result<Arc<Prog>, alveary_diag::Diagnostic> {
    let (assembly, errors) = assemble(text, &|_| None);
    assert!(errors.is_empty(), "{errors:?}");
    let insns = assembly.into_raw().expect("code without symbols");
    let program = Program {
        name: "test".into(),
        section: "plain".into(),
        ty: PLAIN,
        insns,
        subprogs: vec![(0, "test".into())],
        ..Program::default()
    };
    runtime.load_unverified(Arc::new(program), vec![])
}

fn run(runtime: &Arc<Runtime>, prog: &Arc<Prog>, bytes: &[u8]) -> Result<u64, alveary_diag::Diagnostic> {
    let memory = bytes.iter().map(|b| std::cell::Cell::new(*b)).collect();
    let mut cpu = runtime.vcpu(0).expect("a CPU");
    cpu.run::<Plain>(prog, &memory).map(|ran| ran.value)
}

#[test]
fn each_call_reaches_its_closure_with_what_it_captured() {
    let calls = Arc::new(AtomicU64::new(0));
    let counted = calls.clone();
    let runtime = builder()
        .helper_fn::<AnyFamily>(row(1, &[Arg::Any]), |_, args| args.scalar(0) as i64 * 10)
        .helper_fn::<Plain>(row(2, &[Arg::Any]), move |cx, args| {
            counted.fetch_add(1, Ordering::Relaxed);
            (args.scalar(0) + cx.ctx().len() as u64) as i64
        })
        .build();
    // The second helper of the embedder is the first that this program calls.
    let prog = load(&runtime, "r1 = 5\ncall 65538\nr1 = r0\ncall 65537\nr1 = r0\ncall 65538\nexit").unwrap();
    assert_eq!(run(&runtime, &prog, &[0; 3]).unwrap(), (5 + 3) * 10 + 3);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[test]
fn arguments_are_held_against_the_row() {
    let args = [
        Arg::Mem { access: MemAccess::Read, size: MemSize::Arg(1), or_null: false, aligned: false },
        Arg::Size { zero_ok: false },
    ];
    let sum = |bytes: &[u8]| bytes.iter().map(|b| i64::from(*b)).sum();
    let runtime = builder().helper_fn::<AnyFamily>(row(1, &args), move |_, args| sum(&args.bytes(0))).build();
    let inside = load(&runtime, "call 65537\nexit").unwrap();
    assert_eq!(run(&runtime, &inside, &[1, 2, 3]).unwrap(), 6);
    let behind = load(&runtime, "r2 += 1\ncall 65537\nexit").unwrap();
    let refused = run(&runtime, &behind, &[1, 2, 3]).unwrap_err();
    assert!(refused.to_string().contains("own"), "{refused}");
}

#[test]
fn a_map_may_be_any_argument_and_its_key_and_value_come_after_it() {
    let value = Arg::MapValue { access: MemAccess::Read, or_null: false };
    let set = row(1, &[Arg::Any, Arg::Map, Arg::MapKey, value]);
    let runtime = builder()
        .helper_fn::<AnyFamily>(set, |_, args| {
            let done = args.map(1).map.update(0, &args.key(2), &args.bytes(3), 0);
            done.map_or(-1, |()| args.scalar(0) as i64)
        })
        .build();
    let def = alveary_testing::def(MapType::ARRAY, 4, 8, 4);
    let map = runtime.create_map(&alveary_testing::map_spec("map", def)).unwrap();
    // r1 is the memory that the program was given: a key of 4 bytes at `at`, then the value of 8.
    let load = |at: u32| {
        let text = format!("r3 = r1\nr3 += {at}\nr4 = r3\nr4 += 4\nr1 = 7\nr2 = m ll\ncall 65537\nexit");
        let insns = alveary_testing::code(&text, |dst, _| Inst::MapIdx { dst, idx: 0 });
        runtime.load_unverified(Arc::new(alveary_testing::program(PLAIN, insns)), vec![map.clone()]).unwrap()
    };
    let memory = [2, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(run(&runtime, &load(0), &memory).unwrap(), 7);
    let mut out = [0; 8];
    map.map.read(&memory[..4], &mut out).unwrap();
    assert_eq!(out, [1, 2, 3, 4, 5, 6, 7, 8]);
    let refused = run(&runtime, &load(1), &memory).unwrap_err();
    assert!(refused.to_string().contains("argument 4"), "{refused}");
}

#[test]
fn memory_behind_the_length_is_out_of_reach() {
    let runtime = builder().build();
    let last = load(&runtime, "r1 += r2\nr0 = *(u8 *)(r1 - 1)\nexit").unwrap();
    assert_eq!(run(&runtime, &last, &[1, 2, 7]).unwrap(), 7);
    let behind = load(&runtime, "r1 += r2\nr0 = *(u8 *)(r1 + 0)\nexit").unwrap();
    assert!(run(&runtime, &behind, &[1, 2, 7]).is_err());
}

#[test]
fn a_program_may_call_thirty_two_closures() {
    let runtime =
        (1..=33).fold(builder(), |builder, n| builder.helper_fn::<AnyFamily>(row(n, &[]), move |_, _| i64::from(n)));
    let runtime = runtime.build();
    let calls = |numbers: std::ops::RangeInclusive<u32>| {
        let calls: String = numbers.map(|n| format!("call {}\nr6 += r0\n", 65536 + n)).collect();
        load(&runtime, &format!("r6 = 0\n{calls}r0 = r6\nexit"))
    };
    assert_eq!(run(&runtime, &calls(2..=33).unwrap(), &[]).unwrap(), (2..=33).sum());
    let refused = calls(1..=33).unwrap_err();
    assert_eq!(refused.code.0, "helper-closures");
}

#[test]
fn a_panic_of_a_closure_goes_on_where_the_run_was_called() {
    // It passed through a C function, which ends the process.
    let runtime = builder()
        .helper_fn::<AnyFamily>(row(1, &[Arg::Any]), |_, args| match args.scalar(0) {
            0 => std::panic::panic_any("of the helper"),
            number => number as i64,
        })
        .build();
    let prog = load(&runtime, "r1 = *(u8 *)(r1 + 0)\ncall 65537\nr0 += 1\nexit").unwrap();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&runtime, &prog, &[0])))
        .expect_err("the helper panicked");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"of the helper"));
    // The virtual CPU is free again, and runs as before.
    assert_eq!(run(&runtime, &prog, &[4]).unwrap(), 5);
}

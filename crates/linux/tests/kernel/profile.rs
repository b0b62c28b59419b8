//! Programs that are looked at while they run. The CPUs' clock stands for counters that few machines here have.

use crate::support::{allowed, insns};
use alveary_abi::ProgType;
use alveary_btf::{Builder, FuncInfo, Linkage, New, Param};
use alveary_isa::Endian;
use alveary_linux::{
    profile::{Counter, Profiler},
    sys::{BtfLoad, Loaded, ProgLoad, TestRun},
};
use std::os::fd::AsFd;

const CLOCK: Counter = Counter { name: "cpu-clock", ty: 1, config: 0 };
const TASK_CLOCK: Counter = Counter { name: "task-clock", ty: 1, config: 1 };
/// A type of perf events that no kernel has.
const NOTHING: Counter = Counter { name: "nothing", ty: 0xffff_fff0, config: 0 };

/// A program whose function has a name.
fn named() -> Loaded {
    let mut types = Builder::new(Endian::HOST);
    let int = types.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
    let context = types.add(&New::Struct { name: "xdp_md", size: 4, members: &[] });
    let pointer = types.add(&New::Ptr(context));
    let proto = types.add(&New::FuncProto { ret: int, params: &[Param { name: "ctx", ty: pointer }] });
    let func = types.add(&New::Func { name: "looked_at", proto, linkage: Linkage::Global });
    let btf = BtfLoad { bytes: &types.write(), token: None }.load().expect("the types");
    let code = insns("r0 = 2\nexit");
    let funcs = [FuncInfo { insn: 0, ty: func }];
    ProgLoad {
        name: "looked_at",
        license: c"GPL",
        btf: Some(btf.as_fd()),
        funcs: &funcs,
        ..ProgLoad::new(ProgType::XDP, &code)
    }
    .load()
    .expect("a program")
}

#[test]
fn runs_of_a_program_are_counted() {
    let test = "runs_of_a_program_are_counted";
    if !allowed(test) {
        return;
    }
    let program = named();
    let run = |times| {
        let run = TestRun { data: &[0; 60], repeat: times, ..TestRun::default() };
        run.run(program.fd.as_fd()).expect("a run");
    };
    run(3);
    let profiler = match Profiler::start(program.fd.as_fd(), &[CLOCK, TASK_CLOCK]) {
        Ok(profiler) => profiler,
        Err(why) => {
            assert!(why.kernel.as_deref().is_some_and(|kernel| kernel.contains("EPERM")), "{why:?}");
            eprintln!("SKIP {test}: this kernel does not trace programs (fentry)");
            return;
        }
    };
    run(10);
    let readings = profiler.read().expect("what was counted");
    assert_eq!((readings.runs, readings.counters.len()), (10, 2));
    for counter in &readings.counters {
        assert!(counter.counter > 0 && counter.running > 0 && counter.running <= counter.enabled, "{readings:?}");
    }
    drop(profiler);
    run(5);
}

#[test]
fn what_nothing_counts_is_said() {
    if !allowed("what_nothing_counts_is_said") {
        return;
    }
    let program = named();
    let why = Profiler::start(program.fd.as_fd(), &[NOTHING]).expect_err("nobody counts that");
    assert!(
        why.message == "`nothing` cannot be counted" && why.help.iter().any(|h| h.contains("event_source")),
        "{why:?}"
    );
    let nameless = crate::support::xdp("r0 = 2\nexit");
    let why = Profiler::start(nameless.fd.as_fd(), &[CLOCK]).expect_err("it has no types");
    assert!(why.message.contains("was loaded without types"), "{why:?}");
}

//! What is the native code's own: its memory, its frames, when it takes the interpreter's place.
#![cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux"))]

mod support;

use alveary_isa::{AluOp, AtomicOp, CmpOp, Inst, Operand, Wide, Width};
use alveary_vm::{BadCodeKind, Call, Env, Exit, HelperFn, Image, Jit, Settings, Trap, TrapKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::*;

fn native(owner: &Owner, insts: &[Inst], starts: &[u32]) -> Image {
    // SAFETY: the tests' programs access their frames, and what they are given.
    unsafe { Image::native(&owner.code(insts, starts), owner, compiler()) }.expect("well-formed")
}

fn compiler() -> &'static Arc<Jit> {
    jit().expect("there is one for this machine")
}

fn run(image: &Image, args: [u64; 5]) -> Result<Exit, Trap> {
    image.run(&Env::new(), 0, args, None)
}

#[test]
fn code_takes_no_more_memory_than_it_may() {
    let owner = Owner(vec![]);
    let load = |jit: &Arc<Jit>, length: i32| {
        let work = (0..length).flat_map(|n| [alu(AluOp::Mul, 1, 2), add(1, n), alu(AluOp::Xor, 2, 1)]);
        let insts: Vec<Inst> = work.chain([movr(0, 1), EXIT]).collect();
        // SAFETY: the program accesses no memory.
        unsafe { Image::native(&owner.code(&insts, &[0]), &owner, jit) }
    };
    // What is mapped for code counts, which is whole pages.
    let ample = Jit::new(1 << 30).expect("there is one for this machine");
    let small = load(&ample, 1).expect("there is room");
    let page = ample.in_use();
    assert!(page.is_power_of_two() && page >= 4 << 10, "{page}");
    drop(small);
    let limit = 4 * page;
    let jit = Jit::new(limit).expect("there is one for this machine");
    let first = load(&jit, 1).expect("there is room for one page");
    assert_eq!(jit.in_use(), page);
    let why = load(&jit, page as i32).expect_err("there is none for many");
    let BadCodeKind::NoRoom { needed, in_use, limit: said } = why.why else { panic!("{why}") };
    assert!(needed > limit && in_use == page && said == limit, "{why}");
    let said = format!(
        "takes {needed} bytes, {page} are in use, and all together may be {limit}: allow more (`--native-limit`, `native_limit`)"
    );
    assert!(why.to_string().contains(&said), "{why}");
    let many: Vec<Image> = (0..5).map_while(|_| load(&jit, 1).ok()).collect();
    assert_eq!((many.len(), jit.in_use()), (3, limit), "small programs take whole pages, too");
    drop((first, many));
    assert_eq!(jit.in_use(), 0);
}

/// The optimiser computes late what has no effect: of a long sum all that was loaded would wait for the end at once.
#[test]
fn the_native_stack_does_not_grow_with_the_program() {
    const LOADS: usize = 3_500;
    let owner = Owner(vec![]);
    let signed = Inst::MovSx { wide: Wide::W64, bits: 8, dst: r(5), src: r(5) };
    for node in [9, LOADS] {
        let mut insts = vec![mov(0, 0)];
        for at in 0..LOADS {
            insts.extend([load(Width::B1, 5, 1, at as i16), signed, alu(AluOp::Add, 0, 5)]);
            if at % node == 8 {
                insts.push(ja(0));
            }
        }
        insts.push(EXIT);
        let image = native(&owner, &insts, &[0]);
        let bytes: Vec<u8> = (0..LOADS).map(|at| at as u8).collect();
        let expected = bytes.iter().map(|byte| i64::from(*byte as i8)).sum::<i64>();
        let small = std::thread::Builder::new().stack_size(32 << 10);
        let end = small.spawn(move || run(&image, [bytes.as_ptr() as u64, 0, 0, 0, 0])).expect("a thread").join();
        assert_eq!(end.expect("no panic"), Ok(Exit::Return(expected as u64)));
    }
}

#[test]
fn hot_code_becomes_native_and_goes_on_doing_the_same() {
    let owner = Owner(vec![]);
    let code = owner.code(&[movr(0, 1), add(0, 1), EXIT], &[0]);
    // SAFETY: the program accesses no memory.
    let image = unsafe { Image::adaptive(&code, &owner, compiler()) }.expect("well-formed");
    let mut became = None;
    for round in 0..2_000 {
        assert_eq!(run(&image, [round, 0, 0, 0, 0]), Ok(Exit::Return(round + 1)));
        became = became.or(image.is_native().then_some(round));
    }
    assert_eq!(became, Some(1_000), "the count of runs alone decides");
}

#[test]
fn code_turns_hot_by_the_rounds_of_its_loops() {
    let owner = Owner(vec![]);
    let again = Inst::Jmp { wide: Wide::W64, op: CmpOp::Lt, dst: r(0), src: Operand::Reg(r(1)), off: -3 };
    let code = owner.code(&[mov(0, 0), add(0, 1), alu(AluOp::Xor, 2, 0), again, EXIT], &[0]);
    // SAFETY: the program accesses no memory.
    let image = unsafe { Image::adaptive(&code, &owner, compiler()) }.expect("well-formed");
    let after = |rounds: u64, runs: usize| {
        for _ in 0..runs {
            assert_eq!(run(&image, [rounds, 0, 0, 0, 0]), Ok(Exit::Return(rounds)));
        }
        image.is_native()
    };
    // Compiling five slots takes the time of 212,500 interpreted instructions: of two runs here, and one that finds it so.
    assert!(!after(40_000, 1) && !after(40_000, 1) && after(40_000, 1));
}

#[test]
fn what_is_said_to_run_often_is_native_at_once() {
    let owner = Owner(vec![]);
    // SAFETY: the program accesses no memory.
    let image = unsafe { Image::adaptive(&owner.code(&[mov(0, 3), EXIT], &[0]), &owner, compiler()) };
    let image = image.expect("well-formed");
    assert!(!image.is_native() && image.alone().is_none());
    image.warm();
    assert!(image.is_native() && image.alone().is_some());
    assert_eq!(run(&image, [0; 5]), Ok(Exit::Return(3)));
}

#[test]
fn what_finds_no_room_stays_interpreted() {
    let jit = Jit::new(0).expect("there is one for this machine");
    let owner = Owner(vec![]);
    // SAFETY: the program accesses no memory.
    let image = unsafe { Image::adaptive(&owner.code(&[mov(0, 3), EXIT], &[0]), &owner, &jit) }.expect("well-formed");
    assert!((0..1_100).all(|_| run(&image, [0; 5]) == Ok(Exit::Return(3))));
    assert!(!image.is_native());
}

#[test]
fn a_misaligned_atomic_operation_is_not_made() {
    let memory = [const { AtomicU64::new(5) }; 2];
    let add = |off| Inst::Atomic { width: Width::B4, op: AtomicOp::Add { fetch: true }, dst: r(1), src: r(2), off };
    let image = native(&Owner(vec![]), &[mov(2, 1), add(4), mov(2, 1), add(2), EXIT], &[0]);
    let addr = memory.as_ptr() as u64;
    let trap = run(&image, [addr, 0, 0, 0, 0]).expect_err("the second one is not aligned");
    assert_eq!(trap, Trap { insn: 3, kind: TrapKind::Misaligned { addr: addr + 2, width: Width::B4 } });
    assert_eq!(memory[0].load(Ordering::Relaxed), 5 + (1 << 32));
}

/// Gives back the word that the pointer in r2 leads to, and says whether a subprogram is running.
unsafe extern "C" fn look(env: *const Env, _: u64, r2: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the engine hands its own environment, the test a pointer to its frame.
    let (env, word) = unsafe { (&*env, (r2 as *const u64).read_unaligned()) };
    assert!(env.covers(r2, 8, true), "frames that helpers see are those of the environment");
    word + u64::from(env.in_subprogram())
}

#[test]
fn helpers_see_frames_and_how_many_there_are() {
    let owner = Owner(vec![(9, look as HelperFn)]);
    let see = |value| [mov(3, value), store(Width::B8, 10, -8, 3), movr(2, 10), add(2, -8), call(0)];
    let program = [&see(40)[..], &[EXIT]].concat();
    assert_eq!(run(&native(&owner, &program, &[0]), [0; 5]), Ok(Exit::Return(40)));
    let program = [&[call_local(1), EXIT][..], &see(50), &[EXIT]].concat();
    assert_eq!(run(&native(&owner, &program, &[0, 2]), [0; 5]), Ok(Exit::Return(51)));
}

#[test]
fn a_frame_is_zero_whatever_was_in_it() {
    let owner = Owner(vec![(9, look as HelperFn)]);
    // Writes -16 to -1, gives the address of it away, and reads -24, which others have written to before.
    let dirty = [mov(3, -1), store(Width::B8, 10, -24, 3), movr(2, 10), add(2, -24), call(0), EXIT];
    let clean = [mov(3, 6), store(Width::B8, 10, -8, 3), movr(2, 10), add(2, -24), call(0), EXIT];
    let env = Env::new();
    let (dirty, clean) = (native(&owner, &dirty, &[0]), native(&owner, &clean, &[0]));
    assert_eq!(dirty.run(&env, 0, [0; 5], None), Ok(Exit::Return(u64::MAX)));
    assert_eq!(clean.run(&env, 0, [0; 5], None), Ok(Exit::Return(0)));
}

#[test]
fn a_frame_of_its_own_is_read_as_it_was_written() {
    let owner = Owner(vec![]);
    // Words of one width are registers; those that overlap are memory; what was not written is zero.
    let program = [
        store(Width::B2, 10, -2, 1),
        load(Width::B2, 0, 10, -2),
        store(Width::B8, 10, -16, 1),
        load(Width::B1, 2, 10, -9),
        Inst::Load { width: Width::B4, signed: true, dst: r(3), src: r(10), off: -16 },
        load(Width::B4, 4, 10, -24),
        alu(AluOp::Add, 0, 2),
        alu(AluOp::Add, 0, 3),
        alu(AluOp::Add, 0, 4),
        EXIT,
    ];
    let arg = 0x8100_0000_ffff_fff0_u64;
    let expected = 0xfff0 + 0x81 - 16;
    for image in [native(&owner, &program, &[0]), Image::checked(&owner.code(&program, &[0]), &owner).expect("code")] {
        assert_eq!(run(&image, [arg, 0, 0, 0, 0]), Ok(Exit::Return(expected)));
    }
}

#[test]
fn recursion_ends_at_the_eighth_frame() {
    let recursion = |depth| [mov(1, depth), call_local(1), EXIT, jeq(1, 0, 2), add(1, -1), call_local(-3), EXIT];
    let end = |depth| run(&native(&Owner(vec![]), &recursion(depth), &[0, 3]), [0; 5]);
    assert_eq!(end(6), Ok(Exit::Return(0)));
    assert_eq!(end(7).map_err(|trap| trap.kind), Err(TrapKind::Depth));
}

/// Calls the function in r1 back with r2.
unsafe extern "C" fn call_back(env: *const Env, func: u64, arg: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the engine hands its own environment.
    unsafe { &*env }.callback(func, [arg, 0, 0, 0, 0]).unwrap_or(0)
}

#[test]
fn helpers_get_the_arguments_that_they_read_and_registers_survive() {
    let owner = Owner(vec![(5, call_back as HelperFn)]);
    let function = Inst::FuncAddr { dst: r(1), rel: 5 };
    let program =
        [mov(6, 100), function, mov(2, 20), call(0), alu(AluOp::Add, 0, 6), EXIT, movr(0, 1), mov(6, 1), EXIT];
    let mut code = owner.code(&program, &[0, 7]);
    code.calls = vec![Call { args: 2, returns: true, tag: 5 }];
    // SAFETY: the program accesses no memory.
    let image = unsafe { Image::native(&code, &owner, compiler()) }.expect("well-formed");
    assert_eq!(run(&image, [0; 5]), Ok(Exit::Return(120)));
}

#[test]
fn whatever_is_well_formed_is_compiled() {
    let mut state: u64 = 1;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    // Elsewhere an emulator runs this, compiler and all.
    for _ in 0..if cfg!(target_arch = "x86_64") { 500 } else { 20 } {
        let len = 8 * (1 + usize::from(random()) % 40);
        let bytes: Vec<u8> = (0..len).map(|_| random()).collect();
        confined::compile(&bytes, compiler());
    }
}

#[test]
fn loops_that_count_go_round_as_often() {
    let owner = Owner(vec![]);
    let sum = |n: i32| [add(1, 1), alu(AluOp::Add, 0, 1), add(6, n)];
    let jne32 = Inst::Jmp {
        wide: alveary_isa::Wide::W32,
        op: alveary_isa::CmpOp::Ne,
        dst: r(6),
        src: alveary_isa::Operand::Imm(30),
        off: -4,
    };
    let programs = [
        // From a constant by a constant, exactly to the bound; by 32 bits.
        [&[mov(6, 0)][..], &sum(3), &[jne(6, 30, -4), EXIT]].concat(),
        [&[mov(6, 0)][..], &sum(3), &[jne32, EXIT]].concat(),
        // Beyond the bound from the start, and past it: as often as there are numbers, but that something else ends it.
        [&[mov(6, 40)][..], &sum(3), &[jeq(1, 50, 1), jne(6, 30, -5), EXIT]].concat(),
        [&[mov(6, 1)][..], &sum(3), &[jeq(1, 50, 1), jne(6, 30, -5), EXIT]].concat(),
        // Set back once in the loop, and entered in two ways.
        [&[mov(6, 0)][..], &sum(3), &[jne(1, 5, 1), mov(6, 60), jeq(1, 50, 1), jne(6, 30, -7), EXIT]].concat(),
        [&[mov(6, 0), jeq(7, 0, 1), mov(6, 40)][..], &sum(3), &[jeq(1, 50, 1), jne(6, 30, -5), EXIT]].concat(),
        // One in the other.
        [&[mov(7, 0), mov(6, 0)][..], &sum(3), &[jne(6, 30, -4), add(7, 1), jne(7, 4, -7), EXIT]].concat(),
    ];
    for program in programs {
        // SAFETY: the programs access no memory.
        let end = unsafe { owner.run_everywhere(&program, &[0]) };
        assert!(matches!(end, Ok(Exit::Return(1..))), "{end:?}");
    }
}

/// Stops the program if r2 is odd.
unsafe extern "C" fn stops_odd(env: *const Env, _: u64, r2: u64, _: u64, _: u64, _: u64) -> u64 {
    if r2 % 2 == 1 {
        // SAFETY: the engine hands its own environment.
        unsafe { (*env).stop(TrapKind::Helper(7)) };
    }
    r2
}

#[test]
fn a_batch_does_what_single_runs_do() {
    let owner = Owner(vec![(9, stops_odd as HelperFn)]);
    let code = owner.code(&[movr(2, 1), call_local(1), EXIT, call(0), add(0, 1), EXIT], &[0, 3]);
    // SAFETY: the program accesses no memory.
    for image in unsafe { images(&code, &owner) } {
        let env = Env::new();
        let alone: Vec<_> = (0..8).map(|n| image.run(&env, 0, [n, 0, 0, 0, 0], Some(&owner))).collect();
        assert_eq!(alone[4], Ok(Exit::Return(5)));
        assert_eq!(alone[5], Err(Trap { insn: 3, kind: TrapKind::Helper(7) }));
        let batched =
            image.batch(&env, Some(&owner), |batch| (0..8).map(|n| batch.run([n, 0, 0, 0, 0])).collect::<Vec<_>>());
        assert_eq!(batched, alone);
        assert!(!env.in_subprogram(), "nothing runs any more");
    }
}

#[test]
fn code_turns_hot_in_a_batch() {
    let owner = Owner(vec![]);
    let code = owner.code(&[movr(0, 1), EXIT], &[0]);
    // SAFETY: the program accesses no memory.
    let image = unsafe { Image::adaptive(&code, &owner, compiler()) }.expect("well-formed");
    image.batch(&Env::new(), None, |batch| {
        assert!((0..1_100).all(|n| batch.run([n, 0, 0, 0, 0]) == Ok(Exit::Return(n))));
    });
    assert!(image.is_native());
}

unsafe extern "C" fn fail(env: *const Env, _: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: helpers get the environment that the program runs in.
    unsafe { &*env }.stop(TrapKind::Helper(9));
    0
}

#[test]
fn programs_run_for_one_list_of_arguments_after_the_other() {
    let owner = Owner(vec![(0, fail as HelperFn)]);
    // r0 is what the second argument adds to the first, by way of a frame; a frame is zero when a run begins.
    let frame =
        [load(Width::B8, 0, 10, -8), alu(AluOp::Add, 0, 1), alu(AluOp::Add, 0, 2), store(Width::B8, 10, -8, 0), EXIT];
    let calls = [call_local(1), EXIT, movr(0, 1), alu(AluOp::Add, 0, 2), EXIT];
    // The helper stops what has seven for its second argument.
    let stops = [movr(6, 1), movr(7, 2), jne(2, 7, 1), call(0), movr(0, 6), alu(AluOp::Add, 0, 7), EXIT];
    let args: Vec<[u64; 5]> = (0..20).map(|n| [n * n, n, 0, 0, 0]).collect();
    let sums: Vec<u64> = args.iter().map(|args| args[0] + args[1]).collect();
    for (insts, starts, ends) in [(&frame[..], &[0][..], 20), (&calls, &[0, 2], 20), (&stops, &[0], 7)] {
        let code = owner.code(insts, starts);
        // SAFETY: the programs stay inside of their frames.
        for image in unsafe { support::images(&code, &owner) } {
            let (env, mut results) = (Env::new(), [u64::MAX; 18]);
            let ended = image.batch(&env, Some(&owner), |batch| batch.run_each(&args, &mut results));
            let run = ended.err().map(|(run, end)| (run, end.expect_err("it was stopped").kind));
            assert_eq!(run, (ends < 20).then_some((ends, TrapKind::Helper(9))), "{insts:?}");
            assert_eq!(results[..ends.min(18)], sums[..ends.min(18)], "{insts:?}");
            assert!(results[ends.min(18)..].iter().all(|result| *result == u64::MAX));
            // Nothing to do, and no room for what comes of it.
            assert_eq!(image.batch(&env, Some(&owner), |batch| batch.run_each(&[], &mut results)), Ok(()));
            assert_eq!(image.batch(&env, Some(&owner), |batch| batch.run_each(&args, &mut [])), Ok(()));
        }
    }
}

// Elsewhere constants are put together of parts anyway, whose bytes stand in no row.
#[test]
#[cfg(target_arch = "x86_64")]
fn constants_of_hardened_code_stand_nowhere_in_it() {
    let owner = Owner(vec![]);
    let wide = Inst::LoadImm64 { dst: r(3), value: 0x9090_9090_9090_9090 };
    let code = owner.code(&[movr(0, 1), add(0, 0x3c3c_3c3c), wide, alu(AluOp::Xor, 0, 3), EXIT], &[0]);
    let found = |harden: bool| {
        let jit = Jit::with(Settings { harden, ..Settings::default() }).expect("there is one for this machine");
        let listed = jit.list(&code, &owner).expect("well-formed");
        // SAFETY: the program accesses no memory.
        let image = unsafe { Image::native(&code, &owner, &jit) }.expect("well-formed");
        assert_eq!(run(&image, [1, 0, 0, 0, 0]), Ok(Exit::Return(0x3c3c_3c3d ^ 0x9090_9090_9090_9090)));
        [[0x90; 4], [0x3c; 4]].map(|bytes| listed[0].code.windows(4).any(|window| window == bytes))
    };
    assert_eq!(found(false), [true, true]);
    assert_eq!(found(true), [false, false]);
}

/// Callbacks of helpers are the innermost batch's: another one must not run meanwhile.
#[test]
#[should_panic(expected = "another batch runs in this environment")]
fn batches_do_not_run_in_each_other() {
    let owner = Owner(vec![]);
    let [outer, inner] = [1, 2].map(|number| native(&owner, &[mov(0, number), EXIT], &[0]));
    let env = Env::new();
    let _ = outer.batch(&env, None, |outer| {
        assert_eq!(outer.run([0; 5]), Ok(Exit::Return(1)));
        assert_eq!(inner.batch(&env, None, |inner| inner.run([0; 5])), Ok(Exit::Return(2)));
        assert_eq!(outer.run([0; 5]), Ok(Exit::Return(1)));
        inner.batch(&env, None, |_| outer.run([0; 5]))
    });
}

#[test]
fn loops_take_fuel_where_asked_for() {
    let owner = Owner(vec![]);
    let code = owner.code(&[mov(0, 0), add(0, 1), jne(0, 1_000, -2), EXIT], &[0]);
    let jit = Jit::with(Settings { fuel: true, ..Settings::default() }).expect("there is one for this machine");
    // SAFETY: the program accesses no memory.
    let image = unsafe { Image::native(&code, &owner, &jit) }.expect("well-formed");
    let env = Env::new();
    env.fuel.set(5_000);
    assert_eq!(image.run(&env, 0, [0; 5], None), Ok(Exit::Return(1_000)));
    assert_eq!(env.fuel.get(), 5_000 - 2_002);
    env.fuel.set(2_002);
    assert_eq!(image.run(&env, 0, [0; 5], None), Ok(Exit::Return(1_000)));
    for fuel in [0, 500, 2_001] {
        env.fuel.set(fuel);
        assert_eq!(image.run(&env, 0, [0; 5], None).map_err(|trap| trap.kind), Err(TrapKind::Budget), "{fuel}");
        assert_eq!(env.fuel.get(), 0);
    }
    env.fuel.set(u64::MAX);
    assert_eq!(image.run(&env, 0, [0; 5], None), Ok(Exit::Return(1_000)));
}

#[test]
fn who_stops_in_the_middle_owes_nothing() {
    // The piece was paid for as a whole, and nobody has asked yet whether there was as much.
    let program = [
        mov(2, 1),
        Inst::Atomic { width: Width::B8, op: AtomicOp::Add { fetch: false }, dst: r(1), src: r(2), off: 1 },
        jeq(2, 1, 1),
        mov(0, 0),
        EXIT,
    ];
    let Some(jit) = strict_jit() else { return };
    let owner = Owner(vec![]);
    // SAFETY: the access is refused before it is made, and would be inside of the memory.
    let image = unsafe { Image::native(&owner.code(&program, &[0]), &owner, jit) }.expect("well-formed");
    let memory = [0_u64; 2];
    for fuel in [0, 1, 2, 3, 4] {
        let env = Env::new();
        env.fuel.set(fuel);
        let trap = image.run(&env, 0, [memory.as_ptr() as u64, 0, 0, 0, 0], None).expect_err("it is not aligned");
        assert!(matches!(trap.kind, TrapKind::Misaligned { .. }), "{trap:?}");
        assert_eq!(env.fuel.get(), fuel.saturating_sub(3));
    }
}

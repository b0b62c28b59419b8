//! What a checked run may touch, and what several threads do to the same memory.

mod support;

use alveary_isa::{AluOp, AtomicOp, Inst, Operand, Reg, Wide, Width};
use alveary_vm::{Env, Exit, HelperFn, Image, Region, Slots, Trap, TrapKind};
use support::confined::run_confined;
use support::*;

/// Runs a program with r1 = `memory` and the region made of it.
fn with_region(memory: &mut [u64], write: bool, slots: Option<Slots>, insts: &[Inst]) -> Result<Exit, Trap> {
    let owner = Owner(vec![]);
    let image = Image::checked(&owner.code(insts, &[0]), &owner).expect("well-formed");
    let env = Env::new();
    let (addr, len) = (memory.as_mut_ptr() as u64, size_of_val(memory) as u64);
    // SAFETY: the memory is borrowed for longer than the run.
    unsafe { env.set_region(3, Region { addr, len, write, slots }) };
    image.run(&env, 0, [addr, len, 0, 0, 0], Some(&owner))
}

/// Where a trap was, how far from the region's start, and whether it was a store.
fn place(result: Result<Exit, Trap>, memory: &[u64]) -> (u32, i64, bool) {
    match result.expect_err("the program is to be stopped") {
        Trap { insn, kind: TrapKind::Load { addr, .. } } => (insn, (addr - memory.as_ptr() as u64) as i64, false),
        Trap { insn, kind: TrapKind::Store { addr, .. } } => {
            (insn, addr.wrapping_sub(memory.as_ptr() as u64) as i64, true)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn loads_and_stores_end_where_the_region_does() {
    let mut memory = [1, 2];
    let program = [store(Width::B8, 1, 8, 2), load(Width::B4, 0, 1, 12), load(Width::B8, 0, 1, 8), EXIT];
    assert_eq!(with_region(&mut memory, true, None, &program), Ok(Exit::Return(16)));
    let program = [load(Width::B8, 0, 1, 8), load(Width::B8, 0, 1, 9), EXIT];
    assert_eq!(place(with_region(&mut memory, true, None, &program), &memory), (1, 9, false));
    let program = [load(Width::B1, 0, 1, 0), store(Width::B2, 1, -1, 2), EXIT];
    assert_eq!(place(with_region(&mut memory, true, None, &program), &memory), (1, -1, true));
}

#[test]
fn a_region_that_is_read_only_is_not_written() {
    let mut memory = [7];
    let program = [load(Width::B8, 0, 1, 0), store(Width::B1, 1, 0, 0), EXIT];
    assert_eq!(place(with_region(&mut memory, false, None, &program), &memory), (1, 0, true));
    assert_eq!(memory, [7]);
}

#[test]
fn an_access_stays_in_one_value_of_a_row() {
    let mut memory = [0; 6];
    let slots = Some(Slots { stride: 16, size: 12 });
    let program = [load(Width::B8, 0, 1, 16), load(Width::B4, 0, 1, 24), load(Width::B8, 0, 1, 24), EXIT];
    assert_eq!(place(with_region(&mut memory, true, slots, &program), &memory), (2, 24, false));
    let program = [store(Width::B8, 1, 36, 2), store(Width::B1, 1, 44, 2), EXIT];
    assert_eq!(place(with_region(&mut memory, true, slots, &program), &memory), (1, 44, true));
}

#[test]
fn the_stack_is_the_frames_in_use_and_no_more() {
    let owner = Owner(vec![]);
    let trapped = |insts: &[Inst], starts: &[u32]| owner.run(&Env::new(), insts, starts).map_err(|trap| trap.insn);
    assert_eq!(trapped(&[load(Width::B8, 0, 10, -512), EXIT], &[0]), Ok(Exit::Return(0)));
    assert_eq!(trapped(&[mov(0, 0), load(Width::B8, 0, 10, -513), EXIT], &[0]), Err(1));
    assert_eq!(trapped(&[mov(0, 0), load(Width::B8, 0, 10, -4), EXIT], &[0]), Err(1));
    // Above a callee's frame is its caller's; below the caller's own there is nothing again once the callee returned.
    let callee = [
        call_local(2),
        load(Width::B8, 0, 1, 0),
        EXIT,
        load(Width::B8, 2, 10, 504),
        movr(1, 10),
        add(1, -8),
        load(Width::B8, 0, 1, 0),
        EXIT,
    ];
    assert_eq!(trapped(&callee, &[0, 3]), Err(1));
}

#[test]
fn frames_are_zero_whoever_used_them_before() {
    let owner = Owner(vec![]);
    // The first call fills its frame; the second one reads it by a pointer that its caller made.
    let program = [
        call_local(5),
        movr(1, 10),
        add(1, -520),
        call_local(4),
        EXIT,
        EXIT,
        store(Width::B8, 10, -8, 10),
        EXIT,
        load(Width::B8, 0, 1, 0),
        EXIT,
    ];
    assert_eq!(owner.run(&Env::new(), &program, &[0, 6, 8]), Ok(Exit::Return(0)));
}

#[test]
fn atomics_are_aligned_in_both_modes() {
    let add = Inst::Atomic { width: Width::B4, op: AtomicOp::Add { fetch: false }, dst: r(1), src: r(2), off: 2 };
    let mut memory = [0];
    let result = with_region(&mut memory, true, None, &[add, EXIT]);
    assert!(matches!(result, Err(Trap { insn: 0, kind: TrapKind::Misaligned { width: Width::B4, .. } })), "{result:?}");
    let owner = Owner(vec![]);
    // SAFETY: the only access is refused before it is made.
    let image = unsafe { Image::trusted(&owner.code(&[add, EXIT], &[0]), &owner) }.expect("well-formed");
    let result = image.run(&Env::new(), 0, [memory.as_mut_ptr() as u64, 0, 0, 0, 0], None);
    assert!(matches!(result, Err(Trap { kind: TrapKind::Misaligned { .. }, .. })), "{result:?}");
}

#[test]
fn threads_lose_no_atomic_addition() {
    const ROUNDS: i32 = 2_000;
    let fetch_add = Inst::Atomic { width: Width::B8, op: AtomicOp::Add { fetch: true }, dst: r(1), src: r(3), off: 0 };
    let program = [
        mov(2, ROUNDS),
        mov(3, 1),
        fetch_add,
        Inst::Atomic { width: Width::B4, op: AtomicOp::Xor { fetch: false }, dst: r(1), src: r(2), off: 8 },
        add(2, -1),
        jne(2, 0, -5),
        EXIT,
    ];
    let owner = Owner(vec![]);
    let image = Image::checked(&owner.code(&program, &[0]), &owner).expect("well-formed");
    let memory = [const { std::sync::atomic::AtomicU64::new(0) }; 2];
    let addr = memory.as_ptr() as u64;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let env = Env::new();
                // SAFETY: the memory is atomics, and outlives the threads.
                unsafe { env.set_region(0, Region { addr, len: 16, write: true, slots: None }) };
                image.run(&env, 0, [addr, 0, 0, 0, 0], None).expect("it stays in its region");
            });
        }
    });
    assert_eq!(memory[0].load(std::sync::atomic::Ordering::Relaxed), 4 * ROUNDS as u64);
    assert_eq!(memory[1].load(std::sync::atomic::Ordering::Relaxed), 0);
}

/// Moves region 0 on by eight bytes.
unsafe extern "C" fn shrink(env: *const Env, _: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the engine hands its own environment.
    let env = unsafe { &*env };
    let region = env.region(0).expect("the test set it");
    // SAFETY: a part of what it was.
    unsafe { env.set_region(0, Region { addr: region.addr + 8, len: region.len - 8, ..region }) };
    0
}

#[test]
fn a_helper_that_moves_a_region_takes_its_bytes_away() {
    let owner = Owner(vec![(44, shrink as HelperFn)]);
    let keep = Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst: r(6), src: Operand::Reg(Reg::R1) };
    let program = [keep, load(Width::B8, 0, 6, 0), call(0), load(Width::B8, 0, 6, 8), load(Width::B8, 0, 6, 0), EXIT];
    let image = Image::checked(&owner.code(&program, &[0]), &owner).expect("well-formed");
    let memory = [1_u64, 2, 3];
    let (env, addr) = (Env::new(), memory.as_ptr() as u64);
    // SAFETY: the memory outlives the run, which only reads it.
    unsafe { env.set_region(0, Region { addr, len: 24, write: false, slots: None }) };
    let trap = image.run(&env, 0, [addr, 0, 0, 0, 0], Some(&owner)).expect_err("the first word was taken away");
    assert_eq!(trap, Trap { insn: 4, kind: TrapKind::Load { addr, width: Width::B8 } });
    assert!(env.covers(addr + 8, 16, false) && !env.covers(addr + 8, 16, true) && !env.covers(addr, 8, false));
}

#[test]
fn traps_name_the_slot_that_an_instruction_comes_from() {
    let owner = Owner(vec![]);
    let mut code = owner.code(&[mov(1, 0), load(Width::B1, 0, 1, 0), EXIT], &[0]);
    code.origin = vec![10, 20, 30];
    let image = Image::checked(&code, &owner).expect("well-formed");
    let trap = image.run(&Env::new(), 0, [0; 5], None).expect_err("nothing is at zero");
    assert_eq!(trap, Trap { insn: 20, kind: TrapKind::Load { addr: 0, width: Width::B1 } });
}

#[test]
fn programs_from_bytes_never_leave_their_memory() {
    let programs = if cfg!(miri) { 50 } else { 20_000 };
    let mut state: u64 = 1;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    for _ in 0..programs {
        let len = 8 * (1 + usize::from(random()) % 40);
        let bytes: Vec<u8> = (0..len).map(|_| random()).collect();
        run_confined(&bytes);
    }
}

/// Whatever an operation does, the next one must not run on top of it.
#[test]
fn a_long_program_does_not_use_up_the_stack() {
    let fetch_add =
        Inst::Atomic { width: Width::B8, op: AtomicOp::Add { fetch: true }, dst: r(10), src: r(3), off: -8 };
    let acquire = Inst::LoadAcquire { width: Width::B8, dst: r(3), src: r(10), off: -8 };
    let release = Inst::StoreRelease { width: Width::B8, dst: r(10), src: r(3), off: -8 };
    let divide = Inst::Alu { wide: Wide::W64, op: AluOp::SMod, dst: r(0), src: Operand::Reg(r(9)) };
    for body in [
        &[mov(3, 1), divide][..],
        // `OWNED` addresses.
        &[mov(3, 64), load(Width::B4, 4, 3, 0)],
        &[mov(3, 64), store(Width::B8, 3, 0, 3)],
        // Two regions through one register: never where it was before.
        &[movr(3, 10), load(Width::B1, 4, 3, -100), movr(3, 7), load(Width::B1, 4, 3, 0)],
        &[movr(3, 10), store(Width::B1, 3, -100, 4), movr(3, 7), store(Width::B1, 3, 0, 4)],
        &[fetch_add, acquire, release],
        &[call(0)],
        &[mov(2, 44), Inst::CallX { dst: r(2), in_imm: false }],
        &[Inst::MayGoto { off: 0 }],
    ] {
        let rounds = [mov(6, 100_000), movr(7, 1)];
        let again = [add(6, -1), jne(6, 0, -(body.len() as i16) - 2), mov(0, 5), EXIT];
        let program: Vec<Inst> = rounds.iter().chain(body).chain(&again).copied().collect();
        let run = move || {
            let owner = Owner(vec![(44, nothing as HelperFn)]);
            let image = Image::checked(&owner.code(&program, &[0]), &owner).expect("well-formed");
            let (env, memory) = (Env::new(), [const { std::sync::atomic::AtomicU64::new(0) }; 2]);
            let addr = memory.as_ptr() as u64;
            // SAFETY: the memory is atomics, and outlives the run.
            unsafe { env.set_region(0, Region { addr, len: 16, write: true, slots: None }) };
            image.run(&env, 0, [addr, 0, 0, 0, 0], Some(&owner))
        };
        let thread = std::thread::Builder::new().stack_size(128 * 1024).spawn(run).expect("a thread");
        assert_eq!(thread.join().expect("it did not panic"), Ok(Exit::Return(5)), "{body:?}");
    }
}

unsafe extern "C" fn nothing(_: *const Env, _: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    0
}

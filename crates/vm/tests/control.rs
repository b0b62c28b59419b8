//! Calls, callbacks, budgets and how runs end.

mod support;

use alveary_isa::{Inst, Reg, Width};
use alveary_vm::{Env, Exit, Image, Trap, TrapKind};
use support::*;

unsafe extern "C" fn first_argument(_: *const Env, r1: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    r1
}

unsafe extern "C" fn twice(env: *const Env, func: u64, arg: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the engine hands its own environment.
    let env = unsafe { &*env };
    (0..2).map(|n| env.callback(func, [arg, n, 0, 0, 0]).unwrap_or(u64::MAX)).fold(0, u64::wrapping_add)
}

unsafe extern "C" fn leaves(env: *const Env, r1: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the engine hands its own environment.
    unsafe { &*env }.leave(r1);
    0
}

unsafe extern "C" fn tail(env: *const Env, r1: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the engine hands its own environment.
    unsafe { &*env }.tail(r1 as usize as *const ());
    0
}

unsafe extern "C" fn stops(env: *const Env, r1: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the engine hands its own environment.
    unsafe { &*env }.stop(TrapKind::Helper(r1 as u32));
    0
}

fn owner() -> Owner {
    Owner(vec![(5, first_argument), (181, twice), (1, leaves), (12, tail), (77, stops)])
}
const FIRST_ARGUMENT: i32 = 0;
const TWICE: i32 = 1;
const LEAVES: i32 = 2;
const TAIL: i32 = 3;
const STOPS: i32 = 4;

/// What a program gives on every engine.
fn returned(insts: &[Inst], starts: &[u32]) -> u64 {
    // SAFETY: the programs that return access nothing but their frames.
    match unsafe { owner().run_everywhere(insts, starts) } {
        Ok(Exit::Return(value)) => value,
        other => panic!("{other:?}"),
    }
}

/// The trap that every engine stops a program with that accesses nothing but its frames.
fn stopped(insts: &[Inst], starts: &[u32]) -> Trap {
    // SAFETY: so the caller says.
    unsafe { owner().run_everywhere(insts, starts) }.expect_err("the program is to be stopped")
}

/// The trap that a checked run ends with.
fn trapped(insts: &[Inst], starts: &[u32]) -> Trap {
    owner().run(&Env::new(), insts, starts).expect_err("the program is to be stopped")
}

#[test]
fn a_subprogram_keeps_r6_to_r9_and_has_a_frame_of_its_own() {
    let program = [
        mov(6, 60),
        mov(1, 7),
        store(Width::B8, 10, -8, 6),
        call_local(3),
        load(Width::B8, 1, 10, -8),
        Inst::Alu {
            wide: alveary_isa::Wide::W64,
            op: alveary_isa::AluOp::Add,
            dst: Reg::R0,
            src: alveary_isa::Operand::Reg(r(1)),
        },
        EXIT,
        mov(6, 1),
        store(Width::B8, 10, -8, 1),
        movr(0, 1),
        EXIT,
    ];
    assert_eq!(returned(&program, &[0, 7]), 67);
}

#[test]
fn eight_frames_are_allowed_and_nine_are_not() {
    // r1 counts down; the function calls itself until it is zero.
    let recursion = |depth| [mov(1, depth), call_local(1), EXIT, jeq(1, 0, 2), add(1, -1), call_local(-3), EXIT];
    assert_eq!(owner().run(&Env::new(), &recursion(6), &[0, 3]), Ok(Exit::Return(0)));
    assert_eq!(trapped(&recursion(7), &[0, 3]), Trap { insn: 5, kind: TrapKind::Depth });
}

#[test]
fn a_callback_runs_above_and_its_trap_ends_the_program() {
    let function = Inst::FuncAddr { dst: r(1), rel: 4 };
    let program = [function, mov(2, 20), call(TWICE), EXIT, movr(0, 1), EXIT];
    assert_eq!(returned(&program, &[0, 5]), 40);
    let program = [function, mov(2, 20), call(TWICE), EXIT, load(Width::B4, 0, 2, 0), EXIT];
    assert_eq!(trapped(&program, &[0, 5]), Trap { insn: 5, kind: TrapKind::Load { addr: 0, width: Width::B4 } });
}

#[test]
fn a_callback_of_what_is_no_function_is_a_bad_call() {
    assert_eq!(stopped(&[mov(1, 3), call(TWICE), EXIT], &[0]).kind, TrapKind::BadCall { target: 3 });
}

#[test]
fn leaving_ends_the_function_that_called() {
    assert_eq!(returned(&[mov(1, 9), call(LEAVES), mov(0, 1), EXIT], &[0]), 9);
    let program = [call_local(2), add(0, 1), EXIT, mov(1, 9), call(LEAVES), mov(0, 1), EXIT];
    assert_eq!(returned(&program, &[0, 3]), 10);
}

#[test]
fn a_tail_call_leaves_the_engine_but_not_from_a_subprogram() {
    let env = Env::new();
    assert_eq!(owner().run(&env, &[mov(1, 64), call(TAIL), EXIT], &[0]), Ok(Exit::Tail));
    assert_eq!(env.next() as usize, 64);
    let program = [call_local(1), EXIT, mov(1, 64), call(TAIL), EXIT];
    assert_eq!(stopped(&program, &[0, 2]), Trap { insn: 3, kind: TrapKind::TailCall });
    // SAFETY: the program accesses no memory.
    let everywhere = unsafe { owner().run_everywhere(&[mov(1, 64), call(TAIL), EXIT], &[0]) };
    assert_eq!(everywhere, Ok(Exit::Tail));
}

#[test]
fn a_helper_stops_the_program_at_its_call() {
    assert_eq!(stopped(&[mov(1, 3), call(STOPS), EXIT], &[0]), Trap { insn: 1, kind: TrapKind::Helper(3) });
}

#[test]
fn callx_takes_functions_and_helpers_and_nothing_else() {
    let callx = Inst::CallX { dst: r(2), in_imm: false };
    assert_eq!(returned(&[mov(1, -1), mov(2, 5), callx, EXIT], &[0]), u64::MAX);
    let function = Inst::FuncAddr { dst: r(2), rel: 3 };
    assert_eq!(returned(&[function, callx, EXIT, mov(0, 33), EXIT], &[0, 4]), 33);
    let trap = stopped(&[mov(1, -1), mov(2, 6), callx, EXIT], &[0]);
    assert_eq!(trap, Trap { insn: 2, kind: TrapKind::BadCall { target: 6 } });
}

/// Runs with so much fuel; how it ended, and what is left.
fn with_fuel(fuel: u64, insts: &[Inst], starts: &[u32]) -> (Result<Exit, Trap>, u64) {
    let env = Env::new();
    env.fuel.set(fuel);
    let result = owner().run(&env, insts, starts);
    (result, env.fuel.get())
}

#[test]
fn fuel_counts_every_instruction_and_no_more() {
    let wide = Inst::LoadImm64 { dst: r(3), value: 1 << 40 };
    let looping = [mov(1, 10), wide, add(1, -1), call_local(3), jne(1, 0, -5), mov(0, 0), EXIT, mov(2, 1), EXIT];
    let calling = [
        Inst::FuncAddr { dst: r(1), rel: 4 },
        mov(2, 20),
        call(TWICE),
        EXIT,
        jeq(2, 1, 1),
        mov(3, 1),
        movr(0, 1),
        EXIT,
    ];
    let register_call = [
        Inst::FuncAddr { dst: r(2), rel: 5 },
        Inst::CallX { dst: r(2), in_imm: false },
        wide,
        EXIT,
        ja(1),
        mov(0, 33),
        mov(0, 33),
        EXIT,
    ];
    // A call that falls through to where a loop comes back to.
    let falling = [mov(6, 0), call_local(4), add(6, 1), jne(6, 3, -2), mov(0, 0), EXIT, mov(0, 1), EXIT];
    // A function that begins with a loop.
    let looped = [mov(1, 0), call_local(1), EXIT, add(1, 1), jne(1, 3, -2), movr(0, 1), EXIT];
    // Calls that do not come back: what stands behind them does not run.
    let tail = [mov(1, 64), call(TAIL), mov(0, 1), mov(0, 2), EXIT];
    let leaving = [mov(1, 64), call(LEAVES), call(FIRST_ARGUMENT), mov(0, 2), EXIT];
    for (program, starts, instructions) in [
        (&falling[..], &[0, 6][..], 12),
        (&looped[..], &[0, 3][..], 11),
        (&tail[..], &[0][..], 2),
        (&leaving[..], &[0][..], 2),
        (&looping[..], &[0, 8][..], 1 + 10 * 6 + 2),
        (&calling[..], &[0, 5][..], 4 + (1 + 1 + 2) + (1 + 2)),
        (&register_call[..], &[0, 6][..], 7),
    ] {
        for fuel in [u64::MAX, 1 << 40, 1000, instructions + 1, instructions] {
            let (result, left) = with_fuel(fuel, program, starts);
            assert!(result.is_ok(), "{result:?} with {fuel} for {instructions} instructions");
            assert_eq!(fuel - left, instructions);
        }
        for fuel in 0..instructions {
            let (result, left) = with_fuel(fuel, program, starts);
            assert_eq!(result.map_err(|trap| trap.kind), Err(TrapKind::Budget), "with {fuel} of {instructions}");
            assert_eq!(left, 0);
        }
        // Native code that takes fuel counts the same.
        let Some(jit) = strict_jit() else { continue };
        let owner = owner();
        // SAFETY: these programs access no memory.
        let image = unsafe { Image::native(&owner.code(program, starts), &owner, jit) }.expect("well-formed");
        for fuel in 0..=instructions + 1 {
            let env = Env::new();
            env.fuel.set(fuel);
            let result = image.run(&env, 0, [0; 5], None);
            let left = fuel.checked_sub(instructions);
            assert_eq!(result.is_ok(), left.is_some(), "{result:?} with {fuel} of {instructions}");
            assert_eq!(env.fuel.get(), left.unwrap_or(0));
        }
    }
}

#[test]
fn a_register_call_for_which_there_is_no_frame_gives_no_fuel_back() {
    // The jump to the far function was taken back twice, so that a run ended with more fuel than it had begun with.
    let mut program = vec![
        call_local(1),
        EXIT,
        Inst::FuncAddr { dst: r(2), rel: 1000 },
        Inst::CallX { dst: r(2), in_imm: false },
        EXIT,
    ];
    program.resize(1002, EXIT);
    program.extend([call_local(-1002), EXIT]);
    let (result, left) = with_fuel(100_000, &program, &[0, 2, 1003]);
    assert_eq!(result, Err(Trap { insn: 4, kind: TrapKind::Depth }));
    assert_eq!(100_000 - left, 1 + 3 * 3 + 2);
}

#[test]
fn the_budget_ends_an_endless_loop_where_it_is() {
    let program = [mov(0, 1), add(0, 1), ja(-2), EXIT];
    let (result, left) = with_fuel(1_000_000, &program, &[0]);
    assert_eq!((result, left), (Err(Trap { insn: 2, kind: TrapKind::Budget }), 0));
}

#[test]
fn may_goto_is_taken_when_its_loops_are_used_up() {
    let program = [mov(0, 0), Inst::MayGoto { off: 2 }, add(0, 1), ja(-3), EXIT];
    assert_eq!(returned(&program, &[0]), 8 * 1024 * 1024);
}

#[test]
fn a_checked_run_without_checks_has_no_helpers() {
    let owner = owner();
    let image = Image::checked(&owner.code(&[call(FIRST_ARGUMENT), EXIT], &[0]), &owner).expect("well-formed");
    let trap = image.run(&Env::new(), 0, [0; 5], None).expect_err("nobody judges the call");
    assert_eq!(trap, Trap { insn: 0, kind: TrapKind::BadCall { target: 5 } });
}

/// Lets no call through.
struct Strict;

impl alveary_vm::Checks for Strict {
    fn load(&self, _: &Env, addr: u64, width: Width) -> Result<u64, TrapKind> {
        Err(TrapKind::Load { addr, width })
    }

    fn store(&self, _: &Env, addr: u64, width: Width, _: u64) -> Result<(), TrapKind> {
        Err(TrapKind::Store { addr, width })
    }

    fn call(&self, _: &Env, tag: u32, _: alveary_vm::HelperFn, args: [u64; 5]) -> Result<u64, TrapKind> {
        Err(TrapKind::BadArg { tag, arg: 1, value: args[1] })
    }
}

#[test]
fn the_owner_refuses_an_argument() {
    let owner = owner();
    let code = owner.code(&[mov(2, 8), call(FIRST_ARGUMENT), EXIT], &[0]);
    let image = Image::checked(&code, &owner).expect("well-formed");
    let trap = image.run(&Env::new(), 0, [0; 5], Some(&Strict)).expect_err("the call is refused");
    assert_eq!(trap, Trap { insn: 1, kind: TrapKind::BadArg { tag: 5, arg: 1, value: 8 } });
}

#[test]
fn a_run_inside_a_helper_has_frames_of_its_own() {
    // The helper of the outer program runs another image on the same environment, at depth eight.
    unsafe extern "C" fn nested(env: *const Env, _: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
        // SAFETY: the engine hands its own environment.
        let env = unsafe { &*env };
        let inner = Owner(vec![]);
        let program = [mov(1, 6), call_local(1), EXIT, jeq(1, 0, 2), add(1, -1), call_local(-3), EXIT];
        let image = Image::checked(&inner.code(&program, &[0, 3]), &inner).expect("well-formed");
        match image.run(env, 0, [0; 5], None) {
            Ok(Exit::Return(value)) => env.leave(value + 11),
            other => env.unwind(other.expect_err("it makes no tail calls")),
        }
        0
    }
    let owner = Owner(vec![(12, nested)]);
    let program = [call_local(2), add(0, 1), EXIT, mov(0, 1), call(0), mov(0, 2), EXIT];
    assert_eq!(owner.run(&Env::new(), &program, &[0, 3]), Ok(Exit::Return(12)));
}

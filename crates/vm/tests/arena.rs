//! Unverified programs in arenas: they do what they say, and nothing else.
#![cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux"))]

mod support;

use alveary_isa::{AluOp, AtomicOp, CmpOp, Insn, Inst, Operand, Reg, Wide, Width, encode};
use alveary_vm::arena::{Arena, Program};
use alveary_vm::{BadCodeKind, Jit, Trap, TrapKind};
use std::sync::Arc;
use support::*;

const SIZE: u64 = 1 << 16;
const FUEL: u64 = 1 << 20;
/// Programs that are drawn: compiling them takes the time.
const PROGRAMS: u32 = 400;

fn compiler() -> &'static Arc<Jit> {
    jit().expect("there is one for this machine")
}

fn compile(insts: &[Inst]) -> Program {
    Program::new(&slots(insts), SIZE, compiler()).compile().expect("well-formed")
}

fn run(insts: &[Inst], args: [u64; 5]) -> Result<u64, Trap> {
    compile(insts).run(&mut Arena::new(SIZE).expect("memory"), args, FUEL)
}

#[test]
fn addresses_are_numbers_from_zero() {
    let mut arena = Arena::new(SIZE).expect("memory");
    arena.memory().write(0x200, &[1, 2, 3, 4, 5, 6, 7, 8]).expect("inside");
    let program = compile(&[load(Width::B4, 0, 1, 2), store(Width::B2, 1, 16, 0), EXIT]);
    assert_eq!(program.run(&mut arena, [0x200, 0, 0, 0, 0], FUEL), Ok(0x0605_0403));
    let mut left = [0; 4];
    arena.memory().read(0x210, &mut left).expect("inside");
    assert_eq!(left, [3, 4, 0, 0]);
    assert_eq!(arena.memory().read(SIZE - 3, &mut left), None);
    // Bits that lead out of the arena are not looked at.
    assert_eq!(program.run(&mut arena, [0xdead_0000_0000_0200, 0, 0, 0, 0], FUEL), Ok(0x0605_0403));
    assert!(Arena::new(SIZE + 1).is_err());
}

/// What is known of an address is a constant of 64 bits at most, whatever a program adds up.
#[test]
fn no_sum_is_too_large() {
    let mut insts = vec![mov(1, i32::MAX)];
    insts.extend([alu(AluOp::Add, 1, 1); 32]);
    insts.extend([add(1, i32::MAX), add(1, i32::MAX), load(Width::B1, 0, 1, 2), EXIT]);
    assert_eq!(run(&insts, [0; 5]), Ok(0));
    insts[0] = add(1, i32::MAX);
    assert_eq!(run(&insts, [0; 5]), Ok(0));
}

#[test]
fn frames_and_subprograms_are_as_everywhere() {
    // The caller's word is changed through its address, r6 is kept.
    let program = [
        mov(6, 7),
        mov(2, 40),
        store(Width::B8, 10, -8, 2),
        movr(1, 10),
        add(1, -8),
        call_local(3),
        load(Width::B8, 0, 10, -8),
        alu(AluOp::Add, 0, 6),
        EXIT,
        mov(6, 0),
        load(Width::B8, 2, 1, 0),
        add(2, 2),
        store(Width::B8, 1, 0, 2),
        EXIT,
    ];
    let twice = |arena: &mut Arena| {
        let program = Program::new(&slots(&program), SIZE, compiler()).compile().expect("well-formed");
        [program.run(arena, [0; 5], FUEL), program.run(arena, [0; 5], FUEL)]
    };
    assert_eq!(twice(&mut Arena::new(SIZE).expect("memory")), [Ok(49), Ok(49)]);
    assert_eq!(
        run(&[call_local(1), EXIT, call_local(-1), EXIT], [0; 5]).map_err(|trap| trap.kind),
        Err(TrapKind::Depth)
    );
}

/// An address of the frame is none of a function, whatever else the function does with its frame.
#[test]
fn the_frame_is_no_function() {
    let told = |insts: &[Inst]| {
        let program = Program::new(&slots(insts), SIZE, compiler()).helper(0, |_, _| Ok(7)).compile();
        let end = program.expect("well-formed").run(&mut Arena::new(SIZE).expect("memory"), [0; 5], FUEL);
        end.map_err(|trap| trap.kind)
    };
    let call = Inst::CallX { dst: r(10), in_imm: false };
    let own = told(&[call, EXIT]);
    assert!(matches!(own, Err(TrapKind::BadCall { .. })), "{own:?}");
    assert_eq!(told(&[movr(1, 10), call, EXIT]), own);
}

#[test]
fn nothing_runs_for_longer_than_its_fuel() {
    let out_of_fuel = |insts: &[Inst]| run(insts, [0; 5]).map_err(|trap| trap.kind) == Err(TrapKind::Budget);
    assert!(out_of_fuel(&[ja(-1), EXIT]));
    assert!(out_of_fuel(&[mov(0, 0), add(0, 1), ja(-2), EXIT]));
    // A loop that can be entered at two places.
    assert!(out_of_fuel(&[jeq(1, 0, 1), add(0, 1), add(0, 2), ja(-3), EXIT]));
    // Each function calls the next one fifty times, seven deep.
    let caller = || (0..50).map(|at| call_local(50 - at)).chain([EXIT]);
    let mut insts: Vec<Inst> = (0..7).flat_map(|_| caller()).collect();
    insts.extend([mov(0, 1), EXIT]);
    assert!(out_of_fuel(&insts));
    let program = compile(&[mov(0, 0), add(0, 1), jne(0, 100, -2), EXIT]);
    let mut arena = Arena::new(SIZE).expect("memory");
    assert_eq!(program.run(&mut arena, [0; 5], 1_000), Ok(100));
    // Exactly its instructions.
    assert_eq!(program.run(&mut arena, [0; 5], 202), Ok(100));
    let trap = program.run(&mut arena, [0; 5], 201).expect_err("it takes 202 instructions");
    assert_eq!(trap.kind, TrapKind::Budget);
    let error: Box<dyn std::error::Error> = trap.into();
    assert_eq!(error.to_string(), "instruction 3: the instruction budget is used up");
}

#[test]
fn straight_code_takes_fuel() {
    // No loop, no call: this was not counted at all.
    let mut insts = vec![store(Width::B8, 1, 0, 1)];
    insts.extend((0..3_000).map(|_| add(0, 1)));
    let program = compile(&[&[mov(0, 0)], &insts[..], &[EXIT]].concat());
    let mut arena = Arena::new(SIZE).expect("memory");
    let kind = |result: Result<u64, Trap>| result.map_err(|trap| trap.kind);
    for fuel in [0, 1, 3_002] {
        assert_eq!(kind(program.run(&mut arena, [0x100, 0, 0, 0, 0], fuel)), Err(TrapKind::Budget), "{fuel}");
    }
    let mut stored = [9; 8];
    arena.memory().read(0x100, &mut stored).expect("inside");
    assert_eq!(stored, [0; 8], "it was stopped before it began");
    assert_eq!(program.run(&mut arena, [0x100, 0, 0, 0, 0], 3_003), Ok(3_000));
}

#[test]
fn what_does_not_run_is_not_paid_for() {
    let far = |n: i16| (0..n).map(|_| add(0, 1));
    let insts: Vec<Inst> = [mov(0, 0), jeq(1, 0, 1_000)].into_iter().chain(far(1_000)).chain([EXIT]).collect();
    let program = compile(&insts);
    let mut arena = Arena::new(SIZE).expect("memory");
    assert_eq!(program.run(&mut arena, [0; 5], 3), Ok(0));
    let trap = program.run(&mut arena, [1, 0, 0, 0, 0], 1_002).expect_err("it takes 1003 instructions");
    assert_eq!(trap.kind, TrapKind::Budget);
    assert_eq!(program.run(&mut arena, [1, 0, 0, 0, 0], 1_003), Ok(1_000));
}

#[test]
fn a_program_is_as_long_as_it_may_be() {
    let compile = |insts: &[Inst], most: usize| {
        let insns = slots(insts);
        Program::new(&insns, SIZE, compiler()).most_slots(most).compile().map(drop).map_err(|bad| bad.to_string())
    };
    let long = [vec![mov(0, 0); 4_096], vec![EXIT]].concat();
    let refused = "instruction 0: the program has 4097 instruction slots, of 4096 that may be";
    assert_eq!(compile(&long, 4_096), Err(refused.to_owned()));
    assert_eq!(compile(&long, 4_097), Ok(()));
    // Every call by register asks for every function.
    let register = Inst::CallX { dst: Reg(1), in_imm: false };
    let many = [vec![register; 2_100], vec![call_local(1), EXIT, EXIT]].concat();
    let refused = "instruction 0: the program has 4200 calls by register times what they may call, of 4096 that may be";
    assert_eq!(compile(&many, 4_096), Err(refused.to_owned()));
}

#[test]
fn helpers_are_those_that_it_was_given() {
    let program = [mov(2, 5), call(9), EXIT];
    let with = |limit: u64| {
        let body = move |memory: &mut alveary_vm::arena::Memory<'_>, [at, add, ..]: [u64; 5]| {
            if at > limit {
                return Err(77);
            }
            let mut byte = [0];
            memory.read(at, &mut byte).ok_or(78_u32)?;
            memory.write(at, &[byte[0] + add as u8]).ok_or(78_u32)?;
            Ok(u64::from(byte[0]))
        };
        Program::new(&slots(&program), SIZE, compiler()).helper(9, body).compile().expect("well-formed")
    };
    let mut arena = Arena::new(SIZE).expect("memory");
    assert_eq!(with(100).run(&mut arena, [8, 0, 0, 0, 0], FUEL), Ok(0));
    assert_eq!(with(100).run(&mut arena, [8, 0, 0, 0, 0], FUEL), Ok(5));
    let trap = with(1).run(&mut arena, [8, 0, 0, 0, 0], FUEL).expect_err("the helper refuses");
    assert_eq!(trap, Trap { insn: 1, kind: TrapKind::Helper(77) });
    let refused = Program::new(&slots(&program), SIZE, compiler()).helper(8, |_, _| Ok(0)).compile();
    assert_eq!(refused.expect_err("it was not given").why, BadCodeKind::NoHelper { call: 9 });
}

#[test]
fn a_helpers_panic_goes_on_behind_the_run() {
    let program = Program::new(&slots(&[call(1), EXIT]), SIZE, compiler())
        .helper(1, |_, _| panic!("a helper's own"))
        .compile()
        .expect("well-formed");
    let mut arena = Arena::new(SIZE).expect("memory");
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| program.run(&mut arena, [0; 5], FUEL)));
    assert!(ran.is_err());
}

#[test]
fn the_engines_registers_and_maps_are_refused() {
    let refused = |insns: &[Insn]| Program::new(insns, SIZE, compiler()).compile().is_err();
    assert!(refused(&slots(&[movr(0, 12), EXIT])), "the environment's address");
    assert!(refused(&slots(&[movr(0, 11), EXIT])));
    assert!(refused(&encode(&Inst::MapFd { dst: r(1), fd: 3 })));
    assert!(refused(&slots(&[Inst::CallX { dst: r(10), in_imm: false }])));
}

/// Numbers by Marsaglia's xorshift, from a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    fn inst(&mut self, left: i16) -> Inst {
        const WIDTHS: [Width; 4] = [Width::B1, Width::B2, Width::B4, Width::B8];
        const OPS: [AluOp; 8] =
            [AluOp::Add, AluOp::Sub, AluOp::Mul, AluOp::Or, AluOp::Xor, AluOp::Lsh, AluOp::Div, AluOp::Mov];
        let (dst, src) = (r(self.below(10) as u8), r(self.below(11) as u8));
        let (width, off) = (self.of(&WIDTHS), self.0 as i16);
        let wide = if self.below(4) == 0 { Wide::W32 } else { Wide::W64 };
        let operand = if self.below(2) == 0 { Operand::Reg(src) } else { Operand::Imm(self.0 as i32) };
        match self.below(10) {
            0..=2 => Inst::Load { width, signed: false, dst, src, off },
            3..=5 => Inst::Store { width, dst: src, off, src: Operand::Reg(dst) },
            6 => {
                let op = self.of(&[AtomicOp::Add { fetch: true }, AtomicOp::Xchg, AtomicOp::Cmpxchg]);
                Inst::Atomic { width: self.of(&[Width::B4, Width::B8]), op, dst: src, src: dst, off: off & !7 }
            }
            7 => {
                let off = self.below(2 * left.max(1) as u64) as i16 - left;
                Inst::Jmp {
                    wide,
                    op: self.of(&[CmpOp::Gt, CmpOp::Eq, CmpOp::SLt]),
                    dst,
                    src: operand,
                    off: off.min(left),
                }
            }
            _ => Inst::Alu { wide, op: self.of(&OPS), dst, src: operand },
        }
    }
}

/// Programs that make addresses of anything, the host's own among them, beside memory that must not change.
#[test]
fn drawn_programs_never_get_out() {
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    let canary = vec![0xa5_u8; 1 << 20];
    let host = canary.as_ptr() as u64;
    let mut arena = Arena::new(SIZE).expect("memory");
    let (mut stopped, mut ended) = (0, 0);
    for _ in 0..PROGRAMS {
        let length = 5 + draw.below(30) as i16;
        let drawn = (0..length).map(|at| match draw.inst(length - at) {
            // Backwards no further than the program's start.
            Inst::Jmp { wide, op, dst, src, off } => {
                Inst::Jmp { wide, op, dst, src, off: off.clamp(-at - 1, length - at - 1) }
            }
            other => other,
        });
        let insts: Vec<Inst> = drawn.chain([EXIT]).collect();
        let args = [host, host + 4096, draw.0, std::ptr::from_ref(&canary) as u64, arena.room()];
        match compile(&insts).run(&mut arena, args, 10_000) {
            Ok(_) => ended += 1,
            Err(Trap { kind: TrapKind::Budget | TrapKind::Misaligned { .. }, .. }) => stopped += 1,
            Err(trap) => panic!("{trap:?} of {insts:?}"),
        }
    }
    assert!(canary.iter().all(|byte| *byte == 0xa5), "memory outside of the arena was written");
    assert!(stopped > PROGRAMS / 20 && ended > PROGRAMS / 4, "{stopped} stopped, {ended} ended");
}

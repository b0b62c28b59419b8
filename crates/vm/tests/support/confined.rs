//! Programs from bytes, and a place to run them where it shows when they touch what they were not given. The fuzz target
//! `checked` asks the same of larger programs, with helpers that move memory; this is the part that needs no fuzzer.

use alveary_isa::{AluOp, AtomicOp, CmpOp, Inst, Operand, Reg, Swap, Wide, Width, encode};
use alveary_vm::{Call, Checks, Code, Env, Func, HelperFn, Image, Jit, Link, Region, Slots, TrapKind};
use std::{cell::UnsafeCell, sync::Arc};

/// Bytes of each stretch of memory, and of the poison between them.
const STRETCH: usize = 256;
/// What memory holds that a program must not change.
const POISON: u8 = 0xa5;
/// The stretches, between and around which all is poison: writable, read-only, and a row of values.
const WRITABLE: usize = 1;
const READ_ONLY: usize = 3;
const ROW: usize = 5;
const STRETCHES: usize = 7;
const SLOTS: Slots = Slots { stride: 24, size: 12 };

/// Runs the program that `bytes` describe in checked mode.
///
/// # Panics
/// If it changed memory that it was not given, or ran more instructions than it had fuel for.
pub fn run_confined(bytes: &[u8]) {
    let Ok(image) = Image::checked(&code(bytes), &Owner) else { return };
    let arena = Arena::new();
    let env = Env::new();
    env.host.set((&raw const arena).cast());
    arena.give(&env, WRITABLE);
    env.fuel.set(5_000);
    let args = [WRITABLE, READ_ONLY, ROW].map(|stretch| arena.addr(stretch));
    let _ = image.run(&env, 0, [args[0], args[1], args[2], STRETCH as u64, Image::function(1)], Some(&Owner));
    assert!(env.fuel.get() <= 5_000);
    arena.check();
}

/// Compiles the program that `bytes` describe, which nothing vouches for, and runs it not.
pub fn compile(bytes: &[u8], jit: &Arc<Jit>) {
    // SAFETY: it is not run.
    let _ = unsafe { Image::native(&code(bytes), &Owner, jit) };
}

fn code(bytes: &[u8]) -> Code {
    let (insts, starts) = program(bytes);
    Code {
        insns: insts.iter().flat_map(|inst| encode(inst).to_vec()).collect(),
        funcs: starts.into_iter().map(|start| Func { start, stack: 512 }).collect(),
        calls: (0..HELPERS.len() as u32).map(|tag| Call { args: 5, returns: true, tag }).collect(),
        ..Code::default()
    }
}

/// Memory in stretches.
struct Arena(Box<[UnsafeCell<u64>]>);

impl Arena {
    fn new() -> Arena {
        Arena((0..STRETCHES * STRETCH / 8).map(|_| UnsafeCell::new(u64::from_ne_bytes([POISON; 8]))).collect())
    }

    fn addr(&self, stretch: usize) -> u64 {
        self.0.as_ptr() as u64 + (stretch * STRETCH) as u64
    }

    /// Gives the program its memory; the writable stretch is where the helper that moves it says.
    fn give(&self, env: &Env, writable: usize) {
        let region = |stretch, write, slots| Region { addr: self.addr(stretch), len: STRETCH as u64, write, slots };
        // SAFETY: the arena outlives the environment and is only read after the run.
        unsafe {
            env.set_region(0, region(writable, true, None));
            env.set_region(1, region(READ_ONLY, false, None));
            env.set_region(2, region(ROW, true, Some(SLOTS)));
        }
    }

    fn check(&self) {
        for at in 0..STRETCHES * STRETCH {
            let within = at % STRETCH;
            let given = match at / STRETCH {
                WRITABLE => true,
                ROW => within % (SLOTS.stride as usize) < SLOTS.size as usize,
                _ => false,
            };
            // SAFETY: inside the arena; nothing runs.
            let byte = unsafe { *self.0.as_ptr().cast::<u8>().add(at) };
            assert!(given || byte == POISON, "byte {within} of stretch {} was changed to {byte:#x}", at / STRETCH);
        }
    }
}

const HELPERS: [HelperFn; 6] = [identity, call_back, leave, tail, stop, take_away];

unsafe extern "C" fn identity(_: *const Env, r1: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    r1
}

unsafe extern "C" fn call_back(env: *const Env, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64) -> u64 {
    // SAFETY: the engine hands its own environment.
    unsafe { &*env }.callback(r5, [r1, r2, r3, r4, r5]).unwrap_or(0)
}

unsafe extern "C" fn leave(env: *const Env, r1: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the engine hands its own environment.
    unsafe { &*env }.leave(r1);
    0
}

unsafe extern "C" fn tail(env: *const Env, _: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the engine hands its own environment.
    unsafe { &*env }.tail(env.cast());
    0
}

unsafe extern "C" fn stop(env: *const Env, r1: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the engine hands its own environment.
    unsafe { &*env }.stop(TrapKind::Helper(r1 as u32));
    0
}

/// Takes all memory away, or gives it back.
unsafe extern "C" fn take_away(env: *const Env, r1: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the engine hands its own environment, whose host is the arena.
    let (env, arena) = unsafe { (&*env, &*(*env).host.get().cast::<Arena>()) };
    if r1 & 1 == 0 {
        env.clear_regions()
    } else {
        arena.give(env, WRITABLE)
    }
    0
}

struct Owner;

// SAFETY: the helpers are sound to call with any arguments.
unsafe impl Link for Owner {
    fn map(&self, map: u16) -> u64 {
        map.into()
    }

    fn map_value(&self, map: u16, off: u32) -> u64 {
        u64::from(map) + u64::from(off)
    }

    fn memory(&self, map: u16, off: u64) -> u64 {
        u64::from(map) + off
    }

    fn helper(&self, call: u16) -> HelperFn {
        HELPERS[usize::from(call)]
    }
}

impl Checks for Owner {
    fn load(&self, _: &Env, addr: u64, width: Width) -> Result<u64, TrapKind> {
        if addr < 4096 { Ok(addr) } else { Err(TrapKind::Load { addr, width }) }
    }

    fn store(&self, _: &Env, addr: u64, width: Width, _: u64) -> Result<(), TrapKind> {
        if addr < 4096 { Ok(()) } else { Err(TrapKind::Store { addr, width }) }
    }

    fn call(&self, env: &Env, _: u32, body: HelperFn, [r1, r2, r3, r4, r5]: [u64; 5]) -> Result<u64, TrapKind> {
        // SAFETY: the helpers are sound to call with any arguments.
        Ok(unsafe { body(env, r1, r2, r3, r4, r5) })
    }
}

/// A program from bytes, eight for each instruction, and where its functions begin. All are well-formed but for what a
/// program can only get wrong as a whole.
fn program(bytes: &[u8]) -> (Vec<Inst>, Vec<u32>) {
    let chunks = bytes.as_chunks::<8>().0;
    // The second half is a subprogram; both end in an exit.
    let half = chunks.len() / 2;
    let mut insts: Vec<Inst> = chunks[..half].iter().map(|chunk| inst(*chunk)).chain([Inst::Exit]).collect();
    insts.extend(chunks[half..].iter().map(|chunk| inst(*chunk)).chain([Inst::Exit]));
    let mut slots: Vec<u32> = vec![];
    let mut slot = 0;
    for inst in &insts {
        slots.push(slot);
        slot += inst.slots() as u32;
    }
    let subprogram = slots[half + 1];
    let ends = [half, insts.len() - 1];
    for (index, inst) in insts.iter_mut().enumerate() {
        let (first, last) = if index <= half { (0, ends[0]) } else { (half + 1, ends[1]) };
        let to = |wish: i32| {
            slots[first + wish.unsigned_abs() as usize % (last - first + 1)] as i32 - slots[index] as i32 - 1
        };
        match inst {
            Inst::Ja { off, .. } => *off = to(*off),
            Inst::Jmp { off, .. } | Inst::MayGoto { off } => *off = to((*off).into()) as i16,
            Inst::CallLocal { rel } | Inst::FuncAddr { rel, .. } => {
                *rel = subprogram as i32 - slots[index] as i32 - 1;
            }
            _ => {}
        }
    }
    (insts, vec![0, subprogram])
}

/// Offsets around the ends of stretches, values and frames.
const EDGES: [i16; 24] =
    [0, 1, 4, 5, 8, 9, 12, 24, 36, 248, 249, 252, 253, 254, 255, 256, -1, -2, -4, -7, -8, -9, -512, -513];

fn inst([kind, registers, shape, off, imm @ ..]: [u8; 8]) -> Inst {
    // r1 to r3 hold addresses: they are seldom written, and often accessed through.
    let dst =
        Reg(if registers & 15 < 13 { [0, 4, 5, 6, 7, 8, 9][usize::from(registers & 15) % 7] } else { registers & 3 });
    let src = Reg((registers >> 4) % 11);
    let wide = if shape & 1 == 0 { Wide::W64 } else { Wide::W32 };
    let width = [Width::B1, Width::B2, Width::B4, Width::B8][usize::from(shape >> 1) % 4];
    let word = if shape & 2 == 0 { Width::B4 } else { Width::B8 };
    let imm = i32::from_le_bytes(imm) >> (shape & 31);
    let operand = if shape & 64 == 0 { Operand::Reg(src) } else { Operand::Imm(imm) };
    let off = if off & 1 == 0 { EDGES[usize::from(off >> 1) % EDGES.len()] } else { i16::from(off as i8) * 8 };
    let alu = [
        AluOp::Mov,
        AluOp::Add,
        AluOp::Sub,
        AluOp::Mul,
        AluOp::Div,
        AluOp::SDiv,
        AluOp::Or,
        AluOp::And,
        AluOp::Lsh,
        AluOp::Rsh,
        AluOp::Mod,
        AluOp::SMod,
        AluOp::Xor,
        AluOp::Arsh,
    ];
    let cmp = [CmpOp::Eq, CmpOp::Ne, CmpOp::Set, CmpOp::Gt, CmpOp::Lt, CmpOp::SGe, CmpOp::SLt, CmpOp::Le];
    let fetch = shape & 4 != 0;
    let atomic =
        [AtomicOp::Add { fetch }, AtomicOp::Or { fetch }, AtomicOp::Xor { fetch }, AtomicOp::Xchg, AtomicOp::Cmpxchg];
    let base = [src, Reg::FP, Reg::R1, Reg::R2, Reg::R3][usize::from(shape >> 5) % 5];
    match kind % 24 {
        0..4 => Inst::Alu { wide, op: alu[imm as usize % alu.len()], dst, src: operand },
        4 => Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst, src: Operand::Reg(src) },
        5 => Inst::Alu { wide: Wide::W64, op: AluOp::Add, dst, src: Operand::Imm(off.into()) },
        6..9 => Inst::Load { width, signed: fetch && width != Width::B8, dst, src: base, off },
        9..12 => Inst::Store { width, dst: base, off, src: operand },
        12 => Inst::Atomic { width: word, op: atomic[imm as usize % atomic.len()], dst: base, src: dst, off },
        13 => Inst::LoadAcquire { width, dst, src: base, off },
        14 => Inst::StoreRelease { width, dst: base, src: dst, off },
        15 => Inst::Ja { off: imm, long: true },
        16..18 => Inst::Jmp { wide, op: cmp[imm as usize % cmp.len()], dst, src: operand, off: imm as i16 },
        18 => Inst::MayGoto { off },
        19 => Inst::CallHelper { id: (imm as u32 % HELPERS.len() as u32) as i32 },
        20 => Inst::CallLocal { rel: 0 },
        21 => Inst::FuncAddr { dst, rel: 0 },
        22 => Inst::CallX { dst, in_imm: false },
        _ => Inst::Swap { kind: Swap::Bswap, bits: 64, dst },
    }
}

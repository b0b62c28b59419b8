//! Any program in the checked engine, on memory of which it may touch a part.

use crate::program::{self, Piece, copy, lay_out};
use alveary_isa::{Endian, Insn, Inst, Reg, Width};
use alveary_vm::{Call, Checks, Code, Env, Exit, Func, HelperFn, Image, Link, Region, Slots, Trap, TrapKind};
use arbitrary::{Result, Unstructured};
use std::cell::Cell;

const FUEL: u64 = 4096;
/// Where a field of the context stands for programs: no memory is there.
const CONTEXT: u64 = 0xffff_c000_0000_0000;

/// Words of the memory, and its parts in bytes. What lies between them belongs to nobody.
const WORDS: usize = 256;
const PACKET: std::ops::Range<usize> = 128..256;
const VALUES: std::ops::Range<usize> = 512..768;
const FIXED: std::ops::Range<usize> = 1024..1088;
/// Where the packet is when the helper that moves it was called.
const MOVED: std::ops::Range<usize> = 1280..1344;
/// The row of values: what may be touched of each, and the distance between them.
const VALUE: usize = 12;
const STRIDE: usize = 16;

/// The first byte says whether the rest are slots or what a program is generated from.
///
/// A run ends within its budget and has changed nothing outside what it may write to; a second one does the same; if
/// it ended well and touched only memory, trusted mode does the same too.
pub fn checked(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    if *kind == 0 {
        let (slots, _) = rest.as_chunks::<8>();
        let insns: Vec<Insn> = slots.iter().map(|slot| Insn::from_bytes(*slot, Endian::Little)).collect();
        hold(insns, vec![0]);
    } else if let Ok((insns, starts)) = generate(&mut Unstructured::new(rest)) {
        hold(insns, starts);
    }
}

/// Where the first function puts its arguments, and the stack.
const BASES: [program::Base; 6] = [
    (Reg(6), 0..=120),
    (Reg(6), 0..=56),
    (Reg(7), 0..=(VALUES.end - VALUES.start) as i16 - 8),
    (Reg(8), 0..=56),
    (Reg(9), 0..=16),
    (Reg::FP, -512..=-8),
];

/// Up to four functions. The first keeps its arguments, which are addresses, where the others find them.
fn generate(u: &mut Unstructured<'_>) -> Result<(Vec<Insn>, Vec<u32>)> {
    let mut functions = Vec::new();
    for n in 0..u.int_in_range(1..=4)? {
        let mut pieces = Vec::new();
        if n == 0 {
            pieces.extend((1..=4).map(|argument| copy(Reg(argument + 5), Reg(argument))));
        }
        for _ in 0..u.int_in_range(1..=24)? {
            pieces.push(if u.ratio(1, 8)? {
                Piece::Inst(Inst::CallHelper { id: u.int_in_range(0..=HELPERS.len() as i32)? })
            } else {
                program::plain(u, &BASES)?
            });
        }
        pieces.push(Piece::Inst(Inst::Exit));
        functions.push(pieces);
    }
    Ok(lay_out(&functions))
}

fn hold(insns: Vec<Insn>, starts: Vec<u32>) {
    let slots = insns.len();
    let code = Code {
        insns,
        funcs: starts.into_iter().map(|start| Func { start, stack: 512 }).collect(),
        calls: (0..).zip(HELPERS).map(|(tag, _)| Call { args: 5, returns: true, tag }).collect(),
        ..Code::default()
    };
    let memory = Memory::new();
    let owner = Owner { memory: &memory, only_memory: Cell::new(true) };
    let image = match Image::checked(&code, &owner) {
        Ok(image) => image,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let env = Env::new();
    let first = owner.run(&env, &image);
    if let Err(Trap { insn, .. }) = first.result {
        assert!((insn as usize) < slots, "{first:?}");
    }
    let only_memory = owner.only_memory.get();
    assert_eq!(owner.run(&env, &image), first, "the same again");
    if let (Ok(_), true) = (first.result, only_memory) {
        // SAFETY: the checked run before made the same accesses, to the same memory with the same content, and each
        // was inside; it called helpers that are sound with any arguments.
        let trusted = unsafe { Image::trusted(&code, &owner) }.expect("the checked mode took it");
        let mut result = owner.run(&env, &trusted);
        // It does not count.
        result.left = first.left;
        assert_eq!(result, first, "trusted as checked");
    }
}

/// What a run leaves behind.
#[derive(Debug, PartialEq)]
struct Left {
    result: std::result::Result<Exit, Trap>,
    left: u64,
    memory: Vec<u64>,
}

/// Memory with a pattern, of which programs get parts.
struct Memory(Box<[Cell<u64>]>);

impl Memory {
    fn new() -> Memory {
        Memory((0..WORDS).map(|_| Cell::new(0)).collect())
    }

    fn address(&self, at: usize) -> u64 {
        self.0.as_ptr() as u64 + at as u64
    }

    fn pattern(word: usize) -> u64 {
        (word as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn reset(&self) {
        self.0.iter().enumerate().for_each(|(n, word)| word.set(Memory::pattern(n)));
    }

    /// # Panics
    /// If a byte changed that no program may write to.
    fn hold(&self) {
        let may_change = |at: usize| {
            PACKET.contains(&at) || MOVED.contains(&at) || VALUES.contains(&at) && (at - VALUES.start) % STRIDE < VALUE
        };
        for (n, word) in self.0.iter().enumerate() {
            let bytes = word.get().to_ne_bytes().into_iter().zip(Memory::pattern(n).to_ne_bytes());
            for (byte, (found, before)) in bytes.enumerate() {
                let at = n * 8 + byte;
                assert!(found == before || may_change(at), "byte {at} was {before:#x}, is {found:#x}");
            }
        }
    }

    fn region(&self, part: std::ops::Range<usize>, write: bool) -> Region {
        Region { addr: self.address(part.start), len: part.len() as u64, write, slots: None }
    }
}

struct Owner<'a> {
    memory: &'a Memory,
    /// The run touched memory only: no field of a context, and no address that nobody owns.
    only_memory: Cell<bool>,
}

impl Owner<'_> {
    fn run(&self, env: &Env, image: &Image) -> Left {
        let memory = self.memory;
        memory.reset();
        env.fuel.set(FUEL);
        env.tail_calls.set(0);
        env.host.set(std::ptr::from_ref(memory).cast());
        let values =
            Region { slots: Some(Slots { stride: STRIDE as u32, size: VALUE as u32 }), ..memory.region(VALUES, true) };
        for (n, region) in [memory.region(PACKET, true), values, memory.region(FIXED, false)].into_iter().enumerate() {
            // SAFETY: the memory outlives the run and is cells.
            unsafe { env.set_region(n, region) };
        }
        let args = [PACKET.start, VALUES.start, FIXED.start].map(|at| memory.address(at));
        let result = image.run(env, 0, [args[0], args[1], args[2], CONTEXT, 7], Some(self));
        memory.hold();
        env.clear_regions();
        let left = env.fuel.get();
        assert!(left <= FUEL);
        Left { result, left, memory: memory.0.iter().map(Cell::get).collect() }
    }
}

impl Checks for Owner<'_> {
    fn load(&self, _: &Env, addr: u64, width: Width) -> std::result::Result<u64, TrapKind> {
        self.only_memory.set(false);
        match addr.wrapping_sub(CONTEXT) {
            // A field that holds an address, as `data` of a packet's context does, and one that holds a number.
            0 if width == Width::B4 => Ok(self.memory.address(PACKET.start)),
            8 => Ok(0x0123_4567_89ab_cdef),
            _ => Err(TrapKind::Load { addr, width }),
        }
    }

    fn store(&self, _: &Env, addr: u64, width: Width, _: u64) -> std::result::Result<(), TrapKind> {
        self.only_memory.set(false);
        if addr == CONTEXT + 16 { Ok(()) } else { Err(TrapKind::Store { addr, width }) }
    }

    fn call(&self, env: &Env, tag: u32, body: HelperFn, args: [u64; 5]) -> std::result::Result<u64, TrapKind> {
        assert!((tag as usize) < HELPERS.len());
        // SAFETY: the helpers below are sound with any arguments.
        Ok(unsafe { body(env, args[0], args[1], args[2], args[3], args[4]) })
    }
}

// SAFETY: there are no maps; helpers are functions of this program, sound with any arguments.
unsafe impl Link for Owner<'_> {
    fn map(&self, _: u16) -> u64 {
        0
    }

    fn map_value(&self, _: u16, _: u32) -> u64 {
        0
    }

    fn memory(&self, _: u16, _: u64) -> u64 {
        0
    }

    fn helper(&self, call: u16) -> HelperFn {
        HELPERS[usize::from(call)]
    }
}

/// One for each thing that a helper may ask of the engine.
const HELPERS: [HelperFn; 7] = [sum, twice, leave, stop, tail, shrink, moves];

unsafe extern "C" fn sum(_: *const Env, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64) -> u64 {
    [r1, r2, r3, r4, r5].into_iter().fold(0, u64::wrapping_add)
}

unsafe extern "C" fn twice(env: *const Env, r1: u64, r2: u64, r3: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the engine hands its own environment.
    let env = unsafe { &*env };
    // A function by its word, or one of the first two by a small number.
    let function = if r1 < 2 { Image::function(r1 as u16) } else { r1 };
    (0..2).filter_map(|n| env.callback(function, [r2, n, r3, 0, 0]).ok()).fold(0, u64::wrapping_add)
}

unsafe extern "C" fn leave(env: *const Env, r1: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the engine hands its own environment.
    unsafe { &*env }.leave(r1);
    0
}

unsafe extern "C" fn stop(env: *const Env, r1: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the engine hands its own environment.
    unsafe { &*env }.stop(TrapKind::Helper(r1 as u32));
    0
}

unsafe extern "C" fn tail(env: *const Env, _: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the engine hands its own environment.
    unsafe { &*env }.tail(std::ptr::null());
    0
}

/// Takes the second half of the packet away, as `bpf_xdp_adjust_tail` does.
unsafe extern "C" fn shrink(env: *const Env, _: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    replace(env, PACKET.start..PACKET.start + PACKET.len() / 2)
}

/// Puts the packet elsewhere, as `bpf_skb_change_head` does.
unsafe extern "C" fn moves(env: *const Env, _: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    replace(env, MOVED)
}

fn replace(env: *const Env, part: std::ops::Range<usize>) -> u64 {
    // SAFETY: the engine hands its own environment, whose host is the memory for the time of the run.
    let (env, memory) = unsafe { (&*env, &*(*env).host.get().cast::<Memory>()) };
    // SAFETY: the memory outlives the run and is cells.
    unsafe { env.set_region(0, memory.region(part.clone(), true)) };
    memory.address(part.start)
}

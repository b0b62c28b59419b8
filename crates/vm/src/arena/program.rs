//! Programs for arenas: what they may call, how they are compiled and run.

use super::{Arena, Memory};
use crate::bad_code::BadCodeKind;
use crate::engine::{Trusted, handler_at};
use crate::jit::{Native, Rules, stack_top};
use crate::predecode::predecode;
use crate::{BadCode, Call, Code, Env, Exit, Func, HelperFn, Jit, Link, Trap, TrapKind};
use alveary_isa::{Insn, Inst, decode};
use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// Slots of a program, at most, and unless told otherwise: as many instructions as Linux takes of those who have no rights.
const MAX_SLOTS: usize = 1 << 16;
const USUAL_SLOTS: usize = 1 << 12;
/// Functions of a program, as with Linux.
const MAX_FUNCTIONS: usize = 256;
/// Calls by registers times what they may call: each of them asks for all of it.
const MAX_REGISTER_CALLS: usize = 1 << 12;

/// What a program may call: it gets the arena and r1–r5, and gives back r0, or stops the program with a number.
type Helper = Box<dyn Fn(&mut Memory<'_>, [u64; 5]) -> Result<u64, u32> + Send + Sync>;

/// A program that is compiled for arenas of a size. Threads may run it side by side, each in an arena of its own.
pub struct Program {
    native: Native,
    helpers: Vec<(u32, Helper)>,
    size: u64,
}

/// A program that gets its helpers ([`Program::new`]).
#[must_use]
pub struct Unfinished<'a> {
    insns: &'a [Insn],
    size: u64,
    most: usize,
    jit: Arc<Jit>,
    helpers: Vec<(u32, Helper)>,
}

impl Program {
    /// A program for arenas of `size` bytes or more, of which it uses as many. It may use what RFC 9669 defines and no
    /// registers but r0–r10; helpers are called by number.
    #[allow(clippy::new_ret_no_self, reason = "a program begins without helpers")]
    pub fn new<'a>(insns: &'a [Insn], size: u64, jit: &Arc<Jit>) -> Unfinished<'a> {
        Unfinished { insns, size, most: USUAL_SLOTS, jit: jit.clone(), helpers: Vec::new() }
    }

    /// Bytes of an arena, from 0 on, that are the embedder's to fill: behind them are this program's stack frames, and what
    /// is beyond the size that it was compiled for.
    #[must_use]
    pub fn room(&self) -> u64 {
        self.size - super::STACKS
    }

    /// Runs it, with r1–r5, for as long as `fuel` lasts. Straight pieces of the program are paid for where they begin, an
    /// instruction by one of fuel; the program is stopped where it has begun more than was left, before it has run 256
    /// instructions of that. What is known when it is compiled, as where a jump to a jump leads, is not paid for.
    ///
    /// # Errors
    /// Why and where it was stopped: [`TrapKind::Budget`] when the fuel was used up, [`TrapKind::Depth`] by the ninth
    /// frame, [`TrapKind::Helper`] with a helper's number, [`TrapKind::BadCall`], [`TrapKind::Misaligned`] for atomics.
    ///
    /// # Panics
    /// If the arena is smaller than what the program was compiled for; and as its helpers do.
    pub fn run(&self, arena: &mut Arena, args: [u64; 5], fuel: u64) -> Result<u64, Trap> {
        assert!(arena.size >= self.size, "the program was compiled for a larger arena");
        let base = arena.memory().base;
        let caller = Caller { helpers: &self.helpers, base, size: arena.size, panic: Cell::new(None) };
        let env = &*arena.env;
        env.fuel.set(fuel);
        env.arena.set(base as u64);
        env.frames.set(stack_top(self.size));
        env.host.set(std::ptr::from_ref(&caller).cast());
        env.stack.truncate(0);
        env.stack.begin(0);
        // SAFETY: by its rules the code accesses the arena and its slack alone, which are the arena's own and borrowed
        // here, beside frames of its own and the environment's counters; it calls `call` alone. It has been pre-decoded.
        let end = unsafe { self.native.enter(env, 0, args) };
        env.host.set(std::ptr::null());
        if let Some(panic) = caller.panic.take() {
            resume_unwind(panic);
        }
        match end {
            Ok(Exit::Return(value)) => Ok(value),
            // No helper can ask for one.
            Ok(Exit::Tail) => Err(Trap { insn: 0, kind: TrapKind::TailCall }),
            Err(fault) => Err(fault.trap(|slot| slot as u32)),
        }
    }
}

impl Unfinished<'_> {
    /// Lets the program call `body` as helper `number`.
    pub fn helper(
        mut self,
        number: u32,
        body: impl Fn(&mut Memory<'_>, [u64; 5]) -> Result<u64, u32> + Send + Sync + 'static,
    ) -> Self {
        self.helpers.push((number, Box::new(body)));
        self
    }

    /// Takes a program of up to so many slots, 65,536 at most; 4,096 unless told otherwise. Nobody has looked what the
    /// program is like, and compiling takes time and memory by its length, whatever it was written for.
    pub fn most_slots(mut self, slots: usize) -> Self {
        self.most = slots.min(MAX_SLOTS);
        self
    }

    /// Compiles it.
    ///
    /// # Errors
    /// It has more slots than it may, more than 256 functions, or so many calls by register that these times what they may
    /// call is more than 4,096 ([`BadCodeKind::TooMany`]). The first slot that is no instruction, jumps or calls where there is none, calls a helper that it was not given, or
    /// names a map; or there is no room for native code.
    pub fn compile(self) -> Result<Program, BadCode> {
        let code = self.code()?;
        let ops = predecode(&code, &Nothing, handler_at::<Trusted>)?;
        let rules = Rules { arena: Some(self.size - 1), fuel: true, ..self.jit.rules() };
        let native = self.jit.compile_by(&code, &ops, rules)?;
        Ok(Program { native, helpers: self.helpers, size: self.size })
    }

    fn code(&self) -> Result<Code, BadCode> {
        let bad = |slot: usize, why| BadCode { insn: slot as u32, why };
        if !self.size.is_power_of_two() || !(super::SIZES.0..=super::SIZES.1).contains(&self.size) {
            return Err(bad(0, BadCodeKind::Unsupported("an arena of such a size")));
        }
        let at_most = |what, found, most| match found {
            found if found > most => Err(bad(0, BadCodeKind::TooMany { what, found, most })),
            _ => Ok(()),
        };
        at_most("instruction slots", self.insns.len(), self.most)?;
        let mut insns = self.insns.to_vec();
        let mut starts = vec![0];
        let mut register_calls = 0;
        let mut slot = 0;
        while slot < insns.len() {
            // The registers of lowered code are none of a program's.
            let inst = decode(&insns, slot).map_err(|error| bad(slot, BadCodeKind::Undefined(error)))?;
            match inst {
                Inst::CallHelper { id } => {
                    let number = self.helpers.iter().position(|(number, _)| *number == id as u32);
                    let no_helper = BadCodeKind::NoHelper { call: id.into() };
                    insns[slot].imm = number.ok_or(bad(slot, no_helper))? as i32;
                }
                Inst::CallLocal { rel } | Inst::FuncAddr { rel, .. } => {
                    let target = slot as i64 + 1 + i64::from(rel);
                    let start = u32::try_from(target).map_err(|_| bad(slot, BadCodeKind::NoFunction { target }))?;
                    starts.push(start);
                }
                Inst::CallX { .. } => register_calls += 1,
                _ => {}
            }
            slot += inst.slots();
        }
        starts.sort_unstable();
        starts.dedup();
        at_most("functions", starts.len(), MAX_FUNCTIONS)?;
        let callable = starts.len() + self.helpers.len();
        at_most("calls by register times what they may call", register_calls * callable, MAX_REGISTER_CALLS)?;
        let funcs = starts.into_iter().map(|start| Func { start, stack: 512 }).collect();
        let calls = self.helpers.iter().map(|&(tag, _)| Call { args: 5, returns: true, tag }).collect();
        Ok(Code { insns, funcs, calls, ..Code::default() })
    }
}

/// What `call` finds behind the environment.
struct Caller<'a> {
    helpers: &'a [(u32, Helper)],
    base: *mut u8,
    size: u64,
    /// What a helper panicked with.
    panic: Cell<Option<Box<dyn Any + Send>>>,
}

/// Calls the helper whose place the code has put into the environment.
unsafe extern "C" fn call(env: *const Env, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64) -> u64 {
    // SAFETY: native code hands over the environment that `Program::run` entered it with, which has put its caller there
    // and waits for it to return.
    let (env, caller) = unsafe { (&*env, &*(*env).host.get().cast::<Caller<'_>>()) };
    let Some((_, helper)) = caller.helpers.get(env.called.get() as usize) else {
        env.stop(TrapKind::BadInsn);
        return 0;
    };
    let mut memory = Memory { base: caller.base, size: caller.size, arena: PhantomData };
    // No panic may pass through native code.
    match catch_unwind(AssertUnwindSafe(|| helper(&mut memory, [r1, r2, r3, r4, r5]))) {
        Ok(Ok(value)) => value,
        Ok(Err(number)) => {
            env.stop(TrapKind::Helper(number));
            0
        }
        Err(panic) => {
            caller.panic.set(Some(panic));
            env.stop(TrapKind::Helper(0));
            0
        }
    }
}

/// There are no maps: what names one is refused before it gets an address.
struct Nothing;

// SAFETY: the one function takes any arguments from code that `Program::run` has entered.
unsafe impl Link for Nothing {
    fn map(&self, _: u16) -> u64 {
        0
    }

    fn map_value(&self, _: u16, _: u32) -> u64 {
        0
    }

    fn memory(&self, _: u16, _: u64) -> u64 {
        0
    }

    fn helper(&self, _: u16) -> HelperFn {
        call
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let helpers: Vec<u32> = self.helpers.iter().map(|(number, _)| *number).collect();
        f.debug_struct("Program").field("size", &self.size).field("helpers", &helpers).finish_non_exhaustive()
    }
}

impl fmt::Debug for Unfinished<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unfinished").field("slots", &self.insns.len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux"))]
mod tests {
    use super::*;
    use crate::Settings;
    use alveary_isa::asm::assemble;

    #[test]
    fn constants_of_hardened_programs_stand_nowhere_in_their_code() {
        let (assembly, _) =
            assemble("r0 = r1\nr0 += 0x3c3c3c3c\nr2 = 0x9090909090909090 ll\nr0 ^= r2\nexit\n", &|_| None);
        let insns = assembly.into_raw().expect("one section");
        let found = |harden: bool| {
            let jit = Jit::with(Settings { harden, ..Settings::default() }).expect("there is one for this machine");
            let program = Program::new(&insns, 1 << 16, &jit).compile().expect("well-formed");
            let end = program.run(&mut Arena::new(1 << 16).expect("memory"), [1, 0, 0, 0, 0], 100);
            assert_eq!(end, Ok(0x3c3c_3c3d ^ 0x9090_9090_9090_9090_u64));
            [[0x90; 4], [0x3c; 4]].map(|bytes| program.native.code().windows(4).any(|window| window == bytes))
        };
        assert_eq!(found(false), [true, true]);
        assert_eq!(found(true), [false, false]);
    }
}

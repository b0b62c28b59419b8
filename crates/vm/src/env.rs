//! What engine, helpers and lowered instructions see of the running CPU.

use crate::hot::Hot;
use crate::region::{Regions, Span};
use crate::stack::Stack;
use crate::{Checks, Exit, Image, Region, Trap, TrapKind};
use std::{cell::Cell, mem::offset_of};

/// A helper's body: the running [`Env`], and r1–r5.
///
/// What it gives back is r0. It may call [`Env::callback`]; it stops the program by [`Env::stop`].
pub type HelperFn = unsafe extern "C" fn(env: *const Env, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64) -> u64;

/// The running CPU. The hidden register `r12` holds its address.
///
/// All cells, never `&mut`: helpers re-enter the engine (callbacks, timers).
///
/// # What a helper asks of the engine
/// [`stop`](Env::stop), [`unwind`](Env::unwind), [`leave`](Env::leave) and [`tail`](Env::tail) take effect when the
/// helper returns. They share one cell, so that the engine looks at one word after each call; the last one counts,
/// except that nothing takes back a trap.
// Native code relies on the lower bits of its address (`jit/hoist.rs`).
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Env {
    /// Number of the virtual CPU.
    pub cpu: Cell<u64>,
    /// Time in ns, where time is virtual.
    pub now: Cell<u64>,
    /// State of the random number generator.
    pub rng: Cell<u64>,
    /// The owner (the runtime's virtual CPU).
    pub host: Cell<*const ()>,
    /// The context of this run.
    pub ctx: Cell<*mut u8>,
    /// State of the program type's family.
    pub state: Cell<*const ()>,
    /// Instructions that may still be run. Checked mode counts down, exactly: what it was before a run less what it is
    /// after is the number of instructions that were run. Helpers see the count up to and with their call.
    pub fuel: Cell<u64>,
    /// Tail calls of this run so far.
    pub tail_calls: Cell<u32>,
    /// Not [`Request::None`] only between a helper's request and its return.
    request: Cell<Request>,
    /// Whether it is not: what engines look at after each call.
    pub(crate) asked: Cell<bool>,
    /// How native code ended that did not return.
    pub(crate) stop: Cell<Result<Exit, Fault>>,
    /// What is running, for callbacks: null, or what a frame of the native stack holds that is still there.
    pub(crate) running: Cell<*const Running>,
    /// Where a tail call goes: the owner's word for a program.
    next: Cell<*const ()>,
    /// Where the arena begins that the running program is confined to, and which of its helpers it calls.
    pub(crate) arena: Cell<u64>,
    pub(crate) called: Cell<u64>,
    /// Where its outermost stack frame ends in the arena.
    pub(crate) frames: Cell<u64>,
    pub(crate) hot: Hot,
    regions: Regions,
    pub(crate) stack: Stack,
}

/// What a helper asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    None,
    /// Stop with this trap, here.
    Stop(TrapKind),
    /// Stop with this trap, which has its place already.
    Unwind(Trap),
    /// The function that made the call returns this.
    Leave(u64),
    /// A tail call to [`Env::next`].
    Tail,
}

/// Why a run stopped early.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// At this slot.
    At(usize, TrapKind),
    /// Somewhere else, in a run or a callback that ended before.
    Elsewhere(Trap),
}

impl Fault {
    pub(crate) fn trap(self, origin: impl FnOnce(usize) -> u32) -> Trap {
        match self {
            Fault::At(slot, kind) => Trap { insn: origin(slot), kind },
            Fault::Elsewhere(trap) => trap,
        }
    }
}

/// The program that is running on an [`Env`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    pub(crate) image: *const Image,
    pub(crate) checks: Option<*const dyn Checks>,
    /// Its outermost stack frame.
    pub(crate) base: usize,
}

impl Default for Env {
    fn default() -> Env {
        Env::new()
    }
}

impl Env {
    /// Where [`Env::cpu`] stands, for lowered code.
    pub const CPU: i16 = offset_of!(Env, cpu) as i16;
    /// Where [`Env::now`] stands.
    pub const NOW: i16 = offset_of!(Env, now) as i16;

    /// A CPU that runs nothing yet: all zero, no regions, unlimited fuel.
    #[must_use]
    pub fn new() -> Env {
        let stack = Stack::new();
        Env {
            cpu: Cell::new(0),
            now: Cell::new(0),
            rng: Cell::new(0),
            host: Cell::new(std::ptr::null()),
            ctx: Cell::new(std::ptr::null_mut()),
            state: Cell::new(std::ptr::null()),
            fuel: Cell::new(u64::MAX),
            tail_calls: Cell::new(0),
            request: Cell::new(Request::None),
            asked: Cell::new(false),
            stop: Cell::new(Ok(Exit::Tail)),
            running: Cell::new(std::ptr::null()),
            next: Cell::new(std::ptr::null()),
            arena: Cell::new(0),
            frames: Cell::new(0),
            called: Cell::new(0),
            hot: Hot::new(stack.frame(0)),
            regions: Regions::default(),
            stack,
        }
    }

    /// Stops the program when the helper that calls this returns.
    pub fn stop(&self, why: TrapKind) {
        self.ask(Request::Stop(why));
    }

    /// As [`Env::stop`], with a trap that another run ended with.
    pub fn unwind(&self, trap: Trap) {
        self.ask(Request::Unwind(trap));
    }

    /// The function that made this call returns `value` at once: the program, if no subprogram is running. So ends a
    /// legacy packet load that fails, and a tail call in a subprogram after the owner ran the other program.
    pub fn leave(&self, value: u64) {
        self.ask(Request::Leave(value));
    }

    /// The program ends with [`Exit::Tail`] when the helper that calls this returns; [`Env::next`] will say `program`.
    /// In a subprogram or a callback that is the trap [`TrapKind::TailCall`].
    pub fn tail(&self, program: *const ()) {
        self.next.set(program);
        self.ask(Request::Tail);
    }

    /// Where the last tail call goes, as it was given to [`Env::tail`].
    #[must_use]
    pub fn next(&self) -> *const () {
        self.next.get()
    }

    fn ask(&self, request: Request) {
        if !matches!(self.request.get(), Request::Stop(_) | Request::Unwind(_)) {
            self.request.set(request);
            self.asked.set(true);
        }
    }

    /// Takes what a helper asked for.
    pub(crate) fn take_request(&self) -> Request {
        self.asked.set(false);
        self.request.replace(Request::None)
    }

    /// Whether the function that is running is a subprogram or a callback: [`Env::tail`] would trap.
    #[must_use]
    pub fn in_subprogram(&self) -> bool {
        self.running().is_some_and(|running| self.stack.used() > running.base + 1)
    }

    /// Makes `region` number `at` of the memory that checked runs may touch; what had that number is forgotten.
    /// Numbers are the owner's: small and stable. It may be called while a program runs, by a helper that moves
    /// packet data for example.
    ///
    /// # Safety
    /// Until the number is set again or the regions are cleared, the region's bytes (of `slots`, the parts) must be
    /// readable, with `write` writable, and accessed by others only through raw pointers, cells or atomics: never
    /// while a reference says that they do not change. They must not overlap this `Env`.
    pub unsafe fn set_region(&self, at: usize, region: Region) {
        self.regions.set(at, region);
        self.hot.reset();
    }

    /// Forgets all regions.
    pub fn clear_regions(&self) {
        self.regions.clear();
        self.hot.reset();
    }

    /// Region number `at`.
    #[must_use]
    pub fn region(&self, at: usize) -> Option<Region> {
        self.regions.get(at)
    }

    /// How many numbers are taken: all regions have smaller ones.
    #[must_use]
    pub fn regions(&self) -> usize {
        self.regions.count()
    }

    /// Whether a checked run may touch `len` bytes at `addr`: they lie in one region, or in the stack frames in use.
    /// So a [`Checks::call`] judges a helper's memory arguments.
    #[must_use]
    pub fn covers(&self, addr: u64, len: u64, write: bool) -> bool {
        self.span(addr, len).is_some_and(|span| span.write || !write)
    }

    /// The span that `len` bytes at `addr` lie in.
    pub(crate) fn span(&self, addr: u64, len: u64) -> Option<Span> {
        let stack = self.stack.in_use();
        if stack.covers(addr, len) { Some(stack) } else { self.regions.find(addr, len) }
    }

    /// Calls a function of the running program: what `bpf_loop`, `for_each` and timers do. `func` is its word
    /// ([`Image::function`], [`crate::Sym::Func`]).
    ///
    /// # Errors
    /// The trap that ended the callback. It ends the program too when the helper returns, whatever that does with it.
    pub fn callback(&self, func: u64, args: [u64; 5]) -> Result<u64, Trap> {
        let result = match self.request.get() {
            Request::Unwind(trap) => Err(trap),
            Request::Stop(kind) => Err(Trap { insn: 0, kind }),
            _ => self.call_back(func, args),
        };
        if let Err(trap) = result {
            self.unwind(trap);
        }
        result
    }

    fn running(&self) -> Option<Running> {
        // SAFETY: `Image::batch` sets `running` to what stands in its own frame, and takes it back before it returns.
        unsafe { self.running.get().as_ref() }.copied()
    }

    fn call_back(&self, func: u64, args: [u64; 5]) -> Result<u64, Trap> {
        let bad_call = Trap { insn: 0, kind: TrapKind::BadCall { target: func } };
        let running = self.running().ok_or(bad_call)?;
        // SAFETY: `Image::batch` sets `running` to references that outlive it, and takes it back when it returns;
        // a helper that calls this is called from there.
        let (image, checks) = unsafe { (&*running.image, running.checks.map(|checks| &*checks)) };
        match image.enter(self, func, args, checks, running.base)? {
            Exit::Return(value) => Ok(value),
            Exit::Tail => Err(Trap { insn: 0, kind: TrapKind::TailCall }),
        }
    }
}

//! A virtual CPU: runs programs on contexts, one run at a time. Decides nothing about what they may do.

use crate::{
    Bytes, Clock, Family, Fault, LoadedMap, Prog, Runtime,
    trust::{self, CONTEXT, FAMILY_REGIONS, Held, Judge, Known, Near},
    watch::{Watched, Watcher},
    world::{self, ClockId},
};
use alveary_abi::HelperId;
use alveary_diag::{Diagnostic, Place};
use alveary_maps::{Reader, Value};
use alveary_vm::{Env, Exit, Region, Trap, TrapKind};
use std::{
    any::{Any, TypeId},
    cell::{Cell, RefCell},
    fmt,
    marker::PhantomData,
    ops::ControlFlow,
    panic::resume_unwind,
    sync::{Arc, atomic::Ordering},
};

/// Instructions that a run may take unless it is told otherwise.
pub const DEFAULT_BUDGET: u64 = 1 << 32;

/// Runs of a ready program after which maps may drop what they gave up meanwhile.
const READY_RUNS: u32 = 64;

/// r1–r5 of a program that takes a context.
const ON_CONTEXT: [u64; 5] = [CONTEXT, 0, 0, 0, 0];

/// A virtual CPU. One thread uses it at a time (`Send`, not `Sync`): that makes per-CPU values exclusive.
pub struct Vcpu {
    pub(crate) env: Env,
    pub(crate) held: Held,
    runtime: Arc<Runtime>,
    number: u32,
    budget: u64,
    /// What runs; null when nothing does.
    prog: Cell<*const Prog>,
    /// Where a tail call goes.
    next: RefCell<Option<Arc<Prog>>>,
    /// The program that a trap comes from, if it was tail-called by a subprogram.
    blamed: RefCell<Option<Arc<Prog>>>,
    /// What a helper panicked with.
    panic: Cell<Option<Box<dyn Any + Send>>>,
    /// Sets the regions of the running context anew.
    refresh: Cell<unsafe fn(&Env)>,
    /// First region number that no map has.
    free: Cell<usize>,
    /// r1–r5 of a program that starts.
    registers: Cell<[u64; 5]>,
    /// Who is told of each instruction.
    watcher: RefCell<Option<Box<Watcher>>>,
    /// Its part in the runtime's domain: inside it for the time of a batch, and as long as a program is ready.
    reader: Reader,
    ready: Option<Ready>,
}

/// A program that is ready to be run again.
struct Ready {
    /// Keeps its maps, whose regions are set.
    prog: Arc<Prog>,
    /// Runs until the domain is left and entered again.
    left: u32,
}

// SAFETY: the pointers in `env`, `prog` and `held` are set while a batch borrows the CPU mutably, on one thread, and
// mean nothing outside of it; everything else is `Send` itself.
unsafe impl Send for Vcpu {}

/// How a run ended, and what it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    /// `r0`.
    pub value: u64,
    /// Instructions that were executed, of callbacks and after tail calls too. Those of proven programs are not counted.
    pub insns: u64,
}

impl Vcpu {
    pub(crate) fn new(runtime: Arc<Runtime>, number: u32) -> Vcpu {
        let env = Env::new();
        env.cpu.set(u64::from(number));
        if let Clock::Virtual { start } = runtime.world().clock {
            env.now.set(start);
        }
        let reader = runtime.domain().reader();
        env.rng.set(runtime.seed() ^ u64::from(number).wrapping_mul(0xd134_2543_de82_ef95));
        Vcpu {
            env,
            held: Held::default(),
            runtime,
            number,
            budget: DEFAULT_BUDGET,
            prog: Cell::new(std::ptr::null()),
            next: RefCell::new(None),
            blamed: RefCell::new(None),
            panic: Cell::new(None),
            refresh: Cell::new(|_| {}),
            free: Cell::new(FAMILY_REGIONS),
            registers: Cell::new(ON_CONTEXT),
            watcher: RefCell::new(None),
            reader,
            ready: None,
        }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What it belongs to.
    #[must_use]
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// Sets the time, in ns, where the world's clock is virtual.
    pub fn set_time(&mut self, ns: u64) {
        self.env.now.set(ns);
    }

    /// Where its random numbers stand: those after [`Vcpu::set_randomness`] with this are the same again.
    #[must_use]
    pub fn randomness(&self) -> u64 {
        self.env.rng.get()
    }

    /// Sets where its random numbers go on, so that one run among many can be repeated.
    pub fn set_randomness(&mut self, state: u64) {
        self.env.rng.set(state);
    }

    /// Sets how many instructions a run may take. Of a proven program, which comes to an end, the rounds of its loops by
    /// helpers are counted alone.
    pub fn set_budget(&mut self, insns: u64) {
        self.budget = insns;
    }

    /// Tells `watcher` of each instruction of checked runs from now on; `None`: nobody. Proven programs are not watched.
    pub fn watch(&mut self, watcher: Option<Box<Watcher>>) {
        *self.watcher.get_mut() = watcher;
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.watcher.borrow().is_some()
    }

    pub(crate) fn tell(&self, watched: &Watched<'_>) {
        if let Some(watcher) = &mut *self.watcher.borrow_mut() {
            watcher(watched);
        }
    }

    /// Runs a program once.
    ///
    /// # Errors
    /// The trap that stopped it, as words. [`Batch::run`] gives it as data.
    pub fn run<F: Family>(&mut self, prog: &Arc<Prog>, ctx: &F::Ctx) -> Result<Ran, Diagnostic> {
        self.batch::<F>(prog)?.run(ctx).map_err(|fault| fault.diagnostic())
    }

    /// Prepares many runs of a program: what does not change between them is done once.
    ///
    /// # Errors
    /// If the program is of another family or another runtime.
    pub fn batch<F: Family>(&mut self, prog: &Arc<Prog>) -> Result<Batch<'_, F>, Diagnostic> {
        self.fits::<F>(prog)?;
        self.rest();
        let cpu: &Vcpu = self;
        let inside = cpu.reader.enter();
        cpu.enter_on::<F>(prog);
        Ok(Batch { cpu, prog: prog.clone(), family: PhantomData, _inside: inside })
    }

    /// Runs a program as [`Batch::run`] does, and leaves it ready: the next run of the same one costs hardly more than in a
    /// batch. For runs that other work comes between. What maps give up is kept meanwhile, until the program has run some
    /// more times, another one runs, or [`Vcpu::rest`].
    ///
    /// # Errors
    /// If the program is of another family or another runtime; inside, the trap that stopped it.
    #[inline]
    pub fn run_ready<F: Family>(
        &mut self,
        prog: &Arc<Prog>,
        ctx: &F::Ctx,
    ) -> Result<Result<Ran, Box<Fault>>, Diagnostic> {
        // A program that is ready was, and is, of one family and of this runtime.
        match &mut self.ready {
            Some(Ready { prog: ready, left }) if Arc::ptr_eq(ready, prog) && *left > 0 => *left -= 1,
            _ => self.make_ready::<F>(prog)?,
        }
        if prog.family.id != TypeId::of::<F>() {
            self.fits::<F>(prog)?;
        }
        let cpu: &Vcpu = self;
        cpu.prepare::<F>(prog, ctx);
        cpu.take_over_again(prog);
        let panics = Panics(cpu);
        let judge = Judge { cpu, prog };
        let end = match prog.image.run(&cpu.env, 0, cpu.arguments(prog), Some(&judge)) {
            Ok(Exit::Return(value)) if cpu.held.is_untouched() => Ok(Ran { value, insns: cpu.insns(prog) }),
            end => cpu.finish(prog, cpu.conclude(end, prog)),
        };
        // Nothing has panicked: nobody needs to ask.
        std::mem::forget(panics);
        Ok(end)
    }

    /// Takes back what a program has that is ready ([`Vcpu::run_ready`]): its maps and contexts may go now.
    pub fn rest(&mut self) {
        if self.ready.take().is_some() {
            self.forget();
            self.reader.leave();
        }
    }

    #[cold]
    fn make_ready<F: Family>(&mut self, prog: &Arc<Prog>) -> Result<(), Diagnostic> {
        self.fits::<F>(prog)?;
        self.rest();
        self.reader.stay();
        self.ready = Some(Ready { prog: prog.clone(), left: READY_RUNS });
        self.enter_on::<F>(prog);
        Ok(())
    }

    /// Whether a program takes contexts of a family, and is of this runtime.
    fn fits<F: Family>(&self, prog: &Prog) -> Result<(), Diagnostic> {
        if prog.family.id != TypeId::of::<F>() {
            let message = format!("program `{}` takes another context than `{}` has", prog.program.name, F::NAME);
            return Err(Diagnostic::new("context", message, Place::Nowhere).expected(prog.family.name));
        }
        if !Arc::ptr_eq(&prog.domain, self.runtime.domain()) {
            let message = format!("program `{}` was loaded by another runtime", prog.program.name);
            return Err(Diagnostic::new("prog-foreign", message, Place::Nowhere)
                .expected("a program of the virtual CPU's runtime"));
        }
        Ok(())
    }

    /// Gives a program its maps' memory, and has it run on contexts of its family.
    fn enter_on<F: Family>(&self, prog: &Prog) {
        self.refresh.set(trust::family_regions::<F>);
        self.registers.set(ON_CONTEXT);
        self.enter(prog);
    }

    /// Takes back all memory: maps and contexts may go now.
    fn forget(&self) {
        self.env.clear_regions();
        self.prog.set(std::ptr::null());
    }

    #[inline(always)]
    fn prepare<F: Family>(&self, prog: &Prog, ctx: &F::Ctx) {
        let env = &self.env;
        env.host.set(std::ptr::from_ref(self).cast());
        env.ctx.set(std::ptr::from_ref(ctx).cast_mut().cast());
        env.fuel.set(self.budget);
        env.tail_calls.set(0);
        if !prog.is_trusted() {
            self.refresh();
        }
        if let Some(registers) = F::registers(ctx) {
            self.registers.set(registers);
        }
    }

    fn finish(&self, prog: &Arc<Prog>, end: Result<u64, (Trap, Option<Arc<Prog>>)>) -> Result<Ran, Box<Fault>> {
        if self.held.knows_any() {
            self.held.leave(&self.env);
        }
        self.held.untouch();
        let insns = self.insns(prog);
        match end {
            Ok(value) => Ok(Ran { value, insns }),
            Err((trap, blamed)) => {
                // Behind all frames of native code.
                if let Some(panic) = self.panic.take() {
                    resume_unwind(panic);
                }
                let prog = blamed.as_ref().unwrap_or(prog);
                let near = |addr| Near::of(&self.env, prog, self.number, self.other_cpus(prog), addr);
                Err(Fault::new(trap, prog, insns, near))
            }
        }
    }

    /// A helper has panicked: the run ends, and the panic goes on where it was called.
    pub(crate) fn panicked(&self, panic: Box<dyn Any + Send>, helper: HelperId) {
        self.panic.set(Some(panic));
        self.env.stop(TrapKind::Helper(helper.0));
    }

    /// Instructions of a program's run that has ended.
    fn insns(&self, prog: &Prog) -> u64 {
        if prog.is_trusted() { 0 } else { self.budget - self.env.fuel.get() }
    }

    /// The program that runs.
    pub(crate) fn prog(&self) -> &Prog {
        // SAFETY: helpers alone ask, and they run inside `one`, which keeps the program for that time.
        unsafe { &*self.prog.get() }
    }

    /// The time by one of the kernel's clocks.
    pub(crate) fn time(&self, clock: ClockId) -> u64 {
        match self.runtime.world().clock {
            Clock::Virtual { .. } => self.env.now.get(),
            Clock::Real => world::real_time(clock),
        }
    }

    pub(crate) fn random(&self) -> u32 {
        let (state, number) = world::next_random(self.env.rng.get());
        self.env.rng.set(state);
        number
    }

    pub(crate) fn callback(&self, function: u64, args: [u64; 5]) -> Option<u64> {
        if self.prog().is_trusted() {
            // Nobody counts its instructions: each round counts as one.
            match self.env.fuel.get().checked_sub(1) {
                Some(left) => self.env.fuel.set(left),
                None => self.env.stop(TrapKind::Budget),
            }
        }
        self.env.callback(function, args).ok()
    }

    pub(crate) fn peek(&self, addr: u64, len: usize) -> Option<Bytes> {
        if self.prog().is_trusted() {
            // Nobody has asked for its packet yet.
            self.refresh();
        }
        // SAFETY: the program may read these bytes itself, so may we for it.
        self.env.covers(addr, len as u64, false).then(|| unsafe { Bytes::copy(addr, len) })
    }

    /// Sets the regions of the context anew: a helper changed the packet.
    pub(crate) fn refresh(&self) {
        // SAFETY: `batch` set the function of the family whose context is in `env`.
        unsafe { self.refresh.get()(&self.env) };
    }

    /// Lets the program write to what a ring buffer gave it.
    pub(crate) fn reserve(&self, map: &LoadedMap, value: Value) {
        self.held.reserve(&self.env, self.free.get(), map, value);
    }

    /// Gives a reservation back.
    pub(crate) fn commit(&self, addr: u64, discard: bool, flags: u64) {
        self.held.commit(&self.env, addr, discard, flags);
    }

    /// The word of the map that stands in an entry of a map of maps, 0 for none. The program may use it from now on.
    pub(crate) fn inner_map(&self, map: &LoadedMap, key: &[u8]) -> u64 {
        let prog = self.prog();
        let (Some(slots), Some(outer)) = (map.map.slots(), prog.map_number(std::ptr::from_ref(map) as u64)) else {
            return 0;
        };
        let word = slots.word(key);
        if self.held.knows_enough(word) {
            self.env.stop(TrapKind::Helper(HelperId::MAP_LOOKUP_ELEM.0));
            return 0;
        }
        if word != 0 {
            // SAFETY: `Runtime::set_map` alone fills such maps, with `Inner`s, whose words are addresses of maps. This
            // CPU is in the domain of the runtime (`batch`), which is the map's (`Runtime::load`), so the entry lives
            // until the batch ends; the program leaves it before.
            unsafe { self.held.know(&self.env, self.free.get(), (word, outer), self.number, self.other_cpus(prog)) };
        }
        word
    }

    /// The number of CPUs whose values a program may read, if that is not its own alone.
    fn other_cpus(&self, prog: &Prog) -> Option<u32> {
        prog.all_cpus.then(|| self.runtime.kernel().cpus)
    }

    /// Lets the program read a copy of `bytes` during `call`, which gets its address.
    pub(crate) fn lend<R>(&self, bytes: &[u8], call: impl FnOnce(u64) -> R) -> R {
        self.held.lend(&self.env, self.free.get(), bytes, call)
    }

    /// Makes the next program that runs the one in a prog array's slot. `false`: too many, or none there.
    pub(crate) fn tail_call(&self, next: Arc<Prog>) -> bool {
        let made = self.env.tail_calls.get();
        if made >= self.runtime.kernel().profile.limits.tail_calls {
            return false;
        }
        if !self.held.lets_go() {
            // The other program could not give back what this one holds.
            self.env.stop(TrapKind::Helper(HelperId::TAIL_CALL.0));
            return true;
        }
        self.env.tail_calls.set(made + 1);
        if self.env.in_subprogram() {
            // The subprogram's frame is the one that is replaced: its caller gets what the other program returns.
            let caller = self.prog.get();
            let known = self.held.leave(&self.env);
            match self.one(&next) {
                Ok(value) => self.env.leave(value),
                Err((trap, prog)) => {
                    self.blamed.replace(prog.or(Some(next)));
                    self.env.unwind(trap);
                }
            }
            // SAFETY: the program that made the call is kept by the run that we are inside of.
            let caller = unsafe { &*caller };
            self.take_over(caller);
            for found in known.iter().map(Known::found) {
                // SAFETY: the batch that the program looked it up in is still in the domain.
                unsafe { self.held.know(&self.env, self.free.get(), found, self.number, self.other_cpus(caller)) };
            }
        } else {
            self.env.tail(Arc::as_ptr(&next).cast());
            self.next.replace(Some(next));
        }
        true
    }

    /// In the middle of a run another program goes on.
    fn take_over(&self, prog: &Prog) {
        self.enter(prog);
        if !prog.is_trusted() {
            self.refresh();
        }
    }

    /// The program of the batch goes on, after one that it tail-called.
    #[inline]
    fn take_over_again(&self, prog: &Arc<Prog>) {
        if !std::ptr::eq(self.prog.get(), Arc::as_ptr(prog)) {
            self.take_over(prog);
        }
    }

    /// Gives a program its maps' memory, and no other.
    fn enter(&self, prog: &Prog) {
        if self.held.knows_any() {
            self.held.leave(&self.env);
        }
        self.prog.set(prog);
        let mut number = FAMILY_REGIONS;
        let all = self.other_cpus(prog);
        for map in &prog.maps {
            trust::map_regions(map, self.number, all, &mut |region| {
                // SAFETY: values of a map that the program keeps, until it is left; they are accessed by programs,
                // and by the map through atomics.
                unsafe { self.env.set_region(number, region) };
                number += 1;
            });
        }
        for number in number..self.env.regions() {
            // SAFETY: an empty region covers nothing.
            unsafe { self.env.set_region(number, Region::default()) };
        }
        self.free.set(number);
        self.env.state.set(prog.family.state());
    }

    /// Runs a program, and those that it tail-calls, on the context in `env`. A trap comes with its program.
    fn one(&self, prog: &Arc<Prog>) -> Result<u64, (Trap, Option<Arc<Prog>>)> {
        self.take_over_again(prog);
        // A family's or an embedder's code may panic.
        let _panics = Panics(self);
        let judge = Judge { cpu: self, prog };
        let end = prog.image.run(&self.env, 0, self.arguments(prog), Some(&judge));
        self.conclude(end, prog)
    }

    /// r1–r5 of a program that starts.
    fn arguments(&self, prog: &Prog) -> [u64; 5] {
        // A proven program reads fields from where they stand.
        if prog.is_trusted() { [self.env.ctx.get() as u64, 0, 0, 0, 0] } else { self.registers.get() }
    }

    /// After a run of `prog`: gives back what it holds, and runs what it tail-called.
    fn conclude(&self, mut end: Result<Exit, Trap>, prog: &Arc<Prog>) -> Result<u64, (Trap, Option<Arc<Prog>>)> {
        let mut other: Option<Arc<Prog>> = None;
        // Dropped before `other`, whose maps may be what is held.
        let _panics = Panics(self);
        loop {
            // What a program holds is given back here, while the program, and with it its maps, is sure to live.
            match end {
                Ok(Exit::Return(value)) if self.held.is_empty() => return Ok(value),
                Ok(Exit::Return(_)) => {
                    let trap = self.held.kept(other.as_ref().unwrap_or(prog));
                    self.held.clear(&self.env);
                    return Err((trap, other));
                }
                Ok(Exit::Tail) => {
                    let next = self.next.take();
                    if let Some(next) = &next {
                        self.take_over(next);
                    }
                    other = next.or(other);
                    let prog = other.as_ref().unwrap_or(prog);
                    let judge = Judge { cpu: self, prog };
                    end = prog.image.run(&self.env, 0, self.arguments(prog), Some(&judge));
                }
                Err(trap) => {
                    self.held.clear(&self.env);
                    return Err((trap, self.blamed.take().or(other)));
                }
            }
        }
    }
}

/// Gives back what a run holds when it ends by a panic.
struct Panics<'a>(&'a Vcpu);

impl Drop for Panics<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.held.clear(&self.0.env);
        }
    }
}

impl Drop for Vcpu {
    fn drop(&mut self) {
        self.rest();
        self.runtime.taken[self.number as usize].store(false, Ordering::Release);
    }
}

impl fmt::Debug for Vcpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vcpu").field("number", &self.number).finish_non_exhaustive()
    }
}

/// Hands out contexts to a program, and takes what came of them ([`Batch::run_all`]).
pub trait Feed<F: Family> {
    /// The next context, and its time in ns, where the world's clock is virtual. `None`: there is no other.
    fn next(&mut self) -> Option<(&F::Ctx, u64)>;

    /// How the run on the last context ended. After a break there are no others.
    fn ran(&mut self, end: Result<Ran, Box<Fault>>) -> ControlFlow<()>;
}

/// A virtual CPU that is ready to run one program on many contexts.
pub struct Batch<'a, F> {
    /// This batch's alone: `Vcpu::batch` borrowed it mutably.
    cpu: &'a Vcpu,
    prog: Arc<Prog>,
    family: PhantomData<F>,
    /// What maps give up lives until the batch is dropped.
    _inside: alveary_maps::Batch<'a>,
}

impl<F: Family> Batch<'_, F> {
    /// Runs the program on a context.
    ///
    /// # Errors
    /// The trap that stopped it. Locks that it held are released, reservations discarded.
    pub fn run(&mut self, ctx: &F::Ctx) -> Result<Ran, Box<Fault>> {
        self.cpu.prepare::<F>(&self.prog, ctx);
        let end = self.cpu.one(&self.prog);
        self.cpu.finish(&self.prog, end)
    }

    /// Runs the program on context after context, at less cost for each than [`Batch::run`]. What it does is the same.
    pub fn run_all(&mut self, feed: &mut impl Feed<F>) {
        let (cpu, prog) = (self.cpu, &self.prog);
        cpu.take_over_again(prog);
        let judge = Judge { cpu, prog };
        prog.image.batch(&cpu.env, Some(&judge), |runs| {
            let _panics = Panics(cpu);
            while let Some((ctx, time)) = feed.next() {
                cpu.env.now.set(time);
                cpu.prepare::<F>(prog, ctx);
                cpu.take_over_again(prog);
                // As `arguments` has it, but for the way through memory: the program would wait for its first argument.
                let end = match prog.is_trusted() {
                    true => runs.run([std::ptr::from_ref(ctx) as u64, 0, 0, 0, 0]),
                    false => runs.run(cpu.registers.get()),
                };
                let end = match end {
                    Ok(Exit::Return(value)) if cpu.held.is_untouched() => Ok(Ran { value, insns: cpu.insns(prog) }),
                    end => cpu.finish(prog, cpu.conclude(end, prog)),
                };
                if feed.ran(end).is_break() {
                    break;
                }
            }
        });
    }

    /// Sets the time, in ns, where the world's clock is virtual.
    pub fn set_time(&mut self, ns: u64) {
        self.cpu.env.now.set(ns);
    }
}

impl<F> Drop for Batch<'_, F> {
    fn drop(&mut self) {
        self.cpu.forget();
    }
}

impl<F> fmt::Debug for Batch<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("cpu", &self.cpu).field("prog", &self.prog).finish()
    }
}

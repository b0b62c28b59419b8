//! Linked, pre-decoded code, and the one door to running it.

use crate::bad_code::BadCode;
use crate::engine::{self, Checked, Trusted, handler_at};
use crate::env::Fault;
use crate::jit::{ManyFn, Native, NativeFn};
use crate::predecode::{Ops, function_index, function_word, predecode};
use crate::{Checks, Code, Env, Exit, Jit, Link, NativeFunction, Trap, TrapKind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// How often code is interpreted before it is compiled, in [`Image::adaptive`]: by then the time that native code saves
/// is known to be worth what compiling takes for a program of usual size.
const HOT: u32 = 1_000;

/// How many interpreted instructions take the time that compiling takes, whatever is compiled; a run of many rounds makes
/// code hot before [`HOT`] runs have.
const WORTH: u64 = 200_000;
/// The same, for each slot that is compiled.
const WORTH_OF_SLOT: u64 = 2_500;

/// Code that is linked and ready to run, in one of two modes.
///
/// *Trusted* does what the code says. *Checked* holds every access against the regions of the [`Env`] and against
/// [`Checks`], counts instructions, and lets the owner judge every helper call: whatever the code is, it ends with a
/// value or a [`Trap`] and has touched nothing else.
///
/// An image is immutable and may be run by many threads at once, each with its own [`Env`].
#[derive(Debug)]
pub struct Image {
    /// The first function, if it is native and nobody in it looks at what else is running.
    alone: Option<NativeFn>,
    /// Of what is alone from the first run on.
    source: Option<Box<Source>>,
    engine: Engine,
    origin: Box<[u32]>,
}

/// A native function that neither calls helpers nor stops, and looks at nothing of what else is running.
#[derive(Clone, Copy, Debug)]
pub struct Alone(NativeFn);

impl Alone {
    /// Runs it; gives r0.
    ///
    /// # Safety
    /// The image that it is of ([`Image::alone`]) must be there, and what was promised of it must hold of the arguments.
    #[inline(always)]
    pub unsafe fn run(self, env: &Env, args: [u64; 5]) -> u64 {
        // SAFETY: as the caller promises.
        unsafe { self.0.call(env, args) }.unstopped()
    }
}

/// What runs the code.
#[derive(Debug)]
enum Engine {
    Checked(Ops),
    Trusted(Ops),
    Native(Native),
    Adaptive(Box<Adaptive>),
}

/// What a loop around an image is made of, and the loop, when it was asked for; nothing if it cannot be compiled.
#[derive(Debug)]
struct Source {
    ops: Ops,
    code: Code,
    jit: Arc<Jit>,
    many: OnceLock<Option<Native>>,
}

/// Trusted code that is interpreted until it is hot.
#[derive(Debug)]
struct Adaptive {
    source: Source,
    /// Runs that began.
    runs: AtomicU32,
    /// Instructions that were interpreted, of runs that ended.
    work: AtomicU64,
    /// Someone compiles it.
    compiling: AtomicBool,
    /// Empty until it is hot; then nothing if it cannot be compiled.
    native: OnceLock<Option<Native>>,
}

impl Image {
    /// Links `code` for trusted mode.
    ///
    /// # Safety
    /// The code must be proven, for every [`Env`], argument list and callback that it will be run with, to access only
    /// memory that is valid for that, and to call helpers only with arguments that they are sound for.
    ///
    /// # Errors
    /// The first slot that is no instruction, or jumps or calls where there is none.
    pub unsafe fn trusted(code: &Code, link: &dyn Link) -> Result<Image, BadCode> {
        let ops = predecode(code, link, handler_at::<Trusted>)?;
        Ok(Self::new(code, Engine::Trusted(ops)))
    }

    /// Links `code` for trusted mode and compiles it: it does the same as [`Image::trusted`], faster.
    ///
    /// # Safety
    /// As [`Image::trusted`].
    ///
    /// # Errors
    /// As [`Image::trusted`]; or there is no room for native code, or none can be made of so large a program.
    pub unsafe fn native(code: &Code, link: &dyn Link, jit: &Arc<Jit>) -> Result<Image, BadCode> {
        let ops = predecode(code, link, handler_at::<Trusted>)?;
        let native = jit.compile(code, &ops)?;
        let source = native.alone().map(|_| Box::new(Source::new(ops, code, jit)));
        Ok(Image { source, ..Self::new(code, Engine::Native(native)) })
    }

    /// Links `code` for trusted mode; it is interpreted at first, and compiled when it has run often, or for as long as
    /// compiling takes. What cannot be compiled goes on being interpreted.
    ///
    /// # Safety
    /// As [`Image::trusted`].
    ///
    /// # Errors
    /// As [`Image::trusted`].
    pub unsafe fn adaptive(code: &Code, link: &dyn Link, jit: &Arc<Jit>) -> Result<Image, BadCode> {
        let ops = predecode(code, link, handler_at::<Trusted>)?;
        let source = Source::new(ops, code, jit);
        Ok(Self::new(code, Engine::Adaptive(Box::new(Adaptive::new(source)))))
    }

    /// Links `code` for checked mode.
    ///
    /// # Errors
    /// As [`Image::trusted`].
    pub fn checked(code: &Code, link: &dyn Link) -> Result<Image, BadCode> {
        let ops = predecode(code, link, handler_at::<Checked>)?;
        Ok(Self::new(code, Engine::Checked(ops)))
    }

    fn new(code: &Code, engine: Engine) -> Image {
        let alone = if let Engine::Native(native) = &engine { native.alone() } else { None };
        Image { alone, source: None, engine, origin: code.origin.as_slice().into() }
    }

    /// Whether native code runs now.
    #[must_use]
    pub fn is_native(&self) -> bool {
        match &self.engine {
            Engine::Native(_) => true,
            Engine::Adaptive(adaptive) => adaptive.native().is_some(),
            Engine::Checked(_) | Engine::Trusted(_) => false,
        }
    }

    /// Compiles now what is compiled when it is hot: for code that is known to run often. Nothing happens to other images,
    /// and where there is no room.
    pub fn warm(&self) {
        if let Engine::Adaptive(adaptive) = &self.engine {
            adaptive.native.get_or_init(|| adaptive.compile());
        }
    }

    /// Its first function, if that can be run by itself: it is native by now, calls no helper and cannot stop.
    #[must_use]
    pub fn alone(&self) -> Option<Alone> {
        let later = || if let Engine::Adaptive(adaptive) = &self.engine { adaptive.native()?.alone() } else { None };
        self.alone.or_else(later).map(Alone)
    }

    /// Its native functions, in the order of [`Code::funcs`]; none while it is interpreted.
    #[must_use]
    pub fn native_functions(&self) -> Vec<NativeFunction> {
        match &self.engine {
            Engine::Native(native) => native.places().collect(),
            Engine::Adaptive(adaptive) => adaptive.native().map_or(Vec::new(), |native| native.places().collect()),
            Engine::Checked(_) | Engine::Trusted(_) => Vec::new(),
        }
    }

    /// The machine code of a native function; `None`: it is none of this image's by now.
    #[must_use]
    pub fn machine_code(&self, function: &NativeFunction) -> Option<&[u8]> {
        let native = match &self.engine {
            Engine::Native(native) => native,
            Engine::Adaptive(adaptive) => adaptive.native()?,
            Engine::Checked(_) | Engine::Trusted(_) => return None,
        };
        let start = function.address.checked_sub(native.start())?;
        native.code().get(usize::try_from(start).ok()?..)?.get(..function.size)
    }

    /// The word of function `index` of [`Code::funcs`], for [`Image::run`], [`Env::callback`] and `callx`.
    #[must_use]
    pub const fn function(index: u16) -> u64 {
        function_word(index)
    }

    /// Runs a function: `func` is its word ([`Image::function`]), or 0 for the entry. `checks` judge what the regions
    /// do not cover; without them, a checked run has its regions only, and no helpers.
    ///
    /// A run may begin while another one on the same [`Env`] is inside a helper: its frames stand below, and it has
    /// eight of its own.
    ///
    /// # Errors
    /// Why and where the run was stopped.
    // Part of its callers: what the shortest runs cost is the way here and back.
    #[inline]
    pub fn run(&self, env: &Env, func: u64, args: [u64; 5], checks: Option<&dyn Checks>) -> Result<Exit, Trap> {
        if let (Some(entry), 0) = (self.alone, func) {
            // SAFETY: as in `enter`; its memory is there as long as the engine, which is this image's for good.
            let returned = unsafe { entry.call(env, args) };
            if let Some(value) = returned.value() {
                return Ok(Exit::Return(value));
            }
        }
        self.run_with_frames(env, func, args, checks)
    }

    /// The same, of what may look at what else is running.
    #[inline(never)]
    fn run_with_frames(&self, env: &Env, func: u64, args: [u64; 5], checks: Option<&dyn Checks>) -> Result<Exit, Trap> {
        self.batch(env, checks, |batch| batch.function(func, args))
    }

    /// [`Image::run`] inside a run whose outermost frame is `base`.
    pub(crate) fn enter(
        &self,
        env: &Env,
        func: u64,
        args: [u64; 5],
        checks: Option<&dyn Checks>,
        base: usize,
    ) -> Result<Exit, Trap> {
        let index = if func == 0 { Some(0) } else { function_index(func) };
        let bad_call = Trap { insn: 0, kind: TrapKind::BadCall { target: func } };
        let interpret = |ops: &Ops| {
            let entry = index.and_then(|index| ops.funcs.get(index)).copied().ok_or(Fault::Elsewhere(bad_call))?;
            let work = if let Engine::Adaptive(adaptive) = &self.engine { Some(&adaptive.work) } else { None };
            match self.engine {
                Engine::Checked(_) => engine::enter::<Checked>(ops, env, checks, base, entry, args, None),
                _ => engine::enter::<Trusted>(ops, env, checks, base, entry, args, work),
            }
        };
        let run = |native: &Native| {
            let index = index.filter(|&index| index < native.functions()).ok_or(Fault::Elsewhere(bad_call))?;
            // SAFETY: whoever made the image has promised what trusted code asks for; the function is there.
            unsafe { native.enter(env, index, args) }
        };
        let result = match &self.engine {
            Engine::Checked(ops) | Engine::Trusted(ops) => interpret(ops),
            Engine::Native(native) => run(native),
            Engine::Adaptive(adaptive) => match adaptive.native() {
                Some(native) => run(native),
                None => interpret(&adaptive.source.ops),
            },
        };
        result.map_err(|fault| self.trap(fault))
    }

    /// A fault, where the object's program has it.
    pub(crate) fn trap(&self, fault: Fault) -> Trap {
        fault.trap(|slot| self.origin.get(slot).copied().unwrap_or(slot as u32))
    }

    /// The first function, if it is native by now.
    #[inline(always)]
    pub(crate) fn entry(&self) -> Option<NativeFn> {
        match &self.engine {
            Engine::Native(native) => Some(native.entry()),
            Engine::Adaptive(adaptive) => adaptive.native().map(Native::entry),
            Engine::Checked(_) | Engine::Trusted(_) => None,
        }
    }

    /// A loop around the first function, if that is native by now and alone.
    pub(crate) fn many(&self) -> Option<ManyFn> {
        match &self.engine {
            Engine::Native(_) => self.source.as_ref()?.many(),
            Engine::Adaptive(adaptive) => adaptive.native()?.alone().and_then(|_| adaptive.source.many()),
            Engine::Checked(_) | Engine::Trusted(_) => None,
        }
    }

    /// A run is about to begin that is interpreted.
    pub(crate) fn count_run(&self) {
        if let Engine::Adaptive(adaptive) = &self.engine {
            adaptive.count_run();
        }
    }
}

impl Source {
    fn new(ops: Ops, code: &Code, jit: &Arc<Jit>) -> Source {
        Source { ops, code: code.clone(), jit: jit.clone(), many: OnceLock::new() }
    }

    /// The loop; whoever asks first has it compiled. The program must be [`Native::alone`].
    fn many(&self) -> Option<ManyFn> {
        let compile = || self.jit.compile_many(&self.code, &self.ops).ok();
        // SAFETY: that is what is compiled here.
        self.many.get_or_init(compile).as_ref().map(|native| unsafe { native.many() })
    }
}

impl Adaptive {
    fn new(source: Source) -> Adaptive {
        let (runs, work, compiling) = (AtomicU32::new(0), AtomicU64::new(0), AtomicBool::new(false));
        Adaptive { source, runs, work, compiling, native: OnceLock::new() }
    }

    fn native(&self) -> Option<&Native> {
        self.native.get().and_then(Option::as_ref)
    }

    /// Counts a run; the one that finds the code hot compiles it, while others go on interpreting.
    fn count_run(&self) {
        if self.native.get().is_some() {
            return;
        }
        let often = self.runs.fetch_add(1, Ordering::Relaxed) >= HOT;
        let worth = WORTH + WORTH_OF_SLOT * self.source.code.insns.len() as u64;
        let hot = often || self.work.load(Ordering::Relaxed) >= worth;
        if hot && !self.compiling.swap(true, Ordering::Relaxed) {
            let _ = self.native.set(self.compile());
        }
    }

    fn compile(&self) -> Option<Native> {
        self.source.jit.compile(&self.source.code, &self.source.ops).ok()
    }
}

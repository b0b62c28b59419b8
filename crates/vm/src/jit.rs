//! The JIT: [`Code`] becomes Cranelift's IR, function by function, and that machine code in memory of its own. It does
//! what the interpreter does in trusted mode, with the same frames, helpers and traps, for code that has been
//! pre-decoded: what predecoding lets through is well-formed, and is not looked at again.

mod address;
mod affine;
pub mod ahead;
mod arena;
mod arith;
mod body;
mod budget;
mod cache;
mod call;
mod divide;
mod dump;
mod early;
mod emitted;
mod fill;
mod forward;
mod frame;
mod fuel;
mod gather;
mod graph;
mod hoist;
mod lanes;
mod layout;
mod lift;
mod listing;
mod live;
mod lookup;
mod loops;
mod many;
mod memory;
mod multiply;
mod native;
mod order;
mod pages;
mod pass;
mod plan;
mod round;
mod scale;
mod select;
mod text;
mod trips;
mod unread;

mod x64;

pub(crate) use arena::{SLACK, stack_top};
pub use cache::{Cache, Store};
pub use dump::{JitDump, SourcePlace};
pub use listing::{Line, Listed, Part};
pub use native::NativeFunction;
pub(crate) use native::{ManyFn, Native, NativeFn};
pub use pass::{Pass, Passes};

use crate::bad_code::{BadCode, BadCodeKind};
use crate::predecode::{Ops, bad};
use crate::{Code, jit::pages::Pages};
use cache::Key;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::Function;
use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{CodegenError, Context};
use cranelift_frontend::FunctionBuilderContext;
use emitted::Emitted;
use loops::Loops;
use plan::Plan;
pub(crate) use plan::Rules;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use text::{Relocatable, Text};

/// Makes native code, and counts it: all that exists at once takes no more memory than it may.
pub struct Jit {
    isa: OwnedTargetIsa,
    settings: Settings,
    /// What constants are mixed with where they are hidden.
    key: Box<u64>,
    cache: Option<Arc<Cache>>,
    in_use: AtomicUsize,
}

/// How native code is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most bytes of native code at once.
    pub limit: usize,
    /// The passes over programs.
    pub passes: Passes,
    /// Straight pieces of code take from [`crate::Env::fuel`] where they begin, as many as they have instructions. A run is
    /// stopped when it has begun more than there was, 256 instructions beyond at most.
    pub fuel: bool,
    /// Constants of programs do not stand in the code: nobody who writes a program chooses what bytes become executable.
    pub harden: bool,
}

impl Default for Settings {
    /// 256 MiB, the usual passes, neither fuel nor hidden constants.
    fn default() -> Settings {
        Settings { limit: 256 << 20, passes: Passes::default(), fuel: false, harden: false }
    }
}

/// Why there is no native code on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoJit(&'static str);

impl fmt::Display for NoJit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no native code on this machine: {}", self.0)
    }
}

impl std::error::Error for NoJit {}

impl Jit {
    /// For this machine, with at most `limit` bytes of native code at once.
    ///
    /// # Errors
    /// On machines for which it makes none: it is known to be right on x86-64 and aarch64.
    pub fn new(limit: usize) -> Result<Arc<Jit>, NoJit> {
        Jit::with(Settings { limit, ..Settings::default() })
    }

    /// As [`Jit::new`], with some of the passes: each can be left out to see what it does.
    ///
    /// # Errors
    /// As [`Jit::new`].
    pub fn with_passes(limit: usize, passes: Passes) -> Result<Arc<Jit>, NoJit> {
        Jit::with(Settings { limit, passes, ..Settings::default() })
    }

    /// As [`Jit::new`], with settings.
    ///
    /// # Errors
    /// As [`Jit::new`].
    pub fn with(settings: Settings) -> Result<Arc<Jit>, NoJit> {
        Jit::make(settings, None)
    }

    /// As [`Jit::with`]; of large programs the native code is looked for in a cache, and put there.
    ///
    /// # Errors
    /// As [`Jit::new`].
    pub fn cached(settings: Settings, cache: Arc<Cache>) -> Result<Arc<Jit>, NoJit> {
        Jit::make(settings, Some(cache))
    }

    fn make(settings: Settings, cache: Option<Arc<Cache>>) -> Result<Arc<Jit>, NoJit> {
        if !cfg!(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux")) {
            return Err(NoJit("it is made for Linux on x86-64 and aarch64"));
        }
        let isa = cranelift_native::builder().map_err(NoJit)?;
        let isa = isa.finish(flags()?).map_err(|_| NoJit("the code generator refuses its settings"))?;
        // Drawn by the operating system, once for a process, and then counted on.
        let key = Box::new(RandomState::new().hash_one(0));
        Ok(Arc::new(Jit { isa, settings, key, cache, in_use: AtomicUsize::new(0) }))
    }

    /// Bytes of native code that exist.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Compiles code that was pre-decoded to `ops`.
    pub(crate) fn compile(self: &Arc<Jit>, code: &Code, ops: &Ops) -> Result<Native, BadCode> {
        self.compile_by(code, ops, self.rules())
    }

    /// Compiles code whose first function is [`Native::alone`], to be run for one list of arguments after the other.
    pub(crate) fn compile_many(self: &Arc<Jit>, code: &Code, ops: &Ops) -> Result<Native, BadCode> {
        self.compile_by(code, ops, Rules { many: true, ..self.rules() })
    }

    /// The rules of code that is proven.
    pub(crate) fn rules(&self) -> Rules<'_> {
        let Settings { passes, fuel, harden, .. } = self.settings;
        Rules { passes, fuel, key: harden.then_some(&*self.key), ..Rules::default() }
    }

    /// As [`Jit::compile`], by rules for each instruction.
    pub(crate) fn compile_by(self: &Arc<Jit>, code: &Code, ops: &Ops, rules: Rules<'_>) -> Result<Native, BadCode> {
        // Code whose constants are hidden is of this process alone; a loop around a program is made when it is asked for.
        let cache = self.cache.as_deref().filter(|_| rules.key.is_none() && !rules.many);
        let kept = cache.and_then(|cache| Some((cache, Key::of(self, code, &rules)?)));
        let plan = Plan::new(code, ops, Rules { kept: kept.is_some(), ..rules })?;
        let found = kept.as_ref().and_then(|(cache, key)| cache.get(key)?.place(&plan));
        let (bytes, starts) = match found {
            Some(placed) => placed,
            None => {
                let image = self.text(&plan, |_, _| ())?;
                if let Some((cache, key)) = &kept {
                    cache.put(key, &image);
                }
                image.place(&plan).ok_or_else(|| bad(code, 0, text::STRANGE))?
            }
        };
        // Whole pages are what is mapped for it.
        let needed = Pages::room(bytes.len());
        let room = Room::take(self, needed).ok_or_else(|| {
            let (in_use, limit) = (self.in_use(), self.settings.limit);
            bad(code, 0, BadCodeKind::NoRoom { needed, in_use, limit })
        })?;
        let pages = Pages::new(&bytes).map_err(|_| bad(code, 0, BadCodeKind::NoPages { needed }))?;
        let first = &plan.functions[0];
        let alone = !first.counted && !first.stops;
        Ok(Native::new(pages, bytes.len(), starts, plan.starts(), alone, room))
    }

    /// Compiles all functions; `each` sees each stage of each, and the functions before it.
    fn text(&self, plan: &Plan<'_>, mut each: impl FnMut(usize, &Stage<'_>)) -> Result<Relocatable, BadCode> {
        let (mut text, mut number) = (Text::default(), 0);
        self.functions(plan, |stage| {
            each(number, &stage);
            if let Stage::Compiled(function, emitted) = stage {
                text.add(self.begin(emitted), emitted, function);
                number += 1;
            }
        })?;
        text.link().map_err(|kind| bad(plan.code, 0, kind))
    }

    /// How far behind a multiple of [`Text::ALIGNMENT`] a function begins.
    fn begin(&self, emitted: &Emitted<'_>) -> usize {
        if self.settings.passes.has(Pass::Align) { layout::begin(emitted) } else { 0 }
    }

    /// Takes each function through all stages.
    fn functions(&self, plan: &Plan<'_>, each: impl FnMut(Stage<'_>)) -> Result<(), BadCode> {
        functions(&*self.isa, self.settings.passes, plan, each)
    }
}

/// Takes each function of a program through all stages.
fn functions(
    isa: &dyn TargetIsa,
    passes: Passes,
    plan: &Plan<'_>,
    mut each: impl FnMut(Stage<'_>),
) -> Result<(), BadCode> {
    let vectors = lanes::are_made_for(isa);
    let passes = if vectors { passes } else { passes.without(Pass::Lanes).without(Pass::Sum) };
    let mut builder = FunctionBuilderContext::new();
    let mut context = Context::new();
    for function in 0..plan.functions.len() {
        let start = plan.functions[function].start as usize;
        let graph = pass::run(plan, function, passes);
        // The optimiser asks of each value which of all loops around it are in which: no program may make it ask for long.
        let mut simple = graph.nodes.len() > DEEP && Loops::of(&graph).are_deep();
        loop {
            let plain = if simple { plain(isa) } else { None };
            let isa = plain.as_deref().unwrap_or(isa);
            context.clear();
            context.func = lift::function(plan, function, &graph, isa, &mut builder);
            each(Stage::Lifted(&context.func));
            let refused = |kind| bad(plan.code, start, kind);
            context.compile(isa, &mut ControlPlane::default()).map_err(|error| refused(why(&error.inner)))?;
            let Some(compiled) = context.compiled_code() else { break };
            let frame = compiled.buffer.frame_layout().map_or(0, |layout| layout.frame_to_fp_offset);
            if frame <= MOST_FRAME {
                each(Stage::Compiled(&context.func, &Emitted::of(compiled, isa, passes)));
                break;
            }
            if simple {
                let what = "bytes of values at once";
                return Err(refused(BadCodeKind::TooMany { what, found: frame as usize, most: MOST_FRAME as usize }));
            }
            simple = true;
        }
    }
    Ok(())
}

/// Bytes of native stack that a function may take. The optimiser computes values where they are asked for, so that many
/// may wait at once; without it there are no more than the program has registers.
const MOST_FRAME: u32 = 16 << 10;

/// Nodes of a function that may have loops in each other too deep to be optimised.
const DEEP: usize = 256;

/// The same machine's code generator, without its optimiser.
fn plain(isa: &dyn TargetIsa) -> Option<OwnedTargetIsa> {
    let mut builder = cranelift_codegen::isa::lookup(isa.triple().clone()).ok()?;
    for flag in isa.isa_flags() {
        builder.set(flag.name, &flag.value_string()).ok()?;
    }
    let mut flags = settings::builder();
    for flag in isa.flags().iter() {
        flags.set(flag.name, &flag.value_string()).ok()?;
    }
    flags.set("opt_level", "none").ok()?;
    builder.finish(settings::Flags::new(flags)).ok()
}

/// The code generator's settings. What is near is addressed from where the code stands, wherever that is.
fn flags() -> Result<settings::Flags, NoJit> {
    let mut flags = settings::builder();
    // The code's accesses are those that the program makes, one for one: other CPUs may write what it reads.
    let set = [("opt_level", "speed"), ("enable_alias_analysis", "false")];
    // Whoever has too little stack runs into the page behind it, never past that.
    let set = set.into_iter().chain([("enable_probestack", "true"), ("probestack_strategy", "inline")]);
    let verifies = ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" });
    let rest = [("unwind_info", "false"), ("machine_code_cfg_info", "true")];
    for (name, value) in set.chain([verifies]).chain(rest) {
        flags.set(name, value).map_err(|_| NoJit("the code generator lacks a setting"))?;
    }
    Ok(settings::Flags::new(flags))
}

/// A function on its way.
enum Stage<'a> {
    Lifted(&'a Function),
    /// Optimised, and its machine code.
    Compiled(&'a Function, &'a Emitted<'a>),
}

impl fmt::Debug for Jit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jit").field("settings", &self.settings).field("in_use", &self.in_use()).finish_non_exhaustive()
    }
}

fn why(error: &CodegenError) -> BadCodeKind {
    match error {
        CodegenError::ImplLimitExceeded | CodegenError::CodeTooLarge => BadCodeKind::TooLong,
        _ => BadCodeKind::Unsupported("what the code generator refuses"),
    }
}

/// A part of what a [`Jit`] may have in use, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    of: Arc<Jit>,
    bytes: usize,
}

impl Room {
    fn take(of: &Arc<Jit>, bytes: usize) -> Option<Room> {
        let grown = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= of.settings.limit);
        of.in_use.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).ok()?;
        Some(Room { of: of.clone(), bytes })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.of.in_use.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

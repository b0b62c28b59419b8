//! The JIT: [`Code`] becomes Cranelift's IR, function by function, and that machine code in memory of its own. It does
//! what the interpreter does in trusted mode, with the same frames, helpers and traps, for code that has been
//! pre-decoded: what predecoding lets through is well-formed, and is not looked at again.

mod address;
mod affine;
pub mod ahead;
mod arena;
mod arith;
mod body;
mod call;
mod frame;
mod fuel;
mod graph;
mod layout;
mod lift;
mod listing;
mod lookup;
mod loops;
mod memory;
mod native;
mod pages;
mod pass;
mod plan;
mod trips;

pub(crate) use arena::SLACK;
pub use listing::{Line, Listed, Part};
pub use native::NativeFunction;
pub(crate) use native::{Native, NativeFn};
pub use pass::{Pass, Passes};

use crate::bad_code::{BadCode, BadCodeKind};
use crate::predecode::{Ops, bad};
use crate::{Code, jit::pages::Pages};
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{ExternalName, Function};
use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{
    CodegenError, CompiledCode, Context, FinalizedMachReloc, FinalizedRelocTarget, binemit::Reloc,
};
use cranelift_frontend::FunctionBuilderContext;
use plan::Plan;
pub(crate) use plan::Rules;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Makes native code, and counts it: all that exists at once takes no more memory than it may.
pub struct Jit {
    isa: OwnedTargetIsa,
    settings: Settings,
    /// What constants are mixed with where they are hidden.
    key: Box<u64>,
    in_use: AtomicUsize,
}

/// How native code is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The most bytes of native code at once.
    pub limit: usize,
    /// The passes over programs.
    pub passes: Passes,
    /// Loops and calls take from [`crate::Env::fuel`], so that code that runs for too long is stopped: by at least as many
    /// instructions as are run.
    pub fuel: bool,
    /// Constants of programs do not stand in the code: nobody who writes a program chooses what bytes become executable.
    pub harden: bool,
}

impl Default for Settings {
    /// 256 MiB, all passes, neither fuel nor hidden constants.
    fn default() -> Settings {
        Settings { limit: 256 << 20, passes: Passes::ALL, fuel: false, harden: false }
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
    /// On machines for which it makes none: it is known to be right on x86-64.
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
        if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
            return Err(NoJit("it is made for Linux on x86-64"));
        }
        let isa = cranelift_native::builder().map_err(NoJit)?;
        let isa = isa.finish(flags()?).map_err(|_| NoJit("the code generator refuses its settings"))?;
        // Drawn by the operating system, once for a process, and then counted on.
        let key = Box::new(RandomState::new().hash_one(0));
        Ok(Arc::new(Jit { isa, settings, key, in_use: AtomicUsize::new(0) }))
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

    /// The rules of code that is proven.
    fn rules(&self) -> Rules<'_> {
        let [lookups, bodies] = [Pass::Lookup, Pass::Helper].map(|pass| self.settings.passes.has(pass));
        let key = self.settings.harden.then_some(&*self.key);
        Rules { lookups, bodies, fuel: self.settings.fuel, key, ..Rules::default() }
    }

    /// As [`Jit::compile`], by rules for each instruction.
    pub(crate) fn compile_by(self: &Arc<Jit>, code: &Code, ops: &Ops, rules: Rules<'_>) -> Result<Native, BadCode> {
        let plan = Plan::new(code, ops, rules)?;
        let mut text = Text::default();
        self.functions(&plan, |stage| {
            if let Stage::Compiled(function, compiled) = stage {
                text.add(self.begin(compiled), compiled.code_buffer(), compiled.buffer.relocs(), function);
            }
        })?;
        let (bytes, starts) = text.link().map_err(|kind| bad(code, 0, kind))?;
        let room = Room::take(self, bytes.len())
            .ok_or_else(|| bad(code, 0, BadCodeKind::NoRoom { limit: self.settings.limit }))?;
        let pages = Pages::new(&bytes).map_err(|_| bad(code, 0, BadCodeKind::NoRoom { limit: self.settings.limit }))?;
        let first = &plan.functions[0];
        let alone = !first.counted && !first.stops;
        Ok(Native::new(pages, bytes.len(), starts, plan.starts(), alone, room))
    }

    /// How far behind a multiple of [`Text::ALIGNMENT`] a function begins.
    fn begin(&self, compiled: &CompiledCode) -> usize {
        if self.settings.passes.has(Pass::Align) { layout::begin(compiled) } else { 0 }
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
    let mut builder = FunctionBuilderContext::new();
    let mut context = Context::new();
    for function in 0..plan.functions.len() {
        let start = plan.functions[function].start as usize;
        let graph = pass::run(plan, function, passes);
        context.func = lift::function(plan, function, &graph, isa, &mut builder);
        each(Stage::Lifted(&context.func));
        context.compile(isa, &mut ControlPlane::default()).map_err(|error| bad(plan.code, start, why(&error.inner)))?;
        if let Some(compiled) = context.compiled_code() {
            each(Stage::Compiled(&context.func, compiled));
        }
        context.clear();
    }
    Ok(())
}

/// The code generator's settings. What is near is addressed from where the code stands, wherever that is.
fn flags() -> Result<settings::Flags, NoJit> {
    let mut flags = settings::builder();
    // The code's accesses are those that the program makes, one for one: other CPUs may write what it reads.
    let set = [("opt_level", "speed"), ("enable_alias_analysis", "false"), ("enable_probestack", "false")];
    let verifies = ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" });
    let rest = [("unwind_info", "false"), ("machine_code_cfg_info", "true")];
    for (name, value) in set.into_iter().chain([verifies]).chain(rest) {
        flags.set(name, value).map_err(|_| NoJit("the code generator lacks a setting"))?;
    }
    Ok(settings::Flags::new(flags))
}

/// A function on its way.
enum Stage<'a> {
    Lifted(&'a Function),
    /// Optimised, and its machine code.
    Compiled(&'a Function, &'a CompiledCode),
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

/// Functions one behind the other, which do not know yet where the others are.
#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    starts: Vec<usize>,
    /// Where the distance to which function's start, less so much, has to be written.
    calls: Vec<(usize, usize, i64)>,
    /// Something else has to be written, which is not known here.
    strange: bool,
}

impl Text {
    /// Functions begin at multiples of this, or so far behind one as is said.
    const ALIGNMENT: usize = 64;
    /// What stands between them: traps.
    const FILLER: u8 = 0xcc;

    fn add(&mut self, begin: usize, code: &[u8], relocations: &[FinalizedMachReloc], function: &Function) {
        let start = self.bytes.len().next_multiple_of(Self::ALIGNMENT) + begin;
        self.bytes.resize(start, Self::FILLER);
        self.bytes.extend_from_slice(code);
        self.starts.push(start);
        for relocation in relocations {
            let at = start + relocation.offset as usize;
            match (relocation.kind, &relocation.target) {
                (Reloc::X86CallPCRel4, FinalizedRelocTarget::ExternalName(ExternalName::User(name))) => {
                    let callee = function.params.user_named_funcs()[*name].index as usize;
                    self.calls.push((at, callee, relocation.addend));
                }
                _ => self.strange = true,
            }
        }
    }

    fn link(mut self) -> Result<(Vec<u8>, Vec<usize>), BadCodeKind> {
        for (at, callee, addend) in self.calls {
            let distance = self.starts[callee] as i64 + addend - at as i64;
            let distance = i32::try_from(distance).map_err(|_| BadCodeKind::TooLong)?;
            self.bytes[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        }
        if self.strange {
            return Err(BadCodeKind::Unsupported("a relocation of the code generator"));
        }
        Ok((self.bytes, self.starts))
    }
}

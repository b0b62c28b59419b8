//! Ahead of time: proven programs become functions of an object file, which a linker puts into someone's program or
//! shared library. Neither verifier nor compiler is there when they run.
//!
//! A program is a C function of the context that gives back r0. What it cannot do by itself it gets from a table of
//! helpers, in front of the context. Its stack frames are on the native stack: the verifier has found how deep its calls
//! nest. It has none of the [`crate::Env`], so that [`Code`] of which registers r12 is read is refused.
//!
//! Knows nothing of helpers or maps but their places.

mod elf;
mod machine;

pub use machine::{Cpu, Machine, NoCode};

use super::address::{Ahead, FUNCTIONS, SYMBOLS};
use super::emitted::Emitted;
use super::plan::{Plan, Rules};
use super::{Passes, Stage, flags, functions, layout};
use crate::bad_code::{BadCode, BadCodeKind};
use crate::engine::{Trusted, handler_at};
use crate::predecode::{bad, predecode};
use crate::{Code, Env, HelperFn, Link, Pass, Sym};
use alveary_isa::Reg;
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{
    AbiParam, ExternalName, Function, GlobalValueData, InstBuilder, Signature, UserExternalName, UserFuncName,
};
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::{Context, FinalizedRelocTarget};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use std::fmt;

/// An object file in the making.
pub struct Library {
    machine: Machine,
    isa: OwnedTargetIsa,
    passes: Passes,
    text: Vec<u8>,
    functions: Vec<Symbol>,
    data: Vec<Data>,
    fixes: Vec<Fix>,
}

/// Memory of a library.
#[derive(Clone, Debug, Default)]
pub struct Data {
    /// Its symbol, which only the library sees ([`Library::accessor`] lets others at it).
    pub name: String,
    /// Its bytes.
    pub size: usize,
    /// What it holds at first; the rest is zero.
    pub bytes: Vec<u8>,
    /// Programs write to it, or others do.
    pub writable: bool,
    /// Where addresses of other memory stand in it.
    pub addresses: Vec<(usize, DataId)>,
}

/// Memory of a library, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataId(usize);

/// A place in the memory of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of which memory.
    pub data: DataId,
    /// Bytes from its start.
    pub off: u64,
}

/// A function of the library.
struct Symbol {
    name: String,
    start: usize,
    size: usize,
    /// Others see it.
    exported: bool,
}

/// Where the linker has to write.
struct Fix {
    at: usize,
    kind: Reloc,
    to: Target,
    addend: i64,
}

/// What it has to write there.
enum Target {
    Function(usize),
    Data(DataId),
    /// A place in the library's own code.
    Text(usize),
}

impl Library {
    /// Functions begin at multiples of this, or so far behind one as is said.
    const ALIGNMENT: usize = 64;

    /// An empty one for a machine.
    ///
    /// # Errors
    /// The code generator was built without it, or knows no such processor.
    pub fn new(machine: Machine, cpu: &Cpu, passes: Passes) -> Result<Library, NoCode> {
        let isa = machine::builder(machine, cpu)?;
        let isa = isa
            .finish(flags().map_err(|why| machine.without(why.0))?)
            .map_err(|_| machine.without("the code generator refuses its settings"))?;
        let (text, functions, data, fixes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Library { machine, isa, passes, text, functions, data, fixes })
    }

    /// Adds memory.
    pub fn data(&mut self, data: Data) -> DataId {
        self.data.push(data);
        DataId(self.data.len() - 1)
    }

    /// Adds a program, whose first function others call by `name`. `table` has the place of each of its helpers in the
    /// table that its functions then take first; `place` says where its symbols are.
    ///
    /// The code has to be proven: nothing of what it does is checked.
    ///
    /// # Errors
    /// The first slot that is no instruction, or of which there is nothing in a library.
    pub fn program(
        &mut self,
        name: &str,
        code: &Code,
        table: &[u16],
        place: impl Fn(Sym) -> Option<Place>,
    ) -> Result<(), BadCode> {
        let ops = predecode(code, &Nowhere, handler_at::<Trusted>)?;
        self.accept(code, table)?;
        let places = places(code, place)?;
        // Where a map's memory is, and the body of a helper, is not known yet.
        let passes = self.passes.without(Pass::Lookup).without(Pass::Helper);
        let rules = Rules { ahead: Some(Ahead { table }), passes, ..Rules::default() };
        let plan = Plan::new(code, &ops, rules)?;
        let (first, isa, passes) = (self.functions.len(), self.isa.clone(), self.passes);
        let mut strange = None;
        functions(&*isa, passes, &plan, |stage| {
            let Stage::Compiled(function, emitted) = stage else { return };
            let number = self.functions.len() - first;
            let name = if number == 0 { name.to_owned() } else { format!("{name}.{number}") };
            let added = self.add(name, number == 0, function, emitted, |name| match *name {
                UserExternalName { namespace: FUNCTIONS, index } => Some((Target::Function(first + index as usize), 0)),
                UserExternalName { namespace: SYMBOLS, index } => {
                    let place = places.get(index as usize).copied().flatten()?;
                    Some((Target::Data(place.data), place.off as i64))
                }
                _ => None,
            });
            if added.is_none() {
                strange.get_or_insert(plan.functions[number].start);
            }
        })?;
        let relocation = BadCodeKind::Unsupported("a relocation of the code generator");
        strange.map_or(Ok(()), |start| Err(bad(code, start as usize, relocation)))
    }

    /// Adds a C function without arguments that gives back the address of some memory.
    ///
    /// # Errors
    /// The code generator's.
    pub fn accessor(&mut self, name: &str, data: DataId) -> Result<(), NoCode> {
        let machine = self.machine;
        let refused = || machine.without("the code generator refuses a function");
        let mut context = Context::new();
        context.func = address_of(&self.isa);
        context.compile(&*self.isa.clone(), &mut ControlPlane::default()).map_err(|_| refused())?;
        let compiled = context.compiled_code().ok_or_else(refused)?;
        let emitted = Emitted::of(compiled, &*self.isa.clone(), Passes::NONE);
        self.add(name.to_owned(), true, &context.func, &emitted, |_| Some((Target::Data(data), 0))).ok_or_else(refused)
    }

    /// The object file: ELF, for the system's linker.
    ///
    /// # Errors
    /// What cannot be said in such a file.
    pub fn object(&self) -> Result<Vec<u8>, String> {
        elf::write(self)
    }

    /// There is no running CPU in a library.
    fn accept(&self, code: &Code, table: &[u16]) -> Result<(), BadCode> {
        let refused = |slot: usize, what| Err(bad(code, slot, BadCodeKind::Unsupported(what)));
        if let Some(slot) = code.insns.iter().position(|insn| insn.dst == Reg::ENV || insn.src == Reg::ENV) {
            return refused(slot, "the engine's environment");
        }
        if table.len() != code.calls.len() {
            return refused(0, "a helper without a place");
        }
        Ok(())
    }

    /// Adds a compiled function. `None`: it has something in it that no object file says.
    fn add(
        &mut self,
        name: String,
        exported: bool,
        function: &Function,
        emitted: &Emitted<'_>,
        target: impl Fn(&UserExternalName) -> Option<(Target, i64)>,
    ) -> Option<()> {
        let begin = if self.passes.has(Pass::Align) { layout::begin(emitted) } else { 0 };
        let start = self.text.len().next_multiple_of(Self::ALIGNMENT) + begin;
        self.text.resize(start, 0);
        self.text.extend_from_slice(&emitted.code);
        self.functions.push(Symbol { name, start, size: emitted.code.len(), exported });
        for relocation in emitted.compiled.buffer.relocs() {
            let (to, off) = match &relocation.target {
                FinalizedRelocTarget::ExternalName(ExternalName::User(name)) => {
                    target(&function.params.user_named_funcs()[*name])?
                }
                FinalizedRelocTarget::Func(off) => (Target::Text(start + *off as usize), 0),
                FinalizedRelocTarget::ExternalName(_) => return None,
            };
            elf::kind(self.machine, relocation.kind)?;
            let at = start + emitted.place(relocation.offset as usize);
            self.fixes.push(Fix { at, kind: relocation.kind, to, addend: relocation.addend + off });
        }
        Some(())
    }
}

/// Where each of a program's symbols is.
fn places(code: &Code, place: impl Fn(Sym) -> Option<Place>) -> Result<Vec<Option<Place>>, BadCode> {
    let places = code.syms.iter().map(|&(slot, sym)| match sym {
        Sym::Func(_) => Ok(None),
        sym => place(sym).map(Some).ok_or_else(|| bad(code, slot as usize, BadCodeKind::NoSymbol)),
    });
    places.collect()
}

/// A function that gives back the address of its only symbol.
fn address_of(isa: &OwnedTargetIsa) -> Function {
    let mut signature = Signature::new(isa.default_call_conv());
    signature.returns = vec![AbiParam::new(I64)];
    let mut function = Function::with_name_signature(UserFuncName::user(0, 0), signature);
    let mut context = FunctionBuilderContext::new();
    let mut to = FunctionBuilder::new(&mut function, &mut context);
    let block = to.create_block();
    to.switch_to_block(block);
    to.seal_block(block);
    let name = ExternalName::user(to.func.declare_imported_user_function(UserExternalName::new(SYMBOLS, 0)));
    let data = GlobalValueData::Symbol { name, offset: 0.into(), colocated: true, tls: false };
    let global = to.func.create_global_value(data);
    let address = to.ins().symbol_value(I64, global);
    to.ins().return_(&[address]);
    to.finalize(isa.frontend_config());
    function
}

/// Nothing has an address yet.
struct Nowhere;

unsafe extern "C" fn absent(_: *const Env, _: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    0
}

// SAFETY: nothing is run that was linked with it.
unsafe impl Link for Nowhere {
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
        absent
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library")
            .field("machine", &self.machine)
            .field("bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

//! Programs compiled ahead of time: an object file for the system's linker, and what C and Rust have to know of it.
//! Neither verifier nor compiler is there when they run; the library needs nothing, not even a libc.
//!
//! | file | holds |
//! |---|---|
//! | `context` | the structs that stand for Linux's contexts |
//! | `interface` | what of a library others see, and what it needs of them |
//! | `parameters` | names of helpers' arguments |
//! | `c`, `rust` | the same as text |

mod c;
mod context;
mod interface;
mod parameters;
mod rust;

pub use alveary_vm::ahead::{Cpu, Machine};

use crate::{Error, Kind, Loaded, Result, User};
use alveary_diag::{Diagnostic, Place as Where};
use alveary_runtime::{Ahead, Prog};
use alveary_vm::{
    Passes, Sym,
    ahead::{Data, DataId, Library, Place},
};
use context::Context;
use interface::{Interface, Memory};
use std::{collections::BTreeMap, sync::Arc};

/// What is compiled for what.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the library is called: names of its maps and of its table of helpers begin with this.
    pub name: String,
    /// What the names of its programs' functions begin with: nothing, unless they would clash with others.
    pub prefix: String,
    /// The machine.
    pub machine: Machine,
    /// Its processor.
    pub cpu: Cpu,
}

/// A library.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// An ELF object file.
    pub object: Vec<u8>,
    interface: Interface,
}

impl Compiled {
    /// Compiles all programs that are loaded, which have to be proven.
    ///
    /// ```
    /// use alveary::{Object, Target, ahead::{Compiled, Cpu, Machine, Options}};
    /// # fn main() -> alveary::Result<()> {
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/count.bpf.o");
    /// let loaded = Object::open(path)?.load(Target::user())?;
    /// let options = Options { name: "traffic".into(), prefix: String::new(), machine: Machine::X86_64, cpu: Cpu::Baseline };
    /// # if Machine::host() == Some(Machine::X86_64) {
    /// let library = Compiled::of(&loaded, &options)?;
    /// assert!(library.header().contains("uint64_t count(const struct traffic_helpers *helpers, struct alveary_xdp *ctx);"));
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Kind::Unsupported`]: all programs that do what there is nothing of in a library, by name; there is no native code
    /// for the machine; names that are none, or taken twice.
    pub fn of(loaded: &Loaded<User>, options: &Options) -> Result<Compiled> {
        let mut interface = Interface::new(&options.name, &options.prefix);
        let (mut programs, mut refused) = (Vec::new(), Vec::new());
        for program in loaded.programs() {
            let prog = program.handle().prog();
            let (context, ahead) = match lowered(loaded, prog) {
                Ok(both) => both,
                Err(why) => {
                    refused.push(why);
                    continue;
                }
            };
            let table = interface.add(program.spec(), context, prog, &ahead);
            programs.push((prog.clone(), ahead, table));
        }
        interface.add_variables(&loaded.sections);
        if refused.is_empty() {
            refused = interface.misnamed();
        }
        if !refused.is_empty() {
            return Err(Error::many(Kind::Unsupported, refused));
        }
        let object = object(&interface, &programs, options)?;
        Ok(Compiled { object, interface })
    }

    /// The programs that cannot be part of a library, each with the reason.
    #[must_use]
    pub fn refused(loaded: &Loaded<User>) -> Vec<(String, Diagnostic)> {
        let why = |prog: &Prog| Some((prog.program().name.to_string(), lowered(loaded, prog).err()?));
        loaded.programs().filter_map(|program| why(program.handle().prog())).collect()
    }

    /// A C header with the functions, the context's struct, the table of helpers, the maps.
    #[must_use]
    pub fn header(&self) -> String {
        c::header(&self.interface)
    }

    /// The same as a Rust module.
    #[must_use]
    pub fn module(&self) -> String {
        rust::module(&self.interface)
    }

    /// Functions that have the name of one of C's library, in whose place they would be called where both are linked.
    pub fn clashes(&self) -> impl Iterator<Item = &str> {
        self.interface.clashes()
    }

    /// The functions: one for each program, of its name behind the prefix.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.interface.functions.iter().map(|function| &*function.name)
    }

    /// Names of the helpers that whoever uses the library has to bring.
    pub fn helpers(&self) -> impl Iterator<Item = &'static str> {
        self.interface.helpers.iter().map(|called| called.row.name)
    }

    /// Names of the maps that are helpers' to look into, and of those that are the library's own memory.
    pub fn maps(&self) -> (Vec<&str>, Vec<&str>) {
        let names = |own: bool| {
            let maps = self.interface.maps.iter().filter(move |map| map.memory.is_some() == own);
            maps.map(|map| &*map.spec.name).collect()
        };
        (names(false), names(true))
    }
}

/// A program for a library, and its context there.
fn lowered(loaded: &Loaded<User>, prog: &Prog) -> std::result::Result<(&'static Context, Ahead), Diagnostic> {
    let context = Context::of(prog.program())?;
    Ok((context, loaded.target().runtime().ahead(prog, context.backings)?))
}

fn object(interface: &Interface, programs: &[(Arc<Prog>, Ahead, Vec<u16>)], options: &Options) -> Result<Vec<u8>> {
    let refused = |why: String| Error::new(Kind::Unsupported, Diagnostic::new("ahead", why, Where::Nowhere));
    let mut library =
        Library::new(options.machine, &options.cpu, Passes::default()).map_err(|why| refused(why.to_string()))?;
    let memory = memory(&mut library, interface, options.machine).map_err(refused)?;
    for ((prog, ahead, table), function) in programs.iter().zip(&interface.functions) {
        let place = |sym: Sym| {
            let (number, off) = match sym {
                Sym::Map(map) => return Some(Place { data: memory.get(&name(prog, map)?)?.described?, off: 0 }),
                Sym::MapValue(map, off) => (map, u64::from(off)),
                Sym::Memory(map, off) => {
                    let first = interface.map(&name(prog, map)?)?.memory.as_ref()?.first;
                    (map, off.checked_sub(first)?)
                }
                Sym::Func(_) => return None,
            };
            Some(Place { data: memory.get(&name(prog, number)?)?.values?, off })
        };
        library.program(&function.name, &ahead.code, table, place).map_err(|bad| {
            let at = Where::Insn { prog: prog.program().name.clone(), index: bad.insn };
            Error::new(Kind::Unsupported, Diagnostic::new("ahead", bad.to_string(), at))
        })?;
    }
    library.object().map_err(refused)
}

/// The name of a program's map.
fn name(prog: &Prog, map: u16) -> Option<String> {
    Some(prog.maps().get(usize::from(map))?.spec.name.clone())
}

/// What a map has in the library.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    values: Option<DataId>,
    described: Option<DataId>,
}

/// Gives maps their memory, and the functions that let others at it.
fn memory(library: &mut Library, interface: &Interface, machine: Machine) -> Result<BTreeMap<String, Parts>, String> {
    let mut parts = BTreeMap::new();
    for map in &interface.maps {
        let values = map.memory.as_ref().map(|memory| library.data(values(&map.symbol, memory)));
        let described = map.described.then(|| {
            let text = library.data(Data {
                name: format!("{}.name", map.symbol),
                size: map.spec.name.len() + 1,
                bytes: map.spec.name.clone().into_bytes(),
                ..Data::default()
            });
            library.data(description(map, values, text, machine))
        });
        if let Some(data) = values.or(described) {
            library.accessor(&map.symbol, data).map_err(|why| why.to_string())?;
        }
        parts.insert(map.spec.name.clone(), Parts { values, described });
    }
    Ok(parts)
}

fn values(symbol: &str, memory: &Memory) -> Data {
    Data {
        name: format!("{symbol}.values"),
        size: memory.stride as usize * memory.entries as usize,
        bytes: memory.initial.clone(),
        writable: !memory.read_only,
        addresses: Vec::new(),
    }
}

/// `struct alveary_map`.
fn description(map: &interface::Map, values: Option<DataId>, name: DataId, machine: Machine) -> Data {
    let def = &map.spec.def;
    let stride = map.memory.as_ref().map_or(0, |memory| memory.stride);
    let numbers = [def.ty.0, def.key_size, def.value_size, def.max_entries, def.flags, stride];
    let bytes = |number: u32| if machine.is_big_endian() { number.to_be_bytes() } else { number.to_le_bytes() };
    let mut addresses = vec![(24, name)];
    addresses.extend(values.map(|values| (32, values)));
    Data {
        name: format!("{}.map", map.symbol),
        size: 48,
        bytes: numbers.into_iter().flat_map(bytes).collect(),
        writable: true,
        addresses,
    }
}

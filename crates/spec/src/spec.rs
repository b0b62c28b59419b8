//! What an object file says. Editable, comparable, independent of any target.

use crate::{Attach, StructOps};
use alveary_abi::{AttachType, MapDef, ProgType};
use alveary_btf::{Btf, CoreReloc, FuncInfo, LineInfo, TypeId};
use alveary_isa::{Endian, Insn};
use std::{collections::BTreeMap, sync::Arc};

/// An object file's content.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Byte order of its instructions and data.
    pub endian: Endian,
    /// The licence string; empty if it has none.
    pub license: String,
    /// Maps by name, the ones behind `.rodata`, `.data` and `.bss` among them.
    pub maps: BTreeMap<String, MapSpec>,
    /// Every function by its symbol's name (static functions of one name in two sections as `name@section`).
    pub functions: BTreeMap<String, Function>,
    /// The functions that are programs, by name, in no order; [`ProgramSpec::order`] is the file's.
    pub programs: BTreeMap<String, ProgramSpec>,
    /// What it declares and does not define, by name: the kernel's to give.
    pub externs: BTreeMap<String, Extern>,
    /// The object's types.
    pub btf: Option<Arc<Btf>>,
}

/// Something that the kernel has to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extern {
    /// What it is.
    pub kind: ExternKind,
    /// Its type behind typedefs and modifiers, a function's prototype; `void` for a variable of which only the address
    /// counts.
    pub ty: TypeId,
    /// The object can do without: it reads as zero, a call of it must not be reached.
    pub weak: bool,
}

/// Kinds of [`Extern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternKind {
    /// A value of the kernel's configuration (`__kconfig`), in the map `.kconfig`.
    Config {
        /// Its place in the map's value.
        offset: u32,
    },
    /// A variable of the kernel (`__ksym`).
    Variable,
    /// A function of the kernel (`__ksym`): a kfunc.
    Function,
}

/// A map as the object defines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSpec {
    /// Its name.
    pub name: String,
    /// What it is made from.
    pub def: MapDef,
    /// Type of the key, if BTF tells.
    pub key_type: Option<TypeId>,
    /// Type of the value, if BTF tells; for `.rodata` and its kin a `DATASEC`.
    pub value_type: Option<TypeId>,
    /// Template of the inner maps.
    pub inner: Option<Box<MapSpec>>,
    /// Its first content.
    pub initial: Initial,
    /// Where its first content should hold an address, and of what: nothing loads such a map yet.
    pub addresses: Vec<(u32, String)>,
    /// It is read-only to everyone once it is filled (`.rodata`).
    pub freeze: bool,
    /// It is pinned by name (`LIBBPF_PIN_BY_NAME`).
    pub pin_by_name: bool,
    /// The NUMA node whose memory it takes, if the object says so.
    pub numa_node: Option<u32>,
    /// The section that defines it.
    pub section: Arc<str>,
    /// Where in that section its definition begins, in bytes.
    pub at: u64,
}

impl MapSpec {
    /// A map of this name and definition, of which nothing else is said.
    #[must_use]
    pub fn new(name: &str, def: MapDef, section: &str) -> MapSpec {
        MapSpec {
            name: name.to_owned(),
            def,
            key_type: None,
            value_type: None,
            inner: None,
            initial: Initial::Empty,
            addresses: Vec::new(),
            freeze: false,
            pin_by_name: false,
            numa_node: None,
            section: section.into(),
            at: 0,
        }
    }
}

/// First content of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Initial {
    /// Nothing.
    Empty,
    /// The one value of a data section's map, or what an arena begins with.
    Bytes(Vec<u8>),
    /// Entries of a prog array: programs by name.
    Programs(Vec<Option<String>>),
    /// Entries of a map of maps: maps by name.
    Maps(Vec<Option<String>>),
    /// A kernel interface, filled in.
    StructOps(StructOps),
}

/// A function's code as it stands in the file. Indices count slots from the function's start.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// Its instructions, relocations not yet applied.
    pub insns: Vec<Insn>,
    /// What some of them refer to, by slot.
    pub relocs: Vec<Reloc>,
    /// What some of them have to learn from the kernel's BTF, by slot.
    pub core: Vec<CoreReloc>,
    /// Source lines, by slot.
    pub lines: Vec<LineInfo>,
    /// BTF of this function and (in hand-written sections) of those that begin inside it.
    pub funcs: Vec<FuncInfo>,
    /// What the source promises of its arguments.
    pub args: Vec<ArgTag>,
    /// The section it stands in.
    pub section: Arc<str>,
    /// Slot in the section at which it starts.
    pub start: u32,
    /// Visible to other objects (`STB_GLOBAL`, not hidden): verified on its own.
    pub global: bool,
    /// May be replaced by another object's definition (`STB_WEAK`).
    pub weak: bool,
}

/// What the source promises of an argument of a global function (`__arg_nonnull`): the function is verified in that
/// belief, its callers are held to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgTag {
    /// The argument, from 0.
    pub arg: u32,
    /// The promise.
    pub promise: Promise,
}

/// Kinds of promises on arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Promise {
    /// It is the program's context.
    Ctx,
    /// It is not NULL.
    NonNull,
    /// It may be NULL.
    Nullable,
    /// It is a pointer to a kernel object that stays valid.
    Trusted,
    /// It is a pointer to a kernel object that may be no more.
    Untrusted,
    /// It is a pointer into the arena.
    Arena,
    /// A word that this version does not know.
    Unknown(String),
}

/// What an instruction refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloc {
    /// Slot of the instruction in the function.
    pub insn: u32,
    /// What it refers to.
    pub kind: RelocKind,
}

/// Kinds of [`Reloc`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelocKind {
    /// A map (`ld_imm64`).
    Map(String),
    /// An address in a map's only value (`ld_imm64`).
    MapValue(String, u32),
    /// A function that is called.
    Call(String),
    /// A function whose address is taken (`ld_imm64`).
    FuncAddr(String),
    /// A variable that the object does not define (`ld_imm64`): the kernel's, or of its configuration.
    Extern(String),
    /// A function that is called and that the object does not define: the kernel's (a kfunc).
    Kfunc(String),
}

/// A program as the object defines it.
#[derive(Clone, Debug)]
pub struct ProgramSpec {
    /// Its name, that of its function in [`Spec::functions`].
    pub name: String,
    /// The section it stands in.
    pub section: Arc<str>,
    /// Its place among the object's programs.
    pub order: u32,
    /// Its type, if the section name tells.
    pub ty: Option<ProgType>,
    /// The expected attach type that its section name implies.
    pub expected: Option<AttachType>,
    /// Where it is attached, if the section name tells.
    pub attach: Option<Attach>,
    /// `BPF_F_SLEEPABLE`, `BPF_F_XDP_HAS_FRAGS` …
    pub flags: u32,
    /// It is loaded unless told otherwise (`SEC("?…")`: not).
    pub autoload: bool,
    /// The function that is called when it throws (`__exception_cb`).
    pub exception_callback: Option<String>,
}

//! What of a library others see, and what it needs of them. Knows no language.

use super::{context::Context, parameters};
use crate::variable::{Sections, Variable};
use alveary_abi::{Arg, CallbackArg, Helper, MapType, MemAccess, Proto, Ret};
use alveary_diag::{Diagnostic, Place};
use alveary_maps::Layout;
use alveary_runtime::{Ahead, LoadedMap, Prog};
use alveary_sort::Sort;
use alveary_spec::{Initial, MapSpec, Program};
use alveary_vm::Sym;
use std::{collections::BTreeSet, sync::Arc};

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    /// What it is called.
    pub(super) name: String,
    pub(super) functions: Vec<Function>,
    /// What the names of its programs' functions begin with.
    prefix: String,
    /// In the order of the table.
    pub(super) helpers: Vec<Called>,
    pub(super) maps: Vec<Map>,
}

/// A helper that programs call.
#[derive(Clone, Debug)]
pub(super) struct Called {
    pub(super) row: &'static Helper,
    pub(super) proto: &'static Proto,
    /// The context that it is given, if all programs that call it have the same.
    pub(super) context: Option<&'static Context>,
}

/// A program.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) section: String,
    pub(super) context: &'static Context,
    /// It takes the table of helpers first.
    pub(super) takes_helpers: bool,
}

/// A map that programs name.
#[derive(Clone, Debug)]
pub(super) struct Map {
    /// The function that gives its values, if they stand in the library, or its description.
    pub(super) symbol: String,
    pub(super) spec: Arc<MapSpec>,
    /// Helpers are told of it.
    pub(super) described: bool,
    /// Its values, if they stand in the library.
    pub(super) memory: Option<Memory>,
    /// Global variables that it holds, if it is a data section.
    pub(super) variables: Vec<Held>,
}

/// A global variable in a data section.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// What its offset is called: its name behind the library's.
    pub(super) constant: String,
    pub(super) name: String,
    /// Bytes from the section's beginning.
    pub(super) at: usize,
    /// How many it takes.
    pub(super) size: usize,
}

/// Values in the library, one behind the other.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// Where the first one stood when the program was lowered.
    pub(super) first: u64,
    pub(super) stride: u32,
    pub(super) entries: u32,
    /// What they hold at first; behind that they are zero.
    pub(super) initial: Vec<u8>,
    pub(super) read_only: bool,
}

/// Words of C and C++ that are no names there.
const WORDS_OF_C: &[&str] = &[
    "alignas",
    "alignof",
    "and",
    "asm",
    "auto",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "class",
    "concept",
    "const",
    "consteval",
    "constexpr",
    "constinit",
    "continue",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "else",
    "enum",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "long",
    "main",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "nullptr",
    "operator",
    "or",
    "private",
    "protected",
    "public",
    "register",
    "requires",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "struct",
    "switch",
    "template",
    "this",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "typeof",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "while",
    "xor",
];

/// Words of Rust that are names behind `r#`.
const WORDS_OF_RUST: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "enum",
    "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move",
    "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Words of Rust that are names in no way.
const NEVER_IN_RUST: &[&str] = &["_", "crate", "self", "Self", "super"];

/// Functions of C's library that a program's function would stand in front of.
const OF_C_LIBRARY: &[&str] = &[
    "abort", "accept", "access", "bind", "calloc", "clone", "close", "connect", "dup", "exit", "fork", "free",
    "getpid", "ioctl", "kill", "listen", "lseek", "malloc", "memcmp", "memcpy", "memmove", "memset", "mmap",
    "mprotect", "munmap", "open", "openat", "pause", "pipe", "poll", "printf", "ptrace", "puts", "raise", "read",
    "readv", "realloc", "recv", "remove", "rename", "select", "send", "sendto", "setns", "shutdown", "signal", "sleep",
    "socket", "stat", "strcmp", "strlen", "sync", "syscall", "time", "unlink", "unshare", "wait", "write", "writev",
];

/// A name as C and C++ take it.
pub(super) fn in_c(name: &str) -> String {
    if WORDS_OF_C.contains(&name) { format!("{name}_") } else { name.to_owned() }
}

/// A name as Rust takes it.
pub(super) fn in_rust(name: &str) -> String {
    if WORDS_OF_RUST.contains(&name) { format!("r#{name}") } else { name.to_owned() }
}

impl Interface {
    pub(super) fn new(name: &str, prefix: &str) -> Interface {
        let prefix = if prefix.is_empty() { String::new() } else { ident(prefix) };
        Interface { name: ident(name), prefix, functions: Vec::new(), helpers: Vec::new(), maps: Vec::new() }
    }

    /// Adds a program: the places of its helpers in the table.
    pub(super) fn add(&mut self, program: &Program, context: &'static Context, prog: &Prog, ahead: &Ahead) -> Vec<u16> {
        let table: Vec<u16> = ahead.helpers.iter().map(|helper| self.helper(*helper, context)).collect();
        for &(_, sym) in &ahead.code.syms {
            let (number, described) = match sym {
                Sym::Map(number) => (number, true),
                Sym::MapValue(number, _) | Sym::Memory(number, _) => (number, false),
                Sym::Func(_) => continue,
            };
            if let Some(map) = prog.maps().get(usize::from(number)) {
                self.add_map(map, described);
            }
        }
        self.functions.push(Function {
            name: ident(&format!("{}{}", self.prefix, program.name)),
            section: program.section.to_string(),
            context,
            takes_helpers: !table.is_empty(),
        });
        table
    }

    /// The map of this name.
    pub(super) fn map(&self, name: &str) -> Option<&Map> {
        self.maps.iter().find(|map| map.spec.name == name)
    }

    /// The contexts of all programs.
    pub(super) fn contexts(&self) -> Vec<&'static Context> {
        let mut contexts: Vec<&'static Context> = self.functions.iter().map(|function| function.context).collect();
        contexts.order_by_key(|context| context.name);
        contexts.dedup_by_key(|context| context.name);
        contexts
    }

    /// What no linker or compiler takes.
    pub(super) fn misnamed(&self) -> Vec<Diagnostic> {
        let mut all = Vec::new();
        let mut taken = BTreeSet::new();
        let functions = self.functions.iter().map(|function| &function.name);
        for name in functions.chain(self.maps.iter().map(|map| &map.symbol)) {
            let refused = |what: &str| Diagnostic::new("ahead-name", format!("`{name}` {what}"), Place::Nowhere);
            if WORDS_OF_C.contains(&&**name) || NEVER_IN_RUST.contains(&&**name) {
                all.push(
                    refused("cannot be the name of a function in all of C, C++ and Rust")
                        .help("`--prefix PREFIX` puts something in front of the names of all programs"),
                );
            }
            if !taken.insert(name) {
                all.push(
                    refused("is the name of two functions in the library")
                        .help("`--name` calls the library something else: the functions of its maps begin with that")
                        .help("`--prefix PREFIX` puts something in front of the names of all programs"),
                );
            }
        }
        all
    }

    /// Programs whose functions stand in front of C's own wherever the library is linked.
    pub(super) fn clashes(&self) -> impl Iterator<Item = &str> {
        self.functions.iter().map(|function| &*function.name).filter(|name| OF_C_LIBRARY.contains(name))
    }

    fn helper(&mut self, (row, proto): (&'static Helper, &'static Proto), context: &'static Context) -> u16 {
        let at = self.helpers.iter().position(|called| called.row.id == row.id);
        let at = at.unwrap_or_else(|| {
            self.helpers.push(Called { row, proto, context: Some(context) });
            self.helpers.len() - 1
        });
        let called = &mut self.helpers[at];
        called.context = called.context.filter(|other| other.name == context.name);
        at as u16
    }

    fn add_map(&mut self, loaded: &LoadedMap, described: bool) {
        if let Some(map) = self.maps.iter_mut().find(|map| map.spec.name == loaded.spec.name) {
            map.described |= described;
            return;
        }
        let symbol = format!("{}_{}", self.name, ident(loaded.spec.name.trim_start_matches('.')));
        let (memory, variables) = (Memory::of(loaded), Vec::new());
        self.maps.push(Map { symbol, spec: loaded.spec.clone(), described, memory, variables });
    }

    /// Says which variables stand in the library's data sections. Of several static ones of a name each has a number.
    pub(super) fn add_variables(&mut self, sections: &Sections) {
        let mut names = BTreeSet::new();
        for Variable { name, map, at, size, .. } in sections.variables() {
            let Some(map) = self.maps.iter_mut().find(|own| own.spec.name == map && own.memory.is_some()) else {
                continue;
            };
            let plain = format!("{}_{}", self.name, ident(name)).to_ascii_uppercase();
            let mut constant = format!("{plain}_OFFSET");
            for number in 2.. {
                if names.insert(constant.clone()) {
                    break;
                }
                constant = format!("{plain}_{number}_OFFSET");
            }
            map.variables.push(Held { constant, name: name.to_owned(), at, size });
        }
    }
}

impl Memory {
    /// Of arrays with one value for all CPUs, of which data sections are some.
    fn of(map: &LoadedMap) -> Option<Memory> {
        let Layout::Array { data, stride, max, cpu_stride: 0, .. } = map.map.layout() else { return None };
        let initial = match &map.spec.initial {
            Initial::Bytes(bytes) => bytes.clone(),
            _ => Vec::new(),
        };
        let is_array = map.spec.def.ty == MapType::ARRAY;
        is_array.then_some(Memory { first: data, stride, entries: max, initial, read_only: map.spec.freeze })
    }
}

/// A name of C's.
pub(super) fn ident(name: &str) -> String {
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "_");
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() { format!("_{name}") } else { name }
}

/// What a value is that a helper takes or gives back.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Nothing,
    /// A number without and with a sign.
    Number,
    Signed,
    /// Memory that is read.
    Read,
    /// Memory that may be written, an object, a context.
    Pointer,
    /// The program's context.
    Context(&'static Context),
    Map,
    /// A function of the program, and what it is handed.
    Function(&'static [CallbackArg]),
}

/// The names of the five numbers that a function of the program takes; of those that are 0, none.
pub(super) fn handed(args: &'static [CallbackArg]) -> impl Iterator<Item = &'static str> {
    let named = args.iter().map(|arg| match arg {
        CallbackArg::Scalar => "index",
        CallbackArg::CallbackCtx => "ctx",
        CallbackArg::Map => "map",
        CallbackArg::MapKey => "key",
        CallbackArg::MapValue => "value",
        CallbackArg::Btf(_) => "object",
        CallbackArg::Dynptr => "dynptr",
    });
    named.chain(std::iter::repeat("")).take(5)
}

/// The arguments of a helper, each with its name in the UAPI.
pub(super) fn arguments(called: &Called) -> Vec<(String, Value)> {
    let args = called.proto.args.iter().take(called.proto.reads().into());
    let taken: Vec<(&str, Value)> = args.map(|arg| argument(arg, called.context)).collect();
    let known: Vec<&str> = parameters::of(called.row.name).collect();
    if known.len() == taken.len() {
        return known.into_iter().map(str::to_owned).zip(taken.into_iter().map(|(_, value)| value)).collect();
    }
    let named = taken.iter().enumerate().map(|(at, &(name, value))| {
        let is_only_one = taken.iter().filter(|(other, _)| *other == name).count() == 1;
        (if is_only_one { name.to_owned() } else { format!("{name}{}", at + 1) }, value)
    });
    named.collect()
}

fn argument(arg: &Arg, context: Option<&'static Context>) -> (&'static str, Value) {
    let memory = |access: MemAccess| if access == MemAccess::Read { Value::Read } else { Value::Pointer };
    match *arg {
        Arg::None | Arg::Any => ("number", Value::Number),
        Arg::Size { .. } | Arg::AllocSize => ("size", Value::Number),
        Arg::Ctx { .. } => ("ctx", context.map_or(Value::Pointer, Value::Context)),
        Arg::Map => ("map", Value::Map),
        Arg::MapKey => ("key", Value::Read),
        Arg::MapValue { access, .. } => ("value", memory(access)),
        Arg::Mem { access, .. } => ("memory", memory(access)),
        Arg::ConstStr => ("text", Value::Read),
        Arg::Callback { args, .. } => ("function", Value::Function(args)),
        Arg::CallbackCtx => ("argument", Value::Pointer),
        _ => ("object", Value::Pointer),
    }
}

/// What a helper gives back.
pub(super) fn result(proto: &Proto) -> Value {
    match proto.ret {
        Ret::Void => Value::Nothing,
        Ret::Scalar => Value::Signed,
        _ => Value::Pointer,
    }
}

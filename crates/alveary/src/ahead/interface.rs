//! What of a library others see, and what it needs of them. Knows no language.

use super::context::Context;
use alveary_abi::{Arg, Helper, MapType, MemAccess, Proto, Ret};
use alveary_diag::{Diagnostic, Place};
use alveary_maps::Layout;
use alveary_runtime::{Ahead, LoadedMap, Prog};
use alveary_spec::{Initial, MapSpec, Program};
use alveary_vm::Sym;
use std::{collections::BTreeSet, sync::Arc};

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    /// What it is called.
    pub(super) name: String,
    pub(super) functions: Vec<Function>,
    /// In the order of the table.
    pub(super) helpers: Vec<(&'static Helper, &'static Proto)>,
    pub(super) maps: Vec<Map>,
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

/// Words of C and Rust that are no names in either.
const WORDS: &[&str] = &[
    "as", "asm", "async", "auto", "await", "bool", "break", "case", "catch", "char", "class", "const", "continue",
    "crate", "default", "delete", "do", "double", "dyn", "else", "enum", "extern", "false", "float", "fn", "for",
    "goto", "if", "impl", "in", "inline", "int", "let", "long", "loop", "main", "match", "mod", "move", "mut", "new",
    "operator", "private", "pub", "ref", "register", "restrict", "return", "self", "short", "signed", "sizeof",
    "static", "struct", "super", "switch", "template", "this", "trait", "true", "try", "type", "typedef", "union",
    "unsafe", "unsigned", "use", "using", "virtual", "void", "volatile", "where", "while",
];

impl Interface {
    pub(super) fn new(name: &str) -> Interface {
        Interface { name: ident(name), functions: Vec::new(), helpers: Vec::new(), maps: Vec::new() }
    }

    /// Adds a program: the places of its helpers in the table.
    pub(super) fn add(&mut self, program: &Program, context: &'static Context, prog: &Prog, ahead: &Ahead) -> Vec<u16> {
        let table: Vec<u16> = ahead.helpers.iter().map(|helper| self.helper(*helper)).collect();
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
            name: ident(&program.name),
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
        contexts.sort_by_key(|context| context.name);
        contexts.dedup_by_key(|context| context.name);
        contexts
    }

    /// Refuses what no linker or compiler takes.
    pub(super) fn check(&self) -> Result<(), Diagnostic> {
        let mut taken = BTreeSet::new();
        let functions = self.functions.iter().map(|function| &function.name);
        for name in functions.chain(self.maps.iter().map(|map| &map.symbol)) {
            let refused = |what: &str| Diagnostic::new("ahead-name", format!("`{name}` {what}"), Place::Nowhere);
            if WORDS.contains(&&**name) {
                return Err(refused("cannot be the name of a function in C and Rust")
                    .help("give the program another name in its source"));
            }
            if !taken.insert(name) {
                return Err(refused("is the name of two functions in the library")
                    .help("`--name` calls the library something else: the functions of its maps begin with that"));
            }
        }
        Ok(())
    }

    fn helper(&mut self, helper: (&'static Helper, &'static Proto)) -> u16 {
        let at = self.helpers.iter().position(|(row, _)| row.id == helper.0.id);
        at.unwrap_or_else(|| {
            self.helpers.push(helper);
            self.helpers.len() - 1
        }) as u16
    }

    fn add_map(&mut self, loaded: &LoadedMap, described: bool) {
        if let Some(map) = self.maps.iter_mut().find(|map| map.spec.name == loaded.spec.name) {
            map.described |= described;
            return;
        }
        let symbol = format!("{}_{}", self.name, ident(loaded.spec.name.trim_start_matches('.')));
        self.maps.push(Map { symbol, spec: loaded.spec.clone(), described, memory: Memory::of(loaded) });
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Nothing,
    /// A number without and with a sign.
    Number,
    Signed,
    /// Memory that is read.
    Read,
    /// Memory that may be written, an object, a context.
    Pointer,
    Map,
    /// A function of the program.
    Function,
}

/// The arguments of a helper, each with a name.
pub(super) fn arguments(proto: &Proto) -> Vec<(String, Value)> {
    let taken: Vec<(&str, Value)> = proto.args.iter().take_while(|arg| **arg != Arg::None).map(argument).collect();
    let named = taken.iter().enumerate().map(|(at, &(name, value))| {
        let is_only_one = taken.iter().filter(|(other, _)| *other == name).count() == 1;
        (if is_only_one { name.to_owned() } else { format!("{name}{}", at + 1) }, value)
    });
    named.collect()
}

fn argument(arg: &Arg) -> (&'static str, Value) {
    let memory = |access: MemAccess| if access == MemAccess::Read { Value::Read } else { Value::Pointer };
    match *arg {
        Arg::None | Arg::Any => ("number", Value::Number),
        Arg::Size { .. } | Arg::AllocSize => ("size", Value::Number),
        Arg::Ctx { .. } => ("ctx", Value::Pointer),
        Arg::Map => ("map", Value::Map),
        Arg::MapKey => ("key", Value::Read),
        Arg::MapValue { access, .. } => ("value", memory(access)),
        Arg::Mem { access, .. } => ("memory", memory(access)),
        Arg::ConstStr => ("text", Value::Read),
        Arg::Callback { .. } => ("function", Value::Function),
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

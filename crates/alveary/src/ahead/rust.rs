//! The Rust module: the header's declarations, for `rustc` and a linker that is given the library.

use super::context::{Context, Field, Kind};
use super::interface::{Function, Held, Interface, Map, Value, arguments, handed, in_rust, result};
use alveary_isa::Width;
use std::fmt::Write;

const TOP: &str = "\
//! Made by `alveary compile`: make it anew rather than change it.
#![allow(dead_code, reason = \"whoever links the library calls what is needed\")]

use std::ffi::c_void;
";

const MAP: &str = "
/// A map, as helpers are told of it.
#[repr(C)]
pub struct AlvearyMap {
    pub ty: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub flags: u32,
    /// From one of `values` to the next.
    pub stride: u32,
    pub name: *const std::ffi::c_char,
    /// An array's, if it is the library's; otherwise your helpers have them.
    pub values: *mut c_void,
    /// Yours.
    pub user: *mut c_void,
}
";

const HELPERS: &str = "
/// What the programs call. Each helper does as Linux's does and gives back what that may, since the verifier relied on it.
/// Values of maps stand at multiples of 8: an atomic operation on others ends the process. A function that a helper is given
/// gets the table, then what Linux hands it, and 0 for each number without a name. Any thread may call a program with any
/// table.
#[repr(C)]
pub struct Helpers {
    /// Yours.
    pub user: *mut c_void,
";

pub(super) fn module(interface: &Interface) -> String {
    let mut out = TOP.to_owned();
    interface.contexts().iter().for_each(|context| out += &structure(context));
    if interface.maps.iter().any(|map| map.described) {
        out += MAP;
    }
    if !interface.helpers.is_empty() {
        out += &helpers(interface);
    }
    out += "\nunsafe extern \"C\" {\n";
    interface.functions.iter().for_each(|function| out += &declaration(function));
    interface.maps.iter().for_each(|map| out += &accessor(map));
    out += "}\n";
    interface.maps.iter().for_each(|map| out += &offsets(map));
    out
}

/// Where variables are in a data section.
fn offsets(map: &Map) -> String {
    let (symbol, name) = (in_rust(&map.symbol), &map.spec.name);
    let offset = |Held { constant, name: variable, at, size }: &Held| {
        format!(
            "\n/// Where `{variable}` is in `{name}` (what `{symbol}` gives): {size} bytes.\npub const {constant}: usize = {at};\n"
        )
    };
    map.variables.iter().map(offset).collect()
}

fn structure(context: &Context) -> String {
    let mut out =
        format!("\n/// `struct {}`: fields in Linux's units and byte order, addresses as pointers.\n", context.linux);
    let _ = writeln!(out, "#[repr(C)]\npub struct {} {{", context.rust);
    for Field { name, kind, count } in context.fields {
        let one = match kind {
            Kind::Pointer => "*mut c_void",
            Kind::Number(Width::B1) => "u8",
            Kind::Number(Width::B2) => "u16",
            Kind::Number(Width::B4) => "u32",
            Kind::Number(Width::B8) => "u64",
        };
        let _ = match count {
            1 => writeln!(out, "    pub {name}: {one},"),
            _ => writeln!(out, "    pub {name}: [{one}; {count}],"),
        };
    }
    out + "}\n"
}

fn helpers(interface: &Interface) -> String {
    let mut out = HELPERS.to_owned();
    for called in &interface.helpers {
        let mut parameters = "helpers: *const Helpers".to_owned();
        for (name, value) in arguments(called) {
            let _ = write!(parameters, ", {}: {}", in_rust(&name), parameter(value));
        }
        let given = match result(called.proto) {
            Value::Nothing => "",
            Value::Signed => " -> i64",
            _ => " -> *mut c_void",
        };
        let _ = writeln!(
            out,
            "    /// Number {}.\n    pub {}: unsafe extern \"C\" fn({parameters}){given},",
            called.row.id.0,
            in_rust(called.row.name)
        );
    }
    out + "}\n"
}

fn parameter(value: Value) -> String {
    let text = match value {
        Value::Context(context) => return format!("*mut {}", context.rust),
        Value::Map => "*mut AlvearyMap",
        Value::Read => "*const c_void",
        Value::Pointer => "*mut c_void",
        Value::Function(args) => {
            let named = handed(args).map(|name| format!(", {}: u64", if name.is_empty() { "_" } else { name }));
            return format!("unsafe extern \"C\" fn(helpers: *const Helpers{}) -> u64", named.collect::<String>());
        }
        Value::Number | Value::Signed | Value::Nothing => "u64",
    };
    text.to_owned()
}

fn declaration(function: &Function) -> String {
    let Function { name, section, context, takes_helpers } = function;
    let table = if *takes_helpers { "helpers: *const Helpers, " } else { "" };
    format!(
        "    /// The program of section `{section}`: what it returns.\n    pub fn {}({table}ctx: *mut {}) -> u64;\n",
        in_rust(name),
        context.rust
    )
}

fn accessor(map: &Map) -> String {
    let (symbol, name) = (&map.symbol, &map.spec.name);
    let Some(memory) = &map.memory else {
        return format!("    /// Map `{name}`.\n    pub fn {}() -> *mut AlvearyMap;\n", in_rust(symbol));
    };
    let (entries, stride, size) = (memory.entries, memory.stride, map.spec.def.value_size);
    let pointer = if memory.read_only { "*const" } else { "*mut" };
    let what = match entries {
        1 => format!("{size} bytes"),
        _ => format!("{entries} values of {size} bytes, {stride} bytes apart"),
    };
    format!("    /// Map `{name}`: {what}.\n    pub fn {}() -> {pointer} c_void;\n", in_rust(symbol))
}

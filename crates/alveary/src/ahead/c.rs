//! The header. Structs that several libraries share are defined once, however many headers are included.

use super::context::{Context, Field, Kind};
use super::interface::{Function, Held, Interface, Map, Value, arguments, handed, in_c, result};
use alveary_isa::Width;
use std::fmt::Write;

/// What stands in front. `$GUARD` is the library's name in capitals.
const TOP: &str = "\
/* Made by `alveary compile`: make it anew rather than change it. */
#ifndef $GUARD_AHEAD_H
#define $GUARD_AHEAD_H

#include <stdint.h>

#ifdef __cplusplus
extern \"C\" {
#endif
";

const BOTTOM: &str = "
#ifdef __cplusplus
}
#endif

#endif
";

const MAP: &str = "
#ifndef ALVEARY_MAP
#define ALVEARY_MAP
/* A map, as helpers are told of it. */
struct alveary_map {
	uint32_t type, key_size, value_size, max_entries, flags;
	uint32_t stride; /* from one of `values` to the next */
	const char *name;
	void *values; /* an array's, if it is the library's; otherwise your helpers have them */
	void *user; /* yours */
};
#endif
";

/// `$NAME` is the library's name.
const HELPERS: &str = "
/*
 * What the programs call: fill in all of it. Each helper does as Linux's does and gives back what that may, since the
 * verifier relied on it. Values of maps stand at multiples of 8: an atomic operation on others ends the process. A function
 * that a helper is given gets the table, then what Linux hands it, and 0 for each number without a name. Any thread may
 * call a program with any table.
 */
struct $NAME_helpers {
	void *user; /* yours */
";

pub(super) fn header(interface: &Interface) -> String {
    let mut out = TOP.replace("$GUARD", &interface.name.to_ascii_uppercase());
    interface.contexts().iter().for_each(|context| out += &structure(context));
    if interface.maps.iter().any(|map| map.described) {
        out += MAP;
    }
    if !interface.helpers.is_empty() {
        out += &helpers(interface);
    }
    interface.functions.iter().for_each(|function| out += &declaration(interface, function));
    interface.maps.iter().for_each(|map| out += &accessor(map));
    out + BOTTOM
}

fn structure(context: &Context) -> String {
    let (name, guard) = (context.name, context.name.to_ascii_uppercase());
    let mut out = format!("\n#ifndef ALVEARY_{guard}\n#define ALVEARY_{guard}\n");
    let _ = writeln!(
        out,
        "/* `struct {}`: fields in Linux's units and byte order, addresses as pointers. */",
        context.linux
    );
    let _ = writeln!(out, "struct alveary_{name} {{");
    for Field { name, kind, count } in context.fields {
        let many = if *count > 1 { format!("[{count}]") } else { String::new() };
        let _ = match kind {
            Kind::Pointer => writeln!(out, "\tvoid *{name};"),
            Kind::Number(width) => writeln!(out, "\t{} {name}{many};", unsigned(*width)),
        };
    }
    out + "};\n#endif\n"
}

fn unsigned(width: Width) -> &'static str {
    match width {
        Width::B1 => "uint8_t",
        Width::B2 => "uint16_t",
        Width::B4 => "uint32_t",
        Width::B8 => "uint64_t",
    }
}

fn helpers(interface: &Interface) -> String {
    let table = format!("const struct {}_helpers *", interface.name);
    let mut out = HELPERS.replace("$NAME", &interface.name);
    for called in &interface.helpers {
        let mut parameters = format!("{table}helpers");
        for (name, value) in arguments(called) {
            let _ = write!(parameters, ", {}", parameter(value, &in_c(&name), &table));
        }
        let given = match result(called.proto) {
            Value::Nothing => "void ",
            Value::Signed => "int64_t ",
            _ => "void *",
        };
        let _ = writeln!(out, "\t{given}(*{})({parameters}); /* number {} */", in_c(called.row.name), called.row.id.0);
    }
    out + "};\n"
}

fn parameter(value: Value, name: &str, table: &str) -> String {
    match value {
        Value::Map => format!("struct alveary_map *{name}"),
        Value::Read => format!("const void *{name}"),
        Value::Pointer => format!("void *{name}"),
        Value::Context(context) => format!("struct alveary_{} *{name}", context.name),
        Value::Function(args) => {
            let named = handed(args).map(|name| format!(", uint64_t{}{name}", if name.is_empty() { "" } else { " " }));
            format!("uint64_t (*{name})({table}helpers{})", named.collect::<String>())
        }
        Value::Number | Value::Signed | Value::Nothing => format!("uint64_t {name}"),
    }
}

fn declaration(interface: &Interface, function: &Function) -> String {
    let Function { name, section, context, takes_helpers } = function;
    let table =
        if *takes_helpers { format!("const struct {}_helpers *helpers, ", interface.name) } else { String::new() };
    let context = context.name;
    format!(
        "\n/* The program of section `{section}`: what it returns. */\nuint64_t {name}({table}struct alveary_{context} *ctx);\n"
    )
}

fn accessor(map: &Map) -> String {
    let (symbol, name) = (&map.symbol, &map.spec.name);
    let Some(memory) = &map.memory else {
        return format!("\n/* Map `{name}`. */\nstruct alveary_map *{symbol}(void);\n");
    };
    let (entries, stride, size) = (memory.entries, memory.stride, map.spec.def.value_size);
    let constant = if memory.read_only { "const " } else { "" };
    let what = match entries {
        1 => format!("{size} bytes"),
        _ => format!("{entries} values of {size} bytes, {stride} bytes apart"),
    };
    let mut out = format!("\n/* Map `{name}`: {what}. */\n{constant}void *{symbol}(void);\n");
    for Held { constant, name, at, size } in &map.variables {
        let _ = writeln!(out, "#define {constant} {at} /* where `{name}` is in it: {size} bytes */");
    }
    out
}

//! The static linker: many objects made one, as `bpftool gen object` makes them.
//!
//! Everything is read first; then names are resolved over all objects at once, sections are put together, and what
//! refers to symbols, offsets or types is rewritten. Resolves nothing that is a kernel's, and loads nothing.
//!
//! | file | holds |
//! |---|---|
//! | `input` | an object that takes part |
//! | `globals` | names that objects share: which definition stands |
//! | `usage` | a name as one object has it |
//! | `agree` | whether two objects mean the same by a name |
//! | `conflicts` | what is wrong if they do not, in words |
//! | `sections` | sections of one name put together |
//! | `symbols` | the symbol table of the result |
//! | `relocs` | relocations, by the new symbols and offsets |
//! | `types` | the types of all, each once; `.BTF.ext` |
//! | `output` | the bytes |

mod agree;
mod conflicts;
mod globals;
mod input;
mod output;
mod relocs;
mod sections;
mod symbols;
mod types;
mod usage;

use alveary_diag::{Diagnostic, Place};
use alveary_isa::Endian;
use globals::Globals;
use input::Object;
use sections::Layout;
use symbols::Symbols;

/// An object that takes part in linking.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// What messages call it.
    pub name: &'a str,
    /// The ELF file.
    pub bytes: &'a [u8],
}

/// Links objects into one, by libbpf's rules: a strong definition beats weak ones, of weak ones the first stands, what
/// is `static` stays its object's own. Externs that nobody defines stay externs. The same inputs give the same bytes.
///
/// # Errors
/// Objects that are damaged or do not fit together: all conflicts, each with both sides.
pub fn link(inputs: &[Input<'_>]) -> Result<Vec<u8>, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut objects = Vec::new();
    for input in inputs {
        match Object::read(input) {
            Ok(object) => objects.push(object),
            Err(problem) => problems.push(problem.in_file(input.name)),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let Some(first) = objects.first() else {
        return Err(vec![Diagnostic::new("link-nothing", "there is nothing to link", Place::Nowhere)]);
    };
    let other = objects.iter().filter(|object| object.elf.endian != first.elf.endian);
    let problems: Vec<_> = other.map(|object| other_order(first, object)).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let globals = Globals::resolve(&objects)?;
    together(&objects, &globals).map_err(|problem| vec![problem])
}

fn together(objects: &[Object<'_>], globals: &Globals<'_>) -> Result<Vec<u8>, Diagnostic> {
    let mut layout = Layout::of(objects)?;
    let symbols = Symbols::number(objects, globals, &layout);
    let relocations = relocs::rewrite(objects, &symbols, &mut layout)?;
    let types = types::merge(objects, globals, &layout)?;
    let endian = objects.first().map_or(Endian::Little, |object| object.elf.endian);
    output::write(endian, &layout, &symbols, &relocations, types)
}

fn other_order(first: &Object<'_>, other: &Object<'_>) -> Diagnostic {
    Diagnostic::new("link-endian", "the objects differ in byte order", Place::Nowhere)
        .in_file(other.name)
        .expected(format!("{:?}-endian, as {}", first.elf.endian, first.name))
        .found(format!("{:?}-endian", other.elf.endian))
        .help("compile all sources with one `-target`: bpfel or bpfeb")
}

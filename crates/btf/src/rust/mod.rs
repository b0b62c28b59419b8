//! Types in Rust: `#[repr(C)]` structs of the same layout, for programs in user space that read what eBPF programs wrote.
//!
//! No rendering needs `unsafe`, and no bytes make an invalid value: enumerations are numbers with constants, unions are
//! their bytes with a method for each member, `bool` is a byte, a pointer is a number that knows its type. Bit fields are
//! bytes with methods. Padding stands there as fields, so that no byte is left undefined and the layout does not depend
//! on what the compiler aligns; that it is the BTF's is asserted when the text is compiled.
//!
//! | file | holds |
//! |---|---|
//! | `needs` | which types have to be written, and which only to be named |
//! | `names` | what each is called: one name space, no keywords |
//! | `layout` | fields, bit fields and padding of a struct |
//! | `define` | the text of each definition |

mod define;
mod layout;
mod names;
mod needs;

pub use names::identifier;

use crate::{Array, Btf, Type, TypeId};
use alveary_diag::{Diagnostic, Place};
use names::Names;
use needs::{Need, Needs};
use std::{borrow::Cow, fmt::Write};

/// The lints that names from C do not keep to.
pub const LINTS: [&str; 9] = [
    "clippy::all",
    "dead_code",
    "missing_docs",
    "non_camel_case_types",
    "non_snake_case",
    "non_upper_case_globals",
    "unreachable_pub",
    "unused_imports",
    "unused_macros",
];

/// What stands in front of a standalone rendering.
const PRELUDE: &str = include_str!("../plain.rs");

/// Levels of types inside each other that are followed.
const LEVELS: u32 = 256;

/// Bytes of text that one byte of types may become. A field is written three times.
const GROWTH: usize = 64;

impl Btf {
    /// A Rust module with these types and all that they need: a file of its own, which stands on nothing but `core`.
    ///
    /// # Errors
    /// A type holds itself, chains of types never end, or the text would be out of proportion to the types.
    pub fn to_rust(&self, roots: impl IntoIterator<Item = TypeId>) -> Result<String, Diagnostic> {
        let types = RustTypes::new(self, roots)?;
        let lints = LINTS.join(",\n    ");
        let mut text = format!(
            "// Types from BTF: a module of its own.\n\n#![allow(\n    {lints},\n    reason = \"generated\"\n)]\n\n"
        );
        text.push_str("use ::core::ffi::{c_char, c_void};\n");
        // Without its head, which speaks of this crate.
        let (_, prelude) = PRELUDE.split_once("\n\n").unwrap_or(("", PRELUDE));
        text.push_str(&prelude.replace("#[macro_export]\n", ""));
        text.push('\n');
        text.push_str(&types.definitions()?);
        Ok(text)
    }
}

/// Some types of a set in Rust: what they are called, and their definitions.
pub struct RustTypes<'a> {
    btf: &'a Btf,
    needs: Needs,
    names: Names,
    /// Bytes that the definitions may have.
    most: usize,
}

impl<'a> RustTypes<'a> {
    /// These types, and all that they need.
    ///
    /// # Errors
    /// As [`Btf::to_rust`].
    pub fn new(btf: &'a Btf, roots: impl IntoIterator<Item = TypeId>) -> Result<RustTypes<'a>, Diagnostic> {
        let needs = Needs::find(btf, roots)?;
        let names = Names::give(btf, &needs);
        let mut size = 0;
        let mut set = Some(btf);
        while let Some(one) = set {
            size += one.raw.len();
            set = one.base.as_deref();
        }
        Ok(RustTypes { btf, needs, names, most: (64 << 10) + GROWTH * size })
    }

    /// What stands for a type where a value has it: `[service; 4]`, `Ptr<c_void>`.
    ///
    /// # Errors
    /// The chain of types is too long.
    pub fn name(&self, id: TypeId) -> Result<Cow<'_, str>, Diagnostic> {
        self.nested(id, "", 0)
    }

    /// The same from outside of the module that holds the definitions: `path` stands in front of names
    /// (`[types::service; 4]`).
    ///
    /// # Errors
    /// As [`RustTypes::name`].
    pub fn path(&self, id: TypeId, path: &str) -> Result<Cow<'_, str>, Diagnostic> {
        self.nested(id, path, 0)
    }

    fn nested(&self, id: TypeId, path: &str, level: u32) -> Result<Cow<'_, str>, Diagnostic> {
        if level > LEVELS {
            return Err(too_deep(id));
        }
        let within = |name: &str| Cow::from(format!("{path}{name}"));
        if let Some(name) = self.names.of(id) {
            return Ok(if path.is_empty() { name.into() } else { within(name) });
        }
        Ok(match self.btf.ty(id) {
            Some(Type::Int(t)) if t.bool && t.size == 1 => within("Bool"),
            Some(Type::Int(t)) if t.name == "char" && t.size == 1 => within("c_char"),
            Some(Type::Int(t)) => number(t.size, t.signed),
            Some(Type::Float { size: 4, .. }) => "f32".into(),
            Some(Type::Float { size: 8, .. }) => "f64".into(),
            Some(Type::Float { size, .. }) => format!("[u8; {size}]").into(),
            Some(Type::Enum(t) | Type::Enum64(t)) => number(t.size, t.signed()),
            Some(Type::Ptr(to)) => format!("{path}Ptr<{}>", self.nested(to, path, level + 1)?).into(),
            Some(Type::Array(Array { element, len, .. })) => {
                format!("[{}; {len}]", self.nested(element, path, level + 1)?).into()
            }
            Some(Type::FuncProto(_) | Type::Func { .. }) => within("Function"),
            other => match other.and_then(Type::stands_for) {
                Some(ty) => self.nested(ty, path, level + 1)?,
                None => within("c_void"),
            },
        })
    }

    /// The definitions, those that were asked for first.
    ///
    /// # Errors
    /// As [`Btf::to_rust`].
    pub fn definitions(&self) -> Result<String, Diagnostic> {
        let mut out = String::new();
        let order = match self.btf.endian() {
            alveary_isa::Endian::Little => "little",
            alveary_isa::Endian::Big => "big",
        };
        writeln!(out, "const _: () = assert!(cfg!(target_endian = \"{order}\"));").ok();
        let mut aligns = layout::Aligns::new(self.btf);
        for id in self.needs.order() {
            self.define(id, self.needs.of(id) == Need::Whole, &mut aligns, &mut out)?;
            if out.len() > self.most {
                return Err(problem("the types would become more text than is reasonable", id)
                    .expected(format!("at most {} bytes", self.most))
                    .help("the BTF is damaged, or made to harm"));
            }
        }
        Ok(out)
    }
}

/// The number of so many bytes; bytes if there is none of this size.
fn number(size: u32, signed: bool) -> Cow<'static, str> {
    match (size, signed) {
        (1, false) => "u8".into(),
        (2, false) => "u16".into(),
        (4, false) => "u32".into(),
        (8, false) => "u64".into(),
        (16, false) => "u128".into(),
        (1, true) => "i8".into(),
        (2, true) => "i16".into(),
        (4, true) => "i32".into(),
        (8, true) => "i64".into(),
        (16, true) => "i128".into(),
        (size, _) => format!("[u8; {size}]").into(),
    }
}

fn problem(message: impl Into<Cow<'static, str>>, id: TypeId) -> Diagnostic {
    Diagnostic::new("btf-rust", message, Place::BtfType { id: id.0 })
}

fn too_deep(id: TypeId) -> Diagnostic {
    problem("types are nested too deeply, or in a circle", id).expected(format!("at most {LEVELS} levels"))
}

//! The text of each definition, as rustfmt would have it.

use super::{
    RustTypes,
    layout::{Aligns, Item, Layout, Part, bits_of},
    names::{identifier, unique},
    number, problem,
};
use crate::{Composite, Enum, Section, Type, TypeId};
use alveary_diag::Diagnostic;
use alveary_sort::Sort;
use std::{borrow::Cow, collections::HashSet, fmt::Write};

/// The longest line that rustfmt leaves.
const WIDTH: usize = 100;

const RECORD: &str = "\n#[repr(C)]\n#[derive(Clone, Copy, Debug, PartialEq)]\n";
const PACKED: &str = "\n#[repr(C, packed)]\n#[derive(Clone, Copy, Debug, PartialEq)]\n";

impl<'a> RustTypes<'a> {
    /// Writes the definition of a type that has one; of what is only pointed to a name with nothing behind it.
    pub(super) fn define(
        &self,
        id: TypeId,
        whole: bool,
        aligns: &mut Aligns<'_>,
        out: &mut String,
    ) -> Result<(), Diagnostic> {
        let Some(ty) = self.btf.ty(id) else { return Ok(()) };
        if self.names.is_same(id) {
            return Ok(());
        }
        let name = self.names.of(id);
        match (ty, name) {
            (Type::Enum(t) | Type::Enum64(t), Some(name)) => enumeration(name, t, out),
            (Type::Enum(t) | Type::Enum64(t), None) => self.constants(id, t, out),
            (Type::Typedef { ty, .. }, Some(name)) => {
                out.push('\n');
                broken(out, "", &format!("pub type {name} ="), &format!("{};", self.name(ty)?));
            }
            (Type::Struct(_) | Type::Union(_) | Type::Fwd { .. }, Some(name)) if !whole || is_declaration(ty) => {
                writeln!(out, "\n/// Only pointed to.\n#[repr(C)]\n#[derive(Clone, Copy, Debug, PartialEq)]").ok();
                writeln!(out, "pub struct {name} {{\n    __declared: [u8; 0],\n}}").ok();
            }
            (Type::Struct(t), Some(name)) => self.record(id, name, t.size, members(self, t), aligns, out)?,
            (Type::Union(t), Some(name)) => self.union(name, t, out)?,
            (Type::DataSec(t), Some(name)) => self.record(id, name, t.size, variables(self, t), aligns, out)?,
            _ => {}
        }
        Ok(())
    }

    fn record<'b>(
        &self,
        id: TypeId,
        name: &str,
        size: u32,
        items: impl Iterator<Item = Item<'b>>,
        aligns: &mut Aligns<'_>,
        out: &mut String,
    ) -> Result<(), Diagnostic> {
        let Some(layout) = Layout::of(self.btf, items, size, aligns) else {
            bytes(name, size, out);
            return Ok(());
        };
        out.push_str(if layout.packed { PACKED } else { RECORD });
        let mut fields = Fields::default();
        let (mut offsets, mut bit_fields) = (String::new(), String::new());
        let mut methods = HashSet::new();
        if layout.parts.is_empty() {
            writeln!(out, "pub struct {name} {{}}").ok();
        } else {
            writeln!(out, "pub struct {name} {{").ok();
        }
        for part in &layout.parts {
            if out.len() > self.most {
                return Err(problem("the types would become more text than is reasonable", id));
            }
            let (field, ty, offset): (String, Cow<'_, str>, u32) = match part {
                Part::Field { name, ty, offset } => (fields.named(name), self.name(*ty)?, *offset),
                Part::Padding { offset, size } => (fields.padding(), format!("[u8; {size}]").into(), *offset),
                Part::Bits { offset, size, fields: items } => {
                    let field = fields.bits();
                    writeln!(bit_fields, "bits! {{\n    {name}.{field};").ok();
                    for item in items {
                        self.bit_field(item, &mut methods, &mut bit_fields)?;
                    }
                    bit_fields.push_str("}\n");
                    (field, format!("[u8; {size}]").into(), *offset)
                }
            };
            broken(out, "    ", &format!("pub {field}:"), &format!("{ty},"));
            writeln!(offsets, "    {field}: {offset};").ok();
        }
        if !layout.parts.is_empty() {
            out.push_str("}\n");
        }
        writeln!(out, "layout! {{\n    {name}: {size};\n{offsets}}}").ok();
        out.push_str(&bit_fields);
        Ok(())
    }

    fn bit_field(&self, item: &Item<'_>, methods: &mut HashSet<String>, out: &mut String) -> Result<(), Diagnostic> {
        let is_number = matches!(self.btf.resolved(item.ty), Type::Int(_) | Type::Enum(_) | Type::Enum64(_));
        // What has no name is padding.
        let Some(bits) = item.bits.filter(|bits| *bits <= 64 && is_number && !item.name.is_empty()) else {
            return Ok(());
        };
        let (get, set) = accessors(item.name, methods);
        writeln!(out, "    {get} {set}: {}, {}, {bits};", self.name(item.ty)?, item.bit_offset).ok();
        Ok(())
    }

    fn union(&self, name: &str, t: Composite<'a>, out: &mut String) -> Result<(), Diagnostic> {
        writeln!(out, "{RECORD}pub struct {name} {{\n    pub bytes: [u8; {}],\n}}", t.size).ok();
        writeln!(out, "variants! {{\n    {name}: {};", t.size).ok();
        let mut methods = HashSet::new();
        let mut nameless = 0;
        let mut bit_fields = String::new();
        for item in members(self, t) {
            if item.bits.is_some() {
                self.bit_field(&item, &mut methods, &mut bit_fields)?;
                continue;
            }
            nameless += u32::from(item.name.is_empty());
            let fits = self.btf.size_of(item.ty).is_some_and(|size| size <= t.size);
            if !fits || item.bit_offset != 0 {
                continue;
            }
            let member = if item.name.is_empty() { format!("__anon{nameless}") } else { item.name.to_owned() };
            let (get, set) = accessors(&member, &mut methods);
            writeln!(out, "    {get} {set}: {};", self.name(item.ty)?).ok();
        }
        out.push_str("}\n");
        if !bit_fields.is_empty() {
            writeln!(out, "bits! {{\n    {name}.bytes;\n{bit_fields}}}").ok();
        }
        Ok(())
    }

    /// An enumeration without a name that no value has: constants.
    fn constants(&self, id: TypeId, t: Enum<'_>, out: &mut String) {
        let ty = number(t.size, t.signed());
        if ty.starts_with('[') {
            return;
        }
        out.push('\n');
        for (name, value) in self.names.constants(id).iter().zip(t.values()) {
            broken(out, "", &format!("pub const {name}: {ty} ="), &format!("{};", value.value));
        }
    }
}

fn enumeration(name: &str, t: Enum<'_>, out: &mut String) {
    let ty = number(t.size, t.signed());
    if ty.starts_with('[') {
        return bytes(name, t.size, out);
    }
    out.push_str("\n#[repr(transparent)]\n#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\n");
    writeln!(out, "pub struct {name}(pub {ty});").ok();
    if t.values().len() != 0 {
        writeln!(out, "impl {name} {{").ok();
        let mut taken = HashSet::new();
        for value in t.values() {
            let constant = unique(&identifier(value.name), &mut taken);
            broken(out, "    ", &format!("pub const {constant}: Self ="), &format!("Self({});", value.value));
        }
        out.push_str("}\n");
    }
    writeln!(out, "enumeration! {{\n    {name}: {ty}\n}}").ok();
}

/// What no compiler makes: a struct whose members overlap, an enumeration of three bytes.
fn bytes(name: &str, size: u32, out: &mut String) {
    writeln!(out, "{RECORD}pub struct {name} {{\n    pub __bytes: [u8; {size}],\n}}").ok();
    writeln!(out, "layout! {{\n    {name}: {size};\n    __bytes: 0;\n}}").ok();
}

fn is_declaration(ty: Type<'_>) -> bool {
    matches!(ty, Type::Fwd { .. })
}

fn members<'a>(types: &RustTypes<'a>, t: Composite<'a>) -> impl Iterator<Item = Item<'a>> {
    let btf = types.btf;
    t.members().map(move |m| {
        let (first, bits) = bits_of(btf, m.ty, m.bits);
        Item { name: m.name, ty: m.ty, bit_offset: m.bit_offset.saturating_add(first), bits }
    })
}

/// The variables of a section that other files see: static ones may share their names.
fn variables<'a>(types: &RustTypes<'a>, t: Section<'a>) -> impl Iterator<Item = Item<'a>> {
    let mut vars: Vec<_> = t.vars().collect();
    vars.order_by_key(|v| v.offset);
    let btf = types.btf;
    vars.into_iter().filter_map(move |v| match btf.ty(v.ty)? {
        Type::Var { name, ty, linkage } if linkage != crate::Linkage::Static => {
            Some(Item { name, ty, bit_offset: v.offset.checked_mul(8)?, bits: None })
        }
        _ => None,
    })
}

/// The fields of a struct: their names, each once, and how many have none of their own.
#[derive(Default)]
struct Fields {
    taken: HashSet<String>,
    nameless: u32,
    paddings: u32,
    bits: u32,
}

impl Fields {
    fn named(&mut self, name: &str) -> String {
        self.nameless += u32::from(name.is_empty());
        let name = if name.is_empty() { format!("__anon{}", self.nameless).into() } else { identifier(name) };
        self.once(&name)
    }

    fn padding(&mut self) -> String {
        self.paddings += 1;
        self.once(&format!("__pad{}", self.paddings))
    }

    fn bits(&mut self) -> String {
        self.bits += 1;
        self.once(&format!("__bits{}", self.bits))
    }

    fn once(&mut self, name: &str) -> String {
        unique(name, &mut self.taken)
    }
}

/// Names of the methods that read and write a member.
fn accessors(name: &str, taken: &mut HashSet<String>) -> (String, String) {
    let get = unique(&identifier(name), taken);
    let set = unique(&format!("set_{}", get.strip_prefix("r#").unwrap_or(&get)), taken);
    (get, set)
}

/// Two parts of a line, the second on a line of its own if they are too long together.
fn broken(out: &mut String, indent: &str, first: &str, second: &str) {
    let fits = indent.len() + first.len() + 1 + second.len() <= WIDTH;
    let between = if fits { " ".to_owned() } else { format!("\n{indent}    ") };
    writeln!(out, "{indent}{first}{between}{second}").ok();
}

//! What several verbs ask of an object's Spec: which functions a program reaches, which variables a section holds,
//! what an instruction slot says.

use crate::failure::Failure;
use alveary_btf::{Btf, Type, TypeId};
use alveary_diag::{Diagnostic, Place, did_you_mean};
use alveary_isa::{DecodeError, Inst, decode};
use alveary_sort::Sort;
use alveary_spec::{Function, Initial, MapSpec, ProgramSpec, RelocKind, Spec};
use std::{borrow::Cow, ops::Range, path::Path};

/// Reads an object file.
pub(crate) fn open(path: &Path) -> Result<Spec, Failure> {
    let bytes = std::fs::read(path).map_err(|why| Failure::file("read", path, &why))?;
    Ok(alveary_object::read(&bytes).map_err(|why| why.in_file(path.display().to_string()))?)
}

/// The functions that a program can get to: itself first, then in the order in which they are named.
pub(crate) fn reached<'a>(spec: &'a Spec, program: &str) -> Vec<&'a str> {
    let mut found: Vec<&str> = spec.functions.get_key_value(program).map(|(name, _)| &**name).into_iter().collect();
    let mut next = 0;
    while let Some(name) = found.get(next) {
        for reloc in &spec.functions[*name].relocs {
            if let RelocKind::Call(name) | RelocKind::FuncAddr(name) = &reloc.kind
                && let Some((name, _)) = spec.functions.get_key_value(name)
                && !found.contains(&&**name)
            {
                found.push(name);
            }
        }
        next += 1;
    }
    found
}

/// The program of a name.
///
/// # Errors
/// There is none: names those that there are, and the one that was probably meant.
pub(crate) fn program<'a>(spec: &'a Spec, name: &str, file: &Path) -> Result<&'a ProgramSpec, Diagnostic> {
    spec.programs.get(name).ok_or_else(|| {
        let known: Vec<&str> = in_order(spec).map(|p| &*p.name).collect();
        missing("program", name, &known, Place::Nowhere).in_file(file.display().to_string())
    })
}

/// The programs in the file's order.
pub(crate) fn in_order(spec: &Spec) -> impl Iterator<Item = &ProgramSpec> {
    let mut programs: Vec<_> = spec.programs.values().collect();
    programs.order_by_key(|p| p.order);
    programs.into_iter()
}

/// Says that a name is not among the known ones.
pub(crate) fn missing(what: &str, name: &str, known: &[&str], at: Place) -> Diagnostic {
    let why = Diagnostic::new("not-found", format!("there is no {what} `{name}`"), at);
    let why = match known {
        [] => why.note(format!("the object has no {what}")),
        known => why.expected(format!("one of {}", known.join(", "))),
    };
    match did_you_mean(name, known.iter().copied()) {
        Some(near) => why.help(format!("did you mean `{near}`?")),
        None => why,
    }
}

/// A function's instructions, by slot. A slot that makes no sense is `Err`, and the next one is read.
pub(crate) fn decoded(function: &Function) -> impl Iterator<Item = (usize, Result<Inst, DecodeError>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let slot = at;
        let inst = (slot < function.insns.len()).then(|| decode(&function.insns, slot))?;
        at += inst.as_ref().map_or(1, Inst::slots);
        Some((slot, inst))
    })
}

/// A variable of a data section.
pub(crate) struct Variable<'a> {
    pub(crate) name: &'a str,
    pub(crate) ty: TypeId,
    pub(crate) offset: u32,
    pub(crate) size: u32,
}

impl Variable<'_> {
    /// Its bytes in the section.
    pub(crate) fn range(&self) -> Range<usize> {
        self.offset as usize..self.offset as usize + self.size as usize
    }
}

/// Whether a map stands behind a data section. `.bss` has no content in the file: its BTF tells. What `.kconfig` holds is
/// the kernel's to say.
pub(crate) fn is_data(map: &MapSpec, btf: Option<&Btf>) -> bool {
    if &*map.section == ".kconfig" {
        return false;
    }
    match &map.initial {
        Initial::Bytes(_) => true,
        Initial::Empty => map.value_type.zip(btf).is_some_and(|(ty, btf)| matches!(btf.resolved(ty), Type::DataSec(_))),
        Initial::Programs(_) | Initial::Maps(_) | Initial::StructOps(_) => false,
    }
}

/// The first bytes of a variable in a data section's map; `None` if it does not lie in it.
pub(crate) fn first_bytes(map: &MapSpec, range: Range<usize>) -> Option<Cow<'_, [u8]>> {
    match &map.initial {
        Initial::Bytes(bytes) => bytes.get(range).map(Cow::from),
        _ => (range.end <= map.def.value_size as usize).then(|| vec![0; range.len()].into()),
    }
}

/// The variables in a data section's map, by the type of its value; none if the object has no BTF of it.
pub(crate) fn variables(btf: &Btf, value: Option<TypeId>) -> impl Iterator<Item = Variable<'_>> {
    let section = match value.map(|ty| btf.resolved(ty)) {
        Some(Type::DataSec(section)) => Some(section),
        _ => None,
    };
    section.into_iter().flat_map(|s| s.vars()).filter_map(|v| match btf.ty(v.ty)? {
        Type::Var { name, ty, .. } => Some(Variable { name, ty, offset: v.offset, size: v.size }),
        _ => None,
    })
}

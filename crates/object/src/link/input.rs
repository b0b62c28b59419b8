//! An object that takes part: its sections, its symbols, and what its types say of them.

use super::Input;
use crate::{
    elf::{Elf, Home, Section, Symbol},
    emit::{SHT_NOBITS, SHT_PROGBITS},
    types,
};
use alveary_btf::{Btf, Ext, Linkage, Type, TypeId};
use alveary_diag::{Diagnostic, Place};
use std::collections::HashMap;

const SHF_ALLOC: u64 = 2;

pub(super) struct Object<'a> {
    pub(super) name: &'a str,
    pub(super) elf: Elf<'a>,
    pub(super) btf: Option<Btf>,
    pub(super) ext: Ext,
    /// The `DATASEC` that lists a variable or function.
    listed: HashMap<TypeId, TypeId>,
    /// Variables and functions that other objects see, by the symbols of their names.
    declared: HashMap<usize, TypeId>,
}

impl<'a> Object<'a> {
    pub(super) fn read(input: &Input<'a>) -> Result<Object<'a>, Diagnostic> {
        let elf = Elf::read(input.bytes)?;
        let btf = types::read(&elf)?;
        let ext = match (&btf, elf.section(".BTF.ext").filter(|s| !s.data.is_empty())) {
            (Some(btf), Some(section)) => Ext::read(section.data, btf)?,
            _ => Ext::default(),
        };
        let listed = btf.as_ref().map(listed).unwrap_or_default();
        let mut object = Object { name: input.name, elf, btf, ext, listed, declared: HashMap::new() };
        object.declared = object.declarations();
        object.check_symbols()?;
        Ok(object)
    }

    /// Whether a section becomes part of the result: code, data, what libbpf reads by name. Types are put together by
    /// themselves, debugging information is left out.
    pub(super) fn takes_part(section: &Section<'_>) -> bool {
        section.flags & SHF_ALLOC != 0
            && matches!(section.kind, SHT_PROGBITS | SHT_NOBITS)
            && !matches!(section.name, ".BTF" | ".BTF.ext")
            && (section.size > 0 || section.name != ".text")
    }

    /// The symbols that other objects see or want, with their numbers.
    pub(super) fn shared(&self) -> impl Iterator<Item = (usize, &Symbol<'a>)> {
        self.elf.symbols.iter().enumerate().filter(|(_, s)| !s.local && !s.name.is_empty())
    }

    /// The `VAR` or `FUNC` of a symbol that other objects see.
    pub(super) fn declaration(&self, symbol: usize) -> Option<TypeId> {
        self.declared.get(&symbol).copied()
    }

    /// The name of the `DATASEC` that lists a variable or function.
    pub(super) fn section_of(&self, id: TypeId) -> Option<&str> {
        self.btf.as_ref().zip(self.listed.get(&id)).map(|(btf, section)| btf.name(*section))
    }

    fn declarations(&self) -> HashMap<usize, TypeId> {
        let Some(btf) = &self.btf else { return HashMap::new() };
        let mut visible = HashMap::new();
        for id in btf.ids() {
            if let Some(Type::Var { name, linkage, .. } | Type::Func { name, linkage, .. }) = btf.ty(id)
                && linkage != Linkage::Static
            {
                visible.entry(name).or_insert(id);
            }
        }
        self.shared().filter_map(|(i, symbol)| Some((i, *visible.get(symbol.name)?))).collect()
    }

    fn check_symbols(&self) -> Result<(), Diagnostic> {
        for symbol in &self.elf.symbols {
            match symbol.at {
                Home::Section(i) if symbol.value > self.elf.sections[i].size => {
                    let section = &self.elf.sections[i];
                    let message = format!("symbol `{}` is outside of its section", symbol.name);
                    return Err(Diagnostic::new("link-symbol", message, section.place(symbol.value))
                        .expected(format!("an offset up to {:#x}", section.size))
                        .found(format!("{:#x}", symbol.value)));
                }
                Home::Common => {
                    let message = format!("`{}` is a common symbol", symbol.name);
                    return Err(Diagnostic::new("common-symbol", message, Place::Nowhere)
                        .help("initialise it, or compile with -fno-common"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Which section lists which variable or function.
fn listed(btf: &Btf) -> HashMap<TypeId, TypeId> {
    let mut listed = HashMap::new();
    for section in btf.ids() {
        if let Some(Type::DataSec(t)) = btf.ty(section) {
            t.vars().for_each(|v| {
                listed.entry(v.ty).or_insert(section);
            });
        }
    }
    listed
}

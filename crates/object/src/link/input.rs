//! An object that takes part: its sections, its symbols, and what its types say of them.

use super::Input;
use crate::{
    elf::{Elf, Home, Section, Symbol, SymbolKind},
    emit::{SHT_NOBITS, SHT_PROGBITS},
    types,
};
use alveary_btf::{Btf, Ext, Kind, Linkage, Type, TypeId};
use alveary_diag::{Diagnostic, Place};
use alveary_isa::Insn;
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

    /// Where a symbol is defined, in words: ``a.o, section .data, offset 0x8``.
    pub(super) fn place(&self, symbol: &Symbol<'_>) -> String {
        match symbol.at {
            Home::Section(i) => {
                format!("{}, section {}, offset {:#x}", self.name, self.elf.sections[i].name, symbol.value)
            }
            _ => self.name.to_owned(),
        }
    }

    /// The source line that a function begins on: ``a.c:12``.
    pub(super) fn source_line(&self, symbol: &Symbol<'_>) -> Option<String> {
        let Home::Section(section) = symbol.at else { return None };
        let name = self.elf.sections[section].name;
        let (_, lines) = self.ext.lines.iter().find(|(section, _)| section == name)?;
        let line = lines.iter().find(|line| u64::from(line.insn) * Insn::SIZE as u64 == symbol.value)?;
        Some(format!("{}:{}", self.btf.as_ref()?.string(line.file)?, line.line))
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
            let outside = match symbol.at {
                Home::Section(i) => {
                    symbol.value > self.elf.sections[i].size.max(self.elf.sections[i].data.len() as u64)
                }
                _ => false,
            };
            if let (Home::Section(i), true) = (symbol.at, outside) {
                let section = &self.elf.sections[i];
                let message = format!("symbol `{}` is outside of its section", symbol.name);
                return Err(Diagnostic::new("link-symbol", message, section.place(symbol.value))
                    .expected(format!("an offset up to {:#x}", section.size))
                    .found(format!("{:#x}", symbol.value)));
            }
            if symbol.at == Home::Common && symbol.kind != SymbolKind::Section {
                let message = format!("`{}` is a common symbol", symbol.name);
                return Err(Diagnostic::new("common-symbol", message, Place::Nowhere)
                    .help("initialise it, or compile with -fno-common"));
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

/// A variable or function as C declares it.
pub(super) fn in_c(btf: &Btf, id: TypeId) -> String {
    match btf.ty(id) {
        Some(Type::Func { name, proto, .. }) => match btf.resolved(proto) {
            Type::FuncProto(proto) => {
                let params: Vec<_> = proto.params().map(|p| btf.c_name(p.ty)).collect();
                let params = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
                format!("{} {name}({params})", btf.c_name(proto.ret))
            }
            _ => name.to_owned(),
        },
        Some(Type::Var { name, ty, .. }) => {
            let ty = btf.c_name(ty);
            match ty.split_once('[') {
                Some((element, rest)) if !element.ends_with(')') => format!("{element} {name}[{rest}"),
                _ => format!("{ty} {name}"),
            }
        }
        _ => btf.c_name(id),
    }
}

/// What BTF calls what a symbol names.
pub(super) fn what(btf: &Btf, id: TypeId) -> &'static str {
    if btf.ty(id).is_some_and(|t| t.kind() == Kind::Func) { "function" } else { "variable" }
}

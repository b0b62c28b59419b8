//! A name as one object has it: its symbol, its type, and both in words.

use super::input::Object;
use crate::elf::{Home, Symbol};
use alveary_btf::{Btf, Type, TypeId};
use alveary_diag::Place;
use alveary_isa::Insn;

#[derive(Clone, Copy)]
pub(super) struct Usage<'o, 'a> {
    pub(super) object: &'o Object<'a>,
    /// The number of its symbol.
    pub(super) number: usize,
}

impl<'o, 'a> Usage<'o, 'a> {
    pub(super) fn symbol(self) -> &'o Symbol<'a> {
        &self.object.elf.symbols[self.number]
    }

    pub(super) fn is_defined(self) -> bool {
        self.symbol().at != Home::Undefined
    }

    /// Its `VAR` or `FUNC`.
    pub(super) fn declaration(self) -> Option<(&'o Btf, TypeId)> {
        self.object.btf.as_ref().zip(self.object.declaration(self.number))
    }

    /// The section that lists it in BTF.
    pub(super) fn section(self) -> Option<&'o str> {
        self.declaration().and_then(|(_, id)| self.object.section_of(id))
    }

    pub(super) fn place(self) -> Place {
        match self.symbol().at {
            Home::Section(i) => self.object.elf.sections[i].place(self.symbol().value),
            _ => Place::Nowhere,
        }
    }

    /// All of it in words: ``defined in a.o, section .text, offset 0x0 (a.c:12): `int add(int, int)` ``.
    pub(super) fn described(self) -> String {
        let does = if self.is_defined() { "defined" } else { "declared" };
        let weak = if self.symbol().weak { " weak" } else { "" };
        let line = self.source_line().map(|line| format!(" ({line})")).unwrap_or_default();
        let ty = match self.declaration() {
            Some((btf, id)) => format!(": `{}`", in_c(btf, id)),
            None => ", without a type".to_owned(),
        };
        format!("{does}{weak} in {}{line}{ty}", self.home())
    }

    /// Where it is defined, or who declares it: `a.o, section .data, offset 0x8`.
    pub(super) fn home(self) -> String {
        let (object, symbol) = (self.object, self.symbol());
        match symbol.at {
            Home::Section(i) => {
                format!("{}, section {}, offset {:#x}", object.name, object.elf.sections[i].name, symbol.value)
            }
            _ => object.name.to_owned(),
        }
    }

    /// The source line that a function begins on: `a.c:12`.
    fn source_line(self) -> Option<String> {
        let Home::Section(section) = self.symbol().at else { return None };
        let name = self.object.elf.sections[section].name;
        let (_, lines) = self.object.ext.lines.iter().find(|(section, _)| section == name)?;
        let line = lines.iter().find(|line| u64::from(line.insn) * Insn::SIZE as u64 == self.symbol().value)?;
        Some(format!("{}:{}", self.object.btf.as_ref()?.string(line.file)?, line.line))
    }
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

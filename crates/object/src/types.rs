//! `.BTF` and `.BTF.ext`: read, completed from the symbol table, handed out to functions.

use crate::{
    code::Places,
    elf::{Elf, Home},
};
use alveary_btf::{Btf, CoreReloc, Ext, FuncInfo, LineInfo, Records, Type};
use alveary_diag::Diagnostic;
use alveary_sort::Sort;
use alveary_spec::Function;
use std::collections::{BTreeMap, HashMap};

/// The object's types, with the layout of its data sections filled in: compilers leave that to the linker.
pub(crate) fn read(elf: &Elf<'_>) -> Result<Option<Btf>, Diagnostic> {
    let Some(section) = elf.section(".BTF").filter(|s| !s.data.is_empty()) else { return Ok(None) };
    let mut btf = Btf::read(section.data, None)?;
    if btf.endian() != elf.endian {
        return Err(Diagnostic::new(
            "btf-endian",
            "the BTF is of another byte order than the object",
            section.place(0),
        )
        .expected(format!("{:?}-endian", elf.endian))
        .found(format!("{:?}-endian", btf.endian())));
    }
    // Static variables of objects that were linked may share a name: a linker has filled in where they are.
    let mut offsets: HashMap<usize, HashMap<&str, Option<u32>>> = HashMap::new();
    for symbol in &elf.symbols {
        if let (Home::Section(i), Ok(value)) = (symbol.at, u32::try_from(symbol.value)) {
            let names = offsets.entry(i).or_default();
            names.entry(symbol.name).and_modify(|known| *known = None).or_insert(Some(value));
        }
    }
    for id in btf.ids() {
        let Some(Type::DataSec(data)) = btf.ty(id) else { continue };
        let Some(index) = elf.sections.iter().position(|s| s.name == data.name) else { continue };
        if let (Ok(size), Some(offsets)) = (u32::try_from(elf.sections[index].size), offsets.get(&index)) {
            btf.fix_section(id, size, |name| *offsets.get(name)?);
        }
    }
    Ok(Some(btf))
}

/// Gives functions what `.BTF.ext` says of them.
pub(crate) fn attach(
    elf: &Elf<'_>,
    btf: &Btf,
    places: &Places,
    functions: &mut BTreeMap<String, Function>,
) -> Result<(), Diagnostic> {
    let Some(section) = elf.section(".BTF.ext").filter(|s| !s.data.is_empty()) else { return Ok(()) };
    let ext = Ext::read(section.data, btf)?;
    let mut hand_out = Handout { elf, places, functions };
    hand_out.records(ext.funcs, |f: &FuncInfo| f.insn, |f, insn, r| f.funcs.push(FuncInfo { insn, ..r }));
    hand_out.records(ext.lines, |l: &LineInfo| l.insn, |f, insn, r| f.lines.push(LineInfo { insn, ..r }));
    hand_out.records(ext.core, |c: &CoreReloc| c.insn, |f, insn, r| f.core.push(CoreReloc { insn, ..r }));
    Ok(())
}

/// Makes the types of hidden functions static, as those are to whoever loads the object.
pub(crate) fn hide(btf: &mut Btf, functions: &BTreeMap<String, Function>) {
    let hidden = functions.values().filter(|function| !function.global);
    for func in hidden.flat_map(|function| function.funcs.iter().filter(|func| func.insn == 0)) {
        btf.make_static(func.ty);
    }
}

struct Handout<'a> {
    elf: &'a Elf<'a>,
    places: &'a Places,
    functions: &'a mut BTreeMap<String, Function>,
}

impl Handout<'_> {
    /// Sorts records by slot and gives each to the function that holds its slot.
    fn records<T>(&mut self, all: Records<T>, slot: impl Fn(&T) -> u32, put: impl Fn(&mut Function, u32, T)) {
        for (section, mut records) in all {
            let Some(index) = self.elf.sections.iter().position(|s| s.name == section && s.is_code()) else { continue };
            records.order_by_key(&slot);
            for record in records {
                let at = slot(&record);
                let Some(place) = self.places.at(index, at) else { continue };
                if let Some(function) = self.functions.get_mut(&place.name) {
                    put(function, at - place.slots.start, record);
                }
            }
        }
    }
}

//! Assembled sections as an ELF object: what a loader needs to find the functions, and no more.

use alveary_diag::{Diagnostic, Place};
use alveary_isa::{
    Endian, Insn, Inst,
    asm::{Assembly, Reference, ReferenceKind, Section},
    decode,
};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionFlags, SectionKind, SymbolFlags, SymbolKind,
    SymbolScope, elf,
    write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection},
};
use std::collections::{BTreeMap, BTreeSet};

/// The object's bytes.
///
/// # Errors
/// What the format cannot hold.
pub(super) fn write(assembly: &Assembly) -> Result<Vec<u8>, Diagnostic> {
    let mut file = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let mut symbols: BTreeMap<String, SymbolId> = BTreeMap::new();
    let sections: Vec<_> = assembly.sections.iter().map(|section| (section, add(&mut file, section))).collect();
    for (section, id) in &sections {
        for symbol in functions(section) {
            let name = symbol.name.clone();
            symbols.insert(name, file.add_symbol(symbol.into_elf(*id)));
        }
    }
    for (section, id) in &sections {
        for reference in &section.references {
            let symbol = *symbols
                .entry(reference.symbol.clone())
                .or_insert_with(|| file.add_symbol(undefined(&reference.symbol)));
            file.add_relocation(*id, relocation(reference, symbol)).map_err(|why| failed(&why))?;
        }
    }
    file.write().map_err(|why| failed(&why))
}

fn failed(why: &dyn std::fmt::Display) -> Diagnostic {
    Diagnostic::new("asm-elf", format!("the object cannot be written: {why}"), Place::Nowhere)
}

fn add(file: &mut Object<'_>, section: &Section) -> SectionId {
    let id = file.add_section(Vec::new(), section.name.clone().into_bytes(), SectionKind::Text);
    file.section_mut(id).flags =
        SectionFlags::Elf { sh_type: elf::SHT_PROGBITS, sh_flags: elf::SHF_ALLOC | elf::SHF_EXECINSTR };
    let bytes: Vec<u8> = section.insns.iter().flat_map(|i| i.to_bytes(Endian::Little)).collect();
    file.set_section_data(id, bytes, Insn::SIZE as u64);
    id
}

/// A function's symbol.
struct Function {
    name: String,
    slots: std::ops::Range<usize>,
    global: bool,
}

impl Function {
    fn into_elf(self, section: SectionId) -> Symbol {
        Symbol {
            name: self.name.into_bytes(),
            value: (self.slots.start * Insn::SIZE) as u64,
            size: (self.slots.len() * Insn::SIZE) as u64,
            kind: SymbolKind::Text,
            scope: if self.global { SymbolScope::Dynamic } else { SymbolScope::Compilation },
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        }
    }
}

/// The functions of a section: what stands at its start, what `.globl` names, and what is called or taken the address of.
/// Each ends where the next begins. Other labels are for jumps.
fn functions(section: &Section) -> Vec<Function> {
    if section.insns.is_empty() {
        return Vec::new();
    }
    let called = called(section);
    let mut starts: BTreeMap<usize, (String, bool)> = BTreeMap::new();
    for label in &section.labels {
        let slot = label.slot as usize;
        let is_function = slot == 0 || label.global || called.contains(&slot) || named(section, &label.name);
        if is_function && slot < section.insns.len() {
            // Of two labels at one place the global one is the name.
            let entry = starts.entry(slot).or_insert_with(|| (label.name.clone(), label.global));
            if label.global && !entry.1 {
                *entry = (label.name.clone(), true);
            }
        }
    }
    starts.entry(0).or_insert_with(|| (name_of(&section.name), true));
    let ends: Vec<usize> = starts.keys().copied().skip(1).chain([section.insns.len()]).collect();
    let function = |((start, (name, global)), end)| Function {
        name,
        slots: start..end,
        // The function that a section begins with is its program: visible even where nobody wrote `.globl`.
        global: global || start == 0 && section.name != ".text",
    };
    starts.into_iter().zip(ends).map(function).collect()
}

fn named(section: &Section, label: &str) -> bool {
    section.references.iter().any(|r| r.symbol == label)
}

/// The slots that calls within the section go to.
fn called(section: &Section) -> BTreeSet<usize> {
    let target = |at: usize| match decode(&section.insns, at) {
        Ok(Inst::CallLocal { rel }) => usize::try_from(at as i64 + 1 + i64::from(rel)).ok(),
        _ => None,
    };
    (0..section.insns.len()).filter_map(target).collect()
}

/// A symbol for a section that begins without a label.
fn name_of(section: &str) -> String {
    section.trim_start_matches('.').chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn undefined(name: &str) -> Symbol {
    Symbol {
        name: name.as_bytes().to_vec(),
        value: 0,
        size: 0,
        kind: SymbolKind::Unknown,
        scope: SymbolScope::Unknown,
        weak: false,
        section: SymbolSection::Undefined,
        flags: SymbolFlags::None,
    }
}

fn relocation(reference: &Reference, symbol: SymbolId) -> Relocation {
    let r_type = match reference.kind {
        ReferenceKind::Call => elf::R_BPF_64_32,
        ReferenceKind::Address => elf::R_BPF_64_64,
    };
    let offset = u64::from(reference.slot) * Insn::SIZE as u64;
    Relocation { offset, symbol, addend: 0, flags: RelocationFlags::Elf { r_type } }
}

//! Assembled source as an ELF object: sections, symbols, relocations, as clang's assembler writes them.

use crate::{
    emit::{Header, INFO_LINK, SHT_PROGBITS, SHT_REL, SHT_STRTAB, SHT_SYMTAB, STT_FUNC, STT_NOTYPE, Writer, add},
    insn::{BPF_PSEUDO_CALL, CALL, heads},
};
use alveary_isa::{
    Endian,
    asm::{Assembly, ReferenceKind, Section},
};
use alveary_sort::{Gather, Sort};
use std::collections::{BTreeSet, HashMap};

/// `SHF_ALLOC | SHF_EXECINSTR`.
const CODE: u64 = 2 | 4;

/// An object of this byte order from assembled source. Global labels, and those that are called or whose address is
/// taken, are functions; code without a label in front of it is a function named after its section.
#[must_use]
pub fn write(assembly: &Assembly, endian: Endian) -> Vec<u8> {
    let sections: Vec<&Section> = assembly.sections.iter().filter(|s| !s.insns.is_empty()).collect();
    let mut symbols = symbols(&sections);
    // ELF wants local symbols first.
    symbols.order_by_key(|s| s.global);
    let locals = symbols.iter().filter(|s| !s.global).count() as u32;
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, symbol) in symbols.iter().enumerate() {
        by_name.entry(symbol.name.as_str()).or_default().push(i);
    }

    let mut out = Writer::new(endian);
    let mut strings = vec![0];
    // The null section, code, then its relocations, the symbols, the strings.
    let mut headers = vec![Header::default()];
    for section in &sections {
        let offset = out.bytes.len();
        out.bytes.extend(section.insns.iter().flat_map(|insn| insn.to_bytes(endian)));
        headers
            .push(Header { flags: CODE, ..out.header(add(&mut strings, &section.name), SHT_PROGBITS, offset, 8, 0) });
    }
    let symbol_table = 1 + sections.len() + sections.iter().filter(|s| !s.references.is_empty()).count();
    for (i, section) in sections.iter().enumerate().filter(|(_, s)| !s.references.is_empty()) {
        let offset = out.bytes.len();
        for reference in &section.references {
            let candidates = by_name.get(reference.symbol.as_str()).map_or(&[][..], Vec::as_slice);
            let own = candidates.iter().find(|c| symbols[**c].section == Some(i));
            let symbol = own.or(candidates.last()).map_or(0, |c| *c as u64 + 1);
            let kind = match reference.kind {
                ReferenceKind::Address => 1,
                ReferenceKind::Call => 10,
            };
            out.u64(u64::from(reference.slot) * 8);
            out.u64(symbol << 32 | kind);
        }
        let name = add(&mut strings, &format!(".rel{}", section.name));
        let table = out.header(name, SHT_REL, offset, 8, 16);
        headers.push(Header { flags: INFO_LINK, link: symbol_table as u32, info: i as u32 + 1, ..table });
    }

    let offset = out.bytes.len();
    out.bytes.extend([0; 24]);
    for symbol in &symbols {
        let name = add(&mut strings, &symbol.name);
        out.u32(name);
        out.bytes.extend([u8::from(symbol.global) << 4 | symbol.kind, 0]);
        out.u16(symbol.section.map_or(0, |i| i as u16 + 1));
        out.u64(u64::from(symbol.slots.0) * 8);
        out.u64(u64::from(symbol.slots.1) * 8);
    }
    let table = out.header(add(&mut strings, ".symtab"), SHT_SYMTAB, offset, 8, 24);
    headers.push(Header { link: symbol_table as u32 + 1, info: locals + 1, ..table });

    let name = add(&mut strings, ".strtab");
    let offset = out.bytes.len();
    out.bytes.extend(&strings);
    headers.push(out.header(name, SHT_STRTAB, offset, 1, 0));
    out.finish(&headers)
}

struct Symbol {
    name: String,
    section: Option<usize>,
    /// First slot and number of slots.
    slots: (u32, u32),
    kind: u8,
    global: bool,
}

/// The symbols of all sections, and those that they miss.
fn symbols(sections: &[&Section]) -> Vec<Symbol> {
    let named: BTreeSet<&str> = sections.iter().flat_map(|s| &s.references).map(|r| r.symbol.as_str()).gather();
    let mut symbols = Vec::new();
    let mut defined = BTreeSet::new();
    for (i, section) in sections.iter().enumerate() {
        let len = section.insns.len() as u32;
        let elsewhere: BTreeSet<u32> = section.references.iter().map(|r| r.slot).gather();
        let called: BTreeSet<i64> = heads(&section.insns)
            .filter(|(at, insn)| (insn.op, insn.src.0) == (CALL, BPF_PSEUDO_CALL) && !elsewhere.contains(at))
            .map(|(at, insn)| i64::from(at) + 1 + i64::from(insn.imm))
            .gather();
        let visible = section.labels.iter().any(|l| l.global);
        let is_function = |l: &alveary_isa::asm::Label| {
            l.slot < len
                && (l.global || l.slot == 0 || called.contains(&l.slot.into()) || named.contains(l.name.as_str()))
        };
        let starts: BTreeSet<u32> = section.labels.iter().filter(|l| is_function(l)).map(|l| l.slot).gather();
        let size = |slot: u32| starts.range(slot + 1..).next().unwrap_or(&len) - slot;
        for label in &section.labels {
            defined.insert(label.name.as_str());
            let function = is_function(label);
            symbols.push(Symbol {
                name: label.name.clone(),
                section: Some(i),
                slots: (label.slot, if function { size(label.slot) } else { 0 }),
                kind: if function { STT_FUNC } else { STT_NOTYPE },
                // A program whose author wrote no `.globl`.
                global: label.global || !visible && label.slot == 0,
            });
        }
        if !starts.contains(&0) {
            let slots = (0, size(0));
            symbols.push(Symbol {
                name: name_of(&section.name),
                section: Some(i),
                slots,
                kind: STT_FUNC,
                global: true,
            });
        }
    }
    let missing = named.into_iter().filter(|name| !defined.contains(name));
    symbols.extend(missing.map(|name| Symbol {
        name: name.to_owned(),
        section: None,
        slots: (0, 0),
        kind: STT_NOTYPE,
        global: true,
    }));
    symbols
}

/// A symbol for code without a label.
fn name_of(section: &str) -> String {
    section.trim_start_matches('.').replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

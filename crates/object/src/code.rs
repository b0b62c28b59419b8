//! Functions in code sections, and the programs among them.

use crate::elf::{Elf, Home, Section, Symbol, SymbolKind};
use alveary_abi::{
    Profile,
    flags::{BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS},
};
use alveary_diag::Diagnostic;
use alveary_isa::Insn;
use alveary_sort::{Gather, Sort};
use alveary_spec::{Attach, Function, ProgramSpec};
use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
};

/// Where a function stands.
pub(crate) struct Place {
    /// Its key in [`alveary_spec::Spec::functions`].
    pub(crate) name: String,
    /// Its section.
    pub(crate) section: usize,
    /// Its slots in the section.
    pub(crate) slots: Range<u32>,
    /// It may be a program: other objects see it.
    visible: bool,
    global: bool,
    weak: bool,
}

/// All functions, by section and slot.
pub(crate) struct Places(pub(crate) Vec<Place>);

impl Places {
    /// Finds the functions of every code section.
    pub(crate) fn find(elf: &Elf<'_>) -> Result<Places, Diagnostic> {
        let mut symbols: Vec<Vec<&Symbol<'_>>> = elf.sections.iter().map(|_| Vec::new()).collect();
        for symbol in &elf.symbols {
            if let Home::Section(i) = symbol.at {
                symbols[i].push(symbol);
            }
        }
        let mut all = Vec::new();
        for (i, (section, symbols)) in elf.sections.iter().zip(&symbols).enumerate() {
            if section.is_code() {
                all.extend(in_section(i, section, symbols)?);
            }
        }
        name_apart(&mut all, elf);
        Ok(Places(all))
    }

    /// The function that holds a slot of a section.
    pub(crate) fn at(&self, section: usize, slot: u32) -> Option<&Place> {
        let next = self.0.partition_point(|p| (p.section, p.slots.start) <= (section, slot));
        let place = self.0.get(next.checked_sub(1)?)?;
        (place.section == section && place.slots.contains(&slot)).then_some(place)
    }

    /// The function that begins at a slot of a section.
    pub(crate) fn starting(&self, section: usize, slot: u32) -> Option<&Place> {
        self.at(section, slot).filter(|p| p.slots.start == slot)
    }

    /// The functions with their instructions, nothing else yet.
    pub(crate) fn functions(&self, elf: &Elf<'_>) -> BTreeMap<String, Function> {
        let function = |place: &Place| {
            let section = &elf.sections[place.section];
            let slots = section.data.as_chunks::<{ Insn::SIZE }>().0;
            let slots = slots.get(place.slots.start as usize..place.slots.end as usize).unwrap_or_default();
            Function {
                insns: slots.iter().map(|b| Insn::from_bytes(*b, elf.endian)).collect(),
                section: section.name.into(),
                start: place.slots.start,
                global: place.global,
                weak: place.weak,
                ..Function::default()
            }
        };
        self.0.iter().map(|place| (place.name.clone(), function(place))).gather()
    }

    /// The functions that are programs: those that other objects see, in sections with a name of their own. An object
    /// that has `.text` only is taken at its word: its functions are the programs.
    pub(crate) fn programs(&self, elf: &Elf<'_>, profile: &Profile) -> BTreeMap<String, ProgramSpec> {
        let in_text = |p: &&Place| elf.sections[p.section].name == ".text";
        let mut programs: Vec<&Place> = self.0.iter().filter(|p| p.visible && !in_text(p)).collect();
        if programs.is_empty() {
            programs = self.0.iter().filter(|p| p.visible).collect();
        }
        let spec = |(order, place): (usize, &Place)| {
            let section = elf.sections[place.section].name;
            let plain = section.strip_prefix('?');
            let row = profile.section(plain.unwrap_or(section));
            let flag = |on: bool, flag: u32| if on { flag } else { 0 };
            let program = ProgramSpec {
                name: place.name.clone(),
                section: section.into(),
                order: order as u32,
                ty: row.map(|m| m.row.ty),
                expected: row.and_then(|m| m.row.attach),
                attach: row.and_then(Attach::of_section),
                flags: row
                    .map_or(0, |m| flag(m.row.sleepable, BPF_F_SLEEPABLE) | flag(m.row.frags, BPF_F_XDP_HAS_FRAGS)),
                autoload: plain.is_none(),
                exception_callback: None,
            };
            (place.name.clone(), program)
        };
        programs.into_iter().enumerate().map(spec).gather()
    }
}

/// The functions of one section, by slot. Where no symbol is a function (hand-written assembler, old compilers), global
/// symbols without a type are; where there is none either, the section is one function.
fn in_section(index: usize, section: &Section<'_>, symbols: &[&Symbol<'_>]) -> Result<Vec<Place>, Diagnostic> {
    let size = Insn::SIZE as u64;
    let len = section.data.len() as u64;
    if !len.is_multiple_of(size) || u32::try_from(len).is_err() {
        return Err(Diagnostic::new("code-size", "the section does not hold whole instructions", section.place(len))
            .expected("a multiple of 8 bytes, less than 4 GiB")
            .found(format!("{len} bytes")));
    }
    let of_kind = |kind| symbols.iter().copied().filter(move |s| s.kind == kind && !s.name.is_empty());
    let mut found: Vec<&Symbol<'_>> = of_kind(SymbolKind::Function).collect();
    if found.is_empty() {
        found = of_kind(SymbolKind::None).filter(|s| !s.local).collect();
    }
    if found.is_empty() {
        let slots = 0..(len / size) as u32;
        let name = section.name.to_owned();
        return Ok(vec![Place { name, section: index, slots, visible: true, global: true, weak: false }]);
    }
    // Of two names for one function the one that others see counts.
    found.order_by_key(|s| (s.value, s.local));
    found.dedup_by_key(|s| s.value);
    let mut places = Vec::with_capacity(found.len());
    for (i, symbol) in found.iter().enumerate() {
        let limit = found.get(i + 1).map_or(len, |next| next.value.min(len));
        let end = if symbol.size == 0 { limit } else { symbol.value.saturating_add(symbol.size) };
        if !symbol.value.is_multiple_of(size) || !end.is_multiple_of(size) || symbol.value >= end || end > limit {
            let message = format!("function `{}` does not fit its section", symbol.name);
            return Err(Diagnostic::new("code-function", message, section.place(symbol.value))
                .expected(format!("whole instructions from {:#x} to {limit:#x}", symbol.value))
                .found(format!("an end at {end:#x}")));
        }
        places.push(Place {
            name: symbol.name.to_owned(),
            section: index,
            slots: (symbol.value / size) as u32..(end / size) as u32,
            visible: !symbol.local,
            global: !symbol.local && !symbol.hidden,
            weak: symbol.weak,
        });
    }
    Ok(places)
}

/// Gives functions of one name names of their own: static ones may share theirs.
fn name_apart(all: &mut [Place], elf: &Elf<'_>) {
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.order_by_key(|i| !all[*i].visible);
    let mut taken = HashSet::new();
    for i in order {
        let place = &mut all[i];
        let short = format!("{}@{}", place.name, elf.sections[place.section].name);
        let long = format!("{short}#{i}");
        let name = [&place.name, &short].into_iter().find(|name| !taken.contains(*name)).unwrap_or(&long).clone();
        place.name.clone_from(&name);
        taken.insert(name);
    }
}

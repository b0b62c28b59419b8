//! Collects sections, labels and what refers to them, and fills references in once all labels are known.

use super::line::Number;
use super::{AsmError, Assembly, Label, Parsed, Reference, ReferenceKind, Section};
use crate::{Inst, Reg, encode};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Where a jump or call goes, as written.
pub(super) enum Target {
    Relative { rel: i32, bytes: Range<u32> },
    Name { name: String, bytes: Range<u32> },
}

/// Which field of a slot gets the distance to a label.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    Off,
    Imm,
    Call,
}

struct Pending {
    section: usize,
    slot: u32,
    fill: Fill,
    symbol: String,
    bytes: Range<u32>,
}

pub(super) struct Builder<'a> {
    pub(super) errors: Vec<AsmError>,
    /// Where the line that is being read begins.
    pub(super) line: u32,
    helper: &'a dyn Fn(&str) -> Option<i32>,
    sections: Vec<Section>,
    by_name: HashMap<String, usize>,
    current: usize,
    labels: HashMap<(usize, String), u32>,
    /// The slot of the first `exit` of each section that has one.
    exits: HashMap<usize, u32>,
    globals: HashMap<String, Range<u32>>,
    /// The slot that a listing's numbers count from.
    numbered_from: u32,
    pending: Vec<Pending>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(helper: &'a dyn Fn(&str) -> Option<i32>) -> Builder<'a> {
        let mut builder = Builder {
            errors: Vec::new(),
            line: 0,
            helper,
            sections: Vec::new(),
            by_name: HashMap::new(),
            current: 0,
            labels: HashMap::new(),
            exits: HashMap::new(),
            globals: HashMap::new(),
            numbered_from: 0,
            pending: Vec::new(),
        };
        builder.section(".text");
        builder
    }

    pub(super) fn section(&mut self, name: &str) {
        let next = self.sections.len();
        self.current = *self.by_name.entry(name.to_owned()).or_insert(next);
        if self.current == next {
            self.sections.push(Section { name: name.to_owned(), ..Section::default() });
        }
    }

    pub(super) fn global(&mut self, name: &str, bytes: Range<u32>) {
        self.globals.entry(name.to_owned()).or_insert(bytes);
    }

    pub(super) fn label(&mut self, name: &str, bytes: Range<u32>) {
        let slot = self.slot();
        if self.labels.insert((self.current, name.to_owned()), slot).is_some() {
            self.errors.push(AsmError {
                bytes,
                message: format!("label `{name}` stands twice in its section"),
                expected: String::new(),
                found: String::new(),
                help: "rename one of them".into(),
            });
            return;
        }
        let label = Label { name: name.to_owned(), slot, global: false };
        self.sections[self.current].labels.push(label);
    }

    /// Holds a listing's number against the slot that the instruction gets. Jumps in a listing are by distance: after a
    /// line was put in or taken out they would go somewhere else.
    pub(super) fn check_slot(&mut self, number: &Number) {
        let slot = self.slot();
        if number.value == 0 {
            self.numbered_from = slot;
        }
        let expected = slot.wrapping_sub(self.numbered_from);
        if number.value != i128::from(expected) {
            self.errors.push(AsmError {
                bytes: number.bytes.clone(),
                message: "the instruction has another number".into(),
                expected: expected.to_string(),
                found: number.value.to_string(),
                help: "if lines were put in or taken out, give jumps labels and leave the numbers away".into(),
            });
        }
    }

    pub(super) fn push(&mut self, inst: Inst) {
        if inst == Inst::Exit {
            let slot = self.slot();
            self.exits.entry(self.current).or_insert(slot);
        }
        let section = &mut self.sections[self.current];
        for slot in encode(&inst).as_slice() {
            section.insns.push(*slot);
            section.lines.push(self.line);
        }
    }

    /// A jump with a 16-bit offset: `inst` has offset 0.
    pub(super) fn push_short(&mut self, target: Target, inst: impl FnOnce(i16) -> Inst) -> Parsed<()> {
        let off = match target {
            Target::Relative { rel, bytes } => i16::try_from(rel).map_err(|_| too_far(bytes, rel.into()))?,
            Target::Name { name, bytes } => self.pend(Fill::Off, name, bytes),
        };
        self.push(inst(off));
        Ok(())
    }

    /// A jump with a 32-bit offset.
    pub(super) fn push_long(&mut self, target: Target) {
        let off = match target {
            Target::Relative { rel, .. } => rel,
            Target::Name { name, bytes } => self.pend(Fill::Imm, name, bytes).into(),
        };
        self.push(Inst::Ja { off, long: true });
    }

    pub(super) fn push_call(&mut self, target: Target) {
        let rel = match target {
            Target::Relative { rel, .. } => rel,
            Target::Name { name, bytes } => self.pend(Fill::Call, name, bytes).into(),
        };
        self.push(Inst::CallLocal { rel });
    }

    /// `dst = symbol + addend ll`.
    pub(super) fn push_address(&mut self, dst: Reg, symbol: &str, addend: u32, bytes: Range<u32>) {
        let reference = Reference { slot: self.slot(), kind: ReferenceKind::Address, symbol: symbol.to_owned(), bytes };
        self.sections[self.current].references.push(reference);
        self.push(Inst::LoadImm64 { dst, value: addend.into() });
    }

    fn slot(&self) -> u32 {
        u32::try_from(self.sections[self.current].insns.len()).unwrap_or(u32::MAX)
    }

    fn pend(&mut self, fill: Fill, symbol: String, bytes: Range<u32>) -> i16 {
        self.pending.push(Pending { section: self.current, slot: self.slot(), fill, symbol, bytes });
        0
    }

    pub(super) fn finish(mut self) -> (Assembly, Vec<AsmError>) {
        for pending in std::mem::take(&mut self.pending) {
            self.fill(pending);
        }
        let defined = self.labels.keys().map(|key| key.1.as_str());
        let used = self.sections.iter().flat_map(|section| &section.references).map(|one| one.symbol.as_str());
        let known: HashSet<&str> = defined.chain(used).collect();
        for (name, bytes) in self.globals.iter().filter(|global| !known.contains(global.0.as_str())) {
            self.errors.push(AsmError {
                bytes: bytes.clone(),
                message: format!("`{name}` is declared global and nowhere defined"),
                expected: format!("a label `{name}:`"),
                found: String::new(),
                help: String::new(),
            });
        }
        for section in &mut self.sections {
            for label in &mut section.labels {
                label.global = self.globals.contains_key(&label.name);
            }
            section.references.sort_by_key(|reference| reference.slot);
        }
        if self.sections.len() > 1 && self.sections[0].insns.is_empty() && self.sections[0].labels.is_empty() {
            self.sections.remove(0);
        }
        self.errors.sort_by_key(|error| error.bytes.start);
        (Assembly { sections: self.sections }, self.errors)
    }

    fn fill(&mut self, pending: Pending) {
        let Pending { section, slot, fill, symbol, bytes } = pending;
        let label = self.labels.get(&(section, symbol.clone())).copied();
        let Some(label) = label.or_else(|| self.first_exit(section, &symbol)) else {
            match fill {
                Fill::Call if (self.helper)(&symbol).is_some() => {
                    let id = (self.helper)(&symbol).unwrap_or(0);
                    self.sections[section].insns[slot as usize] = encode(&Inst::CallHelper { id })[0];
                }
                Fill::Call => {
                    let reference = Reference { slot, kind: ReferenceKind::Call, symbol, bytes };
                    self.sections[section].references.push(reference);
                    self.sections[section].insns[slot as usize].imm = -1;
                }
                Fill::Off | Fill::Imm => self.errors.push(AsmError {
                    bytes,
                    message: format!("label `{symbol}` is not defined"),
                    expected: format!("a label of section `{}`", self.sections[section].name),
                    found: String::new(),
                    help: String::new(),
                }),
            }
            return;
        };
        let rel = i64::from(label) - i64::from(slot) - 1;
        let insn = &mut self.sections[section].insns[slot as usize];
        match (fill, i16::try_from(rel), i32::try_from(rel)) {
            (Fill::Off, Ok(off), _) => insn.off = off,
            (Fill::Imm | Fill::Call, _, Ok(imm)) => insn.imm = imm,
            _ => self.errors.push(*too_far(bytes, rel)),
        }
    }

    /// In the conformance suites' notation an undefined label `exit` is the first `exit` instruction.
    fn first_exit(&self, section: usize, symbol: &str) -> Option<u32> {
        (symbol == "exit").then(|| self.exits.get(&section).copied()).flatten()
    }
}

fn too_far(bytes: Range<u32>, rel: i64) -> Box<AsmError> {
    Box::new(AsmError {
        bytes,
        message: "the jump is too far".into(),
        expected: "a distance of 16 bits: -32768 to 32767".into(),
        found: rel.to_string(),
        help: "`gotol` reaches further: jump over one".into(),
    })
}

//! An explanation while it is written: labels are added once each, and everything that any rejection has (the kernel's
//! words, what was known, the path) is added at the end.

use super::{Story, way, words};
use crate::report::Rejection;
use alveary_abi::{Rule, RuleRow};
use alveary_diag::{Diagnostic, Label, Place};

/// Registers that are told of at most.
const KNOWN: usize = 6;

/// An explanation.
pub(super) struct Draft {
    pub(super) code: &'static str,
    message: String,
    /// What is remarked at the instruction that was rejected.
    primary: String,
    insn: Option<u32>,
    labels: Vec<(u32, String)>,
    notes: Vec<String>,
    help: Vec<String>,
    /// Registers whose state matters; none: those that the instruction reads.
    known: Vec<u8>,
}

impl Draft {
    pub(super) fn new(insn: Option<u32>) -> Draft {
        Draft {
            code: "rejected",
            message: String::new(),
            primary: String::new(),
            insn,
            labels: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
            known: Vec::new(),
        }
    }

    /// What is wrong, in a sentence.
    pub(super) fn say(&mut self, message: impl Into<String>) {
        self.message = message.into();
    }

    /// The remark at the instruction that was rejected.
    pub(super) fn here(&mut self, text: impl Into<String>) {
        self.primary = text.into();
    }

    /// The instruction that it is about, where the message itself has none.
    pub(super) fn at(&mut self, insn: u32) {
        self.insn.get_or_insert(insn);
    }

    /// A remark on another instruction.
    pub(super) fn label(&mut self, insn: u32, text: impl Into<String>) {
        let text = text.into();
        if !self.labels.iter().any(|(at, known)| *at == insn && *known == text) {
            self.labels.push((insn, text));
        }
    }

    /// How many remarks there are on other instructions.
    pub(super) fn remarks(&self) -> usize {
        self.labels.len()
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// That the kernel that is asked about would take it, were it a later one.
    pub(super) fn later(&mut self, story: &Story<'_>, rule: Rule) {
        let profile = story.v.profile;
        if !profile.has(rule) {
            let came = RuleRow::of(rule).kernels();
            self.note(format!("this came with Linux {came}; it is checked for {}", profile.release()));
        }
    }

    pub(super) fn help(&mut self, text: impl Into<String>) {
        self.help.push(text.into());
    }

    /// A register whose state matters.
    pub(super) fn know(&mut self, reg: u8) {
        self.known.push(reg);
    }

    pub(super) fn finish(self, story: &Story<'_>, rejection: &Rejection) -> Diagnostic {
        let place = |insn: u32| Place::Insn { prog: story.program().program.name.clone(), index: insn };
        let kernel = rejection.message.trim_end();
        let message = match (self.message.is_empty(), kernel.lines().last()) {
            (false, _) => self.message,
            (true, Some(last)) => format!("the kernel says: {last}"),
            (true, None) => format!("the kernel refuses the program ({}), and says nothing of why", rejection.errno),
        };
        let mut diagnostic = Diagnostic::new(self.code, message, self.insn.map_or(Place::Nowhere, place));
        if let Some(primary) = diagnostic.labels.first_mut() {
            primary.text = self.primary.into();
        }
        for (insn, text) in self.labels {
            diagnostic.labels.push(Label { at: place(insn), text: text.into(), primary: false, source: None });
        }
        diagnostic.kernel = (!kernel.is_empty()).then(|| kernel.to_owned());
        diagnostic.notes = self.notes;
        diagnostic.help = self.help;
        let mut regs = self.known;
        if regs.is_empty() {
            regs = story.insn.map(|insn| words::read_by(story, insn)).unwrap_or_default();
        }
        let mut told: Vec<u8> = Vec::new();
        for reg in regs {
            if told.contains(&reg) || told.len() >= KNOWN {
                continue;
            }
            told.push(reg);
            if let Some(known) = story.reg(reg) {
                let text = words::describe(story, known);
                diagnostic.facts.push(("known", format!("r{reg}: {text}")));
            }
        }
        if let Some(name) = self.insn.and_then(|insn| story.function(insn)) {
            diagnostic.facts.push(("function", name.to_owned()));
        }
        if let Some(path) = way::path(story) {
            diagnostic.facts.push(("path", path));
        }
        diagnostic
    }
}

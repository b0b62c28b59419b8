//! What the user-space kernel makes of programs: the code that its engine gets, beside what was proven.

use super::symbols;
use crate::{
    names::{self, Known},
    table::{HEADING, printable},
};
use alveary::{
    Loaded, ProgramRef, User,
    runtime::{Prog, Trust},
};
use alveary_verifier::facts::Words;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

/// What stands behind instructions is not what the eye looks for first.
const REMARK: anstyle::Style = anstyle::Style::new().dimmed();

/// All programs, lowered.
#[derive(Debug, Serialize)]
pub(super) struct Lowered {
    programs: Vec<Program>,
}

#[derive(Debug, Serialize)]
struct Program {
    name: String,
    proven: bool,
    /// Why it is not.
    unproven_because: Option<String>,
    insns: Vec<Line>,
}

/// One instruction of the program, and what stands for it.
#[derive(Debug, Serialize)]
struct Line {
    slot: usize,
    text: String,
    /// What was proven of it.
    facts: String,
    lowered: Vec<Step>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Step {
    slot: usize,
    text: String,
}

impl Lowered {
    /// Programs that are loaded.
    pub(super) fn of(loaded: &Loaded<User>) -> Lowered {
        Lowered { programs: loaded.programs().map(|program| program_of(&program)).collect() }
    }

    /// As text.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for (at, program) in self.programs.iter().enumerate() {
            if at > 0 {
                writeln!(out)?;
            }
            program.write(out)?;
        }
        Ok(())
    }
}

fn program_of(loaded: &ProgramRef<'_, User>) -> Program {
    let (program, prog) = (loaded.spec(), loaded.handle().prog());
    let (facts, why) = match prog.trust() {
        Trust::Proven(verified) => (Some(verified.facts()), None),
        Trust::NotProven(why) => (None, Some(why.clone())),
        Trust::Unverified => (None, Some("it was not verified".to_owned())),
    };
    let mut lowered = steps(prog);
    let known = Known::of_program(program, &alveary_abi::Profile::linux_6_18());
    let mut insns = Vec::new();
    let mut slot = 0;
    while let Ok(inst) = alveary_isa::decode(&program.insns, slot) {
        let words = facts.map(|facts| Words { fact: facts.at(slot as u32), maps: &program.maps }.to_string());
        insns.push(Line {
            slot,
            text: names::text(&known, &program.insns, slot).unwrap_or_else(|| inst.to_string()),
            facts: words.unwrap_or_default(),
            lowered: lowered.remove(&(slot as u32)).unwrap_or_default(),
        });
        slot += inst.slots();
    }
    Program { name: program.name.to_string(), proven: facts.is_some(), unproven_because: why, insns }
}

/// The code's instructions by the slot of the program that they stand for.
fn steps(prog: &Prog) -> BTreeMap<u32, Vec<Step>> {
    let mut steps: BTreeMap<u32, Vec<Step>> = BTreeMap::new();
    for (slot, text) in symbols::texts(prog) {
        steps.entry(symbols::origin(prog, slot)).or_default().push(Step { slot: slot as usize, text });
    }
    steps
}

impl Program {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let what = match &self.unproven_because {
            None => "proven".to_owned(),
            Some(why) => format!("not proven, lowered for checked runs: {}", printable(why)),
        };
        writeln!(out, "{HEADING}{}{HEADING:#}:  ; {what}", printable(&self.name))?;
        self.insns.iter().try_for_each(|line| line.write(out))
    }
}

impl Line {
    /// What stands for an instruction; above it the instruction, where that is something else.
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let facts = if self.facts.is_empty() { String::new() } else { format!("  ; {}", printable(&self.facts)) };
        match &*self.lowered {
            [only] if without_target(&only.text) == without_target(&self.text) => {
                writeln!(out, "{:6}: {}{REMARK}{facts}{REMARK:#}", only.slot, printable(&only.text))
            }
            steps => {
                writeln!(out, "{REMARK}     ; {}: {}{facts}{REMARK:#}", self.slot, printable(&self.text))?;
                steps.iter().try_for_each(|step| writeln!(out, "{:6}: {}", step.slot, printable(&step.text)))
            }
        }
    }
}

/// An instruction without what moves when code grows or shrinks, and without the numbers of helpers.
fn without_target(text: &str) -> &str {
    let text = text.split_once('#').map_or(text, |(name, _)| name);
    text.split_once("goto ").map_or(text, |(condition, _)| condition)
}

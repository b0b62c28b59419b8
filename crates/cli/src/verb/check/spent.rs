//! Where the work of a check went, by source lines and functions: as tables, or as JSON.
//!
//! Knows what was counted of slots, and where they stand in the source; not how it was counted.

use crate::table::{Align::Left, Align::Right, Table, grouped};
use alveary_diag::{Place, SourceLine, Sources};
use alveary_spec::Program;
use alveary_verifier::Work;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

/// Rows of a table that a person is shown.
const SHOWN: usize = 5;

/// In front of each line for people.
const INDENT: &str = "   ";

/// Where the work went, the most of it first.
#[derive(Debug)]
pub(super) struct Spent {
    /// Source lines, or instructions of a program that has no line information.
    places: Vec<Share>,
    has_lines: bool,
    functions: Vec<Share>,
    /// Conditional jumps that were followed both ways.
    branches: usize,
    /// Those of which the ways never met again.
    unmerged: Vec<Share>,
}

/// A place's share.
#[derive(Debug)]
struct Share {
    at: At,
    insns: u64,
    /// States kept there; of a branch, ways that were followed.
    times: u64,
}

/// Where something stands.
#[derive(Clone, Debug)]
enum At {
    Line(SourceLine),
    Instruction(u32, String),
    Function(u32, String),
}

impl Spent {
    /// What was counted of a program.
    pub(super) fn of(program: &Program, work: &Work) -> Spent {
        let mut places: BTreeMap<(String, u32, u32), Share> = BTreeMap::new();
        let mut has_lines = false;
        for (slot, (insns, states)) in work.processed.iter().zip(&work.states).enumerate() {
            if *insns == 0 {
                continue;
            }
            let at = place(program, slot as u32);
            let key = match &at {
                At::Line(line) => (line.file.to_string(), line.line, 0),
                _ => (String::new(), 0, slot as u32),
            };
            has_lines |= matches!(at, At::Line(_));
            let share = places.entry(key).or_insert(Share { at, insns: 0, times: 0 });
            share.insns += u64::from(*insns);
            share.times += u64::from(*states);
        }
        let functions = work.functions.iter().map(|found| {
            let name = if found.name.is_empty() && found.start == 0 { &*program.name } else { &found.name };
            Share { at: At::Function(found.start, name.to_owned()), insns: found.processed, times: found.states }
        });
        let unmerged = work.never_merged().map(|(slot, branch)| Share {
            at: place(program, slot),
            insns: branch.processed,
            times: branch.ways.into(),
        });
        Spent {
            places: most_first(places.into_values()),
            has_lines,
            functions: most_first(functions.filter(|share| share.insns > 0)),
            branches: work.branches.len(),
            unmerged: most_first(unmerged),
        }
    }

    /// For people: the head of each list.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let all: u64 = self.functions.iter().map(|share| share.insns).sum();
        if all == 0 {
            return Ok(());
        }
        let places = if self.has_lines { "hottest lines" } else { "hottest instructions" };
        for (title, shares) in [(places, &self.places), ("largest functions", &self.functions)] {
            let mut table = Table::new([("insns", Right), ("share", Right), ("states", Right), (title, Left)]);
            for Share { at, insns, times } in shares.iter().take(SHOWN) {
                let share = format!("{:.1} %", *insns as f64 * 100.0 / all as f64);
                table.row([grouped(*insns), share, grouped(*times), at.text()]);
            }
            table.write(INDENT, out)?;
        }
        writeln!(out, "{INDENT}{} of {} branches never merged", self.unmerged.len(), self.branches)?;
        if self.unmerged.is_empty() {
            return Ok(());
        }
        let mut table = Table::new([("insns", Right), ("ways", Right), ("of them", Left)]);
        for Share { at, insns, times } in self.unmerged.iter().take(SHOWN) {
            table.row([grouped(*insns), grouped(*times), at.text()]);
        }
        table.write(INDENT, out)
    }

    /// For programs: all of each list.
    pub(super) fn object(&self) -> Value {
        let list = |shares: &[Share], times: &str| -> Value {
            let one = |share: &Share| {
                let mut value = share.at.object();
                value["insns_processed"] = share.insns.into();
                value[times] = share.times.into();
                value
            };
            shares.iter().map(one).collect()
        };
        json!({
            if self.has_lines { "lines" } else { "instructions" }: list(&self.places, "states"),
            "functions": list(&self.functions, "states"),
            "branches": self.branches,
            "never_merged": list(&self.unmerged, "ways"),
        })
    }
}

impl At {
    fn text(&self) -> String {
        match self {
            At::Line(line) => format!("{}:{}  {}", line.file, line.line, line.text.trim()),
            At::Instruction(slot, text) => format!("{slot}: {text}"),
            At::Function(slot, name) => format!("{name} (from instruction {slot})"),
        }
    }

    fn object(&self) -> Value {
        match self {
            At::Line(line) => json!({ "file": &*line.file, "line": line.line, "text": line.text.trim() }),
            At::Instruction(slot, text) => json!({ "instruction": slot, "text": text }),
            At::Function(slot, name) => json!({ "function": name, "instruction": slot }),
        }
    }
}

/// The source line of an instruction, or else itself.
fn place(program: &Program, slot: u32) -> At {
    let at = Place::Insn { prog: program.name.clone(), index: slot };
    program.source(&at).map_or_else(
        || {
            let text = alveary_isa::decode(&program.insns, slot as usize).map(|inst| inst.to_string());
            At::Instruction(slot, text.unwrap_or_default())
        },
        At::Line,
    )
}

fn most_first(shares: impl Iterator<Item = Share>) -> Vec<Share> {
    let mut shares: Vec<Share> = shares.collect();
    shares.sort_by_key(|share| std::cmp::Reverse(share.insns));
    shares
}

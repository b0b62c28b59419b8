//! Where the work of a check went, by source lines and functions: as tables, or as JSON.
//!
//! Knows what was counted of slots, and where they stand in the source; not how it was counted.

use crate::table::{Align::Left, Align::Right, Table, grouped};
use alveary_diag::{Place, SourceLine, Sources};
use alveary_sort::Sort;
use alveary_spec::Program;
use alveary_verifier::{Work, work::Branch};
use serde_json::{Value, json};
use std::{
    cmp::Reverse,
    collections::BTreeMap,
    io::{self, Write},
};

/// Rows of a table that a person is shown.
const SHOWN: usize = 5;
/// Places that a list holds: those that took most.
const LISTED: usize = 10_000;

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
    /// Those of which the ways never met again: those that took most, and how many there are.
    unmerged: Vec<Share>,
    never_merged: usize,
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
        // By line, or by slot where there is none: the first slot, and what was counted.
        let mut places: BTreeMap<(u32, u32, u32), (u32, u64, u64)> = BTreeMap::new();
        for (slot, (insns, states)) in (0..).zip(work.processed.iter().zip(&work.states)).filter(|(_, (n, _))| **n > 0)
        {
            let line = program.lines.partition_point(|line| line.insn <= slot).checked_sub(1);
            let key = line.map_or((0, 0, slot), |line| (program.lines[line].file, program.lines[line].line, 0));
            let (_, all, times) = places.entry(key).or_insert((slot, 0, 0));
            *all += u64::from(*insns);
            *times += u64::from(*states);
        }
        let mut places: Vec<(u32, u64, u64)> = places.into_values().collect();
        places.order_by_key(|(_, insns, _)| Reverse(*insns));
        let places = places.into_iter().take(LISTED);
        let places: Vec<Share> =
            places.map(|(slot, insns, times)| Share { at: place(program, slot), insns, times }).collect();
        let functions = work.functions.iter().map(|found| {
            let name = if found.name.is_empty() && found.start == 0 { &*program.name } else { &found.name };
            Share { at: At::Function(found.start, name.to_owned()), insns: found.processed, times: found.states }
        });
        let mut never: Vec<_> = work.never_merged().collect();
        never.order_by_key(|(_, branch)| Reverse(branch.processed));
        let share = |&(slot, branch): &(u32, &Branch)| Share {
            at: place(program, slot),
            insns: branch.processed,
            times: branch.ways.into(),
        };
        Spent {
            has_lines: places.iter().any(|share| matches!(share.at, At::Line(_))),
            places,
            functions: most_first(functions.filter(|share| share.insns > 0)),
            branches: work.branches.len(),
            unmerged: never.iter().take(LISTED).map(share).collect(),
            never_merged: never.len(),
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
        writeln!(out, "{INDENT}{} of {} branches never merged", self.never_merged, self.branches)?;
        if self.unmerged.is_empty() {
            return Ok(());
        }
        let mut table = Table::new([("insns", Right), ("ways", Right), ("of them", Left)]);
        for Share { at, insns, times } in self.unmerged.iter().take(SHOWN) {
            table.row([grouped(*insns), grouped(*times), at.text()]);
        }
        table.write(INDENT, out)
    }

    /// For programs: the lists.
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
    shares.order_by_key(|share| Reverse(share.insns));
    shares
}

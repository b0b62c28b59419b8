//! Verdicts held against those of an earlier run: ours (CSV, or JSON lines), or veristat's (CSV).
//!
//! Knows rows of values; no programs, no verifier.

mod baseline;

use super::{Format, judge::Judged, show};
use crate::failure::Failure;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::Path,
};

/// More work than before by more than this share of it counts as a step back.
const TOLERANCE: f64 = 0.1;

/// What a run said of one program.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    verdict: String,
    insns: Option<u64>,
    states: Option<u64>,
}

/// Which program: of which file, under which name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    file: String,
    program: String,
}

impl Key {
    /// The name of the file without its folders: objects may be elsewhere by now.
    fn base_name(&self) -> &str {
        Path::new(&self.file).file_name().and_then(|name| name.to_str()).unwrap_or(&self.file)
    }

    /// How many names of the path, from its end, are the same in another's.
    fn kinship(&self, other: &Key) -> usize {
        let names = |key| Path::new(key).components().rev();
        names(&self.file).zip(names(&other.file)).take_while(|(one, other)| one == other).count()
    }
}

/// What a run said, program by program.
type Said = Vec<(Key, Row)>;

/// A program before, and now.
type Pair = [Option<Row>; 2];

/// Two runs, program by program.
#[derive(Debug)]
pub(super) struct Comparison {
    before: Said,
    now: Said,
}

impl Comparison {
    /// With what an earlier run's file says.
    pub(super) fn read(baseline: &Path) -> Result<Comparison, Failure> {
        let text = fs::read_to_string(baseline).map_err(|why| Failure::file("read", baseline, &why))?;
        let before = baseline::parse(&text).map_err(|why| why.in_file(baseline.display().to_string()))?;
        Ok(Comparison { before, now: Vec::new() })
    }

    /// Adds what is said now.
    pub(super) fn add(&mut self, one: &Judged) {
        let row = Row {
            verdict: show::outcome(&one.verdict).to_owned(),
            insns: Some(one.stats.insns_processed.into()),
            states: Some(one.stats.total_states.into()),
        };
        self.now.push((Key { file: one.file.clone(), program: one.name.clone() }, row));
    }

    /// What was said before and what is said now, side by side, by the names that they are shown under.
    pub(super) fn pair(self) -> Compared {
        let mut groups: BTreeMap<(String, String), [Said; 2]> = BTreeMap::new();
        for (side, rows) in [self.before, self.now].into_iter().enumerate() {
            for (key, row) in rows {
                let name = (key.base_name().to_owned(), key.program.clone());
                groups.entry(name).or_default()[side].push((key, row));
            }
        }
        let mut rows = Vec::new();
        for ((base_name, _), [mut before, now]) in groups {
            let alone = before.len() <= 1 && now.len() <= 1;
            let shown = |key: Key| if alone { Key { file: base_name.clone(), ..key } } else { key };
            // Where a file is where it was, it is the same; else the one belongs to it whose path has most in common.
            let mut moved = Vec::new();
            for (key, row) in now {
                match before.iter().position(|(old, _)| *old == key) {
                    Some(at) => rows.push((shown(key), [Some(before.remove(at).1), Some(row)])),
                    None => moved.push((key, row)),
                }
            }
            for (key, row) in moved {
                let nearest = (0..before.len()).rev().max_by_key(|at| before[*at].0.kinship(&key));
                let old = nearest.map(|at| before.remove(at).1);
                rows.push((shown(key), [old, Some(row)]));
            }
            rows.extend(before.into_iter().map(|(key, row)| (shown(key), [Some(row), None])));
        }
        Compared { rows }
    }
}

/// What two runs say of each program.
pub(super) struct Compared {
    rows: Vec<(Key, Pair)>,
}

impl Compared {
    /// Whether a program that loaded does not any more, or one takes notably more work.
    pub(super) fn is_worse(&self) -> bool {
        self.rows.iter().any(|(_, pair)| is_worse(pair))
    }

    /// Writes the programs that differ.
    pub(super) fn write(&self, format: Format, out: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Csv => self.csv(out),
            Format::Json => self.differing().try_for_each(|(key, row)| writeln!(out, "{}", object(key, row))),
            Format::Human | Format::Kernel => self.table(out),
        }
    }

    fn differing(&self) -> impl Iterator<Item = &(Key, Pair)> {
        self.rows.iter().filter(|(_, [before, now])| before != now)
    }

    fn csv(&self, out: &mut dyn Write) -> io::Result<()> {
        let columns = ["verdict", "total_insns", "total_states"];
        let named: Vec<String> = columns.iter().map(|c| format!("{c}_base,{c}_comp,{c}_diff")).collect();
        writeln!(out, "file_name,prog_name,{}", named.join(","))?;
        for (key, row) in &self.rows {
            writeln!(out, "{}", cells(key, row).join(","))?;
        }
        Ok(())
    }

    fn table(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut lines = vec![vec!["File".to_owned(), "Program".to_owned()]];
        for column in ["Verdict", "Insns", "States"] {
            lines[0].extend(["A", "B", "DIFF"].map(|part| format!("{column} ({part})")));
        }
        lines.extend(self.differing().map(|(key, row)| cells(key, row)));
        if lines.len() > 1 {
            let width = |n: usize| lines.iter().map(|line| line[n].chars().count()).max().unwrap_or_default();
            let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
            lines.insert(1, widths.iter().map(|width| "-".repeat(*width)).collect());
            for line in &lines {
                let padded: Vec<String> =
                    line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
                writeln!(out, "{}", padded.join("  ").trim_end())?;
            }
        }
        let (differ, worse) = (self.differing().count(), self.rows.iter().filter(|(_, pair)| is_worse(pair)).count());
        write!(
            out,
            "{} program{}: {} as before, {differ} differ, {worse} worse",
            self.rows.len(),
            if self.rows.len() == 1 { "" } else { "s" },
            self.rows.len() - differ
        )?;
        for (side, what) in [(0, "new"), (1, "gone")] {
            let count = self.rows.iter().filter(|(_, pair)| pair[side].is_none()).count();
            if count > 0 {
                write!(out, ", {count} {what}")?;
            }
        }
        writeln!(out)
    }
}

fn is_worse([before, now]: &Pair) -> bool {
    let (Some(before), Some(now)) = (before, now) else { return false };
    let more = |before: Option<u64>, now: Option<u64>| match (before, now) {
        (Some(before), Some(now)) => now as f64 > before as f64 * (1.0 + TOLERANCE),
        _ => false,
    };
    let loaded = |row: &Row| row.verdict == "success";
    loaded(before) && !loaded(now) || more(before.insns, now.insns) || more(before.states, now.states)
}

/// A program's cells, as veristat writes them.
fn cells(Key { file, program }: &Key, [before, now]: &Pair) -> Vec<String> {
    const NONE: &str = "N/A";
    let mut cells = vec![file.clone(), program.clone()];
    let verdict = |row: &Option<Row>| row.as_ref().map_or(NONE, |row| &row.verdict).to_owned();
    let same = match (before, now) {
        (Some(a), Some(b)) if a.verdict == b.verdict => "MATCH",
        (Some(_), Some(_)) => "MISMATCH",
        _ => NONE,
    };
    cells.extend([verdict(before), verdict(now), same.to_owned()]);
    let columns: [fn(&Row) -> Option<u64>; 2] = [|row| row.insns, |row| row.states];
    for column in columns {
        let (a, b) = (before.as_ref().and_then(column), now.as_ref().and_then(column));
        let number = |n: Option<u64>| n.map_or_else(|| NONE.to_owned(), |n| n.to_string());
        cells.extend([number(a), number(b), change(a, b).unwrap_or_else(|| NONE.to_owned())]);
    }
    cells
}

/// `+12 (+3.40%)`.
fn change(before: Option<u64>, now: Option<u64>) -> Option<String> {
    let (before, now) = (before? as f64, now? as f64);
    let share = match before {
        0.0 if now == 0.0 => 0.0,
        0.0 => 100.0,
        _ => (now - before) * 100.0 / before,
    };
    Some(format!("{:+} ({share:+.2}%)", (now - before) as i64))
}

fn object(Key { file, program }: &Key, [before, now]: &Pair) -> Value {
    let row = |row: &Option<Row>| {
        row.as_ref().map(|row| json!({ "verdict": row.verdict, "insns": row.insns, "states": row.states }))
    };
    json!({ "file": file, "program": program, "before": row(before), "now": row(now), "worse": is_worse(&[before.clone(), now.clone()]) })
}

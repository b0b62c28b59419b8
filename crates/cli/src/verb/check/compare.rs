//! Verdicts held against those of an earlier run: ours (CSV, or JSON lines), or veristat's (CSV).
//!
//! Knows rows of values; no programs, no verifier.

use super::{Format, judge::Judged, show};
use crate::failure::Failure;
use alveary_diag::{Diagnostic, Place};
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

/// File (without its folders) and program.
type Key = (String, String);

/// Two runs, program by program.
#[derive(Debug)]
pub(super) struct Comparison {
    rows: BTreeMap<Key, [Option<Row>; 2]>,
}

impl Comparison {
    /// With what an earlier run's file says.
    pub(super) fn read(baseline: &Path) -> Result<Comparison, Failure> {
        let text = fs::read_to_string(baseline).map_err(|why| Failure::file("read", baseline, &why))?;
        let before = parse(&text).map_err(|why| why.in_file(baseline.display().to_string()))?;
        let mut rows: BTreeMap<Key, [Option<Row>; 2]> = BTreeMap::new();
        for (key, row) in before {
            rows.entry(key).or_default()[0] = Some(row);
        }
        Ok(Comparison { rows })
    }

    /// Adds what is said now.
    pub(super) fn add(&mut self, one: &Judged) {
        let row = Row {
            verdict: show::outcome(&one.verdict).to_owned(),
            insns: Some(one.stats.insns_processed.into()),
            states: Some(one.stats.total_states.into()),
        };
        self.rows.entry((base_name(&one.file), one.name.clone())).or_default()[1] = Some(row);
    }

    /// Whether a program that loaded does not any more, or one takes notably more work.
    pub(super) fn is_worse(&self) -> bool {
        self.rows.values().any(is_worse)
    }

    /// Writes the programs that differ.
    pub(super) fn write(&self, format: Format, out: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Csv => self.csv(out),
            Format::Json => self.differing().try_for_each(|(key, row)| writeln!(out, "{}", object(key, row))),
            Format::Human | Format::Kernel => self.table(out),
        }
    }

    fn differing(&self) -> impl Iterator<Item = (&Key, &[Option<Row>; 2])> {
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
        let (differ, worse) = (self.differing().count(), self.rows.values().filter(|row| is_worse(row)).count());
        writeln!(
            out,
            "{} programs: {} as before, {differ} differ, {worse} worse",
            self.rows.len(),
            self.rows.len() - differ
        )
    }
}

fn is_worse([before, now]: &[Option<Row>; 2]) -> bool {
    let (Some(before), Some(now)) = (before, now) else { return false };
    let more = |before: Option<u64>, now: Option<u64>| match (before, now) {
        (Some(before), Some(now)) => now as f64 > before as f64 * (1.0 + TOLERANCE),
        _ => false,
    };
    let loaded = |row: &Row| row.verdict == "success";
    loaded(before) && !loaded(now) || more(before.insns, now.insns) || more(before.states, now.states)
}

/// A program's cells, as veristat writes them.
fn cells((file, program): &Key, [before, now]: &[Option<Row>; 2]) -> Vec<String> {
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

fn object((file, program): &Key, [before, now]: &[Option<Row>; 2]) -> Value {
    let row = |row: &Option<Row>| {
        row.as_ref().map(|row| json!({ "verdict": row.verdict, "insns": row.insns, "states": row.states }))
    };
    json!({ "file": file, "program": program, "before": row(before), "now": row(now), "worse": is_worse(&[before.clone(), now.clone()]) })
}

fn base_name(file: &str) -> String {
    Path::new(file).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn parse(text: &str) -> Result<Vec<(Key, Row)>, Diagnostic> {
    if text.trim_start().starts_with('{') { parse_json(text) } else { parse_csv(text) }
}

fn parse_json(text: &str) -> Result<Vec<(Key, Row)>, Diagnostic> {
    let one = |(n, line): (usize, &str)| {
        let wrong = |why: String| Diagnostic::new("baseline", format!("line {}: {why}", n + 1), Place::Nowhere);
        let value: Value = serde_json::from_str(line).map_err(|why| wrong(why.to_string()))?;
        let text = |key: &str| value[key].as_str().ok_or_else(|| wrong(format!("has no `{key}`")));
        let verdict = match text("verdict")? {
            "accept" => "success",
            "reject" => "failure",
            _ => "unknown",
        };
        let row = Row {
            verdict: verdict.to_owned(),
            insns: value["insns_processed"].as_u64(),
            states: value["total_states"].as_u64(),
        };
        Ok(((base_name(text("file")?), text("program")?.to_owned()), row))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(one).collect()
}

/// Columns are found by their names, of which veristat knows several for each.
fn parse_csv(text: &str) -> Result<Vec<(Key, Row)>, Diagnostic> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
    let column = |names: &[&str]| header.iter().position(|found| names.contains(found));
    let needed = |names: &[&str]| {
        column(names).ok_or_else(|| {
            Diagnostic::new("baseline", format!("it has no column `{}`", names[0]), Place::Nowhere)
                .expected("CSV as --format csv or veristat -o csv writes it, or lines of --format json")
        })
    };
    let file = needed(&["file_name", "filename", "file"])?;
    let program = needed(&["prog_name", "progname", "prog"])?;
    let verdict = needed(&["verdict"])?;
    let (insns, states) = (column(&["total_insns", "insns"]), column(&["total_states", "states"]));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
        let number = |at: Option<usize>| at.and_then(|at| cell(at).parse().ok());
        let row = Row { verdict: cell(verdict).to_owned(), insns: number(insns), states: number(states) };
        ((base_name(cell(file)), cell(program).to_owned()), row)
    };
    Ok(lines.filter(|line| !line.trim().is_empty()).map(row).collect())
}

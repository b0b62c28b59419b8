//! The files of earlier runs: ours (CSV, or JSON lines), or veristat's (CSV).
//!
//! What cannot be read is refused with its line: a baseline that is silently shorter would hide what got worse.

use super::{Key, Row};
use alveary_diag::{Diagnostic, Place};
use serde_json::Value;

const FORMATS: &str = "CSV as --format csv or veristat -o csv writes it, or lines of --format json";

/// The programs of a file, in its order.
pub(super) fn parse(text: &str) -> Result<Vec<(Key, Row)>, Diagnostic> {
    let rows = if text.trim_start().starts_with('{') { parse_json(text) } else { parse_csv(text) }?;
    if rows.is_empty() {
        return Err(Diagnostic::new("baseline", "it names no program", Place::Nowhere).expected(FORMATS));
    }
    Ok(rows)
}

fn wrong(line: usize, why: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::new("baseline", format!("line {}: {why}", line + 1), Place::Nowhere)
        .help("the file was cut or changed: write it again with `alveary check OBJ… --format csv`")
}

fn parse_json(text: &str) -> Result<Vec<(Key, Row)>, Diagnostic> {
    let one = |(n, line): (usize, &str)| {
        let value: Value = serde_json::from_str(line).map_err(|why| wrong(n, why))?;
        let text = |key: &str| value[key].as_str().ok_or_else(|| wrong(n, format_args!("it has no `{key}`")));
        let verdict = match text("verdict")? {
            "accept" => "success",
            "reject" => "failure",
            "refused" => "unknown",
            other => return Err(wrong(n, "this is no verdict").expected("accept, reject or refused").found(other)),
        };
        let row = Row {
            verdict: verdict.to_owned(),
            insns: value["insns_processed"].as_u64(),
            states: value["total_states"].as_u64(),
        };
        Ok((Key { file: text("file")?.to_owned(), program: text("program")?.to_owned() }, row))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(one).collect()
}

/// Columns are found by their names, of which veristat knows several for each.
fn parse_csv(text: &str) -> Result<Vec<(Key, Row)>, Diagnostic> {
    let mut lines = text.lines().enumerate();
    let header: Vec<&str> = lines.next().unwrap_or_default().1.split(',').map(str::trim).collect();
    let column = |names: &[&str]| header.iter().position(|found| names.contains(found));
    let needed = |names: &[&str]| {
        column(names).ok_or_else(|| {
            Diagnostic::new("baseline", format!("it has no column `{}`", names[0]), Place::Nowhere).expected(FORMATS)
        })
    };
    let file = needed(&["file_name", "filename", "file"])?;
    let program = needed(&["prog_name", "progname", "prog"])?;
    let verdict = needed(&["verdict"])?;
    let (insns, states) = (column(&["total_insns", "insns"]), column(&["total_states", "states"]));
    let row = |(n, line): (usize, &str)| {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        if cells.len() != header.len() {
            let (expected, found) = (format!("{} values", header.len()), cells.len().to_string());
            return Err(wrong(n, "it has not a value for each column").expected(expected).found(found));
        }
        let number = |at: Option<usize>| {
            let Some((at, cell)) = at.map(|at| (at, cells[at])) else { return Ok(None) };
            let why = |_| wrong(n, format_args!("`{}` is no number", header[at])).found(cell);
            // A dash or nothing where the run had none.
            if ["", "N/A", "-"].contains(&cell) { Ok(None) } else { cell.parse().map(Some).map_err(why) }
        };
        let said = cells[verdict];
        if !["success", "failure", "unknown"].contains(&said) {
            return Err(wrong(n, "this is no verdict").expected("success, failure or unknown").found(said));
        }
        let row = Row { verdict: said.to_owned(), insns: number(insns)?, states: number(states)? };
        Ok((Key { file: cells[file].to_owned(), program: cells[program].to_owned() }, row))
    };
    lines.filter(|(_, line)| !line.trim().is_empty()).map(row).collect()
}

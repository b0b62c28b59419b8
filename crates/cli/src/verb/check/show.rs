//! Verdicts as text, JSON, values, or the kernel's log.

use super::{
    Format,
    judge::{Explanation, Judged, Known},
};
use crate::{
    error::explained::{Picture, terminal_width},
    table::grouped,
};
use alveary_diag::Place;
use alveary_verifier::{Rejection, Verdict, facts::Fact};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{self, Write},
};

/// What is written, one program after the other.
pub(super) struct Shown {
    format: Format,
    /// How much work each program was is written, too.
    stats: bool,
    /// There are several objects: each program is written with its file.
    several: bool,
    terminal: Option<usize>,
    /// What the programs are called that are judged together: their names stand in one column.
    width: usize,
    /// Programs that were written, by verdict.
    counts: BTreeMap<&'static str, usize>,
    kernel: String,
}

impl Shown {
    pub(super) fn new(format: Format, stats: bool, several: bool) -> Shown {
        let terminal = terminal_width(io::stdout());
        Shown { format, stats, several, terminal, width: 0, counts: BTreeMap::new(), kernel: String::new() }
    }

    /// These programs come next.
    pub(super) fn begin(&mut self, names: &[&str]) {
        self.width = names.iter().map(|name| name.len()).max().unwrap_or_default();
        self.several |= self.format == Format::Kernel && names.len() > 1;
    }

    /// Writes a program's verdict.
    pub(super) fn write(&mut self, one: &Judged, out: &mut dyn Write) -> io::Result<()> {
        let first = self.counts.is_empty();
        *self.counts.entry(word(&one.verdict)).or_default() += 1;
        self.kernel = match &one.rules {
            Some(known) => format!("{}, by the rules of {known}, the newest that are known", one.kernel),
            None => one.kernel.clone(),
        };
        match self.format {
            Format::Human => self.human(one, out),
            Format::Kernel => self.kernel(one, out),
            Format::Json => json_line(one, out),
            Format::Csv => csv(one, first, out),
        }
    }

    /// Writes what is said of all of them.
    pub(super) fn finish(&self, out: &mut dyn Write) -> io::Result<()> {
        let count = |verdict: &str| self.counts.get(verdict).copied().unwrap_or_default();
        let programs = match self.counts.values().sum::<usize>() {
            _ if self.format == Format::Csv && self.counts.is_empty() => return csv_names(out),
            _ if self.format != Format::Human => return Ok(()),
            0 => return Ok(()),
            1 => "1 program".to_owned(),
            programs => format!("{programs} programs"),
        };
        let (ok, rejected, unknown) = (count("ok"), count("rejected"), count("unknown"));
        writeln!(out, "{programs} on Linux {}: {ok} ok, {rejected} rejected, {unknown} not judged", self.kernel)
    }

    fn human(&self, one: &Judged, out: &mut dyn Write) -> io::Result<()> {
        let file = if self.several { format!("{}: ", one.file) } else { String::new() };
        let word = word(&one.verdict);
        write!(out, "{word:<8} {file}{}", one.name)?;
        if matches!(one.verdict, Verdict::Accept) || self.stats {
            let space = self.width - one.name.len();
            write!(
                out,
                "{:space$}  {} insns processed, {} states, {:.1} ms",
                "",
                grouped(one.stats.insns_processed.into()),
                grouped(one.stats.total_states.into()),
                one.time.as_secs_f64() * 1e3
            )?;
        }
        writeln!(out)?;
        match &one.verdict {
            Verdict::Accept => {}
            Verdict::Reject(why) => rejected(one, why, self.terminal, out)?,
            Verdict::Refused { reason, .. } => {
                place(one, out)?;
                writeln!(out, "   = not judged: {reason}")?;
                for help in &one.help {
                    writeln!(out, "   = help: {help}")?;
                }
            }
        }
        one.spent.as_ref().map_or(Ok(()), |spent| spent.write(out))
    }

    fn kernel(&self, one: &Judged, out: &mut dyn Write) -> io::Result<()> {
        if self.several {
            writeln!(out, "== {} {}", one.name, word(&one.verdict))?;
        }
        out.write_all(one.log.as_bytes())?;
        if let Verdict::Refused { reason, .. } = &one.verdict {
            writeln!(out, "not judged: {reason}")?;
        }
        Ok(())
    }
}

fn rejected(one: &Judged, why: &Rejection, terminal: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    if let Some(note) = &why.note {
        writeln!(out, "   = kernel: {} without a message", why.errno)?;
        return writeln!(out, "   = note: {note}");
    }
    let Some(Explanation { message, code }) = &one.explanation else { return Ok(()) };
    let picture = Picture { message, file: &one.file, program: &one.name, code, width: terminal };
    writeln!(out, "{}", picture.draw())
}

/// The source line, or the instruction, that a message is about.
fn place(one: &Judged, out: &mut dyn Write) -> io::Result<()> {
    if let Some(line) = &one.source {
        writeln!(out, "  --> {}:{}:{}", line.file, line.line, line.column)?;
        writeln!(out, "   | {}", line.text.trim_end())?;
    }
    match &one.instruction {
        Some(instruction) => writeln!(out, "   | {instruction}"),
        None => Ok(()),
    }
}

/// A program's line of JSON. What is known of its instructions is much: it is put in without being held.
fn json_line(one: &Judged, out: &mut dyn Write) -> io::Result<()> {
    let object = object(one).to_string();
    let Some(facts) = &one.facts else { return writeln!(out, "{object}") };
    write!(out, "{},\"facts\":[", object.strip_suffix('}').unwrap_or(&object))?;
    for (n, known) in facts.each().enumerate() {
        write!(out, "{}{}", if n == 0 { "" } else { "," }, learnt(&known))?;
    }
    writeln!(out, "]}}")
}

fn object(one: &Judged) -> Value {
    let (errno, message, insn, reason) = match &one.verdict {
        Verdict::Accept => (None, None, None, None),
        Verdict::Reject(why) => (Some(why.errno.0), Some(&why.message), why.insn, None),
        Verdict::Refused { reason, insn } => (None, None, Some(*insn), Some(reason)),
    };
    let source = one.source.as_ref().map(|s| json!({ "file": &*s.file, "line": s.line, "column": s.column }));
    let mut object = json!({
        "file": one.file,
        "section": one.section,
        "program": one.name,
        "type": one.ty,
        "kernel": one.kernel,
        "verdict": verdict(&one.verdict),
        "errno": errno,
        "message": message,
        "reason": reason,
        "instruction": insn,
        "source": source,
        "explanation": one.explanation.as_ref().map(explanation),
        "insns_processed": one.stats.insns_processed,
        "total_states": one.stats.total_states,
        "peak_states": one.stats.peak_states,
        "max_states_per_insn": one.stats.max_states_per_insn,
        "time_us": one.time.as_micros() as u64,
    });
    if !one.log.is_empty() {
        object["log"] = one.log.as_str().into();
    }
    if let Some(spent) = &one.spent {
        object["work"] = spent.object();
    }
    object
}

/// What is known of one instruction. Limits are those of the register that it writes.
fn learnt(one: &Known<'_>) -> Value {
    let Fact { reached, falls_through, jumps, result, pointer, divisor_not_zero, .. } = *one.fact;
    json!({
        "instruction": one.slot,
        "text": one.text,
        "reached": reached,
        "falls_through": falls_through,
        "jumps": jumps,
        "umin": result.wide.umin,
        "umax": result.wide.umax,
        "smin": result.wide.smin,
        "smax": result.wide.smax,
        "never_null": pointer.is_some_and(|pointer| !pointer.or_null),
        "divisor_not_zero": divisor_not_zero,
        "words": one.words,
    })
}

fn explanation(why: &Explanation) -> Value {
    let message = &why.message;
    let labels: Vec<Value> = message
        .labels
        .iter()
        .zip(&why.code)
        .filter_map(|(label, code)| {
            let Place::Insn { index, .. } = label.at else { return None };
            let source = label.source.as_ref();
            Some(json!({
                "instruction": index,
                "code": code,
                "source": source.map(|s| json!({ "file": &*s.file, "line": s.line, "column": s.column, "text": &*s.text })),
                "text": &*label.text,
                "primary": label.primary,
            }))
        })
        .collect();
    let facts = |wanted: &str| -> Vec<&str> {
        message.facts.iter().filter(|(name, _)| *name == wanted).map(|(_, text)| &**text).collect()
    };
    json!({
        "code": message.code.0,
        "message": &*message.message,
        "labels": labels,
        "notes": message.notes,
        "help": message.help,
        "known": facts("known"),
        "path": facts("path").first(),
    })
}

/// As veristat names its columns. Linux counts no more how far reads are marked.
fn csv_names(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "file_name,prog_name,verdict,duration,total_insns,total_states,peak_states,max_states_per_insn,max_mark_read_len"
    )
}

fn csv(one: &Judged, first: bool, out: &mut dyn Write) -> io::Result<()> {
    if first {
        csv_names(out)?;
    }
    let stats = &one.stats;
    writeln!(
        out,
        "{},{},{},{},{},{},{},{},0",
        one.file,
        one.name,
        outcome(&one.verdict),
        one.time.as_micros(),
        stats.insns_processed,
        stats.total_states,
        stats.peak_states,
        stats.max_states_per_insn
    )
}

/// A verdict in veristat's words; what is not judged it does not know.
pub(super) fn outcome(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "success",
        Verdict::Reject(_) => "failure",
        Verdict::Refused { .. } => "unknown",
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "ok",
        Verdict::Reject(_) => "rejected",
        Verdict::Refused { .. } => "unknown",
    }
}

fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "accept",
        Verdict::Reject(_) => "reject",
        Verdict::Refused { .. } => "refused",
    }
}

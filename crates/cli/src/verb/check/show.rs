//! Verdicts as text, JSON, values, or the kernel's log.

use super::{
    Format,
    judge::{Explanation, Judged, Learnt},
};
use crate::{
    error::explained::{Picture, terminal_width},
    table::grouped,
};
use alveary_diag::Place;
use alveary_verifier::{Rejection, Verdict, facts::Fact};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Writes all of them.
pub(super) fn write(judged: &[Judged], format: Format, stats: bool, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Human => human(judged, stats, out),
        Format::Kernel => kernel(judged, out),
        Format::Json => judged.iter().try_for_each(|one| writeln!(out, "{}", object(one))),
        Format::Csv => csv(judged, out),
    }
}

fn human(judged: &[Judged], stats: bool, out: &mut dyn Write) -> io::Result<()> {
    let width = judged.iter().map(|one| one.name.len()).max().unwrap_or_default();
    let terminal = terminal_width(io::stdout());
    let several = judged.iter().any(|one| one.file != judged[0].file);
    for one in judged {
        let file = if several { format!("{}: ", one.file) } else { String::new() };
        let word = word(&one.verdict);
        write!(out, "{word:<8} {file}{}", one.name)?;
        if matches!(one.verdict, Verdict::Accept) || stats {
            let space = width - one.name.len();
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
            Verdict::Reject(why) => rejected(one, why, terminal, out)?,
            Verdict::Refused { reason, .. } => {
                place(one, out)?;
                writeln!(out, "   = not judged: {reason}")?;
                for help in &one.help {
                    writeln!(out, "   = help: {help}")?;
                }
            }
        }
        if let Some(spent) = &one.spent {
            spent.write(out)?;
        }
    }
    let count = |wanted: &str| judged.iter().filter(|one| word(&one.verdict) == wanted).count();
    let Some(first) = judged.first() else { return Ok(()) };
    let (programs, kernel) = (judged.len(), &first.kernel);
    let programs = if programs == 1 { "1 program".to_owned() } else { format!("{programs} programs") };
    let (ok, rejected, unknown) = (count("ok"), count("rejected"), count("unknown"));
    writeln!(out, "{programs} on Linux {kernel}: {ok} ok, {rejected} rejected, {unknown} not judged")
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

fn kernel(judged: &[Judged], out: &mut dyn Write) -> io::Result<()> {
    for one in judged {
        if judged.len() > 1 {
            writeln!(out, "== {} {}", one.name, word(&one.verdict))?;
        }
        out.write_all(one.log.as_bytes())?;
        if let Verdict::Refused { reason, .. } = &one.verdict {
            writeln!(out, "not judged: {reason}")?;
        }
    }
    Ok(())
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
    if let Some(facts) = &one.facts {
        object["facts"] = facts.iter().map(learnt).collect();
    }
    if let Some(spent) = &one.spent {
        object["work"] = spent.object();
    }
    object
}

/// What is known of one instruction. Limits are those of the register that it writes.
fn learnt(one: &Learnt) -> Value {
    let Fact { reached, falls_through, jumps, result, pointer, divisor_not_zero, .. } = one.fact;
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
fn csv(judged: &[Judged], out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "file_name,prog_name,verdict,duration,total_insns,total_states,peak_states,max_states_per_insn,max_mark_read_len"
    )?;
    for one in judged {
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
        )?;
    }
    Ok(())
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

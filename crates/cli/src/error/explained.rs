//! A rejection as rustc would draw it: the sentence, the source lines with their remarks in the file's order, then the
//! kernel's words, what helps, what was known, and the path.

use super::span::{self, Line};
use alveary_diag::{Diagnostic, Label, Place};
use alveary_sort::Sort;
use anstyle::{AnsiColor, Style};
use std::{fmt::Write, os::fd::AsFd, sync::Arc};

const ERROR: Style = AnsiColor::BrightRed.on_default().bold();
const FRAME: Style = AnsiColor::BrightBlue.on_default().bold();
const BOLD: Style = Style::new().bold();
/// Source lines are cut, and remarks broken, to be no narrower than this.
const NARROWEST: usize = 40;

/// The fact that names the function of the program that holds the instruction: it stands in the title.
const FUNCTION: &str = "function";

/// How wide a terminal is; none if it is something else.
pub(crate) fn terminal_width(of: impl AsFd) -> Option<usize> {
    if !rustix::termios::isatty(&of) {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&of).ok()?;
    (size.ws_col > 0).then_some(size.ws_col.into())
}

/// What is drawn.
pub(crate) struct Picture<'a> {
    pub(crate) message: &'a Diagnostic,
    /// The object file and the program.
    pub(crate) file: &'a str,
    pub(crate) program: &'a str,
    /// The instructions at the labels' places, disassembled.
    pub(crate) code: &'a [Option<String>],
    /// How wide the terminal is, if it is one.
    pub(crate) width: Option<usize>,
}

/// A remark, and where it stands.
struct Remark<'a> {
    line: Line<'a>,
    /// The file of the line; none: the line is an instruction.
    file: Option<Arc<str>>,
    number: u32,
    insn: u32,
    text: &'a str,
    primary: bool,
}

impl Picture<'_> {
    /// The picture, with the terminal's codes for colours.
    pub(crate) fn draw(&self) -> String {
        let remarks = self.remarks();
        let margin = remarks.iter().map(|remark| remark.number.to_string().len()).max().unwrap_or(1);
        let mut out = String::new();
        let message = self.message;
        let title = format!("{ERROR}error[{}]{ERROR:#}{BOLD}: {}{BOLD:#}\n", message.code.0, message.message);
        out.push_str(&title);
        let _ = writeln!(out, "{:margin$}{FRAME}-->{FRAME:#} {}", "", self.place(&remarks));
        let mut files: Vec<Option<Arc<str>>> = Vec::new();
        for remark in &remarks {
            if !files.contains(&remark.file) {
                files.push(remark.file.clone());
            }
        }
        for (n, file) in files.iter().enumerate() {
            if n > 0 {
                let name = file.as_deref().unwrap_or("instructions without a source line");
                let _ = writeln!(out, "{:margin$}{FRAME}:::{FRAME:#} {name}", "");
            }
            self.draw_file(&remarks, file, margin, &mut out);
        }
        self.draw_rest(margin, &mut out);
        out
    }

    /// Where it is: the source line's place, or the object and the instruction.
    fn place(&self, remarks: &[Remark<'_>]) -> String {
        let function = self.message.facts.iter().find(|(name, _)| *name == FUNCTION);
        let program = match function {
            Some((_, function)) if *function != self.program => format!("in `{function}` of `{}`", self.program),
            _ => format!("in `{}`", self.program),
        };
        match remarks.iter().find(|remark| remark.primary) {
            Some(Remark { file: Some(file), number, line, insn, .. }) => {
                format!("{file}:{number}:{}  {program} (instruction {insn})", line.column)
            }
            Some(Remark { insn, .. }) => match self.message.labels.first().and_then(|label| label.source.as_ref()) {
                Some(source) if source.line > 0 => {
                    format!("{}:{}:{}  {program} (instruction {insn})", source.file, source.line, source.column)
                }
                _ => format!("{}  {program} (instruction {insn})", self.file),
            },
            None => format!("{}  {program}", self.file),
        }
    }

    /// The remarks, the primary one first.
    fn remarks(&self) -> Vec<Remark<'_>> {
        self.message.labels.iter().zip(self.code).filter_map(|(label, code)| remark(label, code.as_deref())).collect()
    }

    fn draw_file(&self, remarks: &[Remark<'_>], file: &Option<Arc<str>>, margin: usize, out: &mut String) {
        let mut here: Vec<&Remark<'_>> = remarks.iter().filter(|remark| remark.file == *file).collect();
        here.order_by_key(|remark| (remark.number, remark.line.span.start, !remark.primary));
        let _ = writeln!(out, "{:margin$} {FRAME}|{FRAME:#}", "");
        let mut at: Option<u32> = None;
        for (n, remark) in here.iter().enumerate() {
            if at != Some(remark.number) {
                if at.is_some_and(|at| at + 1 < remark.number) {
                    let _ = writeln!(out, "{FRAME}...{FRAME:#}");
                }
                let text = self.cut(remark, margin);
                let _ = writeln!(out, "{FRAME}{:>margin$} |{FRAME:#} {text}", remark.number);
                at = Some(remark.number);
            }
            // Remarks on one spot stand below each other, under one line.
            let same = n > 0 && here[n - 1].number == remark.number && here[n - 1].line.span == remark.line.span;
            self.underline(remark, same, margin, out);
        }
    }

    fn underline(&self, remark: &Remark<'_>, below: bool, margin: usize, out: &mut String) {
        let style = if remark.primary { ERROR } else { FRAME };
        let sign = if remark.primary { "^" } else { "-" };
        let (start, length) = (remark.line.span.start, remark.line.span.len().max(1));
        let shift = self.shift(remark, margin);
        let start = start.saturating_sub(shift);
        let line = |out: &mut String, text: &str| {
            let _ = writeln!(out, "{:margin$} {FRAME}|{FRAME:#} {style}{}{style:#}", "", text.trim_end());
        };
        let marks = format!("{}{}", " ".repeat(start), sign.repeat(length));
        // Where there is no room beside what is underlined, the remark stands below.
        let beside = start + length + 1;
        let narrow = self.width.is_some_and(|width| margin + 3 + beside + NARROWEST > width);
        let indent = if narrow { start } else { beside };
        let broken = self.broken(remark.text, margin + 3 + indent);
        let mut texts = broken.iter();
        if !below {
            let first = if narrow { None } else { texts.next() };
            line(out, &format!("{marks} {}", first.copied().unwrap_or_default()));
        }
        texts.for_each(|text| line(out, &format!("{}{text}", " ".repeat(indent))));
    }

    /// How many characters of a source line are left out at its start, so that what is meant can be seen.
    fn shift(&self, remark: &Remark<'_>, margin: usize) -> usize {
        let Some(room) = self.room(margin + 3) else { return 0 };
        let end = remark.line.span.end;
        if end <= room { 0 } else { remark.line.span.start.saturating_sub(8) }
    }

    /// The source line, as much of it as there is room for.
    fn cut(&self, remark: &Remark<'_>, margin: usize) -> String {
        let text: String = remark.line.text.chars().skip(self.shift(remark, margin)).collect();
        match self.room(margin + 3) {
            Some(room) => text.chars().take(room).collect(),
            None => text,
        }
    }

    fn room(&self, indent: usize) -> Option<usize> {
        self.width.map(|width| width.saturating_sub(indent).max(NARROWEST))
    }

    /// A text in lines that fit behind `indent` characters.
    fn broken<'t>(&self, text: &'t str, indent: usize) -> Vec<&'t str> {
        let Some(room) = self.room(indent) else { return text.lines().chain(text.is_empty().then_some("")).collect() };
        let mut lines = Vec::new();
        for line in text.lines() {
            let mut rest = line;
            while rest.chars().count() > room {
                let most = rest.char_indices().nth(room).map_or(rest.len(), |(at, _)| at);
                let Some(end) = rest[..most].rfind(' ').filter(|end| *end > 0) else { break };
                lines.push(&rest[..end]);
                rest = rest[end..].trim_start();
            }
            lines.push(rest);
        }
        if lines.is_empty() { vec![""] } else { lines }
    }

    fn draw_rest(&self, margin: usize, out: &mut String) {
        let message = self.message;
        let mut facts: Vec<(&str, &str)> = Vec::new();
        facts.extend(message.notes.iter().map(|text| ("note", &**text)));
        facts.extend(message.kernel.as_deref().map(|text| ("kernel", text)));
        facts.extend(message.help.iter().map(|text| ("help", &**text)));
        let other = message.facts.iter().filter(|(name, _)| *name != FUNCTION);
        facts.extend(other.map(|(name, text)| (*name, &**text)));
        for (name, text) in facts {
            let indent = margin + 5 + name.len();
            for (n, line) in self.broken(text, indent).iter().enumerate() {
                if n == 0 {
                    let _ = writeln!(out, "{:margin$} {FRAME}={FRAME:#} {BOLD}{name}{BOLD:#}: {line}", "");
                } else {
                    let _ = writeln!(out, "{:indent$}{line}", "");
                }
            }
        }
    }
}

/// Whether a source line begins a block of assembly: all its instructions have that line, so that it tells nothing.
fn is_assembly(text: &str) -> bool {
    let text = text.trim_start();
    ["asm volatile", "asm(", "asm (", "__asm__"].iter().any(|start| text.starts_with(start))
}

fn remark<'a>(label: &'a Label, code: Option<&'a str>) -> Option<Remark<'a>> {
    let Place::Insn { index, .. } = label.at else { return None };
    let (text, primary) = (&*label.text, label.primary);
    let is_jump = code.is_some_and(|code| code.starts_with("if "));
    let shown = label.source.as_ref().filter(|source| source.line > 0 && !source.text.trim().is_empty());
    match shown.filter(|source| !is_assembly(&source.text)) {
        Some(source) => Some(Remark {
            line: span::of_source(&source.text, source.column, is_jump),
            file: Some(source.file.clone()),
            number: source.line,
            insn: index,
            text,
            primary,
        }),
        None => Some(Remark {
            line: span::whole(code.unwrap_or("?")),
            file: None,
            number: index,
            insn: index,
            text,
            primary,
        }),
    }
}

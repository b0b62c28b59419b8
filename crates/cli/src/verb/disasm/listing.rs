//! The instructions of an object's functions, with the names of what they refer to.

use super::answers::Answers;
use crate::{
    inspect,
    names::Known,
    table::{HEADING, count, printable},
};
use alveary_abi::Profile;
use alveary_btf::Btf;
use alveary_isa::{
    DecodeError, Endian, Insn, Inst,
    disasm::{Notation, Style},
};
use alveary_spec::{Function, ProgramSpec, Spec};
use serde::Serialize;
use std::{
    borrow::Cow,
    io::{self, Write},
};

/// Source lines: not what the eye looks for first.
const SOURCE: anstyle::Style = anstyle::Style::new().dimmed();

/// All that is shown.
#[derive(Debug, Serialize)]
pub(super) struct Listing {
    functions: Vec<FunctionListing>,
}

/// How it is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Source lines in between.
    pub(super) source: bool,
    /// The bytes of each instruction.
    pub(super) raw: bool,
}

#[derive(Debug, Serialize)]
struct FunctionListing {
    name: String,
    section: String,
    /// Visible to other objects.
    global: bool,
    /// The type of the program that it is; `None` for a function that programs call.
    program: Option<String>,
    insns: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    slot: usize,
    /// In hex.
    bytes: String,
    text: String,
    /// The slot that it jumps to.
    target: Option<i64>,
    /// What a kernel answers to what it asks for.
    answer: Option<String>,
    /// The source line, if it is not that of the instruction before.
    source: Option<Source>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Source {
    file: String,
    line: u32,
    column: u32,
    text: String,
}

impl Listing {
    /// Every function of an object, or those that one program can get to.
    pub(super) fn of(spec: &Spec, only: Option<&ProgramSpec>, answers: &Answers) -> Listing {
        let profile = Profile::linux_6_18();
        let programs = inspect::in_order(spec).filter(|p| only.is_none_or(|o| o.name == p.name));
        let mut names: Vec<&str> = Vec::new();
        for program in programs {
            for name in inspect::reached(spec, &program.name) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        if only.is_none() {
            let rest = spec.functions.keys().map(String::as_str).filter(|n| !names.contains(n)).collect::<Vec<_>>();
            names.extend(rest);
        }
        Listing { functions: names.into_iter().map(|n| function(n, spec, &profile, answers)).collect() }
    }

    /// What a classic filter is in eBPF.
    pub(super) fn of_filter(insns: Vec<Insn>) -> Listing {
        let (section, program) = ("socket".into(), Some("socket_filter".to_owned()));
        let function = Function { insns, section, global: true, ..Function::default() };
        Listing { functions: vec![listed("filter", &function, program, Endian::HOST, &Profile::linux_6_18())] }
    }

    /// As text.
    pub(super) fn write(&self, look: Look, out: &mut dyn Write) -> io::Result<()> {
        let mut section = None;
        for (at, function) in self.functions.iter().enumerate() {
            if at > 0 {
                writeln!(out)?;
            }
            if section.replace(&function.section) != Some(&function.section) {
                writeln!(out, ".section {}", quoted(&function.section))?;
            }
            function.write(look, out)?;
        }
        Ok(())
    }
}

fn function(name: &str, spec: &Spec, profile: &Profile, answers: &Answers) -> FunctionListing {
    let function = &spec.functions[name];
    let named = |ty| profile.prog_type(ty).map(|row| row.name);
    let program = spec.programs.get(name).map(|p| p.ty.and_then(named).unwrap_or("untyped").to_owned());
    let mut listing = listed(name, function, program, spec.endian, profile);
    for line in &mut listing.insns {
        line.answer = answers.at(name, function, line.slot);
    }
    if let Some(btf) = spec.btf.as_deref() {
        mark_sources(&mut listing.insns, function, btf);
    }
    listing
}

fn listed(
    name: &str,
    function: &Function,
    program: Option<String>,
    endian: Endian,
    profile: &Profile,
) -> FunctionListing {
    let names = Known::of_function(function, profile);
    let lines = inspect::decoded(function).map(|(slot, inst)| Line {
        slot,
        bytes: bytes(function, slot, &inst, endian),
        text: text(&names, slot, inst),
        target: inst.ok().and_then(|i| target(slot, i)),
        answer: None,
        source: None,
    });
    FunctionListing {
        name: name.to_owned(),
        section: function.section.to_string(),
        global: function.global,
        program,
        insns: lines.collect(),
    }
}

fn text(names: &Known, slot: usize, inst: Result<Inst, DecodeError>) -> String {
    match inst {
        Ok(Inst::CallLocal { .. } | Inst::CallKfunc { .. }) if let Some(name) = names.at(slot) => {
            format!("call {name}")
        }
        Ok(inst) => Notation { style: Style::Plain, names }.text(slot, inst).to_string(),
        Err(why) => format!("(no instruction: {why})"),
    }
}

fn bytes(function: &Function, slot: usize, inst: &Result<Inst, DecodeError>, endian: Endian) -> String {
    let slots = inst.as_ref().map_or(1, Inst::slots);
    let bytes = function.insns.iter().skip(slot).take(slots).flat_map(|i| i.to_bytes(endian));
    bytes.map(|b| format!("{b:02x}")).collect()
}

/// The slot that an instruction may jump to.
fn target(slot: usize, inst: Inst) -> Option<i64> {
    let off = match inst {
        Inst::Ja { off, .. } => off,
        Inst::MayGoto { off } | Inst::Jmp { off, .. } => off.into(),
        _ => return None,
    };
    Some(slot as i64 + 1 + i64::from(off))
}

/// Gives the first instruction of each source line that line.
fn mark_sources(lines: &mut [Line], function: &Function, btf: &Btf) {
    let mut before = None;
    for line in lines {
        let known = function.lines.partition_point(|l| l.insn as usize <= line.slot);
        let Some(info) = known.checked_sub(1).map(|last| &function.lines[last]) else { continue };
        let here = (info.file, info.line);
        if before.replace(here) == Some(here) {
            continue;
        }
        line.source = Some(Source {
            file: btf.string(info.file).unwrap_or_default().to_owned(),
            line: info.line,
            column: info.column,
            text: btf.string(info.text).unwrap_or_default().trim().to_owned(),
        });
    }
}

impl FunctionListing {
    fn write(&self, look: Look, out: &mut dyn Write) -> io::Result<()> {
        let name = printable(&self.name);
        let slots = self.insns.last().map_or(0, |l| l.slot + l.bytes.len() / 16);
        let what = self.program.as_ref().map(|ty| format!("{ty} program, ")).unwrap_or_default();
        let insns = count(slots as u64, "instruction", "instructions");
        if self.global {
            writeln!(out, ".globl {name}")?;
        }
        writeln!(out, "{HEADING}{name}{HEADING:#}:  ; {what}{insns}")?;
        self.insns.iter().try_for_each(|line| line.write(look, out))
    }
}

impl Line {
    fn write(&self, look: Look, out: &mut dyn Write) -> io::Result<()> {
        if let Some(source) = self.source.as_ref().filter(|_| look.source) {
            let (text, file) = (printable(&source.text), printable(&source.file));
            writeln!(out, "{SOURCE}; {text} @ {file}:{}{SOURCE:#}", source.line)?;
        }
        write!(out, "{:6}: ", self.slot)?;
        let (first, second) = self.bytes.split_at(self.bytes.len().min(16));
        if look.raw {
            write!(out, "{} ", spaced(first))?;
        }
        write!(out, "{}", printable(&self.text))?;
        if let Some(target) = self.target {
            write!(out, "  ; to {target}")?;
        }
        if let Some(answer) = &self.answer {
            write!(out, "  ; {}", printable(answer))?;
        }
        writeln!(out)?;
        if look.raw && !second.is_empty() { writeln!(out, "{:8}{}", "", spaced(second).trim_end()) } else { Ok(()) }
    }
}

/// A section's name as the assembler reads it.
fn quoted(section: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | '+' | ':' | '@' | '*');
    let begins = section.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '.'));
    if begins && section.chars().all(plain) && !section.contains("//") {
        section.into()
    } else {
        format!("\"{}\"", printable(section)).into()
    }
}

/// Hex digits, two by two.
fn spaced(hex: &str) -> String {
    hex.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair) + " ").collect()
}

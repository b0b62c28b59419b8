//! `alveary show --relocs`: what an object asks of a kernel, its types and its configuration, and what a kernel answers.

use crate::table::{Align::Left, Align::Right, HEADING, Table, count};
use alveary_btf::CoreKind;
use alveary_diag::Diagnostic;
use alveary_object::{CoreOutcome, CoreRelocation, ExternAnswer, ExternOutcome, core_relocations, extern_answers};
use alveary_sort::Gather;
use alveary_spec::{Kernel, Spec};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    io::{self, Write},
};

/// How help begins that is a nearest name.
const NEAR: &str = "did you mean";

/// All relocations, in the order of the functions' names, and all externs by name.
#[derive(Debug, Serialize)]
pub(super) struct Relocations {
    relocations: Vec<Relocation>,
    externs: Vec<Extern>,
    resolved: u64,
    missing: u64,
    refused: u64,
}

#[derive(Debug, Serialize)]
struct Relocation {
    function: String,
    slot: u32,
    /// The source line that asks: `prog.c:17`.
    line: Option<String>,
    asks: String,
    /// Whether it asks for a type that is alike: the name alone may well be there.
    #[serde(skip)]
    matching: bool,
    /// What the compiler wrote.
    compiled: Option<u64>,
    /// What it is in the kernel.
    value: Option<u64>,
    /// The kernel's type or field; empty if the answer is that there is none.
    target: Option<String>,
    /// `resolved`, `missing`: fails where it is reached, or `refused`: the object cannot be loaded.
    outcome: &'static str,
    why_not: Option<String>,
    help: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Extern {
    name: String,
    /// Its type in C.
    declared: String,
    /// `value`, `found`, `absent`: weak and zero, or `missing`: programs that use it cannot be loaded.
    outcome: &'static str,
    /// The value, as C writes it.
    value: Option<String>,
    /// The module that has it, if it is not the kernel itself.
    module: Option<String>,
    why_not: Option<String>,
    help: Vec<String>,
}

impl Relocations {
    pub(super) fn of(spec: &Spec, kernel: &Kernel) -> Relocations {
        let answers = core_relocations(spec, kernel.btf.as_deref(), &kernel.modules);
        let all: Vec<_> = answers.into_iter().map(|r| relocation(r, spec)).collect();
        let externs = extern_answers(spec, kernel).into_iter().map(Extern::of).collect();
        let number = |outcome| all.iter().filter(|r| r.outcome == outcome).count() as u64;
        let (resolved, missing, refused) = (number("resolved"), number("missing"), number("refused"));
        Relocations { relocations: all, externs, resolved, missing, refused }
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.relocations.is_empty() {
            writeln!(out, "the object has no CO-RE relocations")?;
        } else {
            self.write_relocations(out)?;
        }
        if self.externs.is_empty() { Ok(()) } else { self.write_externs(out) }
    }

    fn write_externs(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new([("extern", Left), ("declared as", Left), ("here", Left)]);
        for one in &self.externs {
            table.row([one.name.clone(), one.declared.clone(), one.answer()]);
        }
        writeln!(out)?;
        table.write("", out)?;
        for help in self.externs.iter().flat_map(|one| &one.help).gather::<BTreeSet<_>>() {
            writeln!(out, "{HEADING}help{HEADING:#}: {help}")?;
        }
        Ok(())
    }

    fn write_relocations(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new([
            ("function", Left),
            ("slot", Right),
            ("line", Left),
            ("asks for", Left),
            ("compiled", Right),
            ("here", Right),
            ("which is", Left),
        ]);
        for one in &self.relocations {
            let number = |n: Option<u64>| n.map_or_else(String::new, |n| (n as i64).to_string());
            let meaning = match (&one.why_not, one.target.as_deref()) {
                (Some(why), _) => format!("{}: {why}", one.outcome),
                (None, Some("") | None) if one.matching => "no type of the kernel matches it".to_owned(),
                (None, Some("") | None) => "not in the kernel".to_owned(),
                (None, Some(target)) => target.to_owned(),
            };
            table.row([
                one.function.clone(),
                one.slot.to_string(),
                one.line.clone().unwrap_or_default(),
                one.asks.clone(),
                number(one.compiled),
                number(one.value),
                meaning,
            ]);
        }
        table.write("", out)?;
        for help in self.relocations.iter().flat_map(|r| &r.help).gather::<BTreeSet<_>>() {
            writeln!(out, "{HEADING}help{HEADING:#}: {help}")?;
        }
        let total = count(self.relocations.len() as u64, "relocation", "relocations");
        writeln!(out, "{total}: {} resolved, {} missing, {} refused", self.resolved, self.missing, self.refused)
    }
}

impl Extern {
    fn of(answer: ExternAnswer) -> Extern {
        let (mut value, mut module, mut why) = (None, None, None);
        let outcome = match answer.outcome {
            ExternOutcome::Value(text) => {
                value = Some(text);
                "value"
            }
            ExternOutcome::Found(of) => {
                module = of.map(|name| name.to_string());
                "found"
            }
            ExternOutcome::Absent => "absent",
            ExternOutcome::Missing(diagnostic) => {
                why = Some(diagnostic);
                "missing"
            }
        };
        let help = why.iter().flat_map(|d| d.help.iter().cloned()).collect();
        let why_not = why.map(|d| reason(&d, Vec::new()));
        Extern { name: answer.name, declared: answer.declared, outcome, value, module, why_not, help }
    }

    /// The answer in words.
    fn answer(&self) -> String {
        match (&self.value, &self.module, &self.why_not) {
            (Some(value), ..) => value.clone(),
            (_, Some(module), _) => format!("in module {module}"),
            (.., Some(why)) => format!("missing: {why}"),
            _ if self.outcome == "absent" => "absent: zero".to_owned(),
            _ => "in the kernel".to_owned(),
        }
    }
}

fn relocation(one: CoreRelocation, spec: &Spec) -> Relocation {
    let (outcome, compiled, value, target, why) = match one.outcome {
        CoreOutcome::Resolved { value, before, target } => ("resolved", Some(before), Some(value), Some(target), None),
        CoreOutcome::Missing(why) => ("missing", None, None, None, Some(why)),
        CoreOutcome::Refused(why) => ("refused", None, None, None, Some(why)),
    };
    // The nearest name belongs to its relocation; what helps in general is said once.
    let (near, help) = why.iter().flat_map(|d| d.help.iter().cloned()).partition(|help| help.starts_with(NEAR));
    Relocation {
        line: line(spec, &one.function, one.record.insn),
        function: one.function,
        slot: one.record.insn,
        asks: one.asked,
        matching: one.record.kind == CoreKind::TypeMatches,
        compiled,
        value,
        target,
        outcome,
        help,
        why_not: why.map(|d| reason(&d, near)),
    }
}

/// Why there is no answer, in one line.
fn reason(why: &Diagnostic, near: Vec<String>) -> String {
    let mut text = why.message.to_string();
    let facts = [("expected", &why.expected), ("found", &why.found)];
    for (name, fact) in facts.into_iter().filter_map(|(name, fact)| Some((name, fact.as_ref()?))) {
        text += &format!(", {name} {fact}");
    }
    near.into_iter().fold(text, |text, near| format!("{text}; {near}"))
}

/// The source line of an instruction, by the last part of the file's path.
fn line(spec: &Spec, function: &str, slot: u32) -> Option<String> {
    let lines = &spec.functions.get(function)?.lines;
    let info = lines[..lines.partition_point(|l| l.insn <= slot)].last()?;
    let file = spec.btf.as_ref()?.string(info.file)?;
    Some(format!("{}:{}", file.rsplit('/').next().unwrap_or(file), info.line))
}

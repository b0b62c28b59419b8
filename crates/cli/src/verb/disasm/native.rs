//! What becomes of programs on their way to native code: the code generator's IR or the machine code, beside the
//! lowered instructions and source lines that they come from.

use super::symbols;
use crate::{
    failure::Failure,
    machine::{Instruction, reader},
    output,
    table::{HEADING, count, printable},
};
use alveary::{Loaded, ProgramRef, User, runtime::Prog};
use alveary_diag::{Place, Sources};
use alveary_sort::Gather;
use alveary_vm::{Line, Listed};
use clap::ValueEnum;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    env::consts::ARCH,
    io::{self, Write},
};

/// What lines come from is not what the eye looks for first.
const REMARK: anstyle::Style = anstyle::Style::new().dimmed();

/// When the IR is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Stage {
    /// As it is made
    Lifted,
    /// As the code generator leaves it
    Optimized,
}

#[derive(Debug, Serialize)]
struct Listing<T> {
    programs: Vec<Program<T>>,
}

#[derive(Debug, Serialize)]
struct Program<T> {
    name: String,
    functions: Vec<Function<T>>,
}

/// A function; `T` is a line of it.
#[derive(Debug, Serialize)]
struct Function<T> {
    name: String,
    /// Its first slot in the lowered code.
    slot: u32,
    /// Bytes of machine code.
    size: usize,
    lines: Vec<Step<T>>,
}

/// A line, and what it comes from.
#[derive(Debug, Serialize)]
struct Step<T> {
    /// Slot in the lowered code; what comes from none has none.
    slot: Option<u32>,
    /// The instruction there.
    lowered: Option<String>,
    source: Option<Source>,
    #[serde(flatten)]
    line: T,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Source {
    file: String,
    line: u32,
    text: String,
}

/// A line of IR.
#[derive(Debug, Serialize)]
struct Ir {
    text: String,
}

/// An instruction of the machine.
#[derive(Debug, Serialize)]
struct Machine {
    /// Counted from the first function's.
    address: u64,
    /// In hex.
    bytes: String,
    operation: String,
    operands: Vec<String>,
    /// What jumps lead to here by.
    label: Option<String>,
    /// The label or the function that it leads to, or the helper that it calls.
    to: Option<String>,
    #[serde(skip)]
    text: String,
}

/// Shows the programs of an object that are loaded: their IR at a stage, or their machine code.
///
/// # Errors
/// There is no native code of one; nobody reads what is written.
pub(super) fn native(loaded: &Loaded<User>, clif: Option<Stage>, raw: bool, json: bool) -> Result<(), Failure> {
    match clif {
        Some(stage) => {
            let listing = listing(loaded, |function| {
                let lines = if stage == Stage::Lifted { &function.lifted } else { &function.optimized };
                lines.iter().map(ir).collect()
            })?;
            listing.show(json, |line, out| writeln!(out, "{}", line.text))
        }
        None => {
            let reader = reader()?;
            let listing = listing(loaded, |function| {
                let read = reader(&function.code, function.address);
                read.iter().map(|found| machine(function, found)).collect()
            })?;
            let mut listing = listing;
            listing.programs.iter_mut().for_each(name_targets);
            listing.show(json, |line, out| line.write(raw, out))
        }
    }
}

fn listing<T>(loaded: &Loaded<User>, lines: impl Fn(&Listed) -> Vec<(Option<u32>, T)>) -> Result<Listing<T>, Failure> {
    let program = |program: ProgramRef<'_, User>| -> Result<Program<T>, Failure> {
        let prog = program.handle().prog();
        let listed = loaded.target().runtime().list(prog)?;
        let origins = Origins { prog, texts: symbols::texts(prog) };
        let functions = listed.iter().map(|function| Function {
            name: origins.function(function.start),
            slot: function.start,
            size: function.code.len(),
            lines: lines(function).into_iter().map(|(slot, line)| origins.step(slot, line)).collect(),
        });
        Ok(Program { name: program.spec().name.to_string(), functions: functions.collect() })
    };
    Ok(Listing { programs: loaded.programs().map(program).collect::<Result<_, Failure>>()? })
}

fn ir(line: &Line) -> (Option<u32>, Ir) {
    let at_margin =
        ["function ", "block", "}"].iter().any(|start| line.text.starts_with(start)) || line.text.is_empty();
    let text = if at_margin { line.text.clone() } else { format!("    {}", line.text) };
    (line.slot, Ir { text })
}

fn machine(function: &Listed, found: &Instruction) -> (Option<u32>, Machine) {
    let part = function.parts.iter().find(|part| part.bytes.contains(&found.at));
    let bytes = function.code.get(found.at..found.at + found.len).unwrap_or_default();
    let machine = Machine {
        address: function.address + found.at as u64,
        bytes: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        operation: found.operation.clone(),
        operands: found.operands().into_iter().map(str::to_owned).collect(),
        label: None,
        to: None,
        text: found.text(),
    };
    (part.map(|part| part.slot), machine)
}

/// Gives labels to what jumps lead to, and names to what is called.
fn name_targets(program: &mut Program<Machine>) {
    let first = |function: &Function<Machine>| Some((function.lines.first()?.line.address, function.name.clone()));
    let functions: BTreeMap<u64, String> = program.functions.iter().filter_map(first).gather();
    for function in &mut program.functions {
        let places: BTreeSet<u64> = function.lines.iter().map(|step| step.line.address).gather();
        let jumps = function.lines.iter().map(|step| &step.line).filter(|line| !line.calls());
        let targets: BTreeSet<u64> = jumps.filter_map(Machine::target).filter(|to| places.contains(to)).gather();
        let labels: BTreeMap<u64, String> = targets.into_iter().zip((1..).map(|n| format!(".L{n}"))).gather();
        for Step { lowered, line, .. } in &mut function.lines {
            line.label = labels.get(&line.address).cloned();
            line.to = match (line.target(), lowered.as_deref().and_then(|text| text.strip_prefix("call "))) {
                (Some(to), _) => labels.get(&to).filter(|_| !line.calls()).or_else(|| functions.get(&to)).cloned(),
                // By a register: the helper that the instruction calls.
                (None, Some(helper)) if line.calls() => Some(helper.to_owned()),
                _ => None,
            };
        }
    }
}

/// Where the slots of a program's code come from.
struct Origins<'a> {
    prog: &'a Prog,
    texts: BTreeMap<u32, String>,
}

impl Origins<'_> {
    fn function(&self, start: u32) -> String {
        let (program, slot) = (self.prog.program(), symbols::origin(self.prog, start));
        let named = program.subprogs.iter().find(|(at, _)| *at == slot);
        named.map_or_else(|| program.name.to_string(), |(_, name)| name.to_string())
    }

    fn step<T>(&self, slot: Option<u32>, line: T) -> Step<T> {
        let lowered = slot.and_then(|slot| self.texts.get(&slot)).cloned();
        Step { slot, lowered, source: slot.and_then(|slot| self.source(slot)), line }
    }

    fn source(&self, slot: u32) -> Option<Source> {
        let program = self.prog.program();
        let place = Place::Insn { prog: program.name.clone(), index: symbols::origin(self.prog, slot) };
        let line = program.source(&place)?;
        let text = line.text.trim().to_owned();
        Some(Source { file: line.file.to_string(), line: line.line, text })
    }
}

impl<T: Serialize> Listing<T> {
    fn show(&self, json: bool, line: impl Fn(&T, &mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
        if json { output::object(self) } else { output::write(|out| self.write(&line, out)) }
    }

    fn write(&self, line: impl Fn(&T, &mut dyn Write) -> io::Result<()>, out: &mut dyn Write) -> io::Result<()> {
        for (at, program) in self.programs.iter().enumerate() {
            if at > 0 {
                writeln!(out)?;
            }
            let bytes = program.functions.iter().map(|function| function.size as u64).sum();
            let size = count(bytes, "byte", "bytes");
            writeln!(out, "{HEADING}{}{HEADING:#}:  ; {size} for {ARCH}", printable(&program.name))?;
            program.functions.iter().try_for_each(|function| function.write(&line, out))?;
        }
        Ok(())
    }
}

impl<T> Function<T> {
    fn write(&self, line: impl Fn(&T, &mut dyn Write) -> io::Result<()>, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\n{}, from instruction {}:", printable(&self.name), self.slot)?;
        let (mut slot, mut source) = (None, None);
        for step in &self.lines {
            if let Some(from) = &step.source
                && source != Some(from)
            {
                source = Some(from);
                writeln!(
                    out,
                    "{REMARK}; {} @ {}:{}{REMARK:#}",
                    printable(&from.text),
                    printable(&from.file),
                    from.line
                )?;
            }
            if step.slot.is_some() && step.slot != slot {
                slot = step.slot;
                let number = slot.unwrap_or_default();
                writeln!(out, "{REMARK}; {number}: {}{REMARK:#}", printable(step.lowered.as_deref().unwrap_or("?")))?;
            }
            line(&step.line, out)?;
        }
        Ok(())
    }
}

impl Machine {
    fn calls(&self) -> bool {
        matches!(&*self.operation, "call" | "bl" | "blr")
    }

    /// Where it jumps, or what it calls, if that is said by an address.
    fn target(&self) -> Option<u64> {
        let operation = &*self.operation;
        let jumps = operation.starts_with('j') || operation.starts_with("b.");
        if !(jumps || self.calls() || matches!(operation, "b" | "cbz" | "cbnz" | "tbz" | "tbnz")) {
            return None;
        }
        let number = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
        let last = self.operands.last()?;
        // 64-bit ARM's are counted from the instruction.
        match last.strip_prefix('$') {
            Some(by) => match (by.strip_prefix('+'), by.strip_prefix('-')) {
                (Some(on), _) => self.address.checked_add(number(on)?),
                (_, Some(back)) => self.address.checked_sub(number(back)?),
                _ => None,
            },
            None => number(last),
        }
    }

    fn write(&self, raw: bool, out: &mut dyn Write) -> io::Result<()> {
        if let Some(label) = &self.label {
            writeln!(out, "{label}:")?;
        }
        let text = match (&self.to, self.target(), self.operands.split_last()) {
            (Some(to), Some(_), Some((_, before))) => {
                let operands: Vec<&str> = before.iter().map(String::as_str).chain([&**to]).collect();
                format!("{:6} {}", self.operation, operands.join(", "))
            }
            (Some(to), None, _) => format!("{:24} {REMARK}; {}{REMARK:#}", self.text, printable(to)),
            _ => self.text.clone(),
        };
        if raw {
            writeln!(out, "{:8x}: {:22} {text}", self.address, self.bytes)
        } else {
            writeln!(out, "{:8x}: {text}", self.address)
        }
    }
}

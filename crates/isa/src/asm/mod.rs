//! From text to instructions. Three spellings of one language, line by line and mixed as one likes: what the
//! [disassembler](crate::disasm) writes (decimal or hexadecimal), what llvm and the kernel write, and the mnemonics
//! of the conformance suites (`ldxw %r0, [%r1+4]`).
//!
//! ```text
//! .section xdp            ; also .text; comments begin with ; # or //
//! .globl prog
//! prog:
//!     r0 = *(u32 *)(r1 + 4)
//!     if w0 s> 7 goto out
//!     r1 = my_map ll      ; a symbol that is not here: a reference for whoever writes the object
//!     call helper_5       ; likewise
//! out: exit
//! ```
//!
//! Knows no object format and no helper: names of helpers are asked of the caller. Every error is reported, not
//! only the first.

mod lexer;
mod line;
mod mnemonic;
mod resolve;
mod statement;

use crate::{Insn, Inst, encode};
use lexer::{Kind, Token, lex};
use line::Line;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

/// What is wrong with the text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsmError {
    /// The bytes of the text that are wrong.
    pub bytes: Range<u32>,
    /// What is wrong, in one line.
    pub message: String,
    /// What would be right; may be empty.
    pub expected: String,
    /// What stands there; may be empty.
    pub found: String,
    /// What helps; may be empty.
    pub help: String,
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.expected.is_empty() {
            write!(f, ": expected {}", self.expected)?;
        }
        if !self.found.is_empty() {
            write!(f, ", found {}", self.found)?;
        }
        Ok(())
    }
}

impl std::error::Error for AsmError {}

/// Assembled text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assembly {
    /// The sections in the order of their first mention. Without a directive there is one, `.text`.
    pub sections: Vec<Section>,
}

/// A section of instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Its slots. Jumps within the section, and calls of its labels, are filled in.
    pub insns: Vec<Insn>,
    /// For each slot where its line stands in the text.
    pub lines: Vec<u32>,
    /// Its labels, by slot.
    pub labels: Vec<Label>,
    /// What it needs from elsewhere, by slot. As clang leaves it: a constant holds the addend, a call's `imm` is -1.
    pub references: Vec<Reference>,
}

/// A named slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The name.
    pub name: String,
    /// The slot; the section's length if nothing follows.
    pub slot: u32,
    /// Whether `.globl` names it.
    pub global: bool,
}

/// A use of a symbol that the section does not fill in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The slot that refers.
    pub slot: u32,
    /// How.
    pub kind: ReferenceKind,
    /// To what.
    pub symbol: String,
    /// Where the symbol stands in the text.
    pub bytes: Range<u32>,
}

/// How an instruction refers to a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReferenceKind {
    /// `call symbol` (`R_BPF_64_32`): a function in another section or object.
    Call,
    /// `r1 = symbol ll` (`R_BPF_64_64`): the address of a map, a variable or a function; also of one defined here,
    /// because loaders know functions by their relocation.
    Address,
}

impl Assembly {
    /// The slots of a single section without an object around it: addresses of its own labels become function addresses.
    ///
    /// # Errors
    /// More than one section with instructions, or a symbol that is not defined in it.
    pub fn into_raw(self) -> Result<Vec<Insn>, Vec<AsmError>> {
        let mut sections = self.sections.into_iter().filter(|section| !section.insns.is_empty());
        let Some(mut section) = sections.next() else { return Ok(Vec::new()) };
        if let Some(other) = sections.next() {
            return Err(vec![AsmError {
                bytes: other.lines.first().map_or(0..0, |&at| at..at + 1),
                message: "raw instructions come from one section".into(),
                expected: format!("all in `{}`", section.name),
                found: format!("a second section `{}`", other.name),
                help: "write an object instead, or remove the `.section` line".into(),
            }]);
        }
        let labels: HashMap<&str, u32> = section.labels.iter().map(|label| (label.name.as_str(), label.slot)).collect();
        let mut errors = Vec::new();
        for reference in &section.references {
            let label = labels.get(reference.symbol.as_str());
            let (ReferenceKind::Address, Some(&label)) = (reference.kind, label) else {
                errors.push(AsmError {
                    bytes: reference.bytes.clone(),
                    message: format!("symbol `{}` is not defined", reference.symbol),
                    expected: "a label of this section".into(),
                    found: String::new(),
                    help: "raw instructions have no relocations: define it, or write an object instead".into(),
                });
                continue;
            };
            let rel = i64::from(label) - i64::from(reference.slot) - 1;
            let at = reference.slot as usize;
            if let Some(slots) = section.insns.get_mut(at..at + 2) {
                slots.copy_from_slice(&encode(&Inst::FuncAddr { dst: slots[0].dst, rel: rel as i32 }));
            }
        }
        if errors.is_empty() { Ok(section.insns) } else { Err(errors) }
    }
}

/// Assembles `text`. `helper` gives a helper's number by its name, for `call bpf_ktime_get_ns`; a label goes before it.
///
/// If there are errors, the assembly is what could be read in spite of them: good for looking at, not for running.
#[must_use]
pub fn assemble(text: &str, helper: &dyn Fn(&str) -> Option<i32>) -> (Assembly, Vec<AsmError>) {
    let mut builder = resolve::Builder::new(helper);
    let tokens = lex(text, &mut builder.errors);
    for tokens in tokens.split(|token| token.kind == Kind::End) {
        let reported = tokens.iter().any(|token| token.kind == Kind::Bad);
        let mut line = Line::new(text, tokens);
        builder.line = line.start();
        match statement::statement(&mut line, &mut builder) {
            Err(error) if !reported => builder.errors.push(*error),
            _ => {}
        }
    }
    builder.finish()
}

type Parsed<T> = Result<T, Box<AsmError>>;

impl Token {
    fn text<'a>(&self, source: &'a str) -> &'a str {
        source.get(self.bytes.start as usize..self.bytes.end as usize).unwrap_or("")
    }
}

#[cfg(test)]
mod tests;

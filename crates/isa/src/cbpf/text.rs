//! The two texts of tcpdump: reads what `-ddd` prints, prints what `-d` prints.

use super::{AluOp, Cmp, MAX_INSNS, Op, SockFilter, Source};
use crate::Width;
use std::fmt::{self, Display, Formatter};

/// What is wrong with the text of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// The line, from 1.
    pub line: usize,
    /// The field: `count`, `code`, `jt`, `jf`, `k` or `line`.
    pub field: &'static str,
    /// What stands there; empty if nothing does.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

impl Display for TextError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let TextError { line, field, found, expected } = self;
        let found = if found.is_empty() { "missing".to_owned() } else { format!("`{found}`") };
        write!(f, "line {line}: {field} is {found}; expected {expected}")
    }
}

impl std::error::Error for TextError {}

/// Reads what `tcpdump -ddd` prints: the number of instructions, then a line `code jt jf k` for each.
/// Whether the filter makes sense is [`super::Filter::new`]'s to say.
///
/// # Errors
/// The first line and field that is not a number of its size, or a count that is not the number of lines.
pub fn parse(text: &str) -> Result<Vec<SockFilter>, TextError> {
    let mut lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim())).filter(|line| !line.1.is_empty());
    let (line, count) = lines.next().unwrap_or((1, ""));
    let count: usize = number(line, "count", Some(count), "the number of instructions, 1 to 4096", MAX_INSNS as u32)?;
    let mut insns = Vec::with_capacity(count);
    let mut last = line;
    for (line, text) in lines {
        last = line;
        if insns.len() == count {
            let expected = format!("the end after {count} instructions");
            return Err(TextError { line, field: "line", found: text.into(), expected });
        }
        let mut words = text.split_whitespace();
        insns.push(SockFilter {
            code: number(line, "code", words.next(), "a number of 16 bits", u16::MAX.into())?,
            jt: number(line, "jt", words.next(), "a number of 8 bits", u8::MAX.into())?,
            jf: number(line, "jf", words.next(), "a number of 8 bits", u8::MAX.into())?,
            k: number(line, "k", words.next(), "a number of 32 bits", u32::MAX)?,
        });
        if let Some(word) = words.next() {
            let expected = "four numbers: code, jt, jf, k".into();
            return Err(TextError { line, field: "line", found: word.into(), expected });
        }
    }
    if insns.len() < count {
        let expected = format!("{count} instructions, found {}", insns.len());
        return Err(TextError { line: last + 1, field: "line", found: String::new(), expected });
    }
    Ok(insns)
}

fn number<T: TryFrom<u32>>(
    line: usize,
    field: &'static str,
    word: Option<&str>,
    expected: &str,
    max: u32,
) -> Result<T, TextError> {
    let word = word.unwrap_or("");
    let value = word.parse::<u32>().ok().filter(|value| *value <= max && (field != "count" || *value > 0));
    match value.and_then(|value| T::try_from(value).ok()) {
        Some(value) => Ok(value),
        None => Err(TextError { line, field, found: word.into(), expected: expected.into() }),
    }
}

/// The filter as `tcpdump -d` prints it, a line an instruction, to the space.
#[must_use]
pub fn print(insns: &[SockFilter]) -> impl Display + '_ {
    Listing(insns)
}

struct Listing<'a>(&'a [SockFilter]);

impl Display for Listing<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (n, insn) in self.0.iter().enumerate() {
            line(f, n, *insn)?;
        }
        Ok(())
    }
}

fn line(f: &mut Formatter<'_>, n: usize, insn: SockFilter) -> fmt::Result {
    let (name, operand) = words(n, insn);
    match insn.op() {
        Some(Op::Jmp { jt, jf, .. }) => {
            let (jt, jf) = (n + 1 + usize::from(jt), n + 1 + usize::from(jf));
            writeln!(f, "({n:03}) {name:<8} {operand:<16} jt {jt}\tjf {jf}")
        }
        _ => writeln!(f, "({n:03}) {name:<8} {operand}"),
    }
}

/// Name and operand. tcpdump prints constants as signed numbers, and jumps by where they go.
fn words(n: usize, insn: SockFilter) -> (&'static str, String) {
    let Some(op) = insn.op() else { return ("unimp", format!("{:#x}", insn.code)) };
    let signed = |k: u32| k as i32;
    match op {
        Op::LoadAbs { width, k } => (load(width), format!("[{}]", signed(k))),
        Op::LoadInd { width, k } => (load(width), format!("[x + {}]", signed(k))),
        Op::LoadAncillary(ancillary) => {
            (load(crate::opcode::width(insn.code as u8)), format!("[{}]", ancillary.name()))
        }
        Op::LoadLen => ("ld", "#pktlen".into()),
        Op::LoadImm(k) => ("ld", format!("#{k:#x}")),
        Op::LoadMem(k) => ("ld", format!("M[{}]", signed(k))),
        Op::LoadXLen => ("ldx", "#pktlen".into()),
        Op::LoadXImm(k) => ("ldx", format!("#{k:#x}")),
        Op::LoadXMem(k) => ("ldx", format!("M[{}]", signed(k))),
        Op::LoadXHeader { k } => ("ldxb", format!("4*([{}]&0xf)", signed(k))),
        Op::Store(k) => ("st", format!("M[{}]", signed(k))),
        Op::StoreX(k) => ("stx", format!("M[{}]", signed(k))),
        Op::Alu { op, src } => {
            let (name, bits) = alu(op);
            (name, operand(src, bits))
        }
        Op::Neg => ("neg", String::new()),
        Op::Ja { k } => ("ja", signed(k.wrapping_add(n as u32 + 1)).to_string()),
        Op::Jmp { cmp, src, .. } => (compare(cmp), operand(src, true)),
        Op::RetK(k) => ("ret", format!("#{}", signed(k))),
        Op::RetA => ("ret", String::new()),
        Op::Tax => ("tax", String::new()),
        Op::Txa => ("txa", String::new()),
    }
}

fn load(width: Width) -> &'static str {
    match width {
        Width::B1 => "ldb",
        Width::B2 => "ldh",
        Width::B4 | Width::B8 => "ld",
    }
}

fn operand(src: Source, hexadecimal: bool) -> String {
    match src {
        Source::X => "x".into(),
        Source::K(k) if hexadecimal => format!("#{k:#x}"),
        Source::K(k) => format!("#{}", k as i32),
    }
}

/// The name, and whether the constant is printed as bits.
fn alu(op: AluOp) -> (&'static str, bool) {
    match op {
        AluOp::Add => ("add", false),
        AluOp::Sub => ("sub", false),
        AluOp::Mul => ("mul", false),
        AluOp::Div => ("div", false),
        AluOp::Mod => ("mod", false),
        AluOp::Or => ("or", true),
        AluOp::And => ("and", true),
        AluOp::Xor => ("xor", true),
        AluOp::Lsh => ("lsh", false),
        AluOp::Rsh => ("rsh", false),
    }
}

fn compare(cmp: Cmp) -> &'static str {
    match cmp {
        Cmp::Eq => "jeq",
        Cmp::Gt => "jgt",
        Cmp::Ge => "jge",
        Cmp::Set => "jset",
    }
}

//! Code in the making: lines that name where they jump to by slots of the program, until all slots are known.
//! Knows neither rules nor facts.

use super::refuse;
use alveary_diag::Diagnostic;
use alveary_isa::{Inst, encode};
use alveary_spec::Program;
use alveary_vm::{Known, Sym};

/// An instruction of the code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    inst: Inst,
    /// The slot of the program that it goes to, or whose function it calls or names.
    to: Option<u32>,
    sym: Option<Sym>,
    known: Known,
}

impl Line {
    /// Offsets in `inst` count the code's own slots.
    pub(super) fn new(inst: Inst) -> Line {
        Line { inst, to: None, sym: None, known: Known::NOTHING }
    }

    /// With an address that is not known yet.
    pub(super) fn symbol(inst: Inst, sym: Sym) -> Line {
        Line { sym: Some(sym), ..Line::new(inst) }
    }

    /// To a slot of the program.
    pub(super) fn jump(inst: Inst, to: Option<u32>) -> Line {
        Line { to, ..Line::new(inst) }
    }

    pub(super) fn knowing(self, known: Known) -> Line {
        Line { known, ..self }
    }

    pub(super) fn slots(&self) -> usize {
        self.inst.slots()
    }
}

/// Lines, with the slots of the program that they stand for.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Vec<(Line, u32)>,
    slots: u32,
    /// Where each slot of the program begins in the code.
    starts: Vec<u32>,
}

impl Lines {
    /// What stands for the instruction at slot `at` of the program, which takes `slots`.
    pub(super) fn add(&mut self, at: usize, slots: usize, lines: Vec<Line>) {
        debug_assert_eq!(self.starts.len(), at, "instructions come in order");
        self.starts.extend((0..slots as u32).map(|n| self.slots + n));
        for line in lines {
            self.slots += line.slots() as u32;
            self.lines.push((line, at as u32));
        }
    }

    /// The slot of the code that comes next.
    pub(super) fn next(&self) -> u32 {
        self.slots
    }

    /// Whether the code may go on behind the last line.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.lines.last(), Some((Line { inst: Inst::Exit | Inst::Ja { .. }, .. }, _)))
    }

    /// Where each slot of the program begins in the code, and behind them the code's end.
    pub(super) fn into_code(mut self, program: &Program) -> Result<(Encoded, Vec<u32>), Diagnostic> {
        self.starts.push(self.slots);
        let mut code = Encoded::default();
        for (line, origin) in &self.lines {
            let slot = code.insns.len() as u32;
            let inst = match line.to {
                Some(to) => self.aimed(line.inst, slot, to).map_err(|Far| far(program, *origin))?,
                None => line.inst,
            };
            code.syms.extend(line.sym.map(|sym| (slot, sym)));
            code.insns.extend_from_slice(encode(&inst).as_slice());
            code.origin.resize(code.insns.len(), *origin);
            code.known.resize(code.insns.len(), line.known);
        }
        Ok((code, self.starts))
    }

    /// The instruction at `slot` with its target. A target outside of the program stays one: linking refuses it there.
    fn aimed(&self, inst: Inst, slot: u32, to: u32) -> Result<Inst, Far> {
        let Some(start) = self.starts.get(to as usize) else { return Ok(inst) };
        let rel = i64::from(*start) - i64::from(slot) - 1;
        let near = || i16::try_from(rel).map_err(|_| Far);
        let long = rel as i32;
        Ok(match inst {
            Inst::Jmp { wide, op, dst, src, .. } => Inst::Jmp { wide, op, dst, src, off: near()? },
            Inst::MayGoto { .. } => Inst::MayGoto { off: near()? },
            // The short form may not reach; the long one means the same.
            Inst::Ja { .. } => match i16::try_from(rel) {
                Ok(off) => Inst::Ja { off: off.into(), long: false },
                Err(_) => Inst::Ja { off: long, long: true },
            },
            Inst::CallLocal { .. } => Inst::CallLocal { rel: long },
            Inst::FuncAddr { dst, .. } => Inst::FuncAddr { dst, rel: long },
            other => other,
        })
    }
}

/// Lines as instructions, with what belongs to each slot.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    pub(super) insns: Vec<alveary_isa::Insn>,
    pub(super) syms: Vec<(u32, Sym)>,
    pub(super) origin: Vec<u32>,
    pub(super) known: Vec<Known>,
}

/// An offset does not fit into 16 bits.
struct Far;

fn far(program: &Program, at: u32) -> Diagnostic {
    refuse::unsupported_insn(program, at as usize, "a jump over so much that stands for single instructions")
}

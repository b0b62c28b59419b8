//! The recorded path of a rejection, and what everyone asks of it.

use super::{
    history::{Cell, Event, history},
    source,
};
use crate::{
    engine::Moment,
    program::Prepared,
    report::Rejection,
    state::{Kind, Reg, State},
    verifier::Verifier,
};
use alveary_abi::{Helper, HelperId, Proto};
use alveary_isa::{Inst, Operand};

/// What is told of.
pub(super) struct Story<'a> {
    pub(super) v: &'a Verifier<'a>,
    /// The steps of the path; the last one is the instruction that was rejected.
    pub(super) moments: Vec<Moment>,
    /// There were more before them.
    pub(super) cut: bool,
    pub(super) message: &'a str,
    /// The instruction, if the message is about one.
    pub(super) insn: Option<u32>,
}

/// A load, store or atomic operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemoryAccess {
    pub(super) base: u8,
    pub(super) off: i64,
    pub(super) size: i64,
    pub(super) kind: AccessKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccessKind {
    Load,
    Store,
    Atomic,
}

impl<'a> Story<'a> {
    pub(super) fn new(v: &'a Verifier<'a>, moments: Vec<Moment>, cut: bool, rejection: &'a Rejection) -> Story<'a> {
        Story { v, moments, cut, message: &rejection.message, insn: rejection.insn }
    }

    pub(super) fn program(&self) -> &Prepared<'a> {
        &self.v.program
    }

    /// The last step, if there was a path.
    pub(super) fn last(&self) -> Option<usize> {
        self.moments.len().checked_sub(1)
    }

    /// What was known before step `n`.
    pub(super) fn state(&self, n: usize) -> &State {
        &self.moments[n].state
    }

    pub(super) fn inst(&self, n: usize) -> Option<Inst> {
        self.program().inst(self.moments[n].insn)
    }

    /// The instruction that was rejected.
    pub(super) fn rejected(&self) -> Option<Inst> {
        self.program().inst(self.insn?)
    }

    /// A register before the instruction that was rejected.
    pub(super) fn reg(&self, n: u8) -> Option<&Reg> {
        self.state(self.last()?).top().regs.get(n as usize)
    }

    /// The register at the end of the path, as a cell.
    pub(super) fn cell(&self, n: u8) -> Option<Cell> {
        Some(Cell::Reg(self.state(self.last()?).depth, n))
    }

    /// Where the register that was rejected came from, newest first.
    pub(super) fn history(&self, n: u8) -> Vec<Event> {
        match (self.cell(n), self.last()) {
            (Some(cell), Some(last)) => history(self, cell, last),
            _ => Vec::new(),
        }
    }

    /// The register that the message names first (`R3 …`).
    pub(super) fn named_reg(&self) -> Option<u8> {
        reg_in(self.message)
    }

    /// The number behind `key` in the message (`off=` in `off=-8 size=4`).
    pub(super) fn number(&self, key: &str) -> Option<i64> {
        number_after(self.message, key)
    }

    /// The access that was rejected, if the instruction is one.
    pub(super) fn access(&self) -> Option<MemoryAccess> {
        access(self.rejected()?)
    }

    /// The helper that the rejected instruction calls.
    pub(super) fn helper(&self) -> Option<(&'static Helper, Option<&'static Proto>)> {
        self.helper_at(self.insn?)
    }

    pub(super) fn helper_at(&self, insn: u32) -> Option<(&'static Helper, Option<&'static Proto>)> {
        let called = self.program().helper(insn)?;
        Some((called.row, called.proto))
    }

    /// What is called at an instruction, to be named: `bpf_loop`, a function of the program.
    pub(super) fn callee(&self, insn: u32) -> Option<String> {
        match self.program().inst(insn)? {
            Inst::CallHelper { id } => {
                let row = u32::try_from(id).ok().and_then(|id| self.v.profile.helper(HelperId(id)));
                Some(row.map_or_else(|| format!("helper {id}"), |row| format!("bpf_{}", row.name)))
            }
            Inst::CallLocal { .. } => {
                let start = u32::try_from(self.program().callee(insn)?).ok()?;
                let subprog = &self.program().subprogs[self.program().subprog_at(start)? as usize];
                Some(if subprog.name.is_empty() { format!("the function at {start}") } else { subprog.name.clone() })
            }
            _ => None,
        }
    }

    /// The function that holds an instruction, if that is not the program itself, and has a name.
    pub(super) fn function(&self, insn: u32) -> Option<&str> {
        let n = self.program().subprog_of(insn);
        let name = &*self.program().subprogs.get(n as usize)?.name;
        (n != 0 && !name.is_empty()).then_some(name)
    }

    /// The global function that the path begins in: it is verified by itself.
    pub(super) fn global_function(&self) -> Option<&str> {
        let first = self.moments.first()?;
        let start = if first.state.depth == 0 { first.insn } else { first.state.frame(1).callsite };
        let subprog = &self.program().subprogs[self.program().subprog_of(start) as usize];
        (subprog.global && subprog.start != 0 && !subprog.name.is_empty()).then_some(&*subprog.name)
    }

    /// The rejected instruction as the subject of a sentence.
    pub(super) fn subject(&self) -> String {
        match self.access().map(|access| access.kind) {
            Some(AccessKind::Load) => return "this load".to_owned(),
            Some(AccessKind::Store) => return "this store".to_owned(),
            Some(AccessKind::Atomic) => return "this atomic operation".to_owned(),
            None => {}
        }
        match self.insn.and_then(|insn| self.callee(insn)) {
            Some(callee) => format!("this call of `{callee}`"),
            None => "this instruction".to_owned(),
        }
    }

    /// The struct of the kernel that a register points to.
    pub(super) fn object_name(&self, reg: &Reg) -> Option<&str> {
        let name = self.v.env.kernel.btf.as_ref()?.name(reg.object_type()?);
        (!name.is_empty()).then_some(name)
    }

    /// The name of a map that a register stands for; empty maps of maps have none.
    pub(super) fn map_name(&self, reg: &Reg) -> Option<&str> {
        let full = self.program().program.maps.get(reg.extra as usize).map(String::as_str);
        full.filter(|_| reg.ty.has_map())
    }

    /// What a register is called in the source, as far as lines say it for sure.
    pub(super) fn source_name(&self, insn: u32) -> Option<String> {
        source::base_at(self, insn)
    }

    /// The cell that a conditional jump or an operation at step `n` reads as its source, if that is a register.
    pub(super) fn reg_at(&self, n: usize, reg: u8) -> &Reg {
        self.state(n).reg(reg)
    }

    /// The steps that are conditional jumps, with their operands.
    pub(super) fn jumps(&self) -> impl Iterator<Item = (usize, u8, Operand)> + '_ {
        (0..self.moments.len().saturating_sub(1)).filter_map(|n| match self.inst(n)? {
            Inst::Jmp { dst, src, .. } => Some((n, dst.0, src)),
            _ => None,
        })
    }

    /// Whether the jump at step `n` was taken.
    pub(super) fn taken(&self, n: usize) -> Option<bool> {
        let next = self.moments.get(n + 1)?.insn;
        match self.inst(n)? {
            Inst::Jmp { off, .. } | Inst::MayGoto { off } if off != 0 => Some(next != self.moments[n].insn + 1),
            _ => None,
        }
    }

    /// Whether a register may be looked at as a pointer into the packet.
    pub(super) fn is_packet(reg: &Reg) -> bool {
        matches!(reg.ty.kind, Kind::Packet | Kind::PacketMeta)
    }
}

pub(super) fn access(inst: Inst) -> Option<MemoryAccess> {
    let of = |base: alveary_isa::Reg, off: i16, width: alveary_isa::Width, kind| {
        Some(MemoryAccess { base: base.0, off: off.into(), size: width.bytes() as i64, kind })
    };
    match inst {
        Inst::Load { width, src, off, .. } | Inst::LoadAcquire { width, src, off, .. } => {
            of(src, off, width, AccessKind::Load)
        }
        Inst::Store { width, dst, off, .. } | Inst::StoreRelease { width, dst, off, .. } => {
            of(dst, off, width, AccessKind::Store)
        }
        Inst::Atomic { width, dst, off, .. } => of(dst, off, width, AccessKind::Atomic),
        _ => None,
    }
}

/// The first register that a message names: `R3` at the start of a word.
pub(super) fn reg_in(message: &str) -> Option<u8> {
    message.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').find_map(|word| {
        let digits = word.strip_prefix('R')?;
        digits.parse::<u8>().ok().filter(|n| *n < 16)
    })
}

/// The decimal number behind `key`.
pub(super) fn number_after(message: &str, key: &str) -> Option<i64> {
    let rest = &message[message.find(key)? + key.len()..];
    let end =
        rest.char_indices().find(|(n, c)| !(c.is_ascii_digit() || *n == 0 && *c == '-')).map_or(rest.len(), |f| f.0);
    rest[..end].parse().ok()
}

//! Why a run was stopped, with the program that it was stopped in: after a tail call that is another one.

use crate::{Prog, trust::Near};
use alveary_abi::{Helper, HelperId};
use alveary_diag::{Diagnostic, Place};
use alveary_spec::Program;
use alveary_vm::{Trap, TrapKind};
use std::{fmt, sync::Arc};

/// A trap in its program.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Why and where.
    pub trap: Trap,
    /// The program that was running.
    pub program: Arc<Program>,
    /// The helper that the trap is about, if it is about one.
    pub helper: Option<&'static Helper>,
    /// Instructions that were executed until then.
    pub insns: u64,
    /// Where the address lies that an access went to.
    near: Option<Near>,
}

impl Fault {
    /// `trap` as the engine gives it: it knows a helper by its number in the program.
    pub(crate) fn new(mut trap: Trap, prog: &Prog, insns: u64, near: impl FnOnce(u64) -> Near) -> Box<Fault> {
        let mut helper = None;
        match &mut trap.kind {
            TrapKind::BadArg { tag, .. } => {
                helper = prog.sites.get(*tag as usize).map(|s| s.row);
                *tag = helper.map_or(0, |row| row.id.0);
            }
            TrapKind::Helper(id) => helper = prog.sites.iter().map(|s| s.row).find(|row| row.id.0 == *id),
            _ => {}
        }
        let near = match trap.kind {
            TrapKind::Load { addr, .. } | TrapKind::Store { addr, .. } | TrapKind::Misaligned { addr, .. } => {
                Some(near(addr))
            }
            _ => None,
        };
        Box::new(Fault { trap, program: prog.program.clone(), helper, insns, near })
    }

    /// What happened, at the instruction where it did.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        let at = Place::Insn { prog: self.program.name.clone(), index: self.trap.insn };
        let name = self.helper.map_or_else(|| "a helper".to_string(), |h| format!("`bpf_{}`", h.name));
        let new = |code, message: String| Diagnostic::new(code, message, at.clone());
        let astray = |code, message: String| match &self.near {
            Some(near) => new(code, message).found(near.place.clone()).help(near.help),
            None => new(code, message),
        };
        match self.trap.kind {
            TrapKind::Load { width, .. } => {
                astray("trap-load", format!("load of {} bytes outside the program's memory", width.bytes()))
            }
            TrapKind::Store { width, .. } => {
                astray("trap-store", format!("store of {} bytes outside the memory that it may write", width.bytes()))
            }
            TrapKind::Misaligned { width, .. } => {
                astray("trap-misaligned", format!("atomic operation on {} bytes that are not aligned", width.bytes()))
            }
            TrapKind::BadArg { arg, value, .. } => {
                let expected = self.helper.map(|h| format!("{:?}", h.protos[0].args[usize::from(arg.min(4))]));
                let d = new("trap-argument", format!("{name} may not be called with this argument {}", arg + 1))
                    .found(format!("{value:#x}"));
                match expected {
                    Some(expected) => d.expected(expected),
                    None => d,
                }
            }
            TrapKind::BadCall { .. } if let Some(why) = self.program.poison(self.trap.insn) => why.clone(),
            TrapKind::BadCall { target } => {
                new("trap-call", "call of something that is no function of this program".into())
                    .found(format!("{target:#x}"))
            }
            TrapKind::Depth => new("trap-depth", "more than eight frames of calls".into()),
            TrapKind::Budget => new("trap-budget", "the instruction budget is used up".into())
                .help("give the run a larger budget, if the program is not in an endless loop"),
            TrapKind::Helper(id) if id == HelperId::RINGBUF_RESERVE.0 => {
                new("trap-reservation", "the program ended with a record of a ring buffer in its hands".into())
                    .note("the record of this `bpf_ringbuf_reserve`, if the program has no other")
                    .help("every way out goes through `bpf_ringbuf_submit` or `bpf_ringbuf_discard`")
            }
            TrapKind::Helper(_) => new("trap-helper", format!("{name} cannot go on"))
                .note("a lock or a reservation was not given back, or a lock could not be had"),
            other => new("trap", format!("the run was stopped: {other:?}")),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostic().fmt(f)
    }
}

impl std::error::Error for Fault {}

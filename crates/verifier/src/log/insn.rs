//! Names for the instructions of the log.

use crate::program::Prepared;
use alveary_abi::{HelperId, Profile};
use alveary_isa::{
    Inst,
    disasm::{Notation, Style},
};
use std::fmt;

/// An instruction with its operation code, as the log has it (`(bf) r6 = r1`).
pub(crate) struct Named<'a> {
    pub(crate) program: &'a Prepared<'a>,
    pub(crate) profile: &'a Profile,
    pub(crate) at: u32,
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slot = self.program.slot(self.at);
        write!(f, "({:02x}) ", slot.op)?;
        match self.program.inst(self.at) {
            Some(Inst::CallHelper { id }) => {
                let row = u32::try_from(id).ok().and_then(|id| self.profile.helper(HelperId(id)));
                match row {
                    Some(row) => write!(f, "call bpf_{}#{id}", row.name),
                    None => write!(f, "call unknown#{id}"),
                }
            }
            Some(inst) => Notation { style: Style::Kernel, names: &() }.text(self.at as usize, inst).fmt(f),
            None => write!(f, "{slot:?}"),
        }
    }
}

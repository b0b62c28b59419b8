//! Proven programs for libraries ([`alveary_vm::ahead`]): lowered for contexts that stand elsewhere than a family's, with
//! helpers that somebody else brings. What no library has is refused by name.

use crate::{
    Backing, LEGACY_LOAD, Prog, Runtime, Trust,
    context::Context,
    family::FamilyTable,
    load::{self, Lowered, Proven, Site},
};
use alveary_abi::{Helper, HelperId, Proto};
use alveary_diag::Diagnostic;
use alveary_isa::{Inst, decode_lowered};
use alveary_vm::{Code, Passes};

/// A program for a library.
#[derive(Clone, Debug)]
pub struct Ahead {
    /// Its code. Fields of its context stand where was said; no register is the environment.
    pub code: Code,
    /// The helpers that it calls, in the order of [`Code::calls`], each with the prototype that it is called by.
    pub helpers: Vec<(&'static Helper, &'static Proto)>,
}

impl Runtime {
    /// A program that was loaded, for a library: fields of its context stand where `fields` says. Lookups in arrays are
    /// made by itself, all that helpers do is done by those that the library is given.
    ///
    /// # Errors
    /// It is not proven; it tail-calls others, or reads packets by the instructions of classic filters, for which there
    /// is nothing in a library.
    pub fn ahead(&self, prog: &Prog, fields: &'static [Backing]) -> Result<Ahead, Diagnostic> {
        let program = prog.program();
        let verified = match prog.trust() {
            Trust::Proven(verified) => verified,
            Trust::NotProven(why) => return Err(load::not_ahead(program, 0, why)),
            Trust::Unverified => return Err(load::not_ahead(program, 0, "it was not verified")),
        };
        let family = FamilyTable { backings: fields, ..prog.family.clone() };
        let context: Context = self.context(program, &family);
        let proven = Proven::new(verified, &context, false, Passes::default()).for_library();
        let lowered = load::lower(self.sites(program, &family, &prog.maps), Some(proven))?;
        if let Some((at, what)) = foreign(&lowered) {
            return Err(load::not_ahead(program, at, what));
        }
        Ok(called(lowered))
    }
}

/// The code, and of its helpers those that are still called: lookups in arrays are not.
fn called(lowered: Lowered) -> Ahead {
    let Lowered { mut code, sites, .. } = lowered;
    let (mut helpers, mut calls, mut numbers) = (Vec::new(), Vec::new(), vec![None; sites.len()]);
    for slot in 0..code.insns.len() {
        let Ok(Inst::CallHelper { id }) = decode_lowered(&code.insns, slot) else { continue };
        let Some((site, number)) = sites.get(id as usize).zip(numbers.get_mut(id as usize)) else { continue };
        code.insns[slot].imm = *number.get_or_insert_with(|| {
            helpers.push((site.row, site.proto));
            calls.push(code.calls[id as usize]);
            calls.len() as i32 - 1
        });
    }
    code.calls = calls;
    // How maps of others are searched, and what helpers of others do, is theirs to say.
    code.lookups.clear();
    code.bodies.clear();
    Ahead { code, helpers }
}

/// The first call of something that there is nothing of in a library: where, and what it is.
fn foreign(lowered: &Lowered) -> Option<(usize, &'static str)> {
    let what = |site: &Site| match site.row.id {
        HelperId::TAIL_CALL => Some("it tail-calls other programs, which leaves the one that called"),
        id if id == LEGACY_LOAD.id => Some("it reads the packet by BPF_ABS or BPF_IND, which end the program"),
        _ => None,
    };
    let code = &lowered.code;
    (0..code.insns.len()).find_map(|slot| {
        let Ok(Inst::CallHelper { id }) = decode_lowered(&code.insns, slot) else { return None };
        let what = what(lowered.sites.get(id as usize)?)?;
        Some((*code.origin.get(slot)? as usize, what))
    })
}

//! The names of what instructions refer to: helpers by the kernel's table, maps and functions by relocations.

use crate::inspect;
use alveary_abi::{HelperId, Profile};
use alveary_isa::{
    Insn, Inst, decode,
    disasm::{Names, Notation, Style},
};
use alveary_sort::Gather;
use alveary_spec::{Function, Program, RelocKind};
use std::collections::BTreeMap;

/// Names for one function, or for one resolved program.
#[derive(Debug, Default)]
pub(crate) struct Known {
    helpers: BTreeMap<i32, String>,
    /// What the instruction at a slot names.
    addresses: BTreeMap<usize, String>,
    /// Functions by their first slot.
    functions: BTreeMap<usize, String>,
}

impl Known {
    /// Of a function as the object has it.
    pub(crate) fn of_function(function: &Function, profile: &Profile) -> Known {
        let insts: Vec<_> = inspect::decoded(function).filter_map(|(_, inst)| inst.ok()).collect();
        let mut known = Known { helpers: helpers(&insts, profile), ..Known::default() };
        for reloc in &function.relocs {
            let slot = reloc.insn as usize;
            match &reloc.kind {
                RelocKind::MapValue(name, offset) if *offset > 0 => {
                    known.addresses.insert(slot, format!("{name} + {offset}"))
                }
                RelocKind::Map(name)
                | RelocKind::MapValue(name, _)
                | RelocKind::Call(name)
                | RelocKind::FuncAddr(name)
                | RelocKind::Extern(name)
                | RelocKind::Kfunc(name) => known.addresses.insert(slot, name.clone()),
            };
        }
        known
    }

    /// What the instruction at a slot names.
    pub(crate) fn at(&self, slot: usize) -> Option<&str> {
        self.addresses.get(&slot).map(String::as_str)
    }
}

impl Known {
    /// Of a resolved program, whose maps have indices and whose functions stand one behind the other.
    pub(crate) fn of_program(program: &Program, profile: &Profile) -> Known {
        let slots = 0..program.insns.len();
        let insts: Vec<_> = slots.filter_map(|at| Some((at, decode(&program.insns, at).ok()?))).collect();
        let map = |idx: u32| program.maps.get(idx as usize).cloned();
        Known {
            helpers: helpers(insts.iter().map(|(_, inst)| inst), profile),
            addresses: insts
                .iter()
                .filter_map(|(at, inst)| match inst {
                    Inst::MapIdx { idx, .. } | Inst::MapValueIdx { idx, .. } => Some((*at, map(*idx)?)),
                    _ => None,
                })
                .gather(),
            functions: program.subprogs.iter().map(|(at, name)| (*at as usize, name.to_string())).gather(),
        }
    }
}

impl Names for Known {
    fn helper(&self, id: i32) -> Option<&str> {
        self.helpers.get(&id).map(String::as_str)
    }

    fn address(&self, at: usize) -> Option<&str> {
        self.at(at)
    }

    fn label(&self, at: usize) -> Option<&str> {
        self.functions.get(&at).map(String::as_str)
    }
}

/// The instruction at a slot, with its names; `None` if there is none.
pub(crate) fn text(known: &Known, insns: &[Insn], slot: usize) -> Option<String> {
    let inst = decode(insns, slot).ok()?;
    Some(Notation { style: Style::Plain, names: known }.text(slot, inst).to_string())
}

/// The helpers that are called, as C programmers know them.
fn helpers<'a>(insts: impl IntoIterator<Item = &'a Inst>, profile: &Profile) -> BTreeMap<i32, String> {
    let called = insts.into_iter().filter_map(|inst| match inst {
        Inst::CallHelper { id } => Some(*id),
        _ => None,
    });
    called
        .filter_map(|id| {
            let row = profile.helper(HelperId(id.try_into().ok()?))?;
            Some((id, format!("bpf_{}", row.name)))
        })
        .gather()
}

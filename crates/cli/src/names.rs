//! The names of what instructions refer to: helpers by the kernel's table, maps and functions by relocations.

use crate::inspect;
use alveary_abi::{HelperId, Profile};
use alveary_isa::{Inst, disasm::Names};
use alveary_spec::{Function, RelocKind};
use std::collections::BTreeMap;

/// Names for one function.
#[derive(Debug)]
pub(crate) struct Known {
    helpers: BTreeMap<i32, String>,
    /// What the instruction at a slot names.
    addresses: BTreeMap<usize, String>,
}

impl Known {
    /// Of a function as the object has it.
    pub(crate) fn of_function(function: &Function, profile: &Profile) -> Known {
        let insts: Vec<_> = inspect::decoded(function).filter_map(|(_, inst)| inst.ok()).collect();
        let mut known = Known { helpers: helpers(&insts, profile), addresses: BTreeMap::new() };
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

impl Names for Known {
    fn helper(&self, id: i32) -> Option<&str> {
        self.helpers.get(&id).map(String::as_str)
    }

    fn address(&self, at: usize) -> Option<&str> {
        self.at(at)
    }
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
        .collect()
}

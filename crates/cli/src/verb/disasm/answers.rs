//! What stands behind instructions of a listing that ask something of a kernel, once one has answered.

use alveary_diag::Diagnostic;
use alveary_object::{ExternOutcome, extern_answers};
use alveary_sort::Gather;
use alveary_spec::{Function, Kernel, RelocKind, Spec};
use std::collections::BTreeMap;

/// Remarks on instructions; none unless a kernel was asked.
#[derive(Debug, Default)]
pub(super) struct Answers {
    externs: BTreeMap<String, String>,
    /// Why instructions fail, by function and slot.
    failing: BTreeMap<(String, u32), String>,
}

impl Answers {
    /// The values of the kernel's configuration, and what is missing.
    pub(super) fn of_externs(spec: &Spec, kernel: &Kernel) -> Answers {
        let words = |outcome| match outcome {
            ExternOutcome::Value(value) => Some(value),
            ExternOutcome::Missing(why) if why.code.0 == "kconfig" => Some(format!("fails to load: {}", why.message)),
            _ => None,
        };
        let externs = extern_answers(spec, kernel).into_iter().filter_map(|one| Some((one.name, words(one.outcome)?)));
        Answers { externs: externs.gather(), failing: BTreeMap::new() }
    }

    /// Instructions that ask for what the kernel does not have.
    pub(super) fn fail(&mut self, all: Vec<(String, u32, Diagnostic)>) {
        let words = |why: Diagnostic| format!("fails: {}", why.message);
        self.failing.extend(all.into_iter().map(|(function, slot, why)| ((function, slot), words(why))));
    }

    /// What is to be said of the instruction at a slot of a function.
    pub(super) fn at(&self, name: &str, function: &Function, slot: usize) -> Option<String> {
        if let Some(why) = self.failing.get(&(name.to_owned(), slot as u32)) {
            return Some(why.clone());
        }
        let found = function.relocs.binary_search_by_key(&slot, |reloc| reloc.insn as usize).ok()?;
        match &function.relocs.get(found)?.kind {
            RelocKind::Extern(name) => self.externs.get(name).cloned(),
            _ => None,
        }
    }
}

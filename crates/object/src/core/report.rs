//! All relocations of an object, answered: for people who look at it, and to look at its instructions afterwards.

use super::{Answer, Core, Problem, explain};
use crate::insn::LD_IMM64;
use alveary_btf::{Btf, CoreReloc};
use alveary_diag::{Diagnostic, Place};
use alveary_isa::Insn;
use alveary_spec::{Kernel, Lines, Modules, Spec};

/// A CO-RE relocation of an object.
#[derive(Clone, Debug)]
pub struct CoreRelocation {
    /// The function that it is in.
    pub function: String,
    /// Its record: the slot counts from the function's start.
    pub record: CoreReloc,
    /// What is asked, in C terms.
    pub asked: String,
    /// The answer.
    pub outcome: CoreOutcome,
}

/// What a relocation comes to.
#[derive(Clone, Debug)]
pub enum CoreOutcome {
    /// The instruction gets this number.
    Resolved {
        /// The number.
        value: u64,
        /// What the compiler wrote.
        before: u64,
        /// What it is in the kernel, and where. Empty where the kernel has nothing of the kind, which is the answer.
        target: String,
    },
    /// The kernel does not have it: the program loads, and fails where it gets there.
    Missing(Diagnostic),
    /// The object cannot be loaded.
    Refused(Diagnostic),
}

/// Every CO-RE relocation of an object, by function and slot, as a kernel with these types answers it, or
/// its modules where its own types have no answer. Places are slots of the function.
#[must_use]
pub fn core_relocations(spec: &Spec, kernel: Option<&Btf>, modules: &Modules) -> Vec<CoreRelocation> {
    let Some(local) = spec.btf.as_deref() else { return Vec::new() };
    let mut core = Core::new(local, kernel).with(modules);
    let mut found = Vec::new();
    for (name, function) in &spec.functions {
        let lines = Lines { all: &function.lines, btf: local };
        for &record in &function.core {
            let at = Place::Insn { prog: name.as_str().into(), index: record.insn };
            let outcome = match core.outcome(&record, &function.insns, &at) {
                CoreOutcome::Missing(why) => CoreOutcome::Missing(why.with_lines(&lines)),
                CoreOutcome::Refused(why) => CoreOutcome::Refused(why.with_lines(&lines)),
                resolved @ CoreOutcome::Resolved { .. } => resolved,
            };
            found.push(CoreRelocation { function: name.clone(), record, asked: local.describe_core(&record), outcome });
        }
    }
    found
}

/// Writes a kernel's answers into an object's instructions. They cannot be asked again: the object has no relocations
/// then. Gives the instructions that ask for what the kernel does not have, by function and slot, and why.
///
/// # Errors
/// Why it cannot be loaded on such a kernel.
pub fn apply_core(spec: &mut Spec, kernel: &Kernel) -> Result<Vec<(String, u32, Diagnostic)>, Vec<Diagnostic>> {
    let Some(local) = spec.btf.clone() else { return Ok(Vec::new()) };
    let mut core = Core::of(&local, kernel);
    let (mut poisoned, mut errors) = (Vec::new(), Vec::new());
    for (name, function) in &mut spec.functions {
        let lines = Lines { all: &function.lines, btf: &local };
        for record in std::mem::take(&mut function.core) {
            let at = Place::Insn { prog: name.as_str().into(), index: record.insn };
            let done = core.relocate(&record, &mut function.insns, record.insn, &at);
            match done {
                Ok(None) => {}
                Ok(Some(why)) => poisoned.push((name.clone(), record.insn, why.with_lines(&lines))),
                Err(why) => errors.push(why.with_lines(&lines)),
            }
        }
    }
    if errors.is_empty() { Ok(poisoned) } else { Err(errors) }
}

impl Core<'_> {
    fn outcome(&mut self, record: &CoreReloc, insns: &[Insn], place: &Place) -> CoreOutcome {
        let at = record.insn as usize;
        let slots = if insns.get(at).is_some_and(|i| i.op == LD_IMM64) { 2 } else { 1 };
        let mut insns = insns.get(at..at + slots).unwrap_or_default().to_vec();
        match self.relocate(record, &mut insns, 0, place) {
            Ok(Some(missing)) => CoreOutcome::Missing(missing),
            Err(refused) => CoreOutcome::Refused(refused),
            Ok(None) => match self.answer(record) {
                Ok(Answer { own_value, found, value: Some(value), .. }) => CoreOutcome::Resolved {
                    value: value.number,
                    before: own_value.number,
                    target: found.as_ref().map_or_else(String::new, |found| explain::target(record.kind, found)),
                },
                // Without a value nothing could have been written.
                _ => CoreOutcome::Refused(self.refused(record, &Problem::Kind, place.clone())),
            },
        }
    }
}

//! What a kernel answers to an object's externs, for people who look at the object. Knows no instructions.

use crate::{
    kconfig,
    symbols::{self, BadSymbol, Symbol},
};
use alveary_btf::TypeId;
use alveary_diag::{Diagnostic, Place};
use alveary_spec::{ExternKind, Kernel, Spec};
use std::sync::Arc;

/// An extern of an object, answered.
#[derive(Clone, Debug)]
pub struct ExternAnswer {
    /// Its name.
    pub name: String,
    /// What it is declared as, in C: `int`, `enum libbpf_tristate`, a function's prototype.
    pub declared: String,
    /// The answer.
    pub outcome: ExternOutcome,
}

/// What an extern comes to.
#[derive(Clone, Debug)]
pub enum ExternOutcome {
    /// A value of the kernel's configuration, or one that loaders make up, as C writes it.
    Value(String),
    /// A function or variable of the kernel's own; of a module, if one is named.
    Found(Option<Arc<str>>),
    /// The kernel does not have it, and the object can do without: zero.
    Absent,
    /// The programs that use it cannot be loaded.
    Missing(Diagnostic),
}

/// The externs of an object, by name, as a kernel answers them. Kernel symbols that are declared without a type are
/// looked for by address when programs are loaded, and left out here.
#[must_use]
pub fn extern_answers(spec: &Spec, kernel: &Kernel) -> Vec<ExternAnswer> {
    let Some(local) = spec.btf.as_deref() else { return Vec::new() };
    let missing = |code, message, help: Option<String>| {
        let why = Diagnostic::new(code, message, Place::Nowhere);
        ExternOutcome::Missing(help.into_iter().fold(why, Diagnostic::help))
    };
    let answered = spec.externs.iter().filter_map(|(name, one)| {
        let outcome = match one.kind {
            ExternKind::Config { .. } => match kconfig::value(name, one, local, kernel, spec.endian) {
                Ok(_) if one.weak && !kconfig::known(name, kernel) => ExternOutcome::Absent,
                Ok(bytes) => ExternOutcome::Value(local.value(one.ty, &bytes).to_string()),
                Err(bad) => missing("kconfig", bad.message, Some(bad.help)),
            },
            _ if one.ty == TypeId::VOID => return None,
            _ => match symbols::find(name, one, local, kernel) {
                Ok(Symbol::Typed(found)) => ExternOutcome::Found(found.module),
                Ok(Symbol::Address(_)) => ExternOutcome::Found(None),
                Ok(Symbol::Absent) => ExternOutcome::Absent,
                Err(BadSymbol { message, help }) => missing("ksym", message, help),
            },
        };
        Some(ExternAnswer { name: name.clone(), declared: local.c_name(one.ty), outcome })
    });
    answered.collect()
}

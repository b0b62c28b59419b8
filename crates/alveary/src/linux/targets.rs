//! Programs that are loaded for a function of another program.

use alveary_abi::ProgType;
use alveary_btf::TypeId;
use alveary_diag::{Diagnostic, Place};
use alveary_linux::function;
use alveary_spec::{Attach, Program};
use std::{
    collections::BTreeMap,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// Another program, and its function if it is not the one that the section names.
#[derive(Debug)]
pub(super) struct TargetProgram {
    pub(super) fd: OwnedFd,
    pub(super) function: Option<String>,
}

/// What a program is loaded for of another program's; `None` if it is not.
pub(super) fn of<'a>(
    program: &Program,
    targets: &'a BTreeMap<String, TargetProgram>,
) -> Result<Option<(BorrowedFd<'a>, TypeId)>, Diagnostic> {
    let Some(target) = targets.get(&*program.name) else {
        return if program.ty == ProgType::EXT { Err(unnamed(program)) } else { Ok(None) };
    };
    let said = match &program.attach {
        Some(Attach::Replace { function } | Attach::Btf { name: function, .. }) => Some(function.as_str()),
        _ => None,
    };
    let fd = target.fd.as_fd();
    Ok(Some((fd, function::find(fd, target.function.as_deref().or(said))?)))
}

fn unnamed(program: &Program) -> Diagnostic {
    let message = format!("program `{}` replaces a function of another program, which is not named", program.name);
    Diagnostic::new("target-program", message, Place::Section { section: program.section.clone(), at: 0 })
        .expected("a program that is loaded, with its types")
}

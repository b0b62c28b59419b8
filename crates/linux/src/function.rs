//! Functions of programs that are loaded, by name: what others replace (freplace) and trace (fentry, fexit).

use crate::sys::{self, Object, ProgParts};
use alveary_btf::{Btf, TypeId};
use alveary_diag::{Diagnostic, Place, did_you_mean};
use std::os::fd::{AsFd, BorrowedFd};

/// The function of this name in a program's types; without a name the program's first.
///
/// # Errors
/// If the program has no types or no such function; the kernel's.
pub fn find(program: BorrowedFd<'_>, name: Option<&str>) -> Result<TypeId, Diagnostic> {
    let info = sys::prog_info(program, ProgParts { xlated: true, ..ProgParts::default() })?;
    let wrong =
        |what: &str| Diagnostic::new("target-program", format!("program `{}` {what}", info.name), Place::Nowhere);
    if info.btf_id == 0 || info.funcs.is_empty() {
        return Err(wrong("was loaded without types, so that its functions have no names")
            .help("compile it with `clang -g`, and load it with its BTF"));
    }
    let fd = sys::open_id(Object::Btf, info.btf_id, 0, None)?;
    let bytes = sys::btf_info(fd.as_fd(), true)?.bytes;
    let btf = Btf::read(&bytes, None)?;
    let Some(name) = name else { return Ok(info.funcs[0].ty) };
    let names = || info.funcs.iter().map(|function| btf.name(function.ty));
    info.funcs.iter().map(|function| function.ty).find(|ty| btf.name(*ty) == name).ok_or_else(|| {
        let why = wrong(&format!("has no function `{name}`"))
            .expected(format!("one of {}", names().collect::<Vec<_>>().join(", ")))
            .found(format!("`{name}`"));
        match did_you_mean(name, names()) {
            Some(near) => why.help(format!("did you mean `{near}`?")),
            None => why.help("functions that the compiler has inlined are none: `__attribute__((noinline))`"),
        }
    })
}

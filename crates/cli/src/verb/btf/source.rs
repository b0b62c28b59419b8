//! Where types come from: a file of raw BTF, an object, the running kernel.

use crate::failure::Failure;
use alveary_btf::Btf;
use alveary_diag::{Diagnostic, Place};
use std::{fs, path::Path, sync::Arc};

/// Where the kernel shows its own types.
pub(crate) const KERNEL: &str = "/sys/kernel/btf/vmlinux";
/// What the kernel's own types are called on the command line.
pub(crate) const KERNEL_WORD: &str = "kernel";

/// How ELF files begin.
const ELF: &[u8] = b"\x7fELF";

/// Reads raw BTF, or the types of an object; `kernel` stands for this kernel's.
pub(crate) fn open(path: &Path, base: Option<Arc<Btf>>) -> Result<Btf, Failure> {
    let path = if path == Path::new(KERNEL_WORD) { Path::new(KERNEL) } else { path };
    let bytes = fs::read(path).map_err(|why| Failure::file("read", path, &why))?;
    let named = |why: Diagnostic| why.in_file(path.display().to_string());
    if !bytes.starts_with(ELF) {
        return Ok(Btf::read_owned(bytes, base).map_err(named)?);
    }
    let none = || {
        Diagnostic::new("btf-none", "the object has no types", Place::Nowhere)
            .help("compile it with `-g`, or with gcc's `-gbtf`")
    };
    Ok(alveary_object::read_types(&bytes, base).map_err(named)?.ok_or_else(|| named(none()))?)
}

//! Where types come from: a file of raw BTF, an ELF file that holds some, the running kernel.

use crate::failure::Failure;
use alveary_btf::Btf;
use alveary_diag::{Diagnostic, Place};
use alveary_object::read_types_from;
use std::{fs::File, io::Read, path::Path, sync::Arc};

/// Where the kernel shows its own types.
pub(crate) const KERNEL: &str = "/sys/kernel/btf/vmlinux";
/// Where it shows those of its modules, which continue its own.
const MODULES: &str = "/sys/kernel/btf";
/// What the kernel's own types are called on the command line.
pub(crate) const KERNEL_WORD: &str = "kernel";

/// How much of a file is looked at to say what it is, if it holds no types.
const BEGINNING: usize = 512;

/// How ELF files begin.
const ELF: &[u8] = b"\x7fELF";

/// Reads raw BTF, or the types in an ELF file (an object, a kernel, a module); `kernel` stands for this kernel's. What this
/// kernel shows of a module is read over its own types.
pub(crate) fn open(path: &Path, base: Option<Arc<Btf>>) -> Result<Btf, Failure> {
    let path = if path == Path::new(KERNEL_WORD) { Path::new(KERNEL) } else { path };
    let base = match base {
        None if is_module(path) => Some(Arc::new(open(Path::new(KERNEL), None)?)),
        base => base,
    };
    let failed = |why| Failure::file("read", path, &why);
    let alone = base.is_none();
    let named = |why: Diagnostic| continues(why, alone).in_file(path.display().to_string());
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    (&mut file).take(ELF.len() as u64).read_to_end(&mut bytes).map_err(failed)?;
    if bytes == ELF {
        let none = || {
            Diagnostic::new("btf-none", "the file has no types", Place::Nowhere)
                .help("compile it with `-g`, or with gcc's `-gbtf`")
        };
        return Ok(read_types_from(&mut file, base).map_err(named)?.ok_or_else(|| named(none()))?);
    }
    let len = file.metadata().map_or(0, |m| m.len());
    bytes.reserve(usize::try_from(len).unwrap_or(0));
    file.read_to_end(&mut bytes).map_err(failed)?;
    let begins = bytes[..bytes.len().min(BEGINNING)].to_vec();
    let wrong = |why: Diagnostic| if why.code.0 == "btf-magic" { neither(&begins) } else { why };
    Ok(Btf::read_owned(bytes, base).map_err(|why| named(wrong(why)))?)
}

/// What begins neither as BTF nor as ELF.
fn neither(begins: &[u8]) -> Diagnostic {
    let is_text = |b: &u8| b.is_ascii_graphic() || b.is_ascii_whitespace();
    let found = match begins {
        [] => "an empty file",
        text if text.iter().all(is_text) => "text",
        _ => "other data",
    };
    Diagnostic::new("btf-magic", "the file holds no types", Place::Byte { at: 0 })
        .expected("raw BTF, which begins with 9f eb, or an ELF file with a section .BTF")
        .found(found)
}

fn is_module(path: &Path) -> bool {
    path.parent() == Some(Path::new(MODULES)) && path != Path::new(KERNEL)
}

/// What refers to what is not there may be meant to continue other types.
fn continues(why: Diagnostic, alone: bool) -> Diagnostic {
    const OUTSIDE: [&str; 3] = ["btf-name", "btf-reference", "btf-strings"];
    if alone && OUTSIDE.contains(&why.code.0) {
        return why.help(
            "types that continue others, as a kernel module's do the kernel's, are read with those: \
             `alveary btf dump file FILE -B kernel`",
        );
    }
    why
}

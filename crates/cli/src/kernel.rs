//! Which kernel an object is meant for: the options that say so, read only as far as the object asks.

use crate::failure::Failure;
use alveary_btf::{Btf, CoreKind};
use alveary_diag::{Diagnostic, Place};
use alveary_spec::Spec;
use clap::{Args, ValueHint};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where a kernel shows its types.
const OWN_BTF: &str = "/sys/kernel/btf/vmlinux";

/// The kernel's types
#[derive(Debug, Args)]
pub(crate) struct KernelTypes {
    /// The kernel's types, which CO-RE relocations ask for
    ///
    /// Raw BTF, as in /sys/kernel/btf/vmlinux. Unless it is given, those of this machine's kernel, if it has some and
    /// the object asks.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "cbpf")]
    pub(crate) btf: Option<PathBuf>,
}

impl KernelTypes {
    /// The types that are given, if any.
    pub(crate) fn given(&self) -> Result<Option<Arc<Btf>>, Failure> {
        self.btf.as_deref().map(read).transpose()
    }

    /// The types that an object is to be resolved by: those that are given, this kernel's if the object asks for some,
    /// or none.
    pub(crate) fn wanted(&self, spec: &Spec) -> Result<Option<Arc<Btf>>, Failure> {
        let asks = || spec.functions.values().flat_map(|f| &f.core).any(|r| r.kind != CoreKind::TypeIdLocal);
        let own = Path::new(OWN_BTF);
        match self.given()? {
            None if asks() && own.exists() => Ok(Some(read(own)?)),
            given => Ok(given),
        }
    }
}

fn read(path: &Path) -> Result<Arc<Btf>, Failure> {
    let bytes = fs::read(path).map_err(|why| Failure::file("read", path, &why))?;
    let named = |why: Diagnostic| why.in_file(path.display().to_string());
    if bytes.starts_with(b"\x7fELF") {
        let why = Diagnostic::new("btf-elf", "the file is an ELF file, not raw BTF", Place::Nowhere)
            .help(format!("take its BTF out: `objcopy -O binary --only-section=.BTF {} FILE.btf`", path.display()));
        return Err(named(why).into());
    }
    Ok(Arc::new(Btf::read(&bytes, None).map_err(named)?))
}

//! The types of the running kernel's modules, as sysfs shows them: a file each, over the kernel's own types.

use alveary_btf::Btf;
use alveary_spec::{Module, Modules};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where the kernel shows its types and those of its modules.
const SHOWN: &str = "/sys/kernel/btf";
/// Its own among them.
const KERNEL: &str = "vmlinux";

/// The modules of this kernel, whose own types are `kernel`; read when they are first asked for.
#[must_use]
pub fn running(kernel: Arc<Btf>) -> Modules {
    shown_in(PathBuf::from(SHOWN), kernel)
}

/// The modules that a folder shows, in the order of their names. What cannot be read, because the module has just gone or
/// continues other types than `kernel`, is left out.
#[must_use]
pub fn shown_in(folder: PathBuf, kernel: Arc<Btf>) -> Modules {
    Modules::new(move || {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names.iter().filter(|name| *name != KERNEL).filter_map(|name| read(&folder, name, &kernel)).collect()
    })
}

fn read(folder: &Path, name: &str, kernel: &Arc<Btf>) -> Option<Module> {
    let bytes = fs::read(folder.join(name)).ok()?;
    let btf = Btf::read_owned(bytes, Some(kernel.clone())).ok()?;
    Some(Module { name: name.into(), btf: Arc::new(btf) })
}

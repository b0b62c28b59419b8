//! The types of the running kernel's modules: as sysfs shows them, a file each, over the kernel's own types; and as
//! descriptors, by which programs name them.

use crate::sys::{self, Object};
use alveary_btf::Btf;
use alveary_diag::{Diagnostic, Place};
use alveary_sort::Sort;
use alveary_spec::{Initial, MapSpec, Module, Modules, Program};
use std::{
    collections::BTreeMap,
    fs,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
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
        names.order();
        names.iter().filter(|name| *name != KERNEL).filter_map(|name| read(&folder, name, &kernel)).collect()
    })
}

fn read(folder: &Path, name: &str, kernel: &Arc<Btf>) -> Option<Module> {
    let bytes = fs::read(folder.join(name)).ok()?;
    let btf = Btf::read_owned(bytes, Some(kernel.clone())).ok()?;
    Some(Module { name: name.into(), btf: Arc::new(btf) })
}

/// Types of modules, by descriptors.
#[derive(Debug, Default)]
pub struct Opened(BTreeMap<String, OwnedFd>);

impl Opened {
    /// Opens what a program names: the types of modules whose functions and variables it uses, or that it is for. Asks the
    /// kernel only if there is something.
    ///
    /// # Errors
    /// What the kernel has against it: looking for a module's types takes `CAP_SYS_ADMIN`.
    pub fn for_program(program: &Program) -> sys::Result<Opened> {
        let of_target = program.target.as_ref().and_then(|target| target.as_ref().ok()?.module.as_deref());
        Opened::these(program.modules.iter().map(|name| &**name).chain(of_target).collect())
    }

    /// Opens the types of the module whose interface a map is (`struct_ops`). Asks the kernel only if there is one.
    ///
    /// # Errors
    /// As for [`Opened::for_program`].
    pub fn for_map(map: &MapSpec) -> sys::Result<Opened> {
        let interface = match &map.initial {
            Initial::StructOps(ops) => ops.kernel.as_ref(),
            _ => None,
        };
        Opened::these(interface.and_then(|interface| interface.module.as_deref()).into_iter().collect())
    }

    fn these(mut wanted: Vec<&str>) -> sys::Result<Opened> {
        let mut opened = BTreeMap::new();
        let mut after = 0;
        while !wanted.is_empty()
            && let Some(id) = sys::next_id(Object::Btf, after)?
        {
            after = id;
            // It may have gone since.
            let Ok(fd) = sys::open_id(Object::Btf, id, 0, None) else { continue };
            let info = sys::btf_info(fd.as_fd(), false)?;
            if info.kernel && wanted.contains(&&*info.name) {
                wanted.retain(|name| *name != info.name);
                opened.insert(info.name, fd);
            }
        }
        Ok(Opened(opened))
    }

    /// The types of a module.
    ///
    /// # Errors
    /// It is not among those that are open: the module has gone.
    pub fn named(&self, module: &str) -> Result<BorrowedFd<'_>, Diagnostic> {
        self.0.get(module).map(AsFd::as_fd).ok_or_else(|| {
            Diagnostic::new(
                "module",
                format!("the kernel does not show the types of module `{module}`"),
                Place::Nowhere,
            )
            .help(format!("load the module: `modprobe {module}`"))
        })
    }
}

//! Which kernel an object is meant for: the options that say so, read only as far as the object asks.

use crate::{failure::Failure, types};
use alveary::{LinuxBuilder, UserBuilder, files};
use alveary_abi::{Profile, Version};
use alveary_btf::{Btf, CoreKind, TypeId};
use alveary_sort::Gather;
use alveary_spec::{Extern, ExternKind, Kernel, Modules, Spec};
use clap::{Args, ValueHint};
use std::{
    cell::OnceCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where a kernel's text usually begins.
const SOME_ADDRESS: u64 = 0xffff_ffff_8100_0000;

/// The kernel that an object is meant for: the same options at every verb that resolves one
#[derive(Debug, Args)]
pub(crate) struct KernelOptions {
    /// The kernel's types, which CO-RE relocations ask for
    ///
    /// Raw BTF, as in /sys/kernel/btf/vmlinux, or an ELF file that holds some, as vmlinux. Unless it is given, those of
    /// this machine's kernel, if it has some and the object asks.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) btf: Option<PathBuf>,

    /// The kernel's configuration: what __kconfig variables are
    ///
    /// A file of CONFIG_NAME=value, gzip too. Unless it is given, /proc/config.gz or the file in /boot of this machine's
    /// kernel, if the object asks.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) kconfig: Option<PathBuf>,

    /// The kernel's version, like 6.1 or 6.1.55: what later kernels brought is missing, LINUX_KERNEL_VERSION is this
    ///
    /// Without the third number it is the newest stable level that is known, as 6.12.117 for 6.12. Unless it is given,
    /// that of the running kernel for programs that are loaded into it, else 6.18.44. The running kernel has what it has:
    /// there only what programs are told changes.
    #[arg(long, visible_alias = "kernel", value_name = "VERSION", value_parser = parse_version)]
    pub(crate) kernel_version: Option<(Version, u8)>,

    /// The types, once they were read: objects that are judged one after the other share them.
    #[arg(skip)]
    types: OnceCell<Arc<Btf>>,
}

impl KernelOptions {
    /// Whether any of them is given.
    pub(crate) fn given(&self) -> bool {
        self.btf.is_some() || self.kconfig.is_some() || self.kernel_version.is_some()
    }

    /// Has the user-space kernel be what the options say, as far as the object asks; `None`: without an object.
    pub(crate) fn user(&self, user: UserBuilder, spec: Option<&Spec>) -> Result<UserBuilder, Failure> {
        let mut user = user;
        if let Some((version, patch)) = self.kernel_version {
            user = user.linux(version).patch_level(patch);
        }
        let Some(spec) = spec else { return Ok(user) };
        if let Some(types) = self.types(spec)? {
            user = user.modules(self.modules(Some(&types))).btf(types);
        }
        Ok(match config(self.kconfig.as_deref(), spec)? {
            Some(options) => user.kconfig(options),
            None => user,
        })
    }

    /// Has the running kernel taken for what the options say; the rest it says itself.
    pub(crate) fn linux(&self, linux: LinuxBuilder) -> Result<LinuxBuilder, Failure> {
        let mut linux = linux;
        if let Some((version, patch)) = self.kernel_version {
            linux = linux.version(version, patch);
        }
        if let Some(path) = &self.btf {
            linux = linux.btf(self.read(path)?);
        }
        Ok(match &self.kconfig {
            Some(path) => linux.kconfig(files::kconfig(path)?),
            None => linux,
        })
    }

    /// The kernel that they describe, as far as the object asks; 6.18.44 unless they say the version.
    pub(crate) fn described(&self, spec: &Spec) -> Result<Kernel, Failure> {
        let (version, patch) = self.kernel_version.unwrap_or((Version::NEWEST, Version::NEWEST.newest_level()));
        let btf = self.types(spec)?;
        Ok(Kernel {
            modules: self.modules(btf.as_ref()),
            btf,
            kconfig: config(self.kconfig.as_deref(), spec)?.unwrap_or_default(),
            ..Kernel::of(Profile::linux(version).at_level(patch))
        })
    }

    /// Adds the types that are given, or this kernel's if there are some, to a kernel that was described without.
    pub(crate) fn add_types(&self, kernel: &mut Kernel) -> Result<(), Failure> {
        if kernel.btf.is_none() {
            kernel.btf = self.types_if(|| true)?;
            kernel.modules = self.modules(kernel.btf.as_ref());
        }
        Ok(())
    }

    /// The types that an object is to be resolved by: those that are given, this kernel's if the object asks for some,
    /// or none.
    fn types(&self, spec: &Spec) -> Result<Option<Arc<Btf>>, Failure> {
        let relocated = || spec.functions.values().flat_map(|f| &f.core).any(|r| r.kind != CoreKind::TypeIdLocal);
        let typed = |one: &Extern| !matches!(one.kind, ExternKind::Config { .. }) && one.ty != TypeId::VOID;
        self.types_if(|| relocated() || spec.externs.values().any(typed))
    }

    fn types_if(&self, asked: impl FnOnce() -> bool) -> Result<Option<Arc<Btf>>, Failure> {
        let own = Path::new(types::KERNEL);
        match &self.btf {
            Some(path) => self.read(path).map(Some),
            None if asked() && own.exists() => self.read(own).map(Some),
            None => Ok(None),
        }
    }

    fn read(&self, path: &Path) -> Result<Arc<Btf>, Failure> {
        if let Some(types) = self.types.get() {
            return Ok(types.clone());
        }
        let types = Arc::new(types::open(path, None)?);
        Ok(self.types.get_or_init(|| types).clone())
    }

    /// The modules of the kernel with these types: this kernel's, unless its types are given.
    fn modules(&self, types: Option<&Arc<Btf>>) -> Modules {
        let own = types.filter(|_| self.btf.is_none());
        own.map_or_else(Modules::default, |own| alveary_linux::modules::running(own.clone()))
    }
}

/// The symbols that an object declares without a type, each at an address: a kernel's types do not tell which it has, and
/// ordinary users are not told where.
pub(crate) fn untyped_symbols(spec: &Spec) -> BTreeMap<String, u64> {
    let untyped = |one: &Extern| !matches!(one.kind, ExternKind::Config { .. }) && one.ty == TypeId::VOID;
    let named = spec.externs.iter().filter(|(_, one)| untyped(one));
    named.map(|(name, _)| (name.clone(), SOME_ADDRESS)).gather()
}

/// The kernel's configuration: that of the file, if one is given; this kernel's, if the object asks for some.
fn config(given: Option<&Path>, spec: &Spec) -> Result<Option<BTreeMap<String, String>>, Failure> {
    let asks = spec.externs.keys().any(|name| name.starts_with("CONFIG_"));
    let own = || if asks { files::own_kconfig() } else { None };
    Ok(given.map(Path::to_owned).or_else(own).map(files::kconfig).transpose()?)
}

/// Reads a version in clap's manner.
fn parse_version(text: &str) -> Result<(Version, u8), String> {
    let wrong = || "a version is two or three numbers: 6.1, 6.1.55".to_owned();
    let mut parts = text.split('.');
    let (Some(major), Some(minor), patch, None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(wrong());
    };
    let number = |part: &str| part.parse::<u16>().map_err(|_| wrong());
    let version = Version(number(major)?, number(minor)?);
    // Where the number is larger, kernels themselves say 255.
    let patch = patch.map_or(Ok(version.newest_level().into()), number)?.min(255) as u8;
    Ok((version, patch))
}

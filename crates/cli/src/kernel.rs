//! Which kernel an object is meant for: the options that say so, read only as far as the object asks.

use crate::{failure::Failure, types};
use alveary::UserBuilder;
use alveary_abi::Version;
use alveary_btf::{Btf, CoreKind};
use alveary_diag::{Diagnostic, Place};
use alveary_object::parse_kconfig;
use alveary_spec::{Modules, Spec};
use clap::{Args, ValueHint};
use flate2::read::MultiGzDecoder;
use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where a kernel shows its configuration, and where distributions put it.
const OWN_CONFIG: &str = "/proc/config.gz";
const BOOT_CONFIG: &str = "/boot/config-";
const RELEASE: &str = "/proc/sys/kernel/osrelease";
/// The largest configuration that is read: real ones are below 1 MB.
const LARGEST_CONFIG: u64 = 1 << 26;

/// The kernel that a program runs on, or believes to
#[derive(Debug, Args)]
pub(crate) struct KernelOptions {
    #[command(flatten)]
    pub(crate) types: KernelTypes,

    /// The kernel's configuration: what __kconfig variables are
    ///
    /// A file of CONFIG_NAME=value, gzip too. Unless it is given, /proc/config.gz or the file in /boot of this machine's
    /// kernel, if the object asks.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "cbpf")]
    pub(crate) kconfig: Option<PathBuf>,

    /// The kernel's version, like 6.1 or 6.1.55: what later kernels brought is refused, LINUX_KERNEL_VERSION is this
    #[arg(long, value_name = "VERSION", value_parser = parse_version)]
    kernel_version: Option<(Version, u8)>,
}

impl KernelOptions {
    /// Whether a version is given.
    pub(crate) fn has_version(&self) -> bool {
        self.kernel_version.is_some()
    }

    /// Has the user-space kernel be what the options say, as far as the object asks; `None`: without an object.
    pub(crate) fn apply(&self, user: UserBuilder, spec: Option<&Spec>) -> Result<UserBuilder, Failure> {
        let mut user = user;
        if let Some((version, patch)) = self.kernel_version {
            user = user.linux(version).patch_level(patch);
        }
        let Some(spec) = spec else { return Ok(user) };
        if let Some(types) = self.types.wanted(spec)? {
            user = user.modules(self.types.modules(Some(&types))).btf(types);
        }
        Ok(match config(self.kconfig.as_deref(), spec)? {
            Some(options) => user.kconfig(options),
            None => user,
        })
    }
}

/// The kernel's configuration: that of the file, if one is given; this kernel's, if the object asks for some.
pub(crate) fn config(given: Option<&Path>, spec: &Spec) -> Result<Option<BTreeMap<String, String>>, Failure> {
    let asks = spec.externs.keys().any(|name| name.starts_with("CONFIG_"));
    let own = || if asks { own_config() } else { None };
    given.map(Path::to_owned).or_else(own).map(|path| read_config(&path)).transpose()
}

/// Reads a version in clap's manner.
pub(crate) fn parse_version(text: &str) -> Result<(Version, u8), String> {
    let wrong = || "a version is two or three numbers: 6.1, 6.1.55".to_owned();
    let mut parts = text.split('.');
    let (Some(major), Some(minor), patch, None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(wrong());
    };
    let number = |part: &str| part.parse::<u16>().map_err(|_| wrong());
    // Where the number is larger, kernels themselves say 255.
    let patch = patch.map_or(Ok(0), number)?.min(255) as u8;
    Ok((Version(number(major)?, number(minor)?), patch))
}

/// The file with this kernel's configuration, if there is one.
pub(crate) fn own_config() -> Option<PathBuf> {
    let proc = PathBuf::from(OWN_CONFIG);
    if proc.exists() {
        return Some(proc);
    }
    let release = fs::read_to_string(RELEASE).ok()?;
    let boot = PathBuf::from(format!("{BOOT_CONFIG}{}", release.trim()));
    boot.exists().then_some(boot)
}

/// The options in a file of the kernel's configuration.
pub(crate) fn read_config(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let failed = |why| Failure::file("read", path, &why);
    let mut bytes = fs::read(path).map_err(failed)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        MultiGzDecoder::new(&*bytes).take(LARGEST_CONFIG).read_to_end(&mut plain).map_err(failed)?;
        bytes = plain;
    }
    let name = path.display().to_string();
    let options = parse_kconfig(&name, &String::from_utf8_lossy(&bytes))?;
    if options.is_empty() {
        let why = Diagnostic::new("kconfig", "the file sets no option of a kernel", Place::Nowhere)
            .expected("lines of `CONFIG_NAME=value`")
            .help("a kernel shows its configuration as /proc/config.gz, distributions put it into /boot");
        return Err(why.in_file(name).into());
    }
    Ok(options)
}

/// The kernel's types
#[derive(Debug, Args)]
pub(crate) struct KernelTypes {
    /// The kernel's types, which CO-RE relocations ask for
    ///
    /// Raw BTF, as in /sys/kernel/btf/vmlinux, or an ELF file that holds some, as vmlinux. Unless it is given, those of
    /// this machine's kernel, if it has some and the object asks.
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
        let own = Path::new(types::KERNEL);
        match self.given()? {
            None if asks() && own.exists() => Ok(Some(read(own)?)),
            given => Ok(given),
        }
    }

    /// The modules of the kernel whose types [`KernelTypes::wanted`] gave: this kernel's, which nobody gave the types of.
    pub(crate) fn modules(&self, wanted: Option<&Arc<Btf>>) -> Modules {
        let own = wanted.filter(|_| self.btf.is_none());
        own.map_or_else(Modules::default, |own| alveary_linux::modules::running(own.clone()))
    }
}

fn read(path: &Path) -> Result<Arc<Btf>, Failure> {
    Ok(Arc::new(types::open(path, None)?))
}

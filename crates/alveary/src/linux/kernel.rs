//! The running kernel as a value: its version and CPUs at once, its types, configuration and symbols when an object asks.

use crate::{Error, Kind, Result, files};
use alveary_abi::{Profile, Version};
use alveary_btf::{Btf, CoreKind, TypeId};
use alveary_diag::{Diagnostic, Place};
use alveary_linux::sys;
use alveary_spec::{Attach, Initial, Kernel, Modules, Spec};
use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, OnceLock},
};

const TYPES: &str = "/sys/kernel/btf/vmlinux";
const RELEASE: &str = "/proc/sys/kernel/osrelease";
const SYMBOLS: &str = "/proc/kallsyms";

/// What is said of the kernel in place of what it says itself.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// Types for CO-RE relocations.
    pub(super) core: Option<Arc<Btf>>,
    pub(super) kconfig: Option<BTreeMap<String, String>>,
    pub(super) version: Option<(Version, u8)>,
}

/// What needs no file of any size.
fn bare(given: &Given) -> Kernel {
    let release = fs::read_to_string(RELEASE).unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse::<u16>().ok());
    let version = match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => Version(major, minor),
        _ => Version::NEWEST,
    };
    let patch = numbers.next().unwrap_or_default().min(255) as u8;
    let (version, patch) = given.version.unwrap_or((version, patch));
    Kernel {
        cpus: sys::possible_cpus().unwrap_or(1) as u32,
        core: given.core.clone(),
        kconfig: given.kconfig.clone().unwrap_or_default(),
        page: sys::page_size(),
        symbols: Some(Arc::default()),
        ..Kernel::of(Profile::linux(version).at_level(patch))
    }
}

/// The kernel, with as much of it known as objects ask for. Each part is read once, when the first object asks for it.
#[derive(Debug)]
pub(super) struct Known {
    /// What is known without looking for long.
    pub(super) bare: Kernel,
    given: Given,
    types: OnceLock<Types>,
    config: OnceLock<BTreeMap<String, String>>,
    symbols: OnceLock<Arc<BTreeMap<String, u64>>>,
    /// For each [`Asks`] the kernel that answers it.
    kernels: [OnceLock<Kernel>; 8],
}

/// The kernel's types, and its modules'.
type Types = (Option<Arc<Btf>>, Modules);

/// Which parts of a kernel an object asks for.
#[derive(Clone, Copy, Debug)]
struct Asks {
    types: bool,
    config: bool,
    symbols: bool,
}

impl Asks {
    fn of(spec: &Spec, given: &Given) -> Asks {
        let relocated = || spec.functions.values().flat_map(|f| &f.core).any(|r| r.kind != CoreKind::TypeIdLocal);
        let by_type = |attach: &Attach| matches!(attach, Attach::Btf { .. } | Attach::Iter { .. });
        let targeted = || spec.programs.values().filter_map(|p| p.attach.as_ref()).any(by_type);
        let interface = || spec.maps.values().any(|map| matches!(map.initial, Initial::StructOps(_)));
        let configured = || spec.externs.keys().any(|name| name.starts_with("CONFIG_"));
        Asks {
            types: !spec.externs.is_empty() || relocated() || targeted() || interface(),
            config: given.kconfig.is_none() && configured(),
            symbols: spec.externs.values().any(|one| one.ty == TypeId::VOID),
        }
    }

    fn index(self) -> usize {
        usize::from(self.types) | usize::from(self.config) << 1 | usize::from(self.symbols) << 2
    }
}

impl Known {
    pub(super) fn new(given: Given) -> Known {
        let (types, config, symbols) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Known { bare: bare(&given), given, types, config, symbols, kernels: Default::default() }
    }

    /// As much as this object asks for.
    pub(super) fn for_object(&self, spec: &Spec) -> Result<&Kernel> {
        let asks = Asks::of(spec, &self.given);
        let Some(cell) = self.kernels.get(asks.index()) else { return Ok(&self.bare) };
        if let Some(known) = cell.get() {
            return Ok(known);
        }
        let mut kernel = self.bare.clone();
        if asks.types {
            (kernel.btf, kernel.modules) = once(&self.types, types)?.clone();
        }
        if asks.config {
            kernel.kconfig = self.config.get_or_init(|| config().unwrap_or_default()).clone();
        }
        if asks.symbols {
            kernel.symbols = Some(once(&self.symbols, || symbols().map(Arc::new))?.clone());
        }
        Ok(cell.get_or_init(|| kernel))
    }
}

/// What a cell holds, or else shall hold; what cannot be read now may be later.
fn once<T>(cell: &OnceLock<T>, read: impl FnOnce() -> Result<T>) -> Result<&T> {
    match cell.get() {
        Some(known) => Ok(known),
        None => read().map(|new| cell.get_or_init(|| new)),
    }
}

fn types() -> Result<Types> {
    let Ok(bytes) = fs::read(TYPES) else { return Ok(Types::default()) };
    let btf = Btf::read_owned(bytes, None).map_err(|why| Error::new(Kind::Read, why.in_file(TYPES)))?;
    let btf = Arc::new(btf);
    Ok((Some(btf.clone()), alveary_linux::modules::running(btf)))
}

fn config() -> Option<BTreeMap<String, String>> {
    files::own_kconfig().and_then(|path| files::kconfig(path).ok())
}

/// Addresses of the kernel's symbols: zeros, and so none, for those who may not see them.
fn symbols() -> Result<BTreeMap<String, u64>> {
    let text = fs::read_to_string(SYMBOLS).map_err(|why| {
        let message = format!("the kernel's symbols cannot be read: {why}");
        Error::new(Kind::Read, Diagnostic::new("read", message, Place::Nowhere).in_file(SYMBOLS))
    })?;
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = u64::from_str_radix(words.next()?, 16).ok().filter(|address| *address != 0)?;
        Some((words.nth(1)?.to_owned(), address))
    };
    Ok(text.lines().filter_map(line).collect())
}

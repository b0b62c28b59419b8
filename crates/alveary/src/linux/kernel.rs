//! The running kernel as a value: its version and CPUs at once, its types, configuration and symbols when an object asks.

use crate::{Error, Kind, Result};
use alveary_abi::{Profile, Version};
use alveary_btf::{Btf, CoreKind, TypeId};
use alveary_diag::{Diagnostic, Place};
use alveary_linux::sys;
use alveary_spec::{Attach, Initial, Kernel, Spec};
use flate2::read::MultiGzDecoder;
use std::{collections::BTreeMap, fs, io::Read, path::Path, sync::Arc};

const TYPES: &str = "/sys/kernel/btf/vmlinux";
const RELEASE: &str = "/proc/sys/kernel/osrelease";
const CONFIG: &str = "/proc/config.gz";
const BOOT_CONFIG: &str = "/boot/config-";
const SYMBOLS: &str = "/proc/kallsyms";
/// The largest configuration that is read: real ones are below 1 MB.
const LARGEST_CONFIG: u64 = 1 << 26;

/// What is said of the kernel in place of what it says itself.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// Types for CO-RE relocations.
    pub(super) core: Option<Arc<Btf>>,
    pub(super) kconfig: Option<BTreeMap<String, String>>,
    pub(super) version: Option<(Version, u8)>,
}

/// What needs no file of any size.
pub(super) fn bare(given: &Given) -> Kernel {
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
        patch,
        core: given.core.clone(),
        kconfig: given.kconfig.clone().unwrap_or_default(),
        page: sys::page_size(),
        symbols: Some(Arc::default()),
        ..Kernel::of(Profile::linux(version))
    }
}

/// Whether an object asks for more than [`bare`] has.
pub(super) fn asks(spec: &Spec) -> bool {
    let relocated = || spec.functions.values().flat_map(|f| &f.core).any(|r| r.kind != CoreKind::TypeIdLocal);
    let by_type = |attach: &Attach| matches!(attach, Attach::Btf { .. } | Attach::Iter { .. });
    let targeted = || spec.programs.values().filter_map(|p| p.attach.as_ref()).any(by_type);
    let interface = || spec.maps.values().any(|map| matches!(map.initial, Initial::StructOps(_)));
    !spec.externs.is_empty() || relocated() || targeted() || interface()
}

/// Everything, as far as this object asks.
pub(super) fn whole(spec: &Spec, given: &Given) -> Result<Kernel> {
    let mut kernel = bare(given);
    if let Ok(bytes) = fs::read(TYPES) {
        let btf = Btf::read(&bytes, None).map_err(|why| Error::new(Kind::Read, why.in_file(TYPES)))?;
        let btf = Arc::new(btf);
        kernel.modules = alveary_linux::modules::running(btf.clone());
        kernel.btf = Some(btf);
    }
    if given.kconfig.is_none() && spec.externs.keys().any(|name| name.starts_with("CONFIG_")) {
        kernel.kconfig = config().unwrap_or_default();
    }
    if spec.externs.values().any(|one| one.ty == TypeId::VOID) {
        kernel.symbols = Some(Arc::new(symbols()?));
    }
    Ok(kernel)
}

fn config() -> Option<BTreeMap<String, String>> {
    let boot = || format!("{BOOT_CONFIG}{}", fs::read_to_string(RELEASE).unwrap_or_default().trim());
    let (path, bytes) = match fs::read(CONFIG) {
        Ok(bytes) => (CONFIG.to_owned(), bytes),
        Err(_) => (boot(), fs::read(boot()).ok()?),
    };
    let mut text = Vec::new();
    if Path::new(&path).extension().is_some_and(|e| e == "gz") {
        MultiGzDecoder::new(&*bytes).take(LARGEST_CONFIG).read_to_end(&mut text).ok()?;
    } else {
        text = bytes;
    }
    alveary_object::parse_kconfig(&path, &String::from_utf8_lossy(&text)).ok()
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

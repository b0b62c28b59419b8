//! Files that describe a kernel: its types, its configuration.

use crate::{Error, Kind, Result, error::OrKind};
use alveary_btf::Btf;
use alveary_diag::{Diagnostic, Place};
use flate2::read::MultiGzDecoder;
use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

const ELF: &[u8] = b"\x7fELF";
const GZIP: &[u8] = &[0x1f, 0x8b];
/// The largest configuration that is read: real ones are below 1 MB.
const LARGEST_CONFIG: u64 = 1 << 26;

/// The types in a file: raw BTF, as `/sys/kernel/btf/vmlinux`, or an ELF file with some, as `vmlinux`.
///
/// # Errors
/// [`Kind::Read`] if the file cannot be read, or has no types.
pub fn types(path: impl AsRef<Path>) -> Result<Arc<Btf>> {
    let path = path.as_ref();
    let bytes = read(path)?;
    let found = if bytes.starts_with(ELF) {
        alveary_object::read_types(&bytes, None).and_then(|types| types.ok_or_else(no_types))
    } else {
        Btf::read_owned(bytes, None)
    };
    found.map(Arc::new).map_err(|why| why.in_file(&*path.to_string_lossy())).or_kind(Kind::Read)
}

/// The options in a file of a kernel's configuration (`CONFIG_NAME=value`, gzip too), as `/proc/config.gz`.
///
/// # Errors
/// [`Kind::Read`] if the file cannot be read, or is no such file.
pub fn kconfig(path: impl AsRef<Path>) -> Result<BTreeMap<String, String>> {
    let path = path.as_ref();
    let mut bytes = read(path)?;
    if bytes.starts_with(GZIP) {
        let mut plain = Vec::new();
        MultiGzDecoder::new(&*bytes).take(LARGEST_CONFIG).read_to_end(&mut plain).map_err(|why| unread(path, &why))?;
        bytes = plain;
    }
    let name = path.to_string_lossy();
    let options = alveary_object::parse_kconfig(&name, &String::from_utf8_lossy(&bytes)).or_kind(Kind::Read)?;
    if options.is_empty() {
        let why = Diagnostic::new("kconfig", "the file sets no option of a kernel", Place::Nowhere)
            .expected("lines of `CONFIG_NAME=value`")
            .help("a kernel shows its configuration as /proc/config.gz, distributions put it into /boot");
        return Err(Error::new(Kind::Read, why.in_file(&*name)));
    }
    Ok(options)
}

/// The file with the running kernel's configuration, if there is one.
#[must_use]
pub fn own_kconfig() -> Option<PathBuf> {
    let boot = || {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
        Some(PathBuf::from(format!("/boot/config-{}", release.trim())))
    };
    Some(PathBuf::from("/proc/config.gz")).filter(|path| path.exists()).or_else(|| boot().filter(|path| path.exists()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|why| unread(path, &why))
}

fn unread(path: &Path, why: &std::io::Error) -> Error {
    let why = Diagnostic::new("read", format!("the file cannot be read: {why}"), Place::Nowhere);
    Error::new(Kind::Read, why.in_file(&*path.to_string_lossy()))
}

fn no_types() -> Diagnostic {
    Diagnostic::new("btf-none", "the file has no types", Place::Nowhere).help("compile it with `-g`")
}

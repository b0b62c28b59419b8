//! BPF file systems that are mounted, and tokens of them.

use crate::failure::Failure;
use alveary_diag::{Diagnostic, Place};
use alveary_linux::sys;
use std::{
    env,
    fs::{self, File},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

/// A mounted BPF file system.
pub(crate) struct Mount {
    pub(crate) path: PathBuf,
    /// As the kernel tells them, with commas between them.
    pub(crate) options: String,
}

/// The BPF file systems of this mount namespace.
pub(crate) fn bpf() -> impl Iterator<Item = Mount> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let bpf = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        let (path, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "bpf").then(|| Mount { path: unescaped(path).into(), options: options.to_owned() })
    };
    mounts.lines().filter_map(bpf).collect::<Vec<_>>().into_iter()
}

/// What libbpf looks for the file system in whose tokens are used.
const VARIABLE: &str = "LIBBPF_BPF_TOKEN_PATH";

/// A token of the file system that the environment names, if it names one.
pub(crate) fn token() -> Result<Option<OwnedFd>, Failure> {
    let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) else { return Ok(None) };
    let path = Path::new(&path);
    let directory = File::open(path).map_err(|why| Failure::file("open", path, &why))?;
    let token = sys::token_create(directory.as_fd()).map_err(|why| -> Failure {
        let message = format!("the file system in {VARIABLE} gives no token: {}", why.errno());
        Diagnostic::new("token", message, Place::Nowhere)
            .in_file(path.display().to_string())
            .expected("a BPF file system of this user namespace that delegates something")
            .help("`alveary token list` shows what is delegated where; in the first user namespace there are no tokens")
            .into()
    })?;
    Ok(Some(token))
}

/// A path of `/proc/self/mounts`, where blanks and the like are octal numbers.
fn unescaped(path: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(path.to_owned(), |path, (code, plain)| path.replace(code, plain))
}

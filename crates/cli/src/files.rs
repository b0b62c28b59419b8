//! The files that a command line names: `-` for stdin, and that nothing is written over what is read or written beside
//! it. Knows nothing of what stands in them.

use crate::failure::Failure;
use alveary_diag::{Diagnostic, Place};
use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Symbolic links that are followed from a name that leads to no file yet; Linux follows as many.
const LINKS: usize = 40;

/// A file to read: `-` is stdin.
#[expect(clippy::unnecessary_wraps, reason = "clap takes parsers that may fail")]
pub(crate) fn input(name: &str) -> Result<PathBuf, String> {
    Ok(if name == "-" { "/dev/stdin".into() } else { name.into() })
}

/// A file to write. Not stdout, where the results go.
///
/// # Errors
/// `-`: in clap's manner.
pub(crate) fn written(name: &str) -> Result<PathBuf, String> {
    match name {
        "-" => {
            Err("results are printed to stdout, this cannot go there too; name a file (`./-` if it is called so)"
                .into())
        }
        name => Ok(name.into()),
    }
}

/// Reads a text.
///
/// # Errors
/// The file cannot be read, or is no text: says where.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    let bytes = fs::read(path).map_err(|why| Failure::file("read", path, &why))?;
    String::from_utf8(bytes).map_err(|why| {
        let offset = why.utf8_error().valid_up_to();
        Diagnostic::new("text", format!("the file is no text: byte {offset} is not UTF-8"), Place::Nowhere)
            .in_file(path.display().to_string())
            .into()
    })
}

/// A file and the argument that names it.
pub(crate) type Named<'a> = (&'static str, &'a Path);

/// Refuses to write a file that is read, or that something else is written to: under whatever name, through whatever
/// link. To be asked before anything is opened for writing.
///
/// # Errors
/// Names both arguments.
pub(crate) fn distinct(read: &[Named<'_>], written: &[Named<'_>]) -> Result<(), Diagnostic> {
    for (at, (name, path)) in written.iter().enumerate() {
        let Some(here) = Identity::of(path) else { continue };
        let others = read.iter().map(|other| (other, "reads")).chain(written[..at].iter().map(|o| (o, "writes too")));
        for ((other, there), does) in others {
            if Identity::of(there).as_ref() != Some(&here) {
                continue;
            }
            let message = format!("{name} would write over the file that {other} {does}");
            let why = Diagnostic::new("same-file", message, Place::Nowhere).help("give it a file of its own");
            let why = if path == there { why } else { why.note(format!("`{}` is the same file", there.display())) };
            return Err(why.in_file(path.display().to_string()));
        }
    }
    Ok(())
}

/// What tells files apart, however they are named.
#[derive(PartialEq)]
enum Identity {
    File {
        device: u64,
        inode: u64,
    },
    /// There is none yet: where it will be.
    Future(PathBuf),
}

impl Identity {
    /// `None` if many may write it, as a terminal or `/dev/null`, or if it cannot be told: then opening it fails too.
    fn of(path: &Path) -> Option<Identity> {
        match fs::metadata(path) {
            Ok(file) => file.is_file().then(|| Identity::File { device: file.dev(), inode: file.ino() }),
            Err(_) => future(path).map(Identity::Future),
        }
    }
}

/// Where a file comes to stand that is created by this name.
fn future(path: &Path) -> Option<PathBuf> {
    let mut path = env::current_dir().ok()?.join(path);
    for _ in 0..LINKS {
        let Ok(target) = fs::read_link(&path) else { break };
        path = path.parent()?.join(target);
    }
    Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?))
}

//! Files that are probed: found by name, their functions and notes by offset in the file.

use super::kprobe::fits;
use alveary_diag::{Diagnostic, Place as At, did_you_mean};
use alveary_sort::Gather;
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SymbolKind};
use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

/// Where libraries are, if nobody says otherwise.
const LIBRARIES: &[&str] = &[
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    // Debian's folders for several machines.
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib/riscv64-linux-gnu",
];

/// The file of that path; a name without a folder is a library's or a command's.
///
/// # Errors
/// If there is none.
pub fn find(name: &str) -> Result<PathBuf, Diagnostic> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let listed = |variable| env::var_os(variable).map(|list| env::split_paths(&list).collect::<Vec<_>>());
    let libraries = || {
        let own = listed("LD_LIBRARY_PATH").unwrap_or_default();
        own.into_iter().chain(LIBRARIES.iter().map(PathBuf::from))
    };
    let commands = || listed("PATH").unwrap_or_default().into_iter();
    let is_library = name.ends_with(".so") || name.contains(".so.");
    let folders: Vec<PathBuf> =
        if is_library { libraries().collect() } else { commands().chain(libraries()).collect() };
    folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()).ok_or_else(|| {
        Diagnostic::new("no-file", format!("there is no library or command `{name}`"), At::Nowhere)
            .help("name it with its folder")
    })
}

/// A file's bytes, and its name for messages.
pub(super) struct Elf {
    bytes: Vec<u8>,
    path: PathBuf,
}

impl Elf {
    pub(super) fn read(path: &Path) -> Result<Elf, Diagnostic> {
        let bytes = fs::read(path).map_err(|error| {
            Diagnostic::new("no-file", format!("{} cannot be read: {error}", path.display()), At::Nowhere)
        })?;
        Ok(Elf { bytes, path: path.to_owned() })
    }

    /// Where in the file a function begins.
    pub(super) fn function(&self, name: &str) -> Result<u64, Diagnostic> {
        let file = self.parse()?;
        let found = functions(&file).find(|(function, _)| plain(function) == name || *function == name);
        found.and_then(|(_, address)| offset_of(&file, address)).ok_or_else(|| {
            let message = format!("{} has no function `{name}`", self.path.display());
            let why = Diagnostic::new("no-function", message, At::Nowhere)
                .expected("a function in the file's symbol table: a stripped file has only those that others call");
            match did_you_mean(name, functions(&file).map(|(function, _)| function)) {
                Some(near) => why.help(format!("did you mean `{near}`?")),
                None => why.help("`FILE:0xOFFSET` places a probe without a symbol"),
            }
        })
    }

    /// Where in the file the functions begin whose names fit a pattern.
    pub(super) fn functions(&self, pattern: &str) -> Result<Vec<u64>, Diagnostic> {
        let file = self.parse()?;
        let fitting = functions(&file).filter(|(function, _)| fits(pattern, plain(function)));
        // Several names may stand for one place.
        let offsets: BTreeSet<u64> = fitting.filter_map(|(_, address)| offset_of(&file, address)).gather();
        if offsets.is_empty() {
            let message = format!("no function of {} fits `{pattern}`", self.path.display());
            return Err(Diagnostic::new("no-function", message, At::Nowhere));
        }
        Ok(offsets.into_iter().collect())
    }

    /// A section: its address, and its content.
    pub(super) fn section(&self, name: &str) -> Result<Option<(u64, Vec<u8>)>, Diagnostic> {
        let file = self.parse()?;
        let section = file.section_by_name(name);
        Ok(section.map(|section| (section.address(), section.data().unwrap_or_default().to_vec())))
    }

    /// Where in the file an address is.
    pub(super) fn offset(&self, address: u64) -> Result<Option<u64>, Diagnostic> {
        Ok(offset_of(&self.parse()?, address))
    }

    fn parse(&self) -> Result<object::File<'_>, Diagnostic> {
        object::File::parse(&*self.bytes).map_err(|error| {
            let message = format!("{} is no program or library: {error}", self.path.display());
            Diagnostic::new("no-elf", message, At::Nowhere).expected("an ELF file")
        })
    }
}

/// The functions of a file that have code in it, with their addresses.
fn functions<'data, 'file>(
    file: &'file object::File<'data>,
) -> impl Iterator<Item = (&'data str, u64)> + use<'data, 'file> {
    let all = file.symbols().chain(file.dynamic_symbols());
    all.filter(|symbol| symbol.is_definition() && symbol.kind() == SymbolKind::Text)
        .filter_map(|symbol| Some((symbol.name().ok()?, symbol.address())))
}

/// A name without the version that it has for the dynamic linker (`malloc@@GLIBC_2.2.5`).
fn plain(name: &str) -> &str {
    name.split('@').next().unwrap_or(name)
}

fn offset_of(file: &object::File<'_>, address: u64) -> Option<u64> {
    file.segments().find_map(|segment| {
        let inside = address.checked_sub(segment.address())?;
        let (offset, size) = segment.file_range();
        (inside < size).then(|| offset + inside)
    })
}

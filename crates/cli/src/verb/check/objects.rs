//! The objects that are judged together, and how much memory that may take: so much that all of it stays below 256 MB,
//! whatever is given.

use super::judge::To;
use crate::failure::Failure;
use alveary_diag::{Diagnostic, Place};
use alveary_spec::{Kernel, Spec};
use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    thread,
};

/// Bytes of memory that judging may take, with what was read.
const MEMORY: usize = 208 << 20;
/// The part of it that objects and copies of them may take; and how many times its size an object takes as it is read.
const COPIED: usize = 4;
const READ: usize = 2;
/// Bytes of a file that are read as an object: twenty times as much as any that is known has.
const LARGEST: u64 = 32 << 20;
/// Bytes of objects that are read at a time, but for one that is larger; and how many.
const TOGETHER: u64 = 4 << 20;
const MOST: usize = 64;

/// An object, and what its programs are held against.
#[derive(Debug)]
pub(super) struct Opened<'a> {
    pub(super) path: &'a Path,
    pub(super) spec: Spec,
    pub(super) kernel: Kernel,
    pub(super) attach: Option<To<'a>>,
}

/// Objects whose programs are judged side by side.
#[derive(Debug, Default)]
pub(super) struct Group<'a> {
    pub(super) objects: Vec<Opened<'a>>,
    /// Of their files.
    bytes: u64,
}

impl Group<'_> {
    /// Reads one more.
    pub(super) fn read(&mut self, path: &Path) -> Result<Spec, Failure> {
        let failed = |why| Failure::file("read", path, &why);
        let named = |why: Diagnostic| Failure::from(why.in_file(path.display().to_string()));
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(failed)?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > LARGEST {
            return Err(named(too_large()));
        }
        self.bytes += bytes.len() as u64;
        alveary_object::read(&bytes).map_err(named)
    }

    /// How many programs are judged at a time, if so many are asked for. Each has a copy of its object's data: of a large
    /// one there are not to be many.
    pub(super) fn workers(&self, asked: Option<u16>) -> usize {
        let asked = asked.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
        let copies = MEMORY / COPIED / (self.bytes as usize).max(1);
        asked.min(copies.saturating_sub(READ)).max(1)
    }

    /// The memory that is left for so many at a time, beside the objects, their copies, and the kernel's types.
    pub(super) fn memory(&self, workers: usize) -> usize {
        let types = self.objects.iter().filter_map(|object| Some(object.kernel.btf.as_ref()?.bytes().len()));
        let taken = (READ + workers) * self.bytes as usize + 3 * types.max().unwrap_or_default();
        MEMORY.saturating_sub(taken)
    }
}

fn too_large() -> Diagnostic {
    let most = LARGEST >> 20;
    Diagnostic::new("object-size", "the file is too large for an object to be judged", Place::Nowhere)
        .expected(format!("at most {most} MB"))
        .found(format!("more than {most} MB"))
        .help("debug information is the most of many objects: `llvm-strip -g` takes it out")
}

/// The objects in groups, whose programs are judged side by side.
pub(super) fn groups(objects: &[PathBuf]) -> impl Iterator<Item = &[PathBuf]> {
    let size = |path: &PathBuf| fs::metadata(path).map_or(0, |file| file.len());
    let mut rest = objects;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |path: &&PathBuf| {
            bytes += size(path);
            bytes <= TOGETHER
        };
        let count = rest.iter().take(MOST).take_while(fits).count().max(1);
        let (group, others) = rest.split_at_checked(count)?;
        rest = others;
        Some(group)
    })
}

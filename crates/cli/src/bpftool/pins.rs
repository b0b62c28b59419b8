//! Names in BPF file systems, where objects of the kernel are pinned: that there is such a file system, and that names
//! that were given go again if not all could be.

use crate::failure::Failure;
use alveary_diag::{Diagnostic, Place};
use rustix::{
    fs::{Mode, mkdir, statfs},
    mount::{MountFlags, UnmountFlags, mount, unmount},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// `BPF_FS_MAGIC`.
const MAGIC: u64 = 0xcafe_4a11;

/// For its owner alone.
const PRIVATE: Mode = Mode::RWXU;

/// Names that were given so far, and what was made for them: all is taken back unless all could be.
#[derive(Default)]
pub(crate) struct Pins(Vec<Made>);

enum Made {
    /// A name, or a directory of names.
    Entry(PathBuf),
    /// A BPF file system on a directory.
    Mount(PathBuf),
}

impl Pins {
    /// Where an object of this name is pinned: a BPF file system takes no dot in names.
    pub(crate) fn place(&self, directory: &Path, name: &str) -> PathBuf {
        directory.join(name.replace('.', "_"))
    }

    /// [`Pins::ready_name`], for a directory that names will be pinned in, which is made if it is not there.
    pub(crate) fn ready_directory(&mut self, directory: &Path, nomount: bool) -> Result<(), Failure> {
        if is_bpffs(directory) {
            return Ok(());
        }
        if directory.exists() {
            return self.mount(directory, nomount);
        }
        let inside = is_bpffs(parent(directory));
        if !inside && nomount {
            return Err(none(directory, "no directory is there, and none may be mounted"));
        }
        mkdir(directory, PRIVATE).map_err(|why| Failure::directory(directory, &why.into()))?;
        self.made(directory.to_owned());
        if inside { Ok(()) } else { self.mount(directory, nomount) }
    }

    /// Has the directory of a name that will be pinned be in a BPF file system. One is mounted, unless `nomount`, on a
    /// directory that is empty; never on another, whose content would vanish.
    pub(crate) fn ready_name(&mut self, name: &Path, nomount: bool) -> Result<(), Failure> {
        let directory = parent(name);
        if is_bpffs(directory) { Ok(()) } else { self.mount(directory, nomount) }
    }

    pub(crate) fn made(&mut self, path: PathBuf) {
        self.0.push(Made::Entry(path));
    }

    fn mount(&mut self, directory: &Path, nomount: bool) -> Result<(), Failure> {
        mount_on(directory, nomount)?;
        self.0.push(Made::Mount(directory.to_owned()));
        Ok(())
    }

    pub(crate) fn stay(mut self) {
        self.0.clear();
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        for made in self.0.iter().rev() {
            match made {
                Made::Entry(path) => fs::remove_file(path).or_else(|_| fs::remove_dir(path)).ok(),
                Made::Mount(directory) => unmount(directory, UnmountFlags::empty()).ok(),
            };
        }
    }
}

/// Pins one object under a name, in a BPF file system as [`Pins::ready_name`] has it.
pub(crate) fn pin<T, E: Into<Failure>>(
    name: &Path,
    nomount: bool,
    pin: impl FnOnce() -> Result<T, E>,
) -> Result<T, Failure> {
    let mut pins = Pins::default();
    pins.ready_name(name, nomount)?;
    let pinned = pin().map_err(Into::into)?;
    pins.stay();
    Ok(pinned)
}

/// The directory that a name stands in.
fn parent(name: &Path) -> &Path {
    match name.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    }
}

fn is_bpffs(directory: &Path) -> bool {
    statfs(directory).is_ok_and(|found| found.f_type as u64 == MAGIC)
}

fn mount_on(directory: &Path, nomount: bool) -> Result<(), Failure> {
    let content = fs::read_dir(directory).map_err(|why| Failure::file("read", directory, &why))?.count();
    if content > 0 {
        let what = if content == 1 { "one entry".to_owned() } else { format!("{content} entries") };
        return Err(none(directory, &format!("a directory with {what}, which a mount would hide")));
    }
    if nomount {
        return Err(none(directory, "an empty directory, and none may be mounted"));
    }
    mount("bpf", directory, "bpf", MountFlags::empty(), Some(c"mode=0700")).map_err(|why| {
        let message = format!("no BPF file system can be mounted there: {why}");
        Diagnostic::new("mount", message, Place::Nowhere)
            .in_file(directory.display().to_string())
            .help("it takes CAP_SYS_ADMIN; pin below one that is mounted already: `findmnt -t bpf`")
            .into()
    })
}

fn none(directory: &Path, found: &str) -> Failure {
    Diagnostic::new("bpffs", "there is no BPF file system to pin in", Place::Nowhere)
        .in_file(directory.display().to_string())
        .expected("a directory of one")
        .found(found)
        .help("pin below one that is there (`findmnt -t bpf`), or mount one: `mount -t bpf bpf /sys/fs/bpf`")
        .into()
}

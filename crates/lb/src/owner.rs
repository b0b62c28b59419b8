//! Who serves a balancer: one process at a time. It holds a lock on the folder of its pins, which ends with the process,
//! however that ends; which process it is the kernel tells, so that no file can say what is no longer so.

use crate::{Result, instance::folder};
use alveary_diag::{Diagnostic, Place};
use std::{
    fs::{self, File, TryLockError},
    io,
    os::{
        linux::fs::MetadataExt,
        unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long one that is about to end is waited for, and how often is looked whether it has.
const PATIENCE: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(20);
/// `BPF_FS_MAGIC`.
const BPF_FS: u64 = 0xcafe_4a11;

/// That a balancer is this process's.
#[derive(Debug)]
pub struct Owner {
    folder: PathBuf,
    lock: File,
    /// The folder is one that we made, and nothing has begun in it yet.
    is_new: bool,
}

/// Who has a balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owned {
    /// There is none of that name.
    Nothing,
    /// Packets may be balanced; no process serves it.
    Nobody,
    /// A process does.
    Process {
        /// Its number here; `None`: it cannot be seen from here. It may have another one where it runs.
        pid: Option<u32>,
        /// What [`Owner::pins`] says there.
        pins: String,
    },
}

impl Owner {
    /// Takes a balancer, once the process that may be about to end has ended.
    ///
    /// # Errors
    /// Another process serves it; there is no BPF file system.
    pub fn take(root: &Path, name: &str) -> Result<Owner> {
        let folder = folder(root, name);
        let wrong = |why: &io::Error| {
            Diagnostic::new("lb-pins", format!("{} cannot be made: {why}", folder.display()), Place::Nowhere)
                .help(format!("mount -t bpf bpf {}: that has to be a BPF file system", root.display()))
        };
        // What is not pinned is gone with the process.
        let kind = rustix::fs::statfs(root).map_err(|why| wrong(&why.into()))?.f_type;
        if kind as u64 != BPF_FS {
            return Err(wrong(&io::Error::other(format!("{} is no BPF file system", root.display()))).into());
        }
        let end = Instant::now() + PATIENCE;
        let mut is_new = false;
        loop {
            is_new |= !folder.exists();
            make(root, &folder)?;
            let lock = File::open(&folder).map_err(|why| wrong(&why))?;
            match lock.try_lock() {
                // A folder that was removed meanwhile is nobody's.
                Ok(()) if same(&lock, &folder) => return Ok(Owner { folder, lock, is_new }),
                Ok(()) => {}
                Err(TryLockError::Error(why)) => return Err(wrong(&why).into()),
                Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(AGAIN),
                Err(TryLockError::WouldBlock) => return Err(is_served(name, holder(&lock)).into()),
            }
        }
    }

    /// What has begun here stays when the process ends.
    pub fn keep(&mut self) {
        self.is_new = false;
    }

    /// What tells its folder of pins from others, whoever looks: numbers of processes are others in other containers.
    #[must_use]
    pub fn pins(&self) -> String {
        // It is open: there is nothing that could be refused.
        place(&self.lock).unwrap_or_default()
    }

    /// Who has the balancer of this name.
    ///
    /// # Errors
    /// The system's.
    pub fn of(root: &Path, name: &str) -> io::Result<Owned> {
        let lock = match File::open(folder(root, name)) {
            Ok(lock) => lock,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Owned::Nothing),
            Err(why) => return Err(why),
        };
        match lock.try_lock() {
            Ok(()) => Ok(Owned::Nobody),
            Err(TryLockError::WouldBlock) => Ok(Owned::Process { pid: holder(&lock), pins: place(&lock)? }),
            Err(TryLockError::Error(why)) => Err(why),
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if self.is_new {
            // One in which something is does not go.
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

/// Makes the folder of a balancer's pins, for its user alone: who can open it can lock it, and who can write there pins what
/// we would take over.
pub(crate) fn make(root: &Path, folder: &Path) -> Result<()> {
    let user = |path: &Path| fs::symlink_metadata(path).map(|about| about.st_uid());
    let (ours, roots) = (rustix::process::geteuid().as_raw(), user(root).ok());
    let below = folder.strip_prefix(root).unwrap_or(folder);
    let mut at = root.to_owned();
    for part in below.components() {
        at.push(part);
        let wrong = |why: &io::Error| {
            Diagnostic::new("lb-pins", format!("{} cannot be made: {why}", at.display()), Place::Nowhere)
        };
        match fs::DirBuilder::new().mode(0o700).create(&at) {
            Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(wrong(&why).into()),
            _ => {}
        }
        let about = fs::symlink_metadata(&at).map_err(|why| wrong(&why))?;
        let theirs = about.st_uid();
        // Root's, and that of the user whose file system it is, are as good.
        if !about.is_dir() || theirs != ours && theirs != 0 && Some(theirs) != roots {
            let message = format!("{} is not ours", at.display());
            let is = if about.is_dir() { format!("a folder of user {theirs}") } else { "no folder".into() };
            return Err(Diagnostic::new("lb-pins", message, Place::Nowhere)
                .expected(format!("a folder of user {ours}, or of root, or of who has {}", root.display()))
                .found(is)
                .help("see who has made it, and remove it; a BPF file system of its own keeps others out: mount -t bpf -o mode=0700 bpf DIR")
                .into());
        }
        if theirs == ours && about.st_mode() & 0o077 != 0 {
            // Of an earlier version.
            fs::set_permissions(&at, fs::Permissions::from_mode(0o700)).map_err(|why| wrong(&why))?;
        }
    }
    Ok(())
}

fn is_served(name: &str, process: Option<u32>) -> Diagnostic {
    let by = process.map_or_else(|| "a process that cannot be seen from here".into(), |pid| format!("process {pid}"));
    let end = process.map_or_else(String::new, |pid| format!(" (kill {pid})"));
    Diagnostic::new("lb-owner", format!("the balancer `{name}` is served already"), Place::Nowhere)
        .expected("a name that no process serves; nothing was changed")
        .found(by)
        .help(format!("`alveary lb reload --name {name}` has it read its configuration again"))
        .help(format!("`alveary lb stop {name}` ends it, and what it balances"))
        .help(format!("for another version: end the process{end}; packets go on, and `serve` takes over"))
}

fn same(lock: &File, folder: &Path) -> bool {
    let (ours, there) = (lock.metadata(), fs::metadata(folder));
    matches!((ours, there), (Ok(ours), Ok(there)) if (ours.st_dev(), ours.st_ino()) == (there.st_dev(), there.st_ino()))
}

/// A file's device and inode, as `/proc/locks` has them.
fn place(file: &File) -> io::Result<String> {
    let about = file.metadata()?;
    let (device, inode) = (about.st_dev(), about.st_ino());
    Ok(format!("{:02x}:{:02x}:{inode}", rustix::fs::major(device), rustix::fs::minor(device)))
}

/// The process that holds a lock on this file, as `/proc/locks` tells.
fn holder(file: &File) -> Option<u32> {
    let at = place(file).ok()?;
    fs::read_to_string("/proc/locks").ok()?.lines().find_map(|line| {
        // `6: FLOCK  ADVISORY  WRITE 30439 00:27:2730249 0 EOF`; who waits has `->` before its kind.
        let mut words = line.split_whitespace().skip(1);
        let [kind, _, _, pid, place] = [(); 5].map(|()| words.next().unwrap_or_default());
        if kind == "FLOCK" && place == at { pid.parse().ok().filter(|pid| *pid != 0) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alveary_testing::BpfFs;

    #[test]
    fn a_balancer_is_one_process_s_as_long_as_that_lives() {
        let Some(bpffs) = BpfFs::mount("lb_owner") else { return };
        let root = &bpffs.path;
        assert_eq!(Owner::of(root, "one").expect("looked"), Owned::Nothing);
        let first = Owner::take(root, "one").expect("it is free");
        let process = Owned::Process { pid: Some(std::process::id()), pins: first.pins() };
        assert_eq!(Owner::of(root, "one").expect("looked"), process);
        assert_ne!(first.pins(), Owner::take(root, "other").expect("it is free").pins());
        let Err(crate::Fault::Own(why)) = Owner::take(root, "one") else { panic!("it is taken") };
        assert_eq!(why.found, Some(format!("process {}", std::process::id())));
        let help = why.help.join("\n");
        assert!(help.contains("alveary lb reload --name one") && help.contains("alveary lb stop one"), "{help}");
        drop(Owner::take(root, "two").expect("another name"));
        drop(first);
        assert_eq!(Owner::of(root, "one").expect("looked"), Owned::Nothing, "nothing has begun in it");
        let mut kept = Owner::take(root, "one").expect("it is free");
        kept.keep();
        drop(kept);
        assert_eq!(Owner::of(root, "one").expect("looked"), Owned::Nobody);
    }

    /// `/sys/fs/bpf` may be everybody's to write to: whoever made the folder first had what root pinned there.
    #[test]
    fn pins_are_their_user_s_alone() {
        let Some(bpffs) = BpfFs::mount("lb_owner_alone") else { return };
        let (root, pins) = (&bpffs.path, bpffs.path.join("alveary-lb"));
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        fs::create_dir(&pins).expect("a folder of an earlier version");
        let mut one = Owner::take(root, "one").expect("it is free");
        one.keep();
        drop(one);
        assert_eq!((mode(&pins), mode(&pins.join("one"))), (0o700, 0o700));
        std::os::unix::fs::chown(pins.join("one"), Some(65534), None).expect("it is given away");
        let why = Owner::take(root, "one").expect_err("it is another's").to_string();
        assert!(why.contains("is not ours") && why.contains("a folder of user 65534"), "{why}");
        // One whose file system it is may have it.
        std::os::unix::fs::chown(root, Some(65534), None).expect("it is given away");
        Owner::take(root, "one").expect("it is its user's");
        fs::remove_dir(pins.join("one")).expect("it is empty");
        std::os::unix::fs::symlink("/tmp", pins.join("two")).expect("a link");
        let why = Owner::take(root, "two").expect_err("it leads elsewhere").to_string();
        assert!(why.contains("no folder"), "{why}");
    }

    #[test]
    fn pins_want_a_bpf_file_system() {
        let why = Owner::take(&std::env::temp_dir(), "one").expect_err("it is none").to_string();
        assert!(why.contains("is no BPF file system"), "{why}");
    }
}

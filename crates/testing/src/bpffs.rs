//! A BPF file system of a test's own. Nobody but the test's thread, and what it starts, sees the mount: the machine has
//! none more while the test runs, and none left when it is killed.

use std::{
    env,
    ffi::{CStr, CString},
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process, ptr,
};

/// A BPF file system that a test has to itself, until it is dropped.
#[derive(Debug)]
pub struct BpfFs {
    /// Where it is mounted.
    pub path: PathBuf,
}

impl BpfFs {
    /// Mounts one, in a mount namespace that this thread gets; `None`, and a line about it, if that is not permitted.
    ///
    /// # Panics
    /// If there is no room for a directory to mount it on.
    #[must_use]
    pub fn mount(test: &str) -> Option<BpfFs> {
        let path = env::temp_dir().join(format!("alveary-{test}-{}", process::id()));
        fs::create_dir_all(&path).expect("a directory");
        match mounted(&path) {
            Ok(()) => Some(BpfFs { path }),
            Err(why) => {
                eprintln!("SKIP {test}: no BPF file system can be mounted: {why}");
                fs::remove_dir(&path).ok();
                None
            }
        }
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        if let Ok(path) = text(&self.path) {
            // SAFETY: the text ends in a zero.
            unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        }
        fs::remove_dir(&self.path).ok();
    }
}

fn mounted(path: &Path) -> io::Result<()> {
    // SAFETY: the call changes what this thread sees, and nothing in memory.
    done(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    mount(c"none", c"/", libc::MS_REC | libc::MS_PRIVATE)?;
    mount(c"bpf", &text(path)?, 0)
}

fn mount(what: &CStr, at: &CStr, flags: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the texts end in zeros; there is no data.
    done(unsafe { libc::mount(what.as_ptr(), at.as_ptr(), what.as_ptr(), flags, ptr::null()) })
}

fn done(given: libc::c_int) -> io::Result<()> {
    if given == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn text(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

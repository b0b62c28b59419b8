//! Native code on disk: a directory of images that outlive the process which compiled them.
//!
//! What is in the directory becomes native code, so nobody else may have a say in it:
//!
//! - The directory and every file in it have to be this user's own, and nobody else's to write; the secret nobody else's
//!   to read. Otherwise nothing is kept, and nothing that was kept is used.
//! - Each image carries a code (HMAC-SHA256) of itself, its key and the secret, which the engine checks before it believes
//!   a byte. So neither another user, nor what restores old backups, mixes up files or breaks them can have something run
//!   that this user did not compile; a file that does not check is written anew. Whoever can read the secret is this user
//!   (or root), who can do all that anyway.
//! - The key is a digest of the program as it is compiled, the engine's version and sources, and the processor's features.

use alveary_diag::{Diagnostic, Place};
use alveary_sort::Sort;
use alveary_vm::{Cache, Store};
use rustix::{fs::OFlags, process::geteuid};
use std::{
    env,
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
    sync::{Arc, Once, OnceLock},
    time::SystemTime,
};

/// Bytes that the images of a directory may take; the oldest ones go first.
const LIMIT: u64 = 64 << 20;
const SECRET: &str = "secret";
const IMAGE: &str = "image";

/// A cache in a directory, which is made when the first image is asked for.
#[must_use]
pub fn directory(path: PathBuf) -> Arc<Cache> {
    directory_telling(path, |_| {})
}

/// The same, and `tell` is told why nothing can be kept there, once, when that turns out. Programs run all the same.
#[must_use]
pub fn directory_telling(path: PathBuf, tell: impl Fn(&Diagnostic) + Send + Sync + 'static) -> Arc<Cache> {
    Cache::new(Box::new(Directory {
        path,
        limit: LIMIT,
        secret: OnceLock::new(),
        told: Once::new(),
        tell: Box::new(tell),
    }))
}

/// The user's own, as a [`directory`]. `None` if there is no [`users_path`].
#[must_use]
pub fn users_own() -> Option<Arc<Cache>> {
    users_path().map(directory)
}

/// Where the user's own is: `$XDG_CACHE_HOME/alveary`, or `~/.cache/alveary`. `None` if neither is said.
#[must_use]
pub fn users_path() -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("alveary"))
}

struct Directory {
    path: PathBuf,
    limit: u64,
    /// Nothing, if the directory cannot be trusted.
    secret: OnceLock<Option<[u8; 32]>>,
    told: Once,
    tell: Box<dyn Fn(&Diagnostic) + Send + Sync>,
}

impl Store for Directory {
    fn secret(&self) -> Option<[u8; 32]> {
        *self.secret.get_or_init(|| self.open().inspect_err(|why| self.trouble(why)).ok())
    }

    fn get(&self, name: &str) -> Option<Vec<u8>> {
        let mut file = owned(&self.image(name), 0o022).ok()?;
        let mut image = Vec::new();
        (&mut file).take(self.limit).read_to_end(&mut image).ok()?;
        // Used lately: it stays.
        file.set_modified(SystemTime::now()).ok();
        Some(image)
    }

    fn put(&self, name: &str, image: &[u8]) {
        // Whether it is kept or not, the program runs.
        if (image.len() as u64) < self.limit / 2 {
            match self.write(&self.image(name), image) {
                Ok(()) => drop(self.trim()),
                Err(why) => self.trouble(&why),
            }
        }
    }
}

impl Directory {
    /// Nothing is kept, and this is why.
    fn trouble(&self, why: &io::Error) {
        self.told.call_once(|| {
            let message = format!("native code cannot be kept in {}", self.path.display());
            let why = Diagnostic::new("cache", message, Place::Nowhere).found(why.to_string());
            (self.tell)(
                &why.help("remove what is there, and it is made anew; or name another place: `XDG_CACHE_HOME`"),
            );
        });
    }

    /// Makes the directory and the secret, or looks whether they are as they have to be.
    fn open(&self) -> io::Result<[u8; 32]> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        let directory = fs::symlink_metadata(&self.path)?;
        if !directory.is_dir() || !is_own(&directory, 0o022) {
            return Err(others("the directory", 0o022));
        }
        let path = self.path.join(SECRET);
        if matches!(owned(&path, 0o077), Err(why) if why.kind() == io::ErrorKind::NotFound) {
            let mut secret = [0; 32];
            File::open("/dev/urandom")?.read_exact(&mut secret)?;
            // Another process may do the same now: the first one's counts.
            let made = self.temporary(&path, &secret)?;
            drop(fs::hard_link(&made, &path));
            fs::remove_file(&made)?;
        }
        let mut secret = [0; 32];
        owned(&path, 0o077)?.read_exact(&mut secret)?;
        Ok(secret)
    }

    fn image(&self, name: &str) -> PathBuf {
        self.path.join(name).with_extension(IMAGE)
    }

    /// Puts a file in the place of another one, as a whole.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let made = self.temporary(path, bytes)?;
        fs::rename(&made, path).inspect_err(|_| drop(fs::remove_file(&made)))
    }

    /// A file that becomes another one.
    fn temporary(&self, path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
        let made = path.with_extension(format!("{}.new", process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&made)?;
        file.write_all(bytes).inspect_err(|_| drop(fs::remove_file(&made)))?;
        Ok(made)
    }

    /// Removes the images that were not used for longest until those that are left take three quarters of what they may.
    fn trim(&self) -> io::Result<()> {
        let is_image = |path: &Path| path.extension().is_some_and(|extension| extension == IMAGE);
        let entries = fs::read_dir(&self.path)?.flatten().filter(|entry| is_image(&entry.path()));
        let mut images: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|entry| {
                let about = entry.metadata().ok()?;
                Some((about.modified().ok()?, about.len(), entry.path()))
            })
            .collect();
        let mut all: u64 = images.iter().map(|(_, bytes, _)| bytes).sum();
        if all <= self.limit {
            return Ok(());
        }
        images.order();
        for (_, bytes, path) in images {
            if all <= self.limit / 4 * 3 {
                break;
            }
            fs::remove_file(path)?;
            all -= bytes;
        }
        Ok(())
    }
}

/// Opens a file that is this user's own and gives others none of these rights.
fn owned(path: &Path, others: u32) -> io::Result<File> {
    // A pipe without a writer is not waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let about = file.metadata()?;
    let what = path.file_name().unwrap_or_default().to_string_lossy();
    if about.is_file() && is_own(&about, others) { Ok(file) } else { Err(self::others(&format!("`{what}`"), others)) }
}

/// Something that is not this user's alone.
fn others(what: &str, rights: u32) -> io::Error {
    let may = if rights & 0o044 == 0 { "write to" } else { "read or write" };
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{what} is another user's, or others may {may} it"))
}

fn is_own(about: &Metadata, others: u32) -> bool {
    about.uid() == geteuid().as_raw() && about.mode() & others == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn at(name: &str) -> Directory {
        let path = env::temp_dir().join(format!("alveary-cache-{}-{name}", process::id()));
        drop(fs::remove_dir_all(&path));
        keeping_little(path, |_| {})
    }

    fn keeping_little(path: PathBuf, tell: impl Fn(&Diagnostic) + Send + Sync + 'static) -> Directory {
        Directory { path, limit: 4_000, secret: OnceLock::new(), told: Once::new(), tell: Box::new(tell) }
    }

    fn again(directory: &Directory) -> Directory {
        keeping_little(directory.path.clone(), |_| {})
    }

    #[test]
    fn the_secret_stays_and_is_nobody_elses() {
        let directory = at("secret");
        let secret = directory.secret().expect("a directory of the test's own");
        assert_ne!(secret, [0; 32]);
        assert_eq!(again(&directory).secret(), Some(secret));
        let path = directory.path.join(SECRET);
        assert_eq!(fs::metadata(&path).expect("it is there").mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("it is ours");
        assert_eq!(again(&directory).secret(), None, "others have read it");
        drop(fs::remove_dir_all(&directory.path));
    }

    #[test]
    fn a_directory_that_others_write_to_keeps_nothing() {
        let directory = at("others");
        fs::create_dir(&directory.path).expect("it is new");
        fs::set_permissions(&directory.path, fs::Permissions::from_mode(0o777)).expect("it is ours");
        assert_eq!(directory.secret(), None);
        // That is said once.
        let (told, hear) = std::sync::mpsc::channel();
        let telling = keeping_little(directory.path.clone(), move |why| drop(told.send(why.found.clone())));
        assert_eq!(telling.secret(), None);
        telling.put("ab", b"image");
        fs::remove_dir_all(&directory.path).expect("it is ours");
        telling.put("ab", b"image");
        let found = "the directory is another user's, or others may write to it".to_owned();
        assert_eq!(hear.try_iter().collect::<Vec<_>>(), [Some(found)]);
    }

    #[test]
    fn images_are_found_again_but_not_behind_links() {
        let directory = at("images");
        directory.secret().expect("a directory of the test's own");
        directory.put("ab", b"image");
        assert_eq!(again(&directory).get("ab").as_deref(), Some(&b"image"[..]));
        assert_eq!(directory.get("cd"), None);
        std::os::unix::fs::symlink(directory.image("ab"), directory.image("cd")).expect("it is ours");
        assert_eq!(directory.get("cd"), None);
        // A pipe blocked for ever whoever opened it.
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, directory.image("ef"), rustix::fs::FileType::Fifo, mode, 0)
            .expect("a pipe");
        assert_eq!(directory.get("ef"), None);
        drop(fs::remove_dir_all(&directory.path));
    }

    #[test]
    fn the_oldest_images_go_when_there_are_too_many() {
        let directory = at("many");
        directory.secret().expect("a directory of the test's own");
        for number in 0..5_u64 {
            directory.put(&format!("{number}"), &[0; 1_000]);
            let file = File::options().write(true).open(directory.image(&format!("{number}")));
            let Ok(file) = file else { continue };
            let past = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 + number);
            file.set_modified(past).expect("it is ours");
        }
        let left: Vec<u64> = (0..5).filter(|number| directory.image(&format!("{number}")).exists()).collect();
        assert_eq!(left, [2, 3, 4]);
        drop(fs::remove_dir_all(&directory.path));
    }
}

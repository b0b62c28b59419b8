//! Objects of the kernel by id and by path.

use super::{
    Command, Error, Result,
    attr::{IdAttr, ObjectAttr},
    call::{call, call_fd, raw},
    error::OfCommand,
};
use alveary_abi::{
    Errno,
    flags::{BPF_F_PATH_FD, BPF_F_RDONLY, BPF_F_WRONLY},
};
use std::{
    ffi::CString,
    os::{
        fd::{AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

/// Kinds of objects that have ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Object {
    Prog,
    Map,
    Btf,
    Link,
}

impl Object {
    fn next(self) -> Command {
        match self {
            Object::Prog => Command::ProgGetNextId,
            Object::Map => Command::MapGetNextId,
            Object::Btf => Command::BtfGetNextId,
            Object::Link => Command::LinkGetNextId,
        }
    }

    fn open(self) -> Command {
        match self {
            Object::Prog => Command::ProgGetFdById,
            Object::Map => Command::MapGetFdById,
            Object::Btf => Command::BtfGetFdById,
            Object::Link => Command::LinkGetFdById,
        }
    }
}

/// The id behind `after` (0: the first); `None` at the end.
///
/// # Errors
/// The kernel's.
pub fn next_id(object: Object, after: u32) -> Result<Option<u32>> {
    let mut attr = IdAttr { start_id: after, ..IdAttr::default() };
    // SAFETY: there is no address.
    match unsafe { call(object.next(), &mut attr) } {
        Ok(_) => Ok(Some(attr.next_id)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(Error::new(object.next(), errno)),
    }
}

/// The ids of all objects of a kind, in order. An error ends it.
pub fn ids(object: Object) -> impl Iterator<Item = Result<u32>> {
    let mut last = Some(0);
    std::iter::from_fn(move || {
        let next = next_id(object, last?);
        last = next.as_ref().ok().copied().flatten();
        next.transpose()
    })
}

/// `BPF_*_GET_FD_BY_ID`: a descriptor of the object of this id. `flags` may say that a map is to be read alone
/// (`BPF_F_RDONLY`).
///
/// # Errors
/// `ENOENT` if there is none (any more); else the kernel's.
pub fn open_id(object: Object, id: u32, flags: u32, token: Option<BorrowedFd<'_>>) -> Result<OwnedFd> {
    let flags = flags | if token.is_some() { alveary_abi::flags::BPF_F_TOKEN_FD } else { 0 };
    let fd_by_id_token_fd = raw(token) as i32;
    let mut attr = IdAttr { start_id: id, open_flags: flags, fd_by_id_token_fd, ..IdAttr::default() };
    // SAFETY: there is no address.
    unsafe { call_fd(object.open(), &mut attr) }.of(object.open())
}

/// How a pinned object is opened, and from where its path is meant.
#[derive(Clone, Copy, Debug, Default)]
pub struct PathFlags<'a> {
    /// A map that is not written to.
    pub read_only: bool,
    /// A map that is not read.
    pub write_only: bool,
    /// The directory that a relative path starts from (Linux 6.4), else the working directory.
    pub directory: Option<BorrowedFd<'a>>,
}

impl PathFlags<'_> {
    fn bits(&self) -> u32 {
        let bit = |set, bit| if set { bit } else { 0 };
        bit(self.read_only, BPF_F_RDONLY)
            | bit(self.write_only, BPF_F_WRONLY)
            | bit(self.directory.is_some(), BPF_F_PATH_FD)
    }

    fn attr(&self, path: &CString, fd: Option<BorrowedFd<'_>>) -> ObjectAttr {
        ObjectAttr {
            pathname: path.as_ptr() as u64,
            bpf_fd: raw(fd),
            file_flags: self.bits(),
            path_fd: self.directory.map_or(0, |fd| fd.as_raw_fd()),
            ..ObjectAttr::default()
        }
    }
}

/// `BPF_OBJ_PIN`: gives an object a name in a BPF file system, by which it lives on.
///
/// # Errors
/// `EEXIST` if the name is taken, `EPERM` if the path is not in a BPF file system; else the kernel's.
pub fn obj_pin(object: BorrowedFd<'_>, path: &Path, flags: PathFlags<'_>) -> Result<()> {
    let named = |e: Error| e.named(&path.to_string_lossy());
    let text = terminated(path, Command::ObjPin).map_err(named)?;
    let mut attr = flags.attr(&text, Some(object));
    // SAFETY: the path ends in a zero.
    unsafe { call(Command::ObjPin, &mut attr) }.map(drop).of(Command::ObjPin).map_err(named)
}

/// `BPF_OBJ_GET`: opens a pinned object.
///
/// # Errors
/// `ENOENT` if there is none, `EACCES` if it is not a BPF object; else the kernel's.
pub fn obj_get(path: &Path, flags: PathFlags<'_>) -> Result<OwnedFd> {
    let named = |e: Error| e.named(&path.to_string_lossy());
    let text = terminated(path, Command::ObjGet).map_err(named)?;
    let mut attr = flags.attr(&text, None);
    // SAFETY: the path ends in a zero.
    unsafe { call_fd(Command::ObjGet, &mut attr) }.of(Command::ObjGet).map_err(named)
}

fn terminated(path: &Path, command: Command) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::new(command, Errno::EINVAL))
}

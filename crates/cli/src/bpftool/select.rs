//! Objects of the kernel as users name them: `id 7`, `name count`, `tag 6f255c4fefafbbf6`, `pinned FILE`.

use super::{usage, words::Words};
use crate::failure::Failure;
use alveary_abi::Errno;
use alveary_diag::{Diagnostic, Place};
use alveary_linux::sys::{self, Object, PathFlags, ProgInfo, ProgParts};
use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
};

/// Every object of a kind, by id. One that goes away meanwhile is left out.
pub(crate) fn all(object: Object) -> impl Iterator<Item = Result<OwnedFd, Failure>> {
    sys::ids(object).filter_map(move |id| match id.and_then(|id| sys::open_id(object, id, 0, None)) {
        Ok(fd) => Some(Ok(fd)),
        Err(gone) if gone.errno() == Errno::ENOENT => None,
        Err(why) => Some(Err(why.into())),
    })
}

/// The programs that the words name: several may have a name or a tag in common.
pub(crate) fn progs(words: &mut Words<'_>) -> Result<Vec<OwnedFd>, Failure> {
    if words.is("tag") {
        let tag = words.must("a tag of 16 hexadecimal digits")?;
        let wanted = (tag.len() == 16)
            .then(|| u64::from_str_radix(tag, 16).ok())
            .flatten()
            .ok_or_else(|| usage(format!("`{tag}` is no tag")).expected("16 hexadecimal digits"))?;
        return by(Object::Prog, "program", &format!("tag {tag}"), |fd| {
            Ok(u64::from_be_bytes(sys::prog_info(fd, ProgParts::default())?.tag) == wanted)
        });
    }
    if words.is("name") {
        let name = words.must("a program's name")?;
        return by(Object::Prog, "program", &format!("name {name}"), |fd| {
            let info = sys::prog_info(fd, ProgParts::default())?;
            // The kernel keeps 15 bytes of a name, BTF has the whole.
            Ok(name.starts_with(&info.name) && full_name(fd, &info) == name)
        });
    }
    one(words, Object::Prog, "program", "`id ID`, `tag TAG`, `name NAME` or `pinned FILE`").map(|fd| vec![fd])
}

/// The one program that the words name.
pub(crate) fn prog(words: &mut Words<'_>) -> Result<OwnedFd, Failure> {
    only(progs(words)?, "program")
}

/// The maps that the words name.
pub(crate) fn maps(words: &mut Words<'_>) -> Result<Vec<OwnedFd>, Failure> {
    if words.is("name") {
        let name = words.must("a map's name")?;
        // The kernel keeps 15 bytes.
        let kept = name.get(..15).unwrap_or(name);
        return by(Object::Map, "map", &format!("name {name}"), |fd| Ok(sys::map_info(fd)?.name == kept));
    }
    one(words, Object::Map, "map", "`id ID`, `name NAME` or `pinned FILE`").map(|fd| vec![fd])
}

/// The one map that the words name.
pub(crate) fn map(words: &mut Words<'_>) -> Result<OwnedFd, Failure> {
    only(maps(words)?, "map")
}

/// The link that the words name.
pub(crate) fn link(words: &mut Words<'_>) -> Result<OwnedFd, Failure> {
    one(words, Object::Link, "link", "`id ID` or `pinned FILE`")
}

/// The types that the words name.
pub(crate) fn btf(words: &mut Words<'_>) -> Result<OwnedFd, Failure> {
    match words.peek() {
        Some(word) if "id".starts_with(word) => one(words, Object::Btf, "BTF", "`id ID`"),
        _ => Err(words.unexpected("`id ID`")),
    }
}

/// A program's name in full: the kernel keeps 15 bytes, BTF has the rest.
pub(crate) fn full_name(fd: BorrowedFd<'_>, info: &ProgInfo) -> String {
    let long = || {
        if info.name.len() < 15 || info.btf_id == 0 {
            return None;
        }
        let more = sys::prog_info(fd, ProgParts { xlated: true, ..ProgParts::default() }).ok()?;
        let btf = super::typed::types(info.btf_id).ok()?;
        let name = btf.name(more.funcs.first()?.ty).to_owned();
        (!name.is_empty()).then_some(name)
    };
    long().unwrap_or_else(|| info.name.clone())
}

/// By id or by path.
fn one(words: &mut Words<'_>, object: Object, what: &str, ways: &str) -> Result<OwnedFd, Failure> {
    if words.is("id") {
        let id = words.number("an id")?;
        return sys::open_id(object, id, 0, None).map_err(|why| match why.errno() {
            Errno::ENOENT => Diagnostic::new("not-found", format!("there is no {what} with id {id}"), Place::Nowhere)
                .help(format!("`alveary {} list` shows those that there are", verb(object)))
                .into(),
            _ => why.into(),
        });
    }
    if words.is("pinned") {
        let path = words.must("a path")?;
        return pinned(Path::new(path), object, what);
    }
    Err(words.unexpected(ways))
}

/// An object that is pinned, which must be of the kind that is wanted.
pub(crate) fn pinned(path: &Path, object: Object, what: &str) -> Result<OwnedFd, Failure> {
    let fd = sys::obj_get(path, PathFlags::default())?;
    match kind(fd.as_fd()) {
        Some(found) if found != object => {
            Err(Diagnostic::new("wrong-kind", "something else is pinned there", Place::Nowhere)
                .in_file(path.display().to_string())
                .expected(format!("a {what}"))
                .found(format!("a {}", verb(found)))
                .into())
        }
        _ => Ok(fd),
    }
}

/// What a descriptor is of; `None` if `/proc` does not say it.
pub(crate) fn kind(fd: BorrowedFd<'_>) -> Option<Object> {
    let target = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
    // Kernels before 6.18 write `bpf_link`.
    let kinds = [("prog", Object::Prog), ("map", Object::Map), ("link", Object::Link)];
    let name = target.to_str()?.strip_prefix("anon_inode:bpf")?.strip_prefix(['-', '_'])?;
    kinds.into_iter().find(|(kind, _)| name == *kind).map(|(_, object)| object)
}

fn verb(object: Object) -> &'static str {
    match object {
        Object::Prog => "prog",
        Object::Map => "map",
        Object::Btf => "btf",
        Object::Link => "link",
    }
}

/// Those that `wanted` picks; none is an error.
fn by(
    object: Object,
    what: &str,
    how: &str,
    wanted: impl Fn(BorrowedFd<'_>) -> Result<bool, Failure>,
) -> Result<Vec<OwnedFd>, Failure> {
    let mut found = Vec::new();
    for fd in all(object) {
        let fd = fd?;
        if wanted(fd.as_fd())? {
            found.push(fd);
        }
    }
    if found.is_empty() {
        return Err(Diagnostic::new("not-found", format!("there is no {what} with {how}"), Place::Nowhere)
            .help(format!("`alveary {} list` shows those that there are", verb(object)))
            .into());
    }
    Ok(found)
}

fn only(mut found: Vec<OwnedFd>, what: &str) -> Result<OwnedFd, Failure> {
    match (found.pop(), found.len()) {
        (Some(fd), 0) => Ok(fd),
        (_, others) => {
            Err(Diagnostic::new("ambiguous", format!("{} {what}s are called so", others + 1), Place::Nowhere)
                .help("name the one that is meant by its id")
                .into())
        }
    }
}

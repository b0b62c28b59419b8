//! Whose programs are there already.

use crate::{
    holders::holders,
    sys::{self, Object, PathFlags, ProgParts},
};
use std::{
    fs,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

/// Name of the program by which libxdp runs several on one device.
const DISPATCHER: &str = "xdp_dispatcher";

/// A program as a sentence names it: its name, id, and who holds it or its link.
pub(super) fn describe(prog: u32, link: Option<u32>) -> String {
    let info =
        sys::open_id(Object::Prog, prog, 0, None).and_then(|fd| sys::prog_info(fd.as_fd(), ProgParts::default()));
    let name = info.map(|info| info.name).unwrap_or_default();
    let what = match &*name {
        DISPATCHER => "libxdp's dispatcher, which runs other programs".to_owned(),
        "" => "a program".to_owned(),
        name => format!("`{name}`"),
    };
    let held = match link {
        Some(link) => holders(Object::Link, None).remove(&link),
        None => holders(Object::Prog, None).remove(&prog),
    };
    let by: Vec<String> = held.iter().flat_map(|held| &held.by).map(|by| format!("{} ({})", by.name, by.pid)).collect();
    let how = match link {
        Some(link) => format!(", link {link}"),
        None => String::new(),
    };
    let pin = link.filter(|_| by.is_empty()).and_then(|link| pin_of(Path::new(BPFFS), link, DEEPEST));
    let held = match pin {
        Some(path) => format!("pinned at {}", path.display()),
        None if by.is_empty() => "no process that we see holds it".to_owned(),
        None => format!("held by {}", by.join(", ")),
    };
    format!("{what} (id {prog}{how}; {held})")
}

/// Where people pin, and how deep their folders are.
const BPFFS: &str = "/sys/fs/bpf";
const DEEPEST: usize = 4;

/// Where a link is pinned, if it is below `folder`.
fn pin_of(folder: &Path, link: u32, depth: usize) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).find_map(|path| {
        if path.is_dir() {
            return if depth == 0 { None } else { pin_of(&path, link, depth - 1) };
        }
        let object = sys::obj_get(&path, PathFlags { read_only: true, ..PathFlags::default() }).ok();
        let object = object.or_else(|| sys::obj_get(&path, PathFlags::default()).ok())?;
        let found = sys::link_info(object.as_fd()).ok()?;
        (found.id == link).then_some(path)
    })
}

/// Whether this program runs others: what to do about it differs.
pub(super) fn is_dispatcher(prog: u32) -> bool {
    let info =
        sys::open_id(Object::Prog, prog, 0, None).and_then(|fd| sys::prog_info(fd.as_fd(), ProgParts::default()));
    info.is_ok_and(|info| info.name == DISPATCHER)
}

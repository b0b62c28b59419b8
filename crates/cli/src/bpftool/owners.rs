//! Who keeps an object of the kernel: paths in BPF file systems, and processes that hold it open.

use super::{json::Json, mounts, select};
use alveary_linux::{
    FdInfo, Held, Holders, holders,
    sys::{self, Object, PathFlags, ProgParts},
};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
};

/// Deeper folders of a BPF file system are not looked into.
const DEEPEST: usize = 32;

/// Who keeps the objects of one kind, by id.
pub(crate) struct Owners {
    /// `None`: nobody asked.
    pins: Option<BTreeMap<u32, Vec<PathBuf>>>,
    holders: Holders,
}

impl Owners {
    /// Of all objects of a kind; looks through the file systems only if `pinned` paths are wanted.
    pub(crate) fn of(object: Object, pinned: bool) -> Owners {
        // We ourselves, who look at all of them, do not count.
        let holders = holders(object, Some(std::process::id()));
        Owners { pins: pinned.then(|| pins(object)), holders }
    }

    /// What `/proc` tells about an object that we hold by a descriptor: who looked for its holders has read it.
    pub(crate) fn info(&self, id: u32, fd: BorrowedFd<'_>) -> FdInfo {
        self.holders.get(&id).map_or_else(|| FdInfo::of(fd), |held| held.info.clone())
    }

    /// The members `pinned` and `pids` of the object's JSON. As bpftool, leaves the first out if nothing at all is pinned.
    pub(crate) fn json(&self, id: u32, json: &mut Json<'_>) -> io::Result<()> {
        if let Some(pins) = self.pins.as_ref().filter(|pins| !pins.is_empty()) {
            let paths = pins.get(&id).into_iter().flatten().map(|path| path.display().to_string());
            json.name("pinned")?;
            json.array(|json| paths.into_iter().try_for_each(|path| json.value(&path)))?;
        }
        let Some(Held { by: holders, .. }) = self.holders.get(&id) else { return Ok(()) };
        json.name("pids")?;
        json.array(|json| {
            holders.iter().try_for_each(|holder| {
                json.object(|json| {
                    json.field("pid", holder.pid)?;
                    json.field("comm", &holder.name)
                })
            })
        })
    }

    /// Lines of the paths where the object is pinned.
    pub(crate) fn pinned_text(&self, id: u32, out: &mut dyn Write) -> io::Result<()> {
        let paths = self.pins.iter().filter_map(|pins| pins.get(&id)).flatten();
        paths.into_iter().try_for_each(|path| write!(out, "\n\tpinned {}", path.display()))
    }

    /// A line of the processes that hold the object.
    pub(crate) fn pids_text(&self, id: u32, out: &mut dyn Write) -> io::Result<()> {
        let Some(Held { by: holders, .. }) = self.holders.get(&id) else { return Ok(()) };
        let names: Vec<_> = holders.iter().map(|h| format!("{}({})", h.name, h.pid)).collect();
        write!(out, "\n\tpids {}", names.join(", "))
    }
}

/// Paths of the pinned objects of a kind.
fn pins(object: Object) -> BTreeMap<u32, Vec<PathBuf>> {
    let mut found = BTreeMap::new();
    mounts::bpf().for_each(|mount| walk(&mount.path, object, DEEPEST, &mut found));
    found
}

fn walk(folder: &Path, object: Object, depth: usize, found: &mut BTreeMap<u32, Vec<PathBuf>>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(ty) if ty.is_dir() => walk(&path, object, depth, found),
            Ok(ty) if ty.is_file() => {
                if let Some(id) = pinned_id(&path, object) {
                    found.entry(id).or_default().push(path);
                }
            }
            _ => {}
        }
    }
}

fn pinned_id(path: &Path, object: Object) -> Option<u32> {
    let fd = sys::obj_get(path, PathFlags::default()).ok()?;
    if select::kind(fd.as_fd())? != object {
        return None;
    }
    match object {
        Object::Prog => Some(sys::prog_info(fd.as_fd(), ProgParts::default()).ok()?.id),
        Object::Map => Some(sys::map_info(fd.as_fd()).ok()?.id),
        Object::Link => Some(sys::link_info(fd.as_fd()).ok()?.id),
        Object::Btf => None,
    }
}

//! Who keeps an object of the kernel: paths in BPF file systems, and processes that hold it open.

use super::{fdinfo::field, json::Json, select};
use alveary_linux::sys::{self, Object, PathFlags, ProgParts};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

/// Deeper folders of a BPF file system are not looked into.
const DEEPEST: usize = 32;

/// Who keeps the objects of one kind, by id.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    /// `None`: nobody asked.
    pins: Option<BTreeMap<u32, Vec<PathBuf>>>,
    holders: BTreeMap<u32, Vec<Holder>>,
}

/// A process that holds an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pid: u32,
    name: String,
}

impl Owners {
    /// Of all objects of a kind; looks through the file systems only if `pinned` paths are wanted.
    pub(crate) fn of(object: Object, pinned: bool) -> Owners {
        Owners { pins: pinned.then(|| pins(object)), holders: holders(object) }
    }

    /// The members `pinned` and `pids` of the object's JSON. As bpftool, leaves the first out if nothing at all is pinned.
    pub(crate) fn json(&self, id: u32, json: &mut Json<'_>) -> io::Result<()> {
        if let Some(pins) = self.pins.as_ref().filter(|pins| !pins.is_empty()) {
            let paths = pins.get(&id).into_iter().flatten().map(|path| path.display().to_string());
            json.name("pinned")?;
            json.array(|json| paths.into_iter().try_for_each(|path| json.value(&path)))?;
        }
        let Some(holders) = self.holders.get(&id) else { return Ok(()) };
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
        let Some(holders) = self.holders.get(&id) else { return Ok(()) };
        let names: Vec<_> = holders.iter().map(|h| format!("{}({})", h.name, h.pid)).collect();
        write!(out, "\n\tpids {}", names.join(", "))
    }
}

/// Paths of the pinned objects of a kind.
fn pins(object: Object) -> BTreeMap<u32, Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut found = BTreeMap::new();
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        if let (Some(_), Some(at), Some("bpf")) = (fields.next(), fields.next(), fields.next()) {
            walk(Path::new(&unescaped(at)), object, DEEPEST, &mut found);
        }
    }
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

/// A path of `/proc/self/mounts`, where blanks and the like are octal numbers.
fn unescaped(path: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(path.to_owned(), |path, (code, plain)| path.replace(code, plain))
}

/// Processes that hold objects of a kind open, as far as we may look. We ourselves do not count.
fn holders(object: Object) -> BTreeMap<u32, Vec<Holder>> {
    let (target, id) = match object {
        Object::Prog => ("anon_inode:bpf-prog", "prog_id"),
        Object::Map => ("anon_inode:bpf-map", "map_id"),
        Object::Link => ("anon_inode:bpf_link", "link_id"),
        Object::Btf => ("anon_inode:btf", "btf_id"),
    };
    let us = std::process::id();
    let mut found: BTreeMap<u32, Vec<Holder>> = BTreeMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()).filter(|pid| *pid != us) else {
            continue;
        };
        for fd in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            if !fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == target) {
                continue;
            }
            let lines = fs::read_to_string(process.path().join("fdinfo").join(fd.file_name())).unwrap_or_default();
            let Some(id) = field(&lines, id) else { continue };
            let of_object = found.entry(id as u32).or_default();
            if !of_object.iter().any(|holder| holder.pid == pid) {
                let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default().trim_end().to_owned();
                of_object.push(Holder { pid, name });
            }
        }
    }
    found
}

//! Maps of the running kernel.

use super::failed;
use crate::{Error, Kind, MapHandle, Result, map::sized};
use alveary_abi::{Errno, MapType};
use alveary_diag::{Diagnostic, Place};
use alveary_linux::{
    map::Made,
    read::MappedArena,
    sys::{self, Cursor},
};
use alveary_spec::MapSpec;
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::{Arc, Mutex},
};

/// A map of the running kernel. Clones are the same map; `Send` and `Sync`. Its descriptor ([`AsFd`]) is closed with the
/// last of them.
#[derive(Clone, Debug)]
pub struct LinuxMap(Arc<Held>);

#[derive(Debug)]
struct Held {
    made: Made,
    spec: MapSpec,
    /// Who reads its events, from the first time that someone asks for them.
    events: Mutex<Option<super::events::Events>>,
}

/// Elements that are asked for with one call.
const BATCH: usize = 4096;
/// Bytes of values that are asked for with one call.
const BATCH_BYTES: usize = 1 << 20;

impl LinuxMap {
    pub(super) fn new(made: Made, spec: MapSpec) -> LinuxMap {
        LinuxMap(Arc::new(Held { made, spec, events: Mutex::default() }))
    }

    /// The map that is pinned at this path, to be used in place of the one that `spec` describes.
    ///
    /// # Errors
    /// [`Kind::Map`] if there is none, or one of another type or with other sizes of keys or values.
    pub fn pinned(path: impl AsRef<Path>, spec: &MapSpec) -> Result<LinuxMap> {
        let fd = sys::obj_get(path.as_ref(), sys::PathFlags::default()).map_err(|e| failed(e, Kind::Map))?;
        LinuxMap::opened(fd, &path.as_ref().display().to_string(), spec)
    }

    /// A map that was opened, to be used in place of the one that `spec` describes; `what` it is, for messages.
    ///
    /// # Errors
    /// [`Kind::Map`] if it is of another type or has other sizes of keys or values.
    pub fn opened(fd: OwnedFd, what: &str, spec: &MapSpec) -> Result<LinuxMap> {
        let map = sys::Map::from_fd(fd).map_err(|e| failed(e, Kind::Map))?;
        let info = map.info().map_err(|e| failed(e, Kind::Map))?;
        let mut spec = spec.clone();
        let (expected, found) =
            ((spec.def.ty.0, spec.def.key_size, spec.def.value_size), (info.ty.0, info.key_size, info.value_size));
        if expected != found {
            let message = format!("`{what}` cannot stand for map `{}`", spec.name);
            let words = |(ty, key, value)| format!("type {ty}, keys of {key} bytes, values of {value}");
            let why = Diagnostic::new("pinned-map", message, Place::Nowhere);
            return Err(Error::new(Kind::Map, why.expected(words(expected)).found(words(found))));
        }
        spec.def.max_entries = info.max_entries;
        spec.def.flags = info.map_flags;
        Ok(LinuxMap::new(Made { map, arena: None, pin: None }, spec))
    }

    /// What bpf(2) does with it.
    #[must_use]
    pub fn sys(&self) -> &sys::Map {
        &self.0.made.map
    }

    /// The memory of an arena that was made with the object.
    #[must_use]
    pub fn arena(&self) -> Option<&MappedArena> {
        self.0.made.arena.as_ref()
    }

    /// Gives it a name in a BPF file system, by which it lives on.
    ///
    /// # Errors
    /// [`Kind::Map`] if that name is taken or the path is not in such a file system.
    pub fn pin(&self, path: impl AsRef<Path>) -> Result<()> {
        alveary_linux::map::pin(self.as_fd(), path.as_ref()).map_err(|why| Error::new(Kind::Map, why))
    }

    /// Where it is to be pinned by name.
    pub(super) fn pin_path(&self) -> Option<&Path> {
        self.0.made.pin.as_deref()
    }

    pub(super) fn events(&self, each: &mut dyn FnMut(u32, &[u8])) -> Result<u64> {
        let mut events = self.0.events.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if events.is_none() {
            *events = Some(super::events::Events::open(self)?);
        }
        match &mut *events {
            Some(events) => events.drain(each),
            None => Ok(0),
        }
    }

    /// The kernel's refusal, of this map by name.
    pub(super) fn failed(&self, e: sys::Error) -> Error {
        failed(e.named(&self.0.spec.name), Kind::Map)
    }

    /// All elements in batches; `None` if the kernel has none for this type.
    fn batches(&self) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        let (key, value) = (self.sys().key_size(), self.sys().value_size());
        if key == 0 || value == 0 {
            return None;
        }
        let (mut cursor, mut all) = (Cursor::new(), Vec::new());
        let mut room = (BATCH_BYTES / (key + value)).clamp(1, BATCH).min(self.0.spec.def.max_entries.max(1) as usize);
        while !cursor.done() {
            let (mut keys, mut values) = (vec![0; room * key], vec![0; room * value]);
            match self.sys().lookup_batch(&mut cursor, &mut keys, &mut values, 0) {
                Ok(n) => {
                    let pairs = keys.chunks_exact(key).zip(values.chunks_exact(value)).take(n);
                    all.extend(pairs.map(|(key, value)| (key.to_vec(), value.to_vec())));
                }
                // A bucket with more elements than there was room for.
                Err(e) if e.errno() == Errno::ENOSPC && room < 1 << 24 => room *= 4,
                Err(_) => return None,
            }
        }
        Some(all)
    }
}

impl AsFd for LinuxMap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sys().as_fd()
    }
}

impl MapHandle for LinuxMap {
    fn spec(&self) -> &MapSpec {
        &self.0.spec
    }

    fn entry_size(&self) -> usize {
        self.sys().value_size()
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        sized(self.spec(), "key", key, self.sys().key_size())?;
        let mut value = vec![0; self.entry_size()];
        match self.sys().lookup(key, &mut value, 0) {
            Ok(()) => Ok(Some(value)),
            Err(e) if e.errno() == Errno::ENOENT => Ok(None),
            Err(e) => Err(self.failed(e)),
        }
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<()> {
        sized(self.spec(), "key", key, self.sys().key_size())?;
        sized(self.spec(), "value", value, self.entry_size())?;
        self.sys().update(key, value, flags).map_err(|e| self.failed(e))
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        sized(self.spec(), "key", key, self.sys().key_size())?;
        match self.sys().delete(key) {
            Ok(()) => Ok(true),
            Err(e) if e.errno() == Errno::ENOENT => Ok(false),
            Err(e) => Err(self.failed(e)),
        }
    }

    fn next_key(&self, after: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let mut next = vec![0; self.sys().key_size()];
        if let Some(key) = after {
            sized(self.spec(), "key", key, next.len())?;
        }
        match self.sys().next_key(after, &mut next) {
            Ok(()) => Ok(Some(next)),
            Err(e) if e.errno() == Errno::ENOENT => Ok(None),
            Err(e) => Err(self.failed(e)),
        }
    }

    fn entries(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        // Slots of such arrays are empty until something is in them, which batches do not tell from an error.
        let sparse = [MapType::PROG_ARRAY, MapType::ARRAY_OF_MAPS, MapType::CGROUP_ARRAY];
        if !sparse.contains(&self.sys().map_type())
            && let Some(all) = self.batches()
        {
            return Ok(all);
        }
        crate::map::walk(self)
    }
}

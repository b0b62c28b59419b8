//! Maps of the user-space kernel.

use crate::{Error, Kind, MapHandle, Result, map::sized};
use alveary_abi::{MapDef, Tables};
use alveary_diag::{Diagnostic, Place};
use alveary_maps::Errno;
use alveary_runtime::{HeldMap, LoadedMap};
use alveary_spec::MapSpec;

/// A map of the user-space kernel. Clones are the same map; `Send` and `Sync`.
///
/// As in the kernel, a prog array is emptied when the last handle of it is dropped, whatever programs use it.
#[derive(Clone, Debug)]
pub struct UserMap(pub(crate) HeldMap);

impl From<LoadedMap> for UserMap {
    /// A map as helpers' bodies get it.
    fn from(map: LoadedMap) -> UserMap {
        UserMap(HeldMap::new(map))
    }
}

impl UserMap {
    /// Hands over the events that programs sent through a `perf_event_array` or `ringbuf` since the last call, oldest
    /// first: the CPU, and the bytes. Gives the number of events that were lost in between.
    ///
    /// # Errors
    /// [`Kind::Map`] if the map carries no events.
    pub fn events(&self, mut each: impl FnMut(u32, &[u8])) -> Result<u64> {
        let streams = self.0.map.streams().ok_or_else(|| {
            let message = format!("map `{}` carries no events", self.0.spec.name);
            Error::new(Kind::Map, Diagnostic::new("map-operation", message, Place::Nowhere))
        })?;
        Ok(streams.drain(&mut |event| each(event.cpu, event.data)))
    }

    fn refused(&self, what: &str, e: Errno) -> Error {
        let MapDef { ty, key_size, value_size, max_entries, .. } = self.0.spec.def;
        let name = Tables::linux().map_types.iter().find(|row| row.ty == ty).map_or("?", |row| row.name);
        let message = format!("map `{}`: {what} is refused with {e}", self.0.spec.name);
        let found = format!("{name}, keys of {key_size} bytes, values of {value_size}, at most {max_entries} entries");
        Error::new(Kind::Map, Diagnostic::new("map-operation", message, Place::Nowhere).found(found))
    }

    pub(super) fn check_key(&self, key: &[u8]) -> Result<()> {
        sized(self.spec(), "key", key, self.key_size())
    }

    fn key_size(&self) -> usize {
        self.0.spec.def.key_size as usize
    }
}

impl MapHandle for UserMap {
    fn spec(&self) -> &MapSpec {
        &self.0.spec
    }

    fn entry_size(&self) -> usize {
        self.0.map.user_value_size()
    }

    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.check_key(key)?;
        let mut out = vec![0; self.entry_size()];
        match self.0.map.read(key, &mut out) {
            Ok(()) => Ok(Some(out)),
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(self.refused("a lookup", e)),
        }
    }

    fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<()> {
        self.check_key(key)?;
        sized(self.spec(), "value", value, self.entry_size())?;
        self.0.map.write(key, value, flags).map_err(|e| self.refused("an update", e))
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        self.check_key(key)?;
        match self.0.map.remove(key) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(e) => Err(self.refused("a deletion", e)),
        }
    }

    fn next_key(&self, after: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        if let Some(key) = after {
            self.check_key(key)?;
        }
        let mut out = vec![0; self.key_size()];
        match self.0.map.next_key(after, &mut out) {
            Ok(()) => Ok(Some(out)),
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(self.refused("going through its keys", e)),
        }
    }
}

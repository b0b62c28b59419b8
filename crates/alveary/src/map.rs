//! Maps from user space's side.

use crate::{Error, Kind, Result};
use alveary_diag::{Diagnostic, Place};
use alveary_spec::MapSpec;

/// A map of any target, by bytes. Values are copied: memory that programs write to is never handed out.
pub trait MapHandle: Send + Sync {
    /// What it was made from.
    fn spec(&self) -> &MapSpec;

    /// Bytes of one entry as user space sees it: for per-CPU maps the value rounded up to 8 bytes, times CPUs.
    fn entry_size(&self) -> usize;

    /// Copies the entry of `key`; `None` if there is none.
    ///
    /// # Errors
    /// [`crate::Kind::Map`] if `key` has the wrong size or the type cannot be read this way.
    fn lookup(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Writes an entry; `flags` are `BPF_ANY` (0), `BPF_NOEXIST` (1), `BPF_EXIST` (2).
    ///
    /// # Errors
    /// [`crate::Kind::Map`] with the kernel's error for this map type.
    fn update(&self, key: &[u8], value: &[u8], flags: u64) -> Result<()>;

    /// Removes an entry; `false` if there was none.
    ///
    /// # Errors
    /// [`crate::Kind::Map`] if the type does not allow it.
    fn delete(&self, key: &[u8]) -> Result<bool>;

    /// The key after `after`, from the start if that is `None` or gone; `None` at the end.
    ///
    /// # Errors
    /// [`crate::Kind::Map`] if the type has no keys.
    fn next_key(&self, after: Option<&[u8]>) -> Result<Option<Vec<u8>>>;

    /// Every key and entry. Entries that come or go meanwhile may be missing, as in the kernel.
    ///
    /// # Errors
    /// As for [`MapHandle::next_key`] and [`MapHandle::lookup`].
    fn entries(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        walk(self)
    }
}

/// Whether a slice is as long as what it is for: one of the wrong length is never passed on.
pub(crate) fn sized(map: &MapSpec, what: &str, bytes: &[u8], expected: usize) -> Result<()> {
    if bytes.len() == expected {
        return Ok(());
    }
    let message = format!("map `{}`: a {what} has the wrong size", map.name);
    let why = Diagnostic::new("map-size", message, Place::Nowhere)
        .expected(format!("{expected} bytes"))
        .found(format!("{} bytes", bytes.len()));
    Err(Error::new(Kind::Map, why))
}

/// Every key and entry, one by one.
pub(crate) fn walk<M: MapHandle + ?Sized>(map: &M) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut all = Vec::new();
    let mut key = map.next_key(None)?;
    while let Some(k) = key {
        let next = map.next_key(Some(&k))?;
        if let Some(value) = map.lookup(&k)? {
            all.push((k, value));
        }
        if all.len() > map.spec().def.max_entries as usize {
            break;
        }
        key = next;
    }
    Ok(all)
}

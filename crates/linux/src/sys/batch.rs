//! Many elements with one call (Linux 5.6).

use super::{
    Command, Map, Result,
    attr::BatchAttr,
    call::{address, address_mut, call},
};
use alveary_abi::Errno;
use std::os::fd::{AsFd, AsRawFd};

/// How far a walk over a map in batches has come.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    /// The kernel's own words; empty at the start.
    token: Vec<u8>,
    done: bool,
}

impl Cursor {
    /// At the start.
    #[must_use]
    pub fn new() -> Cursor {
        Cursor::default()
    }

    /// Whether the walk is at its end.
    #[must_use]
    pub fn done(&self) -> bool {
        self.done
    }
}

impl Map {
    /// `BPF_MAP_LOOKUP_BATCH`: the next elements, at most as many as there is room for in `keys` and `values`; gives
    /// their number. Elements that come or go meanwhile may be missing; none is there twice.
    ///
    /// # Errors
    /// `ENOSPC` if a bucket of a hash does not fit: ask again with more room. `EINVAL` for keys and values of different
    /// number; what the kernel says to types that have no batches (`ENOTSUPP`).
    pub fn lookup_batch(&self, from: &mut Cursor, keys: &mut [u8], values: &mut [u8], flags: u64) -> Result<usize> {
        self.walk(Command::MapLookupBatch, from, keys, values, flags)
    }

    /// `BPF_MAP_LOOKUP_AND_DELETE_BATCH`: as [`Map::lookup_batch`], and takes the elements out.
    ///
    /// # Errors
    /// As for [`Map::lookup_batch`].
    pub fn take_batch(&self, from: &mut Cursor, keys: &mut [u8], values: &mut [u8], flags: u64) -> Result<usize> {
        self.walk(Command::MapLookupAndDeleteBatch, from, keys, values, flags)
    }

    /// `BPF_MAP_UPDATE_BATCH`: sets many elements; gives how many were set.
    ///
    /// # Errors
    /// The kernel's, for the first element that it refuses: those before it are set.
    pub fn update_batch(&self, keys: &[u8], values: &[u8], flags: u64) -> Result<usize> {
        let count = self.count(Command::MapUpdateBatch, keys.len(), values.len())?;
        let mut attr = BatchAttr { keys: address(keys), values: address(values), ..self.batch(count, flags) };
        // SAFETY: there are as many keys and values of this map's lengths as `count` says.
        let done = unsafe { call(Command::MapUpdateBatch, &mut attr) };
        done.map(|_| attr.count as usize).map_err(|e| self.error(Command::MapUpdateBatch, e))
    }

    /// `BPF_MAP_DELETE_BATCH`: takes many elements out; gives how many were.
    ///
    /// # Errors
    /// The kernel's, for the first element that it refuses: those before it are gone.
    pub fn delete_batch(&self, keys: &[u8]) -> Result<usize> {
        let values = keys.len() / self.key_size().max(1) * self.value_size();
        let count = self.count(Command::MapDeleteBatch, keys.len(), values)?;
        let mut attr = BatchAttr { keys: address(keys), ..self.batch(count, 0) };
        // SAFETY: there are as many keys of this map's length as `count` says.
        let done = unsafe { call(Command::MapDeleteBatch, &mut attr) };
        done.map(|_| attr.count as usize).map_err(|e| self.error(Command::MapDeleteBatch, e))
    }

    fn walk(
        &self,
        command: Command,
        from: &mut Cursor,
        keys: &mut [u8],
        values: &mut [u8],
        flags: u64,
    ) -> Result<usize> {
        if from.done {
            return Ok(0);
        }
        let count = self.count(command, keys.len(), values.len())?;
        // A key, or the number of a bucket.
        let mut next = vec![0; self.key_size().max(4)];
        let mut attr = BatchAttr {
            in_batch: address(&from.token),
            out_batch: address_mut(&mut next),
            keys: address_mut(keys),
            values: address_mut(values),
            ..self.batch(count, flags)
        };
        // SAFETY: there is room for as many keys and values of this map's lengths as `count` says, and both tokens are as
        // long as the longest that the kernel uses: a key, or 4 bytes.
        let done = unsafe { call(command, &mut attr) };
        match done {
            Ok(_) => from.token = next,
            Err(Errno::ENOENT) => from.done = true,
            Err(e) => return Err(self.error(command, e)),
        }
        Ok((attr.count as usize).min(count as usize))
    }

    fn batch(&self, count: u32, flags: u64) -> BatchAttr {
        let map_fd = self.as_fd().as_raw_fd() as u32;
        BatchAttr { count, map_fd, elem_flags: flags, ..BatchAttr::default() }
    }

    /// How many elements keys and values of these lengths hold.
    fn count(&self, command: Command, keys: usize, values: usize) -> Result<u32> {
        let (key, value) = (self.key_size(), self.value_size());
        let count = keys.checked_div(key).unwrap_or_default();
        if key == 0 || count * key != keys || count.checked_mul(value) != Some(values) {
            return Err(self.error(command, Errno::EINVAL));
        }
        u32::try_from(count).map_err(|_| self.error(command, Errno::EINVAL))
    }
}

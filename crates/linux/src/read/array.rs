//! Arrays that user space may map (`BPF_F_MMAPABLE`), global variables among them.

use super::mapping::Mapping;
use crate::sys::{Map, page_size};
use alveary_abi::{Errno, MapType};
use std::{io, os::fd::AsFd, sync::atomic::Ordering};

/// The values of an array, read and written without a system call. A frozen map can only be read.
#[derive(Debug)]
pub struct MappedArray {
    memory: Mapping,
    value: usize,
    /// Bytes from a value to the next.
    stride: usize,
    entries: u32,
}

impl MappedArray {
    /// Maps this array; `writable` may be asked for unless it is frozen.
    ///
    /// # Errors
    /// `EINVAL` if it is no array; what keeps its memory from being mapped (`EPERM`: it is frozen, or was not made for
    /// it).
    pub fn open(map: &Map, writable: bool) -> io::Result<MappedArray> {
        let info = map.info().map_err(|e| io::Error::other(e.to_string()))?;
        if info.ty != MapType::ARRAY {
            return Err(io::Error::from_raw_os_error(Errno::EINVAL.0));
        }
        let value = info.value_size as usize;
        let stride = value.next_multiple_of(8);
        let len = (stride * info.max_entries as usize).next_multiple_of(page_size() as usize);
        let memory = Mapping::new(map.as_fd(), 0, len, writable)?;
        Ok(MappedArray { memory, value, stride, entries: info.max_entries })
    }

    /// A copy of a value; `None` behind the end.
    #[must_use]
    pub fn value(&self, index: u32) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.memory.copy(self.place(index)?, self.value, &mut bytes);
        Some(bytes)
    }

    /// An aligned word of a value, read at once; `None` if it is not inside one.
    #[must_use]
    pub fn word(&self, index: u32, offset: usize) -> Option<u64> {
        let inside = offset.is_multiple_of(8) && offset.checked_add(8)? <= self.value;
        let at = self.place(index).filter(|_| inside)? + offset;
        Some(self.memory.word(at).load(Ordering::Relaxed))
    }

    /// Copies bytes into a value; `false` if they do not fit inside it.
    ///
    /// # Panics
    /// If the array was mapped for reading alone.
    pub fn write(&self, index: u32, offset: usize, bytes: &[u8]) -> bool {
        let fits = offset.checked_add(bytes.len()).is_some_and(|end| end <= self.value);
        let Some(place) = self.place(index).filter(|_| fits) else { return false };
        self.memory.write(place + offset, bytes);
        true
    }

    fn place(&self, index: u32) -> Option<usize> {
        (index < self.entries).then(|| index as usize * self.stride)
    }
}

//! Arrays that user space may map (`BPF_F_MMAPABLE`), global variables among them.

use super::mapping::Mapping;
use crate::sys::{Map, MapInfo, page_size};
use alveary_abi::{Errno, MapType};
use std::{io, ops::Range, os::fd::AsFd, sync::atomic::Ordering};

/// The values of an array, read and written without a system call. A frozen map can only be read.
#[derive(Debug)]
pub struct MappedArray {
    memory: Mapping,
    value: usize,
    /// Bytes from a value to the next.
    stride: usize,
    /// Where in the array the mapping begins, in bytes.
    offset: usize,
    entries: Range<u32>,
}

impl MappedArray {
    /// Maps this array; `writable` may be asked for unless it is frozen.
    ///
    /// # Errors
    /// `EINVAL` if it is no array; what keeps its memory from being mapped (`EPERM`: it is frozen, or was not made for
    /// it).
    pub fn open(map: &Map, writable: bool) -> io::Result<MappedArray> {
        let info = map.info().map_err(|e| io::Error::other(e.to_string()))?;
        MappedArray::mapped(map, writable, &info, 0..info.max_entries)
    }

    /// Maps a part of it: indices of others are behind its end. What is mapped counts as the process's memory, all of it at
    /// once; of a large array, part after part need not.
    ///
    /// # Errors
    /// As above, and `EINVAL` for values that are not in the array.
    pub fn part(map: &Map, writable: bool, entries: Range<u32>) -> io::Result<MappedArray> {
        let info = map.info().map_err(|e| io::Error::other(e.to_string()))?;
        MappedArray::mapped(map, writable, &info, entries)
    }

    fn mapped(map: &Map, writable: bool, info: &MapInfo, entries: Range<u32>) -> io::Result<MappedArray> {
        if info.ty != MapType::ARRAY || entries.is_empty() || entries.end > info.max_entries {
            return Err(io::Error::from_raw_os_error(Errno::EINVAL.0));
        }
        let (value, page) = (info.value_size as usize, page_size() as usize);
        let stride = value.next_multiple_of(8);
        let offset = stride * entries.start as usize / page * page;
        let len = (stride * entries.end as usize - offset).next_multiple_of(page);
        let memory = Mapping::new(map.as_fd(), offset, len, writable)?;
        Ok(MappedArray { memory, value, stride, offset, entries })
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
        self.entries.contains(&index).then(|| index as usize * self.stride - self.offset)
    }
}

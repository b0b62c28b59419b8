//! Arenas: memory that programs and user space share.

use super::mapping::Mapping;
use crate::sys::{Map, page_size};
use alveary_abi::{Errno, MapType, flags::BPF_F_SEGV_ON_FAULT};
use std::{
    io,
    os::fd::AsFd,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// An arena, at the one address at which every process sees it. Pages come as they are touched.
#[derive(Debug)]
pub struct MappedArena {
    /// Threads of this process copy one after the other.
    memory: Mutex<Mapping>,
    /// A touch of a page that no program has allocated would end the process.
    forbidden: bool,
}

impl MappedArena {
    /// Maps an arena. One that was made without an address (`map_extra`) gets it now: programs that use it are loaded
    /// behind that, and it can be mapped this once.
    ///
    /// # Errors
    /// `EINVAL` if it is no arena, or was mapped elsewhere before; `EEXIST` if something else stands at its address in
    /// this process.
    pub fn open(map: &Map) -> io::Result<MappedArena> {
        let info = map.info().map_err(|e| io::Error::from_raw_os_error(e.errno().0))?;
        if info.ty != MapType::ARENA {
            return Err(io::Error::from_raw_os_error(Errno::EINVAL.0));
        }
        let len = info.max_entries as usize * page_size() as usize;
        let memory = Mapping::at(map.as_fd(), info.map_extra, len)?;
        Ok(MappedArena { memory: Mutex::new(memory), forbidden: info.map_flags & BPF_F_SEGV_ON_FAULT != 0 })
    }

    /// Where it begins: what pointers in it count from.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.memory().address()
    }

    /// A copy of bytes; `None` if they are not inside, or only programs may touch them (`BPF_F_SEGV_ON_FAULT`).
    #[must_use]
    pub fn read(&self, at: usize, len: usize) -> Option<Vec<u8>> {
        let (memory, mut bytes) = (self.memory(), Vec::new());
        self.fits(&memory, at, len).then(|| memory.copy(at, len, &mut bytes))?;
        Some(bytes)
    }

    /// Copies bytes into it; `false` if they do not fit, or only programs may touch them.
    pub fn write(&self, at: usize, bytes: &[u8]) -> bool {
        let memory = self.memory();
        let fits = self.fits(&memory, at, bytes.len());
        if fits {
            memory.write(at, bytes);
        }
        fits
    }

    fn fits(&self, memory: &Mapping, at: usize, len: usize) -> bool {
        !self.forbidden && at.checked_add(len).is_some_and(|end| end <= memory.len())
    }

    fn memory(&self) -> MutexGuard<'_, Mapping> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

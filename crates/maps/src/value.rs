//! How a map's values are copied: around the parts that only helpers may touch.

use crate::{Errno, flags, memory::Memory};
use alveary_abi::{MapDef, SpecialKind};
use alveary_sort::Sort;
use std::{
    hint,
    ops::Range,
    sync::atomic::Ordering::{Acquire, Relaxed, Release},
    thread,
};

/// How often a value's lock is tried.
const PATIENCE: u32 = 1 << 18;

/// What copying has to know of a value.
#[derive(Debug)]
pub(crate) struct Form {
    /// Bytes of one value.
    pub(crate) size: usize,
    /// Parts that copies leave out, in order.
    special: Vec<Range<usize>>,
    /// Where its `bpf_spin_lock` is.
    lock: Option<u64>,
}

impl Form {
    pub(crate) fn of(def: &MapDef) -> Form {
        let size = def.value_size as usize;
        let range = |off: u32, kind| (off as usize).min(size)..(off as usize + width(kind)).min(size);
        let mut special: Vec<_> = def.special.iter().map(|s| range(s.off, s.kind)).collect();
        special.order_by_key(|range| range.start);
        let lock = def.special.iter().find(|s| matches!(s.kind, SpecialKind::SpinLock));
        let lock = lock.map(|s| u64::from(s.off)).filter(|at| at % 4 == 0 && at + 4 <= size as u64);
        Form { size, special, lock }
    }

    /// Bytes of one value as user space sees it in a per-CPU map.
    pub(crate) fn rounded(&self) -> usize {
        self.size.next_multiple_of(8)
    }

    /// Refuses what `flags` may not be in any map: unknown ones, and `BPF_F_LOCK` without a lock.
    pub(crate) fn check_flags(&self, flags: u64) -> Result<(), Errno> {
        if flags & !flags::BPF_F_LOCK > flags::BPF_EXIST {
            return Err(Errno::EINVAL);
        }
        self.check_lock(flags)
    }

    /// Refuses `BPF_F_LOCK` without a lock.
    pub(crate) fn check_lock(&self, flags: u64) -> Result<(), Errno> {
        let locked = flags & flags::BPF_F_LOCK != 0;
        if locked && self.lock.is_none() { Err(Errno::EINVAL) } else { Ok(()) }
    }

    /// Copies `value` into the map, under the value's own lock if `flags` has `BPF_F_LOCK`.
    ///
    /// `EBUSY` if that lock stays taken: programs that nothing vouches for may keep it, or have written to it.
    pub(crate) fn update(&self, memory: &Memory, at: u64, value: &[u8], flags: u64) -> Result<(), Errno> {
        let _held = match flags & flags::BPF_F_LOCK {
            0 => None,
            _ => Some(self.lock(memory, at).ok_or(Errno::EBUSY)?),
        };
        self.store(memory, at, value);
        Ok(())
    }

    /// Copies `value` into the map.
    pub(crate) fn store(&self, memory: &Memory, at: u64, value: &[u8]) {
        if self.special.is_empty() {
            return memory.write(at, value);
        }
        for part in self.plain(value.len()) {
            memory.write_bytes(at + part.start as u64, &value[part]);
        }
    }

    /// Copies the value out of the map; parts that only helpers may touch read as zero.
    pub(crate) fn load(&self, memory: &Memory, at: u64, out: &mut [u8]) {
        memory.read(at, out);
        for part in &self.special {
            out[part.clone()].fill(0);
        }
    }

    /// Makes the value of an entry that is new: the parts that only helpers may touch are zero.
    pub(crate) fn store_new(&self, memory: &Memory, at: u64, value: &[u8]) {
        if !self.special.is_empty() {
            memory.zero(at, self.size);
        }
        self.store(memory, at, value);
    }

    /// What is between the special parts.
    fn plain(&self, len: usize) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.special.iter().map(|part| part.end));
        let ends = self.special.iter().map(|part| part.start).chain(std::iter::once(len));
        starts.zip(ends).filter(|(start, end)| start < end).map(|(start, end)| start..end)
    }

    /// Takes the value's `bpf_spin_lock`, unless it stays taken.
    fn lock<'a>(&self, memory: &'a Memory, at: u64) -> Option<impl Drop + use<'a>> {
        struct Unlock<'a>(&'a std::sync::atomic::AtomicU32);
        impl Drop for Unlock<'_> {
            fn drop(&mut self) {
                self.0.store(0, Release);
            }
        }
        let word = memory.word32(at + self.lock.unwrap_or(0));
        let mut wait = Wait::default();
        while word.compare_exchange_weak(0, 1, Acquire, Relaxed).is_err() {
            if wait.rounds() > PATIENCE {
                return None;
            }
            wait.once();
        }
        Some(Unlock(word))
    }
}

/// Waiting for a lock that is held for a few instructions: spins, then lets others run, since the holder may not be on
/// a CPU.
#[derive(Default)]
pub(crate) struct Wait(u32);

impl Wait {
    /// How often it waited.
    fn rounds(&self) -> u32 {
        self.0
    }

    pub(crate) fn once(&mut self) {
        self.0 = self.0.saturating_add(1);
        if self.0 < 64 {
            hint::spin_loop();
        } else {
            thread::yield_now();
        }
    }
}

/// Bytes of a special part (the sizes of the UAPI's opaque structures).
fn width(kind: SpecialKind) -> usize {
    match kind {
        SpecialKind::SpinLock | SpecialKind::Refcount => 4,
        SpecialKind::Kptr => 8,
        SpecialKind::Timer | SpecialKind::Workqueue | SpecialKind::ListHead | SpecialKind::RbRoot => 16,
        SpecialKind::ListNode => 24,
        SpecialKind::RbNode => 32,
    }
}

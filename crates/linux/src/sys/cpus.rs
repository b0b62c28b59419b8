//! The machine: how many CPUs the kernel may ever have (how many values an entry of a per-CPU map holds), its pages.

use std::{fs, sync::OnceLock};

/// Number of possible CPUs; `None` if `/sys` does not tell.
#[must_use]
pub fn possible_cpus() -> Option<usize> {
    static CPUS: OnceLock<Option<usize>> = OnceLock::new();
    *CPUS.get_or_init(|| count(fs::read_to_string("/sys/devices/system/cpu/possible").ok()?.trim()))
}

/// Bytes in a page of memory.
#[must_use]
pub fn page_size() -> u32 {
    // SAFETY: the call takes a number and gives one.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u32::try_from(size).unwrap_or(4096)
}

/// Numbers in a list like `0-3,8`.
pub(super) fn count(list: &str) -> Option<usize> {
    let range = |part: &str| -> Option<usize> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    list.split(',').map(range).sum()
}

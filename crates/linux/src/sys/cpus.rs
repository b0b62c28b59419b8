//! The machine: how many CPUs the kernel may ever have (how many values an entry of a per-CPU map holds), its pages.

use std::{fs, sync::OnceLock};

/// Number of possible CPUs; `None` if `/sys` does not tell.
#[must_use]
pub fn possible_cpus() -> Option<usize> {
    static CPUS: OnceLock<Option<usize>> = OnceLock::new();
    *CPUS.get_or_init(|| count(fs::read_to_string("/sys/devices/system/cpu/possible").ok()?.trim()))
}

/// Keeps this thread on one CPU: a program that it has run for a test runs there.
///
/// # Errors
/// `EINVAL` if there is no such CPU, or this thread may not use it.
pub fn stay_on_cpu(cpu: usize) -> std::io::Result<()> {
    let mut mask = [0u64; 128];
    let Some(word) = mask.get_mut(cpu / 64) else {
        return Err(std::io::Error::from_raw_os_error(alveary_abi::Errno::EINVAL.0));
    };
    *word = 1 << (cpu % 64);
    // SAFETY: the mask is as long as we say, and any bits are valid in it.
    let set = unsafe { libc::sched_setaffinity(0, size_of_val(&mask), mask.as_ptr().cast()) };
    if set < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
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

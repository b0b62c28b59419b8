//! How much memory judging one program takes. Knows the process alone, not what it judges.

use std::fs;

/// By how many bytes the process's resident memory grew at most while `work` ran; none where the kernel does not say.
///
/// What earlier work freed is given back first: growth into it would not be seen.
pub(crate) fn peak<T>(work: impl FnOnce() -> T) -> (T, Option<u64>) {
    // SAFETY: glibc's `malloc_trim` takes no pointers and only gives back memory that nobody holds.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
    // 5: the highest resident size counts anew from here (proc_pid_clear_refs(5)).
    let reset = fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = status("VmRSS:");
    let done = work();
    let peak = status("VmHWM:").zip(before).map(|(peak, before)| peak.saturating_sub(before));
    (done, peak.filter(|_| reset))
}

/// A size from what the kernel says of this process.
fn status(key: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

//! Memory that is free, and that the process has all the same.

/// Gives back to the system what was freed: the GNU allocator keeps it, for each thread that ever asked for some, where
/// something beside it is in use. What then takes much would take that in addition.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer, and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

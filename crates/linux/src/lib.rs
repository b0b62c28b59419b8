//! The Linux target: the only crate that calls bpf(2).
//!
//! Unix descriptors are [`OwnedFd`](std::os::fd::OwnedFd)s: what is dropped is let go. Knows no ELF and prints nothing.
//!
//! | module | holds |
//! |---|---|
//! | [`sys`] | every command of bpf(2) as a typed call |

pub mod sys;

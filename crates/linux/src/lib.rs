//! The Linux target: the only crate that calls bpf(2).
//!
//! Descriptors are [`OwnedFd`](std::os::fd::OwnedFd)s: what is dropped is let go. Knows no
//! eBPF objects, and of other ELF files the symbols that probes name. Prints nothing.
//!
//! | module | holds |
//! |---|---|
//! | [`sys`] | every command of bpf(2) as a typed call |
//! | [`btf`] | an object's types as the kernel takes them |
//! | [`since_epoch`], [`local_time`] | the kernel's time by the wall clock, and that as people here write it |
//! | [`FdInfo`] | what `/proc` tells about a descriptor |
//! | [`function`] | functions of programs that are loaded |
//! | [`holders()`] | processes that hold objects open |
//! | [`map`] | maps from their Specs: made, filled, frozen, pinned |
//! | [`modules`] | the types of the kernel's modules |
//! | [`probe`] | what the kernel can do, by asking it |
//! | [`profile`] | what a program costs the processor |
//! | [`prog`] | programs from what they were resolved to |
//! | [`read`] | ring buffers, perf buffers, mapped arrays |
//! | [`attach`] | programs to where they run, as links that detach when they are dropped |
//! | [`signal`] | waiting for the end that a user asks for |
//! | [`netlink`] | what rtnetlink does and says about programs: XDP, `clsact`, routes |
//! | [`Namespace`] | network namespaces |
//! | [`child`] | processes that end with this one, mounts of its own |
//! | [`set_offload`] | what network devices do for the stack |
//! | [`set_mark`] | options of sockets |
//! | [`Probing`] | raw sockets for whole packets and ICMPv6 messages |
//! | [`Tun`] | network devices whose wire is a descriptor |

pub mod attach;
pub mod btf;
pub mod child;
mod clock;
mod context;
mod fdinfo;
pub mod function;
mod holders;
pub mod map;
mod memory;
pub mod modules;
mod namespace;
pub mod netlink;
mod offload;
pub mod probe;
mod probing;
pub mod profile;
pub mod prog;
pub mod read;
pub mod signal;
mod socket_option;
pub mod sys;
mod tun;

pub use clock::{local_time, since_epoch};
pub use fdinfo::FdInfo;
pub use holders::{Held, Holder, Holders, holders};
pub use memory::give_back;
pub use namespace::Namespace;
pub use offload::{Offload, set_offload};
pub use probing::Probing;
pub use socket_option::{set_longest_segment, set_mark};
pub use tun::Tun;

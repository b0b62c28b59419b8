//! The map types: concurrent, with a documented memory layout.
//!
//! Values live in slabs whose addresses stay valid, and stay values of their map, for as long as the map lives, as in
//! Linux's preallocated maps: a reader needs no protection per element. Only what is replaced as a whole (programs,
//! inner maps) is reclaimed by quiescence ([`Domain`]). Knows no engine and no helper.
//!
//! [`create`] makes a map. [`Layout`] says where its parts stand, for code that looks them up itself; [`hash()`] is the
//! function that such code has to compute.
//!
//! # How values are shared
//! Programs on several CPUs and user space read and write one value at the same time, as in the kernel. This crate
//! copies values in words of 8 bytes, each at once, and what remains byte by byte: a copy may mix two writes, but never
//! inside an aligned word. [`Value`] is an address, not a reference, for the same reason.

mod array;
mod bloom;
mod create;
mod definition;
mod domain;
mod hash;
mod htab;
mod lru;
mod map;
mod memory;
mod object;
mod perf;
mod queue;
mod ringbuf;
mod table;
mod targets;
mod trie;
mod value;
mod words;

pub use alveary_abi::{Errno, flags};
pub use create::{Environment, create};
pub use domain::{Batch, Domain, Reader};
pub use hash::{FINISH, MULTIPLIER, hash};
pub use map::{Event, Held, Layout, Map, Queue, Slots, Streams, Value};

#[cfg(test)]
mod tests;

//! The map types: concurrent, with a documented memory layout.
//!
//! Values live in slabs whose addresses stay valid, and stay values of their map, for as long as the map lives, as in
//! Linux's preallocated maps: a reader needs no protection per element. Only what is replaced as a whole (programs,
//! inner maps) is reclaimed by quiescence. Knows no engine and no helper.

mod map;

pub use map::{Errno, Event, Held, Layout, Map, Slots, Streams, Value};

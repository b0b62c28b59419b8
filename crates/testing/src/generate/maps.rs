//! The maps of every generated program, by index.

use crate::plain::{def, map_spec};
use alveary_abi::{MapType, flags};
use alveary_spec::{Initial, MapSpec};
use std::collections::BTreeMap;

/// Name, type, bytes of keys and values, entries.
const ROWS: [(&str, MapType, u32, u32, u32); 20] = [
    ("array", MapType::ARRAY, 4, 48, 4),
    ("hash", MapType::HASH, 8, 24, 8),
    ("array_of_cpus", MapType::PERCPU_ARRAY, 4, 16, 2),
    ("hash_of_cpus", MapType::PERCPU_HASH, 4, 8, 4),
    ("lru", MapType::LRU_HASH, 4, 33, 4),
    ("trie", MapType::LPM_TRIE, 8, 12, 8),
    ("programs", MapType::PROG_ARRAY, 4, 4, 4),
    ("events", MapType::PERF_EVENT_ARRAY, 4, 4, 1),
    ("ring", MapType::RINGBUF, 0, 0, 4096),
    ("queue", MapType::QUEUE, 0, 8, 4),
    ("stack", MapType::STACK, 0, 16, 4),
    ("bloom", MapType::BLOOM_FILTER, 0, 8, 16),
    ("one", MapType::ARRAY, 4, 64, 1),
    ("fixed", MapType::ARRAY, 4, 32, 1),
    ("devices", MapType::DEVMAP, 4, 4, 4),
    ("cpus", MapType::CPUMAP, 4, 4, 2),
    ("sockets", MapType::XSKMAP, 4, 4, 4),
    ("big", MapType::ARRAY, 4, 300, 2),
    ("hash_of_two", MapType::HASH, 2, 8, 4),
    ("hash_of_twenty", MapType::LRU_HASH, 20, 16, 4),
];

/// Index of the prog array.
pub const PROGRAMS: u32 = 6;
pub(super) const RING: u32 = 8;
/// Of a map of one value, of which addresses can be taken.
pub(super) const ONE: u32 = 12;
/// Of one that holds [`CONSTANTS`] and never changes.
pub(super) const FIXED: u32 = 13;

/// What never changes: a text, then numbers.
pub(super) const CONSTANTS: [u8; 32] =
    *b"%d %x\0\0\0\x0f\0\0\0\x20\0\0\0\xff\xff\xff\xff\x07\0\0\0\0\0\0\x80\0\x7f\0\x80";

/// Their names, in the order of programs' indices.
#[must_use]
pub fn map_names() -> Vec<String> {
    ROWS.iter().map(|row| row.0.to_owned()).collect()
}

/// The maps that generated programs use, by name.
#[must_use]
pub fn maps() -> BTreeMap<String, MapSpec> {
    ROWS.iter().map(|row| (row.0.to_owned(), spec(*row))).collect()
}

/// Type, key and value size of map `index`.
pub(super) fn shape(index: u32) -> (MapType, u32, u32) {
    let (_, ty, key, value, _) = ROWS[index as usize];
    (ty, key, value)
}

/// The number of maps.
pub(super) const COUNT: u32 = ROWS.len() as u32;

fn spec((name, ty, key_size, value_size, max_entries): (&str, MapType, u32, u32, u32)) -> MapSpec {
    let mut spec = map_spec(name, def(ty, key_size, value_size, max_entries));
    match name {
        "trie" => spec.def.flags = flags::BPF_F_NO_PREALLOC,
        "fixed" => {
            spec.def.flags = flags::BPF_F_RDONLY_PROG;
            spec.initial = Initial::Bytes(CONSTANTS.to_vec());
            spec.freeze = true;
        }
        _ => {}
    }
    spec
}

//! What every map type offers.

use crate::Errno;
use alveary_abi::MapDef;
use std::{any::Any, sync::Arc};

/// A value as a program sees it: an address and a length, never a Rust reference, since other CPUs write to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// First byte. Valid for as long as the map.
    pub addr: *mut u8,
    /// Bytes.
    pub len: u32,
}

/// Where a map's parts stand, as byte offsets from [`Map::base`]: what inlined lookups and checked runs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Nothing may be known.
    Opaque,
    /// Value i of CPU c is at `data + c * cpu_stride + i * stride`; `cpu_stride` is 0 for maps with one value for all.
    Array {
        /// First value.
        data: u64,
        /// From one value to the next.
        stride: u32,
        /// Entries.
        max: u32,
        /// From one CPU's values to the next's.
        cpu_stride: u64,
        /// How many CPUs have values: 1 if it is one value for all.
        cpus: u32,
    },
    /// A hash table. Bucket b is at `buckets + b * 8`. Slot i is at `slots + i * slot`; its key is `key` bytes behind
    /// that. The value of slot i for CPU c is at `values + c * cpu_stride + i * value_stride`.
    ///
    /// Walking a chain without a lock: a walk that comes to the end without a hit is a miss only if the bucket's version
    /// is the same as before the walk; otherwise slots may have moved to other chains meanwhile, and [`Map::lookup`] has
    /// to decide. A slot whose key matches is a hit by the same rule, since it may have been read in parts while it got
    /// another key; keys of 1, 4 and 8 bytes are written at once, and a slot that has one is a hit.
    Hash {
        /// First bucket: the 32-bit number + 1 of the first slot of its chain (0 for none), then its 32-bit version.
        buckets: u64,
        /// Number of buckets - 1.
        mask: u32,
        /// First slot.
        slots: u64,
        /// From one slot to the next.
        slot: u32,
        /// From a slot to the 32-bit number + 1 of the next slot in its chain.
        next: u32,
        /// From a slot to its key.
        key: u32,
        /// First value.
        values: u64,
        /// From one value to the next.
        value_stride: u32,
        /// Slots.
        max: u32,
        /// From one CPU's values to the next's.
        cpu_stride: u64,
        /// How many CPUs have values: 1 if it is one value for all.
        cpus: u32,
        /// Seed of the hash function ([`hash`](crate::hash())).
        seed: u64,
        /// From a slot to the byte that a lookup sets to 1 (LRU maps: the slot was used), 0 for none.
        used: u32,
    },
    /// A trie of prefixes. Node i is at `nodes + i * node`; links are numbers of nodes + 1, 0 for none. A prefix has the
    /// layout of a key's, and zeroes up to a whole word of 64 bits behind it.
    ///
    /// Walking down without a lock: from the root, as long as a node's prefix is one of the key, to the child that the
    /// key's next bit says; the last node on the way that is an entry is what is found. Children have longer prefixes than
    /// what is above them. All this counts only if the version is even and the same before and behind the walk; otherwise
    /// [`Map::lookup`] has to decide.
    Trie {
        /// The 32-bit version.
        version: u64,
        /// The 32-bit link to the first node.
        root: u64,
        /// First node.
        nodes: u64,
        /// From one node to the next.
        node: u32,
        /// From a node to the 32-bit links to its two children.
        child: u32,
        /// From a node to the 32-bit number of bits of its prefix, whose top bit is set if it is no entry.
        bits: u32,
        /// From a node to its prefix.
        prefix: u32,
        /// From a node to its value.
        value: u32,
        /// Nodes.
        max: u32,
    },
    /// Entries that only [`Map::lookup`] finds: its values are at `data + i * stride`.
    Values {
        /// First value.
        data: u64,
        /// From one value to the next.
        stride: u32,
        /// Values.
        max: u32,
    },
    /// 64-bit words of held objects (prog_array, map-in-map): entry i is at `data + i * 8`, 0 for none.
    Words {
        /// First word.
        data: u64,
        /// Entries.
        max: u32,
    },
}

/// A map. The first group of methods is a program's side, on one virtual CPU; the second is user space's: it copies,
/// and sees the values of all CPUs.
///
/// # Safety
/// Programs access memory where a map says that its values are. So, for as long as it lives:
/// - every value that [`Map::layout`] describes, counted from [`Map::base`], what [`Map::lookup`] gives, and until it
///   is committed what [`Streams::reserve`] gives, is memory that may be read and, unless the definition has
///   `BPF_F_RDONLY_PROG`, written through raw pointers by several threads at once;
/// - there never is a Rust reference to it, other than to atomics;
/// - of one map, `def`, `layout` and `base` always give the same.
pub unsafe trait Map: Send + Sync {
    /// What it was made from.
    fn def(&self) -> &MapDef;
    /// Where its parts stand.
    fn layout(&self) -> Layout;
    /// What the layout's offsets count from.
    fn base(&self) -> *const u8;

    /// `bpf_map_lookup_elem` on `cpu` (`bpf_map_lookup_percpu_elem` on another). `key` is `key_size` bytes.
    fn lookup(&self, cpu: u32, key: &[u8]) -> Option<Value>;
    /// `bpf_map_update_elem` on `cpu`: in a per-CPU map it writes that CPU's value and zeroes the others' of a new entry.
    ///
    /// # Errors
    /// The kernel's for this map type.
    fn update(&self, cpu: u32, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno>;
    /// `bpf_map_delete_elem`.
    ///
    /// # Errors
    /// The kernel's for this map type.
    fn delete(&self, key: &[u8]) -> Result<(), Errno>;

    /// Bytes that user space reads and writes for one entry: for per-CPU maps the value rounded up to 8, times CPUs.
    fn user_value_size(&self) -> usize;
    /// `BPF_MAP_LOOKUP_ELEM`: copies the entry (all CPUs) into `out`, which is `user_value_size` bytes.
    ///
    /// # Errors
    /// `ENOENT` if there is none, and the kernel's others.
    fn read(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno>;
    /// `BPF_MAP_UPDATE_ELEM`; `value` is `user_value_size` bytes.
    ///
    /// # Errors
    /// The kernel's for this map type.
    fn write(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno>;
    /// `BPF_MAP_DELETE_ELEM`.
    ///
    /// # Errors
    /// The kernel's for this map type.
    fn remove(&self, key: &[u8]) -> Result<(), Errno>;
    /// `BPF_MAP_LOOKUP_AND_DELETE_ELEM`: [`Map::read`] and [`Map::remove`] in one (queues and stacks pop).
    ///
    /// # Errors
    /// `ENOTSUPP` for types that cannot, and the kernel's others.
    fn take(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno>;
    /// `BPF_MAP_GET_NEXT_KEY`: the key after `after` (from the start if it is `None` or is no key) into `out`.
    ///
    /// # Errors
    /// `ENOENT` after the last.
    fn next_key(&self, after: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno>;
    /// `BPF_MAP_FREEZE`: user space may no longer write.
    fn freeze(&self);

    /// Entries that are objects, for the types that have such.
    fn slots(&self) -> Option<&dyn Slots> {
        None
    }
    /// Streams of events, for the types that have such.
    fn streams(&self) -> Option<&dyn Streams> {
        None
    }
    /// Values without keys, for the types that have such.
    fn queue(&self) -> Option<&dyn Queue> {
        None
    }
}

/// Entries that are objects: prog_array, array_of_maps, hash_of_maps.
pub trait Slots: Send + Sync {
    /// Sets or clears the object of an entry; the old one is dropped when no CPU can see it any more.
    ///
    /// # Errors
    /// `EINVAL` for an object of the wrong kind, and the kernel's for this map type.
    fn set(&self, key: &[u8], object: Option<Arc<dyn Held>>, flags: u64) -> Result<(), Errno>;
    /// The object of an entry.
    fn get(&self, key: &[u8]) -> Option<Arc<dyn Held>>;
    /// The word of an entry, as a program on a CPU that is inside the map's [`Domain`](crate::Domain) may use it; 0 for
    /// none.
    fn word(&self, key: &[u8]) -> u64;
}

/// An object that a map can hold.
///
/// # Safety
/// Who reads a map's words trusts them. For as long as the object lives, `word` has to be what the owner of the maps
/// takes it for; `alveary-runtime` takes the word of a map for the address of a map of its own, so that only it can
/// implement this for maps.
pub unsafe trait Held: Any + Send + Sync {
    /// What inlined code loads: the owner's word for it, not 0.
    fn word(&self) -> u64;
    /// Its id, as user space reads it.
    fn id(&self) -> u32;
    /// What it was made from, if it is a map; `None` for a program.
    fn map(&self) -> Option<&MapDef> {
        None
    }
}

/// Values without keys: queue, stack, bloom_filter.
pub trait Queue: Send + Sync {
    /// `bpf_map_push_elem`.
    ///
    /// # Errors
    /// `E2BIG` if it is full and `flags` has no `BPF_EXIST`, `EINVAL` for other flags.
    fn push(&self, value: &[u8], flags: u64) -> Result<(), Errno>;
    /// `bpf_map_pop_elem`: takes the next value. `out` is zeroed if there is none.
    ///
    /// # Errors
    /// `ENOENT` if there is none.
    fn pop(&self, out: &mut [u8]) -> Result<(), Errno>;
    /// `bpf_map_peek_elem`: copies the next value; for a bloom filter, asks whether `value` may be in it.
    ///
    /// # Errors
    /// `ENOENT` if there is none.
    fn peek(&self, value: &mut [u8]) -> Result<(), Errno>;
}

/// Maps that programs send events through: perf_event_array, ringbuf.
pub trait Streams: Send + Sync {
    /// `bpf_perf_event_output`, `bpf_ringbuf_output`: `parts` one behind the other.
    ///
    /// # Errors
    /// The kernel's: `ENOENT` for an index that has no reader, `ENOSPC`, `EAGAIN` when it is full.
    fn output(&self, cpu: u32, index: u64, parts: &[&[u8]], flags: u64) -> Result<(), Errno>;
    /// `bpf_ringbuf_reserve`: address of `size` bytes, zero on failure.
    fn reserve(&self, size: u64, flags: u64) -> Option<Value>;
    /// `bpf_ringbuf_submit` or, with `discard`, `bpf_ringbuf_discard` of a reservation.
    ///
    /// # Errors
    /// `EINVAL` if `addr` is no open reservation of this map.
    fn commit(&self, addr: u64, discard: bool, flags: u64) -> Result<(), Errno>;
    /// `bpf_ringbuf_query`.
    fn query(&self, what: u64) -> u64;
    /// Hands over what has arrived since the last call, oldest first; gives the number of events lost in between.
    fn drain(&self, each: &mut dyn FnMut(Event<'_>)) -> u64;
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The CPU that sent it (0 for a ring buffer).
    pub cpu: u32,
    /// What it sent.
    pub data: &'a [u8],
}

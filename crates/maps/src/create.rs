//! Making a map: the rows of the types, and the choice between them.

use crate::{
    Domain, Errno, Map,
    array::Array,
    bloom::Bloom,
    definition::{Most, Row, Size, refuse},
    flags::{
        BPF_F_INNER_MAP, BPF_F_MMAPABLE, BPF_F_NO_COMMON_LRU, BPF_F_NO_PREALLOC, BPF_F_NUMA_NODE, BPF_F_PRESERVE_ELEMS,
        BPF_F_RDONLY, BPF_F_RDONLY_PROG, BPF_F_WRONLY, BPF_F_WRONLY_PROG, BPF_F_ZERO_SEED,
    },
    htab::Hash,
    object::{Kind, Object},
    perf::PerfEvents,
    queue::{Line, Next},
    ringbuf::Ringbuf,
    targets::{DeviceHash, Target, Targets},
    trie::Trie,
    words::{HashOfMaps, Words},
};
use alveary_abi::{MapDef, MapType};
use alveary_diag::Diagnostic;
use std::sync::Arc;

/// The machine that maps are made for.
#[derive(Clone, Debug)]
pub struct Environment {
    /// CPUs: how many values a per-CPU map has, and from which numbers programs write.
    pub cpus: u32,
    /// Bytes in a page: ring buffers are multiples of it.
    pub page: u32,
    /// Seed of the hash functions (`BPF_F_ZERO_SEED` overrides it): the same seed gives the same key order.
    pub seed: u64,
    /// The CPUs that may see objects in the maps.
    pub domain: Arc<Domain>,
}

/// Makes a map. `inner` is the template of array_of_maps and hash_of_maps.
///
/// Only addresses are reserved: memory is taken as entries are used.
///
/// # Errors
/// What the kernel refuses too, with its error number as the diagnostic's `kernel` text (`-EINVAL`), what was expected
/// and what was found; and types that this crate does not have.
pub fn create(def: &MapDef, inner: Option<&MapDef>, env: &Environment) -> Result<Arc<dyn Map>, Diagnostic> {
    let row = ROWS.iter().find(|row| row.ty == def.ty).ok_or_else(|| {
        let known = ROWS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
        refuse("this map type is not supported", Errno::EINVAL)
            .expected(format!("one of {known}"))
            .found(format!("type {}", def.ty.0))
    })?;
    row.check(def, inner, env)?;
    // Programs get addresses of these values, and the kernel lets them write none.
    let read_only = matches!(def.ty, MapType::DEVMAP | MapType::DEVMAP_HASH);
    let def = MapDef { flags: def.flags | if read_only { BPF_F_RDONLY_PROG } else { 0 }, ..def.clone() };
    (row.make)(&def, inner, env).map_err(|errno| {
        let (keys, values, max) = (def.key_size, def.value_size, def.max_entries);
        refuse(format!("a {} map of this size cannot be had", row.name), errno)
            .found(format!("{max} entries, keys of {keys} bytes, values of {values} bytes"))
    })
}

/// Who may read and write: every type with values takes these flags.
const ACCESS: u32 = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
/// The same, of types whose values programs do not see.
const USER_ACCESS: u32 = BPF_F_RDONLY | BPF_F_WRONLY;
const HASH: u32 = ACCESS | BPF_F_NO_PREALLOC | BPF_F_ZERO_SEED;
const LRU: u32 = ACCESS | BPF_F_NO_COMMON_LRU | BPF_F_ZERO_SEED;

const NONE: Size = Size::Is(&[0]);
const INDEX: Size = Size::Is(&[4]);
const ANY: Size = Size::Within(1, u32::MAX);
/// A number, or a number and a program.
const TARGET: Size = Size::Is(&[4, 8]);
/// A prefix length and 1 to 256 bytes.
const PREFIX: Size = Size::Within(5, 260);

/// What most types have in common.
const ROW: Row = Row {
    ty: MapType::UNSPEC,
    name: "",
    key: INDEX,
    value: INDEX,
    most: Most::Signed,
    flags: 0,
    needs: 0,
    unsupported: 0,
    extra: 0,
    outer: false,
    make: |_, _, _| Err(Errno::EINVAL),
};

#[rustfmt::skip]
static ROWS: &[Row] = &[
    Row { ty: MapType::HASH, name: "hash", key: ANY, value: ANY, most: Most::Entry, flags: HASH | BPF_F_NUMA_NODE,
          make: |def, _, env| object(def, Hash::shared(def, env.cpus, seed(def, env))), ..ROW },
    Row { ty: MapType::ARRAY, name: "array", value: ANY, flags: ACCESS | BPF_F_NUMA_NODE | BPF_F_MMAPABLE | BPF_F_INNER_MAP,
          make: |def, _, _| object(def, Array::shared(def)), ..ROW },
    Row { ty: MapType::PROG_ARRAY, name: "prog_array", flags: USER_ACCESS | BPF_F_NUMA_NODE,
          make: |def, _, env| object(def, Words::new(def, None, &env.domain)), ..ROW },
    Row { ty: MapType::PERF_EVENT_ARRAY, name: "perf_event_array", flags: USER_ACCESS | BPF_F_NUMA_NODE | BPF_F_PRESERVE_ELEMS,
          make: |def, _, env| object(def, PerfEvents::new(def, env.cpus)), ..ROW },
    Row { ty: MapType::PERCPU_HASH, name: "percpu_hash", key: ANY, value: ANY, most: Most::PerCpu, flags: HASH,
          make: |def, _, env| object(def, Hash::per_cpu(def, env.cpus, seed(def, env))), ..ROW },
    Row { ty: MapType::PERCPU_ARRAY, name: "percpu_array", value: ANY, most: Most::PerCpu, flags: ACCESS,
          make: |def, _, env| object(def, Array::per_cpu(def, env.cpus)), ..ROW },
    Row { ty: MapType::LRU_HASH, name: "lru_hash", key: ANY, value: ANY, most: Most::Entry, flags: LRU | BPF_F_NUMA_NODE, unsupported: BPF_F_NO_PREALLOC,
          make: |def, _, env| object(def, Hash::lru(def, env.cpus, seed(def, env))), ..ROW },
    Row { ty: MapType::LRU_PERCPU_HASH, name: "lru_percpu_hash", key: ANY, value: ANY, most: Most::PerCpu, flags: LRU, unsupported: BPF_F_NO_PREALLOC,
          make: |def, _, env| object(def, Hash::lru_per_cpu(def, env.cpus, seed(def, env))), ..ROW },
    Row { ty: MapType::LPM_TRIE, name: "lpm_trie", key: PREFIX, value: Size::Within(1, (4 << 20) - 256 - 40),
          flags: ACCESS | BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE, needs: BPF_F_NO_PREALLOC, make: |def, _, _| object(def, Trie::new(def)), ..ROW },
    Row { ty: MapType::ARRAY_OF_MAPS, name: "array_of_maps", flags: USER_ACCESS | BPF_F_NUMA_NODE, outer: true,
          make: |def, inner, env| object(def, Words::new(def, inner, &env.domain)), ..ROW },
    Row { ty: MapType::HASH_OF_MAPS, name: "hash_of_maps", key: ANY, most: Most::Entry, flags: HASH | BPF_F_NUMA_NODE, outer: true,
          make: |def, inner, env| object(def, HashOfMaps::new(def, inner, env.cpus, seed(def, env), &env.domain)), ..ROW },
    Row { ty: MapType::DEVMAP, name: "devmap", value: TARGET, flags: USER_ACCESS | BPF_F_NUMA_NODE,
          make: |def, _, _| object(def, Targets::new(def, Target::Device)), ..ROW },
    Row { ty: MapType::CPUMAP, name: "cpumap", value: TARGET, flags: BPF_F_NUMA_NODE,
          make: |def, _, env| object(def, Targets::new(def, Target::Cpu(env.cpus))), ..ROW },
    Row { ty: MapType::XSKMAP, name: "xskmap", flags: USER_ACCESS | BPF_F_NUMA_NODE,
          make: |def, _, _| object(def, Targets::new(def, Target::Socket)), ..ROW },
    Row { ty: MapType::QUEUE, name: "queue", key: NONE, value: ANY, most: Most::Product, flags: ACCESS | BPF_F_NUMA_NODE,
          make: |def, _, _| object(def, Line::new(def, Next::First)), ..ROW },
    Row { ty: MapType::STACK, name: "stack", key: NONE, value: ANY, most: Most::Product, flags: ACCESS | BPF_F_NUMA_NODE,
          make: |def, _, _| object(def, Line::new(def, Next::Last)), ..ROW },
    Row { ty: MapType::DEVMAP_HASH, name: "devmap_hash", value: TARGET, flags: USER_ACCESS | BPF_F_NUMA_NODE,
          make: |def, _, env| object(def, DeviceHash::new(def, env.cpus, seed(def, env))), ..ROW },
    Row { ty: MapType::RINGBUF, name: "ringbuf", key: NONE, value: NONE, most: Most::Pages, flags: BPF_F_NUMA_NODE,
          make: |def, _, _| object(def, Ringbuf::new(def)), ..ROW },
    Row { ty: MapType::BLOOM_FILTER, name: "bloom_filter", key: NONE, value: ANY, most: Most::Piece,
          flags: ACCESS | BPF_F_NUMA_NODE | BPF_F_ZERO_SEED, extra: 15, make: |def, _, env| object(def, Bloom::new(def, seed(def, env))), ..ROW },
];

fn object<K: Kind>(def: &MapDef, kind: Result<K, Errno>) -> Result<Arc<dyn Map>, Errno> {
    Ok(Arc::new(Object::new(def, kind?)))
}

/// Seed of the hash function of a map.
fn seed(def: &MapDef, env: &Environment) -> u64 {
    if def.flags & BPF_F_ZERO_SEED == 0 { env.seed } else { 0 }
}

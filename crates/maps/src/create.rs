//! Making a map: the rows of the types, and the choice between them.

use crate::{
    Domain, Errno, Map,
    array::Array,
    definition::{Most, Row, Size, refuse},
    flags::{INNER_MAP, MMAPABLE, NO_PREALLOC, NUMA_NODE, RDONLY, RDONLY_PROG, WRONLY, WRONLY_PROG, ZERO_SEED},
    htab::Hash,
    object::{Kind, Object},
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
    row.check(def)?;
    (row.make)(def, inner, env).map_err(|errno| {
        let (keys, values, max) = (def.key_size, def.value_size, def.max_entries);
        refuse(format!("a {} map of this size cannot be had", row.name), errno)
            .found(format!("{max} entries, keys of {keys} bytes, values of {values} bytes"))
    })
}

/// Who may read and write: every type with values takes these flags.
const ACCESS: u32 = RDONLY | WRONLY | RDONLY_PROG | WRONLY_PROG;
const HASH: u32 = ACCESS | NO_PREALLOC | ZERO_SEED;

const INDEX: Size = Size::Is(&[4]);
const ANY: Size = Size::Within(1, u32::MAX);

#[rustfmt::skip]
static ROWS: &[Row] = &[
    Row { ty: MapType::HASH, name: "hash", key: ANY, value: ANY, most: Most::Entry, flags: HASH | NUMA_NODE, needs: 0,
          make: |def, _, env| object(def, Hash::shared(def, env.cpus, seed(def, env))) },
    Row { ty: MapType::ARRAY, name: "array", key: INDEX, value: ANY, most: Most::Signed, flags: ACCESS | NUMA_NODE | MMAPABLE | INNER_MAP, needs: 0,
          make: |def, _, _| object(def, Array::shared(def)) },
    Row { ty: MapType::PERCPU_HASH, name: "percpu_hash", key: ANY, value: ANY, most: Most::PerCpu, flags: HASH, needs: 0,
          make: |def, _, env| object(def, Hash::per_cpu(def, env.cpus, seed(def, env))) },
    Row { ty: MapType::PERCPU_ARRAY, name: "percpu_array", key: INDEX, value: ANY, most: Most::PerCpu, flags: ACCESS, needs: 0,
          make: |def, _, env| object(def, Array::per_cpu(def, env.cpus)) },
];

fn object<K: Kind>(def: &MapDef, kind: Result<K, Errno>) -> Result<Arc<dyn Map>, Errno> {
    Ok(Arc::new(Object::new(def, kind?)))
}

/// Seed of the hash function of a map.
fn seed(def: &MapDef, env: &Environment) -> u64 {
    if def.flags & ZERO_SEED == 0 { env.seed } else { 0 }
}

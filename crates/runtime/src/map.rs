//! A map of the runtime: what it was made from beside what it is.

use alveary_abi::{MapType, ProgType};
use alveary_diag::{Diagnostic, Place};
use alveary_maps::{Domain, Errno, Map};
use alveary_spec::MapSpec;
use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A map that exists: `map` and what belongs to it ([`MapParts`]). Cheap to clone: clones are the same map. `Send` and
/// `Sync`.
#[derive(Clone)]
pub struct LoadedMap {
    parts: MapParts,
    /// Type of the programs in a prog array: that of its first.
    pub(crate) owner: Arc<OnceLock<ProgType>>,
    /// That of the runtime that made it.
    pub(crate) domain: Option<Arc<Domain>>,
    /// How many [`HeldMap`]s there are.
    pub(crate) holders: Arc<AtomicUsize>,
}

/// The parts of a [`LoadedMap`], to be read: programs get memory by what they say of each other, so none can be
/// exchanged for another map's.
#[derive(Clone)]
#[non_exhaustive]
pub struct MapParts {
    /// What it was made from.
    pub spec: Arc<MapSpec>,
    /// The map.
    pub map: Arc<dyn Map>,
    /// Its id, from 1: what user space reads from a map of maps. 0 for one that no runtime made.
    pub id: u32,
}

impl Deref for LoadedMap {
    type Target = MapParts;

    fn deref(&self) -> &MapParts {
        &self.parts
    }
}

impl LoadedMap {
    /// A map that a runtime made, in its domain.
    pub(crate) fn made(spec: Arc<MapSpec>, map: Arc<dyn Map>, id: u32, domain: Option<Arc<Domain>>) -> LoadedMap {
        let parts = MapParts { spec, map, id };
        LoadedMap { parts, owner: Arc::default(), domain, holders: Arc::default() }
    }

    /// A map that someone else made: an embedder's own, a view of another target's.
    ///
    /// # Safety
    /// What [`Map::layout`], [`Map::base`], [`Map::lookup`] and its streams give is memory that programs may read and
    /// write through raw pointers for as long as the map lives, and that nothing holds a Rust reference to. It has
    /// values for every CPU of the runtimes whose programs use it. It holds no maps.
    #[must_use]
    pub unsafe fn new(spec: Arc<MapSpec>, map: Arc<dyn Map>) -> LoadedMap {
        LoadedMap::made(spec, map, 0, None)
    }

    /// Whether a runtime may use it: it made it, or an embedder vouches for it. Only then it has values for the
    /// runtime's CPUs, and keeps what it gives up while they may see it.
    pub(crate) fn is_of(&self, domain: &Arc<Domain>) -> bool {
        self.domain.as_ref().is_none_or(|of| Arc::ptr_eq(of, domain))
    }

    /// Whether its entries are maps.
    pub(crate) fn holds_maps(&self) -> bool {
        matches!(self.spec.def.ty, MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS)
    }

    /// Bytes of a value as programs see it.
    #[must_use]
    pub fn value_size(&self) -> usize {
        self.spec.def.value_size as usize
    }

    /// Whether helpers write the values that they are to fill: a bloom filter reads what it is asked about.
    pub(crate) fn fills_values(&self) -> bool {
        self.spec.def.ty != MapType::BLOOM_FILTER
    }

    /// The error of a map operation, in words.
    pub(crate) fn refused(&self, what: &'static str, e: Errno) -> Diagnostic {
        Diagnostic::new("map-operation", format!("map `{}`: {what} is refused", self.spec.name), Place::Nowhere)
            .found(format!("error {}", e.0))
    }
}

impl fmt::Debug for LoadedMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedMap").field("name", &self.spec.name).field("def", &self.spec.def).finish_non_exhaustive()
    }
}

/// A map in user space's hands. Clones hold it too.
///
/// A prog array that nobody holds any more lets go of its programs, as in the kernel: it and a program that uses it
/// would keep each other for ever.
#[derive(Debug)]
pub struct HeldMap(LoadedMap);

impl HeldMap {
    /// Takes hold of a map.
    #[must_use]
    pub fn new(map: LoadedMap) -> HeldMap {
        map.holders.fetch_add(1, Ordering::Relaxed);
        HeldMap(map)
    }
}

impl Clone for HeldMap {
    fn clone(&self) -> HeldMap {
        HeldMap::new(self.0.clone())
    }
}

impl Deref for HeldMap {
    type Target = LoadedMap;

    fn deref(&self) -> &LoadedMap {
        &self.0
    }
}

impl Drop for HeldMap {
    fn drop(&mut self) {
        let last = self.0.holders.fetch_sub(1, Ordering::AcqRel) == 1;
        if last && self.0.spec.def.ty == MapType::PROG_ARRAY {
            for index in 0..self.0.spec.def.max_entries {
                // An empty slot has nothing to give up.
                let _ = self.0.map.remove(&index.to_ne_bytes());
            }
        }
    }
}

//! Objects as entries of maps: the words by which programs know them.

use crate::{LoadedMap, Prog};
use alveary_abi::MapDef;
use alveary_maps::Held;

/// A map as an entry of another one. Programs know it by the address of the map in it.
pub(crate) struct Inner(pub(crate) LoadedMap);

// SAFETY: the word is the address of a map, which stands where it is as long as the object: behind an `Arc`.
unsafe impl Held for Inner {
    fn word(&self) -> u64 {
        std::ptr::from_ref(&self.0) as u64
    }

    fn id(&self) -> u32 {
        self.0.id
    }

    fn map(&self) -> Option<&MapDef> {
        Some(&self.0.spec.def)
    }
}

// SAFETY: the runtime takes the objects of prog arrays, not their words.
unsafe impl Held for Prog {
    fn word(&self) -> u64 {
        std::ptr::from_ref(self) as u64
    }

    fn id(&self) -> u32 {
        self.id
    }
}

//! Addresses for a program's symbols.

use crate::{LoadedMap, load::Site};
use alveary_maps::Layout;
use alveary_vm::{HelperFn, Link};

/// The maps and helpers of one program.
pub(crate) struct Addresses<'a> {
    pub(crate) maps: &'a [LoadedMap],
    pub(crate) sites: &'a [Site],
}

// SAFETY: the addresses are those of the boxed maps and of the maps' memory, both kept by the `Prog` that keeps the
// image. In checked mode the bodies are called by `Judge::call` alone, which holds every argument against the row that
// the body was bound with.
unsafe impl Link for Addresses<'_> {
    fn map(&self, map: u16) -> u64 {
        std::ptr::from_ref(&self.maps[usize::from(map)]) as u64
    }

    fn map_value(&self, map: u16, off: u32) -> u64 {
        let map = &self.maps[usize::from(map)].map;
        match map.layout() {
            Layout::Array { data, .. } => map.base() as u64 + data + u64::from(off),
            // No address that anything covers.
            _ => 0,
        }
    }

    fn memory(&self, map: u16, off: u64) -> u64 {
        self.maps[usize::from(map)].map.base() as u64 + off
    }

    fn helper(&self, call: u16) -> HelperFn {
        self.sites[usize::from(call)].bind.body
    }
}

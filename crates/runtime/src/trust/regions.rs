//! The memory of maps and contexts, as regions of a checked run.

use crate::{Family, LoadedMap};
use alveary_abi::{SpecialKind, flags::BPF_F_RDONLY_PROG};
use alveary_maps::Layout;
use alveary_vm::{Env, Region, Slots};

/// Region numbers below it are the family's, those from it on the maps'.
pub(crate) const FAMILY_REGIONS: usize = 4;

/// Sets the regions of a context anew: before a run, and after a helper that changed the packet.
///
/// # Safety
/// `env.ctx` is an `F::Ctx`.
pub(crate) unsafe fn family_regions<F: Family>(env: &Env) {
    // SAFETY: the caller's promise.
    let ctx = unsafe { &*env.ctx.get().cast::<F::Ctx>() };
    let mut number = 0;
    F::regions(ctx, &mut |region| {
        assert!(number < FAMILY_REGIONS, "family {} has more than {FAMILY_REGIONS} regions", F::NAME);
        if env.region(number) != Some(region) {
            // SAFETY: `Family` promises that this memory may be touched until a helper changes the packet, when we
            // come here again, or the run ends, when the batch takes it back.
            unsafe { env.set_region(number, region) };
        }
        number += 1;
    });
    for number in number..FAMILY_REGIONS {
        if env.region(number).is_some_and(|r| r.len != 0) {
            // SAFETY: an empty region covers nothing.
            unsafe { env.set_region(number, Region::default()) };
        }
    }
}

/// The values of a map as a program on `cpu` may touch them; with `all`, every CPU's.
pub(crate) fn map_regions(map: &LoadedMap, cpu: u32, all: Option<u32>, add: &mut dyn FnMut(Region)) {
    if map.holds_maps() {
        // Its values are words, which are not the program's to read.
        return;
    }
    let write = map.map.def().flags & BPF_F_RDONLY_PROG == 0;
    let base = map.map.base() as u64;
    let (start, stride, max, cpu_stride, there) = match map.map.layout() {
        Layout::Array { data, stride, max, cpu_stride, cpus } => (data, stride, max, cpu_stride, cpus),
        Layout::Hash { values, value_stride, max, cpu_stride, cpus, .. } => {
            (values, value_stride, max, cpu_stride, cpus)
        }
        Layout::Trie { nodes, node, value, max, .. } => (nodes + u64::from(value), node, max, 0, 1),
        Layout::Values { data, stride, max } => (data, stride, max, 0, 1),
        Layout::Opaque | Layout::Words { .. } => return,
    };
    let size = map.spec.def.value_size;
    let len = u64::from(stride) * u64::from(max);
    let slots = Some(Slots { stride, size });
    let cpus = match (cpu_stride, all) {
        (0, _) => 0..1,
        // A map of a runtime with fewer CPUs has no values for the others.
        (_, Some(cpus)) => 0..cpus.min(there),
        (_, None) => cpu..there.min(cpu.saturating_add(1)),
    };
    for cpu in cpus {
        add(Region { addr: base + start + u64::from(cpu) * cpu_stride, len, write, slots });
    }
}

/// Whether `addr` is where the map's values have a part of this kind.
pub(crate) fn special_at(map: &LoadedMap, cpu: u32, addr: u64, kind: SpecialKind) -> bool {
    let mut found = false;
    map_regions(map, cpu, None, &mut |region| {
        let from = addr.wrapping_sub(region.addr);
        let stride = region.slots.map_or(region.len, |s| u64::from(s.stride)).max(1);
        let off = from % stride;
        found |= from < region.len && map.spec.def.special.iter().any(|s| s.kind == kind && u64::from(s.off) == off);
    });
    found
}

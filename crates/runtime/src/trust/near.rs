//! What memory an address that went astray belongs to, in words that are the same in each run: addresses are not.

use super::{CONTEXT, FAMILY_REGIONS, map_regions};
use crate::Prog;
use alveary_vm::{Env, Region};

/// Addresses that nothing but NULL and an offset gives.
const NULL_PAGE: u64 = 4096;

/// How far behind memory an address is still told by its distance from it.
const NEAR: u64 = 1 << 16;

/// Where an address lies, and what helps who went there: both as an error says it.
#[derive(Clone, Debug)]
pub(crate) struct Near {
    pub(crate) place: String,
    pub(crate) help: &'static str,
}

impl Near {
    /// Of `addr`, for a program that runs on this CPU, with the regions of its run still set.
    pub(crate) fn of(env: &Env, prog: &Prog, cpu: u32, all: Option<u32>, addr: u64) -> Near {
        if addr < NULL_PAGE {
            let place = format!("NULL, offset {addr}");
            return Near { place, help: "test the lookup's result for NULL before the access" };
        }
        if let Some(offset) = addr.checked_sub(CONTEXT).filter(|offset| *offset < NULL_PAGE) {
            let place = format!("offset {offset} of the context");
            return Near { place, help: "a field of the context is read or written whole, if the program's type may" };
        }
        let data = (0..FAMILY_REGIONS).filter_map(|number| env.region(number)).filter(|r| r.len > 0);
        if let Some((region, offset)) = data.filter_map(|r| behind(r, addr)).min_by_key(|(_, offset)| *offset) {
            let place = format!("offset {offset} of {} bytes at `data`", region.len);
            return Near { place, help: "compare the pointer with `data_end` before the access" };
        }
        for map in &prog.maps {
            let mut found = None;
            map_regions(map, cpu, all, &mut |region| found = found.or(behind(region, addr)));
            let Some((region, offset)) = found else { continue };
            let name = &map.spec.name;
            let place = match region.slots {
                Some(slots) if offset < region.len => {
                    let offset = offset % u64::from(slots.stride.max(1));
                    format!("offset {offset} of a value of map `{name}`, which has {} bytes", slots.size)
                }
                _ => format!("offset {offset} of the {} bytes of map `{name}`", region.len),
            };
            return Near { place, help: "an access stays inside one value of the map" };
        }
        let place = "memory that it was not given: no packet, value or stack frame in use".to_owned();
        Near { place, help: "a pointer comes from the context, the stack, a map's lookup or a helper" }
    }
}

/// How far from a region's start an address is that lies in it or not far behind its end.
fn behind(region: Region, addr: u64) -> Option<(Region, u64)> {
    let offset = addr.checked_sub(region.addr)?;
    (region.len > 0 && offset < region.len.saturating_add(NEAR)).then_some((region, offset))
}

//! What would become of a packet, step by step: the running balancer's maps are copied into the user-space kernel, and the
//! same object runs there over the packet. Nothing of what runs is changed.
//!
//! | file | holds |
//! |---|---|
//! | `packet` | packets as people write them, and in words |
//! | `words` | steps in words |

mod packet;
mod words;

pub use packet::{describe, packet};

use crate::{
    Result,
    instance::{file, pinned, running},
    wire,
};
use alveary::{Backend, Loader, MapHandle, Object, Target};
use std::{collections::BTreeMap, path::Path};
use words::Words;

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// The steps, in words.
    pub steps: Vec<String>,
    /// What the program returned: `XDP_ABORTED` (0), `DROP`, `PASS`, `TX`, `REDIRECT`.
    pub action: u32,
    /// The packet as it left.
    pub packet: Vec<u8>,
}

/// Maps that say what becomes of packets. Tables of CPUs are not among them: the packet may come to any.
const COPIED: [&str; 14] = [
    "vips4",
    "vips6",
    "services",
    "rings",
    "reals",
    "prefixes4",
    "prefixes6",
    "ids",
    "away",
    "connections4",
    "connections6",
    "nat4",
    "nat6",
    ".data.settings",
];

/// Runs a packet through a balancer's program and a copy of its maps.
///
/// # Errors
/// No balancer of that name runs; the targets'.
pub fn trace(object: &[u8], root: &Path, name: &str, packet: &[u8]) -> Result<Traced> {
    let folder = running(root, name, "lb-trace")?;
    let mut object = Object::parse(object)?;
    // The same constants: a flow has the same hash.
    let constants = pinned(&folder, &object, ".rodata")?.lookup(&[0; 4])?.unwrap_or_default();
    object.map_spec_mut(".rodata")?.initial = alveary::spec::Initial::Bytes(constants);
    object.set_variable("lb_trace", &[1])?;
    let mut live = BTreeMap::new();
    // A newer program may have maps that the one that runs has not.
    for map in COPIED.into_iter().filter(|map| folder.join(file(map)).exists()) {
        let there = pinned(&folder, &object, map)?;
        object.map_spec_mut(map)?.def.max_entries = there.spec().def.max_entries;
        live.insert(map, there);
    }
    for counted in ["vip_counters", "real_counters", "cached"] {
        object.map_spec_mut(counted)?.def.max_entries = pinned(&folder, &object, counted)?.spec().def.max_entries;
    }
    let loaded = Loader::new(Target::user()).program("lb").load(&object)?;
    for (map, there) in &live {
        let copy = loaded.map(map)?;
        for (key, value) in there.entries()? {
            if value.iter().any(|byte| *byte != 0) {
                copy.update(&key, &value, 0)?;
            }
        }
    }
    let outcome = loaded.program("lb")?.run(packet)?;
    let mut words = Words::of(&live)?;
    let mut steps = Vec::new();
    loaded.target().events(loaded.map("steps")?, &mut |_, step| {
        steps.push(words.step(wire::word(step, 0), wire::word(step, 4), wire::word(step, 8)));
    })?;
    Ok(Traced { steps, action: outcome.value, packet: outcome.data })
}

/// Names of what XDP programs return.
#[must_use]
pub fn action(code: u32) -> &'static str {
    ["XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"].get(code as usize).copied().unwrap_or("XDP_?")
}

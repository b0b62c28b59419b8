//! What a program is checked for: a kernel, the maps that it will have, what the one who loads it may do.

use crate::log::LogLevel;
use alveary_spec::{Kernel, MapSpec};
use std::collections::BTreeMap;

/// What the one who loads a program may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// `CAP_BPF`: loops, calls, large programs, every map and helper of the type.
    pub bpf: bool,
    /// `CAP_PERFMON`: addresses may be seen.
    pub perfmon: bool,
}

impl Caps {
    /// Everything, as root has it.
    pub const ALL: Caps = Caps { bpf: true, perfmon: true };
}

/// What a program is checked for.
#[derive(Clone, Copy, Debug)]
pub struct Env<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
    /// The maps that programs name.
    pub maps: &'a BTreeMap<String, MapSpec>,
    /// What the one who loads the program may do.
    pub caps: Caps,
    /// What the log shows.
    pub log: LogLevel,
}

impl<'a> Env<'a> {
    /// Loaded by root, without a log.
    #[must_use]
    pub fn new(kernel: &'a Kernel, maps: &'a BTreeMap<String, MapSpec>) -> Env<'a> {
        Env { kernel, maps, caps: Caps::ALL, log: LogLevel::default() }
    }
}

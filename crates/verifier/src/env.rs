//! What a program is checked for: a kernel, the maps that it will have, what the one who loads it may do.

use crate::log::LogLevel;
use alveary_abi::Right;
use alveary_spec::{Kernel, MapSpec};
use std::collections::BTreeMap;

/// What the one who loads a program may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// `CAP_BPF`: loops, calls, large programs, every map and helper of the type.
    pub bpf: bool,
    /// `CAP_PERFMON`: addresses may be seen; programs that observe the kernel.
    pub perfmon: bool,
    /// `CAP_NET_ADMIN`: programs for the network.
    pub net_admin: bool,
}

impl Caps {
    /// Whether they hold a right.
    #[must_use]
    pub const fn have(self, right: Right) -> bool {
        match right {
            Right::None => true,
            Right::Bpf => self.bpf,
            Right::Perfmon => self.bpf && self.perfmon,
        }
    }

    /// Everything, as root has it.
    pub const ALL: Caps = Caps { bpf: true, perfmon: true, net_admin: true };
    /// Nothing, as an ordinary user has it; the kernel asked about lets such users load programs
    /// (`kernel.unprivileged_bpf_disabled` is 0).
    pub const NONE: Caps = Caps { bpf: false, perfmon: false, net_admin: false };
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
    /// Bytes of memory that the check may take; a program that needs more is refused.
    pub memory: usize,
}

impl<'a> Env<'a> {
    /// What a check may take unless something else is asked for: twelve times as much as any program that is known does.
    pub const MEMORY: usize = 128 << 20;

    /// Loaded by root, without a log.
    #[must_use]
    pub fn new(kernel: &'a Kernel, maps: &'a BTreeMap<String, MapSpec>) -> Env<'a> {
        Env { kernel, maps, caps: Caps::ALL, log: LogLevel::default(), memory: Env::MEMORY }
    }
}

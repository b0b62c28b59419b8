//! One kernel to resolve and verify against.

use crate::Modules;
use alveary_abi::Profile;
use alveary_btf::Btf;
use std::{collections::BTreeMap, sync::Arc};

/// A kernel as a value: the running one, another's description, or what the `user` target claims to be.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// What it accepts.
    pub profile: Profile,
    /// Its types, if they are known.
    pub btf: Option<Arc<Btf>>,
    /// Types that CO-RE relocations are answered by in place of its own, of which the rest is still asked: the ids of
    /// functions and of what programs are attached to mean something in a kernel's own types alone.
    pub core: Option<Arc<Btf>>,
    /// The types of its modules, which are asked where its own have no answer.
    pub modules: Modules,
    /// Its configuration as its file says it (`CONFIG_HZ` → `250`, `CONFIG_LOCALVERSION` → `"-mine"`, with the quotes).
    pub kconfig: BTreeMap<String, String>,
    /// Number of possible CPUs: how many values a per-CPU map has.
    pub cpus: u32,
    /// Bytes in a page.
    pub page: u32,
    /// Addresses of its symbols by name (`/proc/kallsyms`). `None`: it gives programs neither variables nor functions
    /// of its own, as the user-space kernel does.
    pub symbols: Option<Arc<BTreeMap<String, u64>>>,
}

impl Kernel {
    /// A kernel with one CPU and pages of 4 KiB of which no more is known than what it accepts.
    #[must_use]
    pub fn of(profile: Profile) -> Kernel {
        Kernel {
            profile,
            btf: None,
            core: None,
            modules: Modules::default(),
            kconfig: BTreeMap::new(),
            cpus: 1,
            page: 4096,
            symbols: None,
        }
    }
}

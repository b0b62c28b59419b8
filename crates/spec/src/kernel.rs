//! One kernel to resolve and verify against.

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
    /// Its configuration (`CONFIG_HZ` → `250`).
    pub kconfig: BTreeMap<String, String>,
    /// Number of possible CPUs: how many values a per-CPU map has.
    pub cpus: u32,
    /// Bytes in a page.
    pub page: u32,
}

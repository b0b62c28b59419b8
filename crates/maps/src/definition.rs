//! What a map type asks of its definition, and how one that does not fit is refused. Makes nothing.

use crate::{
    Environment, Errno, Map,
    flags::{RDONLY, RDONLY_PROG, WRONLY, WRONLY_PROG},
};
use alveary_abi::{MapDef, MapType};
use alveary_diag::{Diagnostic, Place};
use std::{borrow::Cow, sync::Arc};

/// A map type: what it asks of a definition, and how one is made.
pub(crate) struct Row {
    pub(crate) ty: MapType,
    pub(crate) name: &'static str,
    pub(crate) key: Size,
    pub(crate) value: Size,
    /// How large key and value may be, for which the kernel has another error.
    pub(crate) most: Most,
    /// Flags that it takes.
    pub(crate) flags: u32,
    /// Flags that it must have.
    pub(crate) needs: u32,
    pub(crate) make: Make,
}

/// Makes a map from a definition that fits, the template of its inner maps and the machine.
pub(crate) type Make = fn(&MapDef, Option<&MapDef>, &Environment) -> Result<Arc<dyn Map>, Errno>;

/// What a size may be.
pub(crate) enum Size {
    /// One of these.
    Is(&'static [u32]),
    /// Between two, both allowed.
    Within(u32, u32),
}

/// What the kernel can allocate.
#[derive(Clone, Copy)]
pub(crate) enum Most {
    /// Values below 2 GiB.
    Signed,
    /// Key and value in one allocation of 4 MiB with 48 bytes of the kernel's own.
    Entry,
    /// The same, and values in its per-CPU memory: 32 KiB.
    PerCpu,
}

/// A definition refused for `errno`.
pub(crate) fn refuse(message: impl Into<Cow<'static, str>>, errno: Errno) -> Diagnostic {
    Diagnostic::new("map-definition", message, Place::Nowhere).kernel(errno.to_string())
}

impl Row {
    /// Refuses a definition that the kernel refuses.
    pub(crate) fn check(&self, def: &MapDef) -> Result<(), Diagnostic> {
        let name = self.name;
        self.key.check(def.key_size, || format!("the key size of a {name} map"))?;
        self.value.check(def.value_size, || format!("the value size of a {name} map"))?;
        Size::Within(1, u32::MAX).check(def.max_entries, || format!("max_entries of a {name} map"))?;
        self.check_flags(def.flags)?;
        if def.extra != 0 {
            let found = format!("{:#x}", def.extra);
            return Err(refuse(format!("map_extra of a {name} map"), Errno::EINVAL).expected("0").found(found));
        }
        self.most.check(name, def)
    }

    fn check_flags(&self, flags: u32) -> Result<(), Diagnostic> {
        let name = self.name;
        let unknown = flags & !self.flags;
        if unknown != 0 {
            let wrong = refuse(format!("a {name} map does not take these flags"), Errno::EINVAL);
            return Err(wrong.expected(names(self.flags)).found(names(unknown)));
        }
        if flags & self.needs != self.needs {
            let wrong = refuse(format!("a {name} map needs a flag"), Errno::EINVAL);
            return Err(wrong.expected(names(self.needs)).found(names(flags)));
        }
        for both in [RDONLY | WRONLY, RDONLY_PROG | WRONLY_PROG] {
            if flags & both == both {
                let wrong = refuse(format!("a {name} map cannot be read-only and write-only"), Errno::EINVAL);
                return Err(wrong.expected("one of them").found(names(both)));
            }
        }
        Ok(())
    }
}

impl Size {
    fn check(&self, found: u32, what: impl FnOnce() -> String) -> Result<(), Diagnostic> {
        let (fits, expected) = match self {
            Size::Is(sizes) => {
                let all = sizes.iter().map(u32::to_string).collect::<Vec<_>>().join(" or ");
                (sizes.contains(&found), all)
            }
            Size::Within(least, u32::MAX) => (found >= *least, format!("at least {least}")),
            Size::Within(least, most) => ((*least..=*most).contains(&found), format!("{least} to {most}")),
        };
        if fits {
            return Ok(());
        }
        let message = format!("{} is wrong", what());
        Err(refuse(message, Errno::EINVAL).expected(expected).found(found.to_string()))
    }
}

impl Most {
    fn check(self, name: &str, def: &MapDef) -> Result<(), Diagnostic> {
        const ENTRY: u64 = (4 << 20) - 48;
        const PER_CPU: u64 = 32 << 10;
        let value = u64::from(def.value_size);
        let entry = u64::from(def.key_size) + value;
        let (found, most, what) = match self {
            Most::Signed => (value, i32::MAX as u64, "the value"),
            Most::PerCpu if value > PER_CPU => (value, PER_CPU, "the value of one CPU"),
            Most::Entry | Most::PerCpu => (entry, ENTRY - 1, "key and value"),
        };
        if found <= most {
            return Ok(());
        }
        let message = format!("{what} of a {name} map is too large");
        Err(refuse(message, Errno::E2BIG).expected(format!("at most {most} bytes")).found(format!("{found} bytes")))
    }
}

/// Flags by name.
fn names(flags: u32) -> String {
    const NAMES: &[&str] = &[
        "BPF_F_NO_PREALLOC",
        "BPF_F_NO_COMMON_LRU",
        "BPF_F_NUMA_NODE",
        "BPF_F_RDONLY",
        "BPF_F_WRONLY",
        "BPF_F_STACK_BUILD_ID",
        "BPF_F_ZERO_SEED",
        "BPF_F_RDONLY_PROG",
        "BPF_F_WRONLY_PROG",
        "BPF_F_CLONE",
        "BPF_F_MMAPABLE",
        "BPF_F_PRESERVE_ELEMS",
        "BPF_F_INNER_MAP",
    ];
    let name = |bit: u32| NAMES.get(bit as usize).map_or_else(|| format!("{:#x}", 1u32 << bit), |n| (*n).to_string());
    let set: Vec<_> = (0..32).filter(|bit| flags & (1 << bit) != 0).map(name).collect();
    if set.is_empty() { "none".to_string() } else { set.join(" | ") }
}

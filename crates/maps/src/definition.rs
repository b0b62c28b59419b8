//! What a map type asks of its definition, and how one that does not fit is refused. Makes nothing.

use crate::{
    Environment, Errno, Map,
    flags::{BPF_F_RDONLY, BPF_F_RDONLY_PROG, BPF_F_WRONLY, BPF_F_WRONLY_PROG},
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
    /// Flags that it knows but does not support.
    pub(crate) unsupported: u32,
    /// Most that `map_extra` may be.
    pub(crate) extra: u64,
    /// Its entries are maps: it needs a template.
    pub(crate) outer: bool,
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
    /// Values of 4 MiB.
    Piece,
    /// Values of 4 MiB, all entries together below 4 GiB.
    Product,
    /// `max_entries` bytes in pages, a power of two.
    Pages,
}

/// A definition refused for `errno`.
pub(crate) fn refuse(message: impl Into<Cow<'static, str>>, errno: Errno) -> Diagnostic {
    Diagnostic::new("map-definition", message, Place::Nowhere).kernel(errno.to_string())
}

impl Row {
    /// Refuses a definition that the kernel refuses.
    pub(crate) fn check(&self, def: &MapDef, inner: Option<&MapDef>, env: &Environment) -> Result<(), Diagnostic> {
        let name = self.name;
        if def.extra > self.extra {
            let wrong = refuse(format!("map_extra of a {name} map is wrong"), Errno::EINVAL);
            return Err(wrong.expected(format!("at most {}", self.extra)).found(format!("{:#x}", def.extra)));
        }
        self.check_flags(def.flags)?;
        self.key.check(def.key_size, || format!("the key size of a {name} map"))?;
        self.value.check(def.value_size, || format!("the value size of a {name} map"))?;
        Size::Within(1, u32::MAX).check(def.max_entries, || format!("max_entries of a {name} map"))?;
        if self.outer {
            check_template(name, inner)?;
        }
        self.most.check(name, def, env.page)
    }

    fn check_flags(&self, flags: u32) -> Result<(), Diagnostic> {
        let name = self.name;
        let unsupported = flags & self.unsupported;
        let unknown = flags & !self.flags & !unsupported;
        if unknown != 0 {
            let wrong = refuse(format!("a {name} map does not take these flags"), Errno::EINVAL);
            return Err(wrong.expected(names(self.flags)).found(names(unknown)));
        }
        if unsupported != 0 {
            let wrong = refuse(format!("a {name} map does not support these flags"), Errno::ENOTSUPP);
            return Err(wrong.expected(names(self.flags)).found(names(unsupported)));
        }
        if flags & self.needs != self.needs {
            let wrong = refuse(format!("a {name} map needs a flag"), Errno::EINVAL);
            return Err(wrong.expected(names(self.needs)).found(names(flags)));
        }
        for both in [BPF_F_RDONLY | BPF_F_WRONLY, BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG] {
            if flags & both == both {
                let wrong = refuse(format!("a {name} map cannot be read-only and write-only"), Errno::EINVAL);
                return Err(wrong.expected("one of them").found(names(both)));
            }
        }
        Ok(())
    }
}

/// What maps in a map are made like.
fn check_template(name: &str, inner: Option<&MapDef>) -> Result<(), Diagnostic> {
    let Some(inner) = inner else {
        let wrong = refuse(format!("a {name} map needs the definition of its inner maps"), Errno::EBADF);
        return Err(wrong.expected("an inner map").found("none"));
    };
    let errno = match inner.ty {
        MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS => Errno::EINVAL,
        MapType::PROG_ARRAY | MapType::CGROUP_STORAGE | MapType::PERCPU_CGROUP_STORAGE => Errno::ENOTSUPP,
        _ => return Ok(()),
    };
    let wrong = refuse(format!("maps of this type cannot be in a {name} map"), errno);
    Err(wrong.expected("maps of values").found(format!("type {}", inner.ty.0)))
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
    fn check(self, name: &str, def: &MapDef, page: u32) -> Result<(), Diagnostic> {
        const LARGEST: u64 = 4 << 20;
        const ENTRY: u64 = LARGEST - 48;
        const PER_CPU: u64 = 32 << 10;
        let value = u64::from(def.value_size);
        let entry = u64::from(def.key_size) + value;
        let all = u64::from(def.max_entries);
        if matches!(self, Most::Pages) {
            if def.max_entries.is_power_of_two() && def.max_entries.is_multiple_of(page) {
                return Ok(());
            }
            let wrong = refuse(format!("max_entries of a {name} map, its size in bytes, is wrong"), Errno::EINVAL);
            return Err(wrong.expected(format!("a power of two and multiple of {page}")).found(all.to_string()));
        }
        let (found, most, what) = match self {
            Most::Signed => (value, i32::MAX as u64, "the value"),
            Most::PerCpu if value > PER_CPU => (value, PER_CPU, "the value of one CPU"),
            Most::Entry | Most::PerCpu => (entry, ENTRY - 1, "key and value"),
            Most::Product if value <= LARGEST => (all, (u64::from(u32::MAX) / value).saturating_sub(1), "max_entries"),
            Most::Piece | Most::Product => (value, LARGEST, "the value"),
            Most::Pages => return Ok(()),
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

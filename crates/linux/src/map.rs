//! Maps from their Specs: made, filled, frozen; pinned by name and found again.

use crate::{
    attach::explain_interface,
    modules::Opened,
    probe,
    read::MappedArena,
    sys::{self, MapCreate, MapInfo, PathFlags},
};
use alveary_abi::{
    Errno, MapType,
    flags::{BPF_F_MMAPABLE, BPF_F_NUMA_NODE, BPF_F_RDONLY_PROG},
};
use alveary_btf::{Btf, Linkage, Type, TypeId};
use alveary_diag::{Diagnostic, Place};
use alveary_spec::{Initial, MapSpec};
use std::{
    fs,
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
};

/// What a map's Spec does not say of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct MapFrom<'a> {
    /// Name of the object, which goes in front of `.data` and its like.
    pub object: &'a str,
    /// The object's types.
    pub types: Option<&'a Btf>,
    /// The object's types, loaded.
    pub btf: Option<BorrowedFd<'a>>,
    /// Template of the inner maps.
    pub inner: Option<BorrowedFd<'a>>,
    /// Where maps that are pinned by name are looked for and pinned.
    pub pins: Option<&'a Path>,
    /// The types of the module whose interface it is ([`crate::modules::Opened::for_map`] opens them).
    pub modules: Option<&'a Opened>,
    /// A BPF token.
    pub token: Option<BorrowedFd<'a>>,
}

/// Map types that take no types of keys and values.
const UNTYPED: &[MapType] = &[
    MapType::PERF_EVENT_ARRAY,
    MapType::CGROUP_ARRAY,
    MapType::STACK_TRACE,
    MapType::ARRAY_OF_MAPS,
    MapType::HASH_OF_MAPS,
    MapType::DEVMAP,
    MapType::DEVMAP_HASH,
    MapType::CPUMAP,
    MapType::XSKMAP,
    MapType::SOCKMAP,
    MapType::SOCKHASH,
    MapType::QUEUE,
    MapType::STACK,
    MapType::ARENA,
];

/// A map that was made, or found.
#[derive(Debug)]
pub struct Made {
    /// The map.
    pub map: sys::Map,
    /// The memory of an arena that was made.
    pub arena: Option<MappedArena>,
    /// Where it is to be pinned, once everything that it belongs to is loaded; `None` if it is not, or was found there.
    pub pin: Option<PathBuf>,
}

/// A map as its Spec says: its first bytes in it, frozen if it shall be. One that is pinned by name is found again if it
/// is there and fits.
///
/// # Errors
/// The kernel's; a pinned map that is another one.
pub fn create(spec: &MapSpec, from: &MapFrom<'_>) -> Result<Made, Diagnostic> {
    let pin = from.pins.filter(|_| spec.pin_by_name).map(|root| root.join(&spec.name));
    if let Some(path) = &pin
        && let Some(map) = pinned(spec, path, flags(spec, from))?
    {
        return Ok(Made { map, arena: None, pin: None });
    }
    let map = make(spec, from)?;
    fill(spec, &map).map_err(|e| e.named(&spec.name).diagnostic())?;
    let arena = (spec.def.ty == MapType::ARENA).then(|| fill_arena(spec, &map)).transpose()?;
    Ok(Made { map, arena, pin })
}

fn make(spec: &MapSpec, from: &MapFrom<'_>) -> Result<sys::Map, Diagnostic> {
    let refused = |e: sys::Error| e.named(&spec.name).diagnostic();
    let def = &spec.def;
    let typed = from.btf.filter(|_| !UNTYPED.contains(&def.ty));
    // Without types of its own for the key, an index has none that matters.
    let (key, value) = (spec.key_type.unwrap_or_default(), spec.value_type.unwrap_or_default());
    let typed = typed.filter(|_| key != TypeId::VOID || value != TypeId::VOID);
    let name = kernel_name(&spec.name, from.object);
    let plain = MapCreate {
        map_type: def.ty.0,
        key_size: def.key_size,
        value_size: def.value_size,
        max_entries: def.max_entries,
        map_flags: flags(spec, from),
        map_extra: def.extra,
        name: &name,
        inner_map: from.inner,
        numa_node: spec.numa_node.unwrap_or_default(),
        token: from.token,
        ..MapCreate::default()
    };
    if let Initial::StructOps(ops) = &spec.initial {
        let Some(kernel) = &ops.kernel else { return Err(without_types(spec)) };
        let none = Opened::default();
        let opened = |name| from.modules.unwrap_or(&none).named(name);
        let value_type_btf = kernel.module.as_deref().map(opened).transpose()?;
        let create = MapCreate { btf: from.btf, btf_vmlinux_value_type: kernel.value_type, value_type_btf, ..plain };
        return create.create().map_err(|e| {
            let errno = e.errno();
            explain_interface(refused(e), def.flags, kernel, errno)
        });
    }
    let Some(btf) = typed else { return plain.create().map_err(refused) };
    let typed = MapCreate { btf: Some(btf), btf_key_type: key, btf_value_type: value, ..plain }.create();
    // Kernels differ in which types they take for which maps; the map is as good without.
    typed.or_else(|e| if special(spec) { Err(e) } else { plain.create().map_err(|_| e) }).map_err(refused)
}

/// The flags that a map is made with: the Spec's; that its memory has a node, where it says so; and that user space may
/// map it, if it holds variables and the kernel can do that.
fn flags(spec: &MapSpec, from: &MapFrom<'_>) -> u32 {
    let node = if spec.numa_node.is_some() { BPF_F_NUMA_NODE } else { 0 };
    let mapped = from.types.is_some_and(|types| shared(spec, types)) && probe::mappable_arrays();
    spec.def.flags | node | if mapped { BPF_F_MMAPABLE } else { 0 }
}

/// Whether a map is a section of variables of which one is not static. What is static alone is the program's own business,
/// such as its strings: libbpf does not have these mapped either.
fn shared(spec: &MapSpec, types: &Btf) -> bool {
    let Some(Type::DataSec(section)) = spec.value_type.and_then(|ty| types.ty(ty)) else { return false };
    section.vars().any(|var| matches!(types.ty(var.ty), Some(Type::Var { linkage, .. }) if linkage != Linkage::Static))
}

/// A kernel interface is laid out by the kernel's types.
fn without_types(spec: &MapSpec) -> Diagnostic {
    let message = format!("`{}` is a kernel interface, and the kernel does not tell its types", spec.name);
    Diagnostic::new("struct-ops", message, Place::Section { section: spec.section.clone(), at: spec.at })
        .expected("a kernel with CONFIG_DEBUG_INFO_BTF, and /sys/kernel/btf/vmlinux to be read")
}

/// Whether the map depends on its types: parts of the value are found by them.
fn special(spec: &MapSpec) -> bool {
    let storage = [MapType::SK_STORAGE, MapType::INODE_STORAGE, MapType::TASK_STORAGE, MapType::CGRP_STORAGE];
    !spec.def.special.is_empty() || storage.contains(&spec.def.ty)
}

fn fill(spec: &MapSpec, map: &sys::Map) -> sys::Result<()> {
    if let (Initial::Bytes(bytes), true) = (&spec.initial, spec.def.ty == MapType::ARRAY) {
        map.update(&0u32.to_ne_bytes(), bytes, 0)?;
    }
    if spec.freeze { map.freeze() } else { Ok(()) }
}

/// An arena with its variables in it, mapped: without an address of its own that is what gives it one.
fn fill_arena(spec: &MapSpec, map: &sys::Map) -> Result<MappedArena, Diagnostic> {
    let refused = |why: String| {
        let message = format!("arena `{}` cannot be filled", spec.name);
        Diagnostic::new("arena", message, Place::Section { section: spec.section.clone(), at: spec.at }).found(why)
    };
    let arena = MappedArena::open(map).map_err(|error| match Errno(error.raw_os_error().unwrap_or(0)) {
        Errno::EEXIST => refused(format!("something else at {:#x} in this process", spec.def.extra))
            .help("give it another address: `__ulong(map_extra, …)`"),
        _ => refused(error.to_string()),
    })?;
    match &spec.initial {
        Initial::Bytes(bytes) if !arena.write(0, bytes) => Err(refused(format!(
            "{} bytes of variables, and pages that only programs may allocate (BPF_F_SEGV_ON_FAULT), or too few",
            bytes.len()
        ))),
        _ => Ok(arena),
    }
}

/// The name that the kernel shows: data sections carry the object's in front, cut so that both are seen.
fn kernel_name(name: &str, object: &str) -> String {
    let Some(section) = name.strip_prefix('.').filter(|section| !section.contains('.')) else { return name.to_owned() };
    let room = 15usize.saturating_sub(section.len().max(6) + 1);
    let front: String = object.chars().take(room).collect();
    format!("{front}{name}")
}

/// The map that is pinned at this path; `None` if there is nothing.
fn pinned(spec: &MapSpec, path: &Path, flags: u32) -> Result<Option<sys::Map>, Diagnostic> {
    let fd = match sys::obj_get(path, PathFlags::default()) {
        Err(e) if e.errno() == Errno::ENOENT => return Ok(None),
        done => done.map_err(|e| e.diagnostic())?,
    };
    let map = sys::Map::from_fd(fd).map_err(|e| e.named(&path.to_string_lossy()).diagnostic())?;
    let found = map.info().map_err(|e| e.diagnostic())?;
    match difference(spec, flags, &found) {
        None => Ok(Some(map)),
        Some((what, expected, found)) => {
            let message = format!("`{}` is pinned as another map than `{}` in {what}", path.display(), spec.name);
            Err(Diagnostic::new("pinned-map", message, Place::Section { section: spec.section.clone(), at: spec.at })
                .expected(expected)
                .found(found)
                .help(format!("remove it if nobody needs it any more: rm {}", path.display())))
        }
    }
}

/// In what a map differs from its Spec: what it is, what is expected, what is found.
fn difference(spec: &MapSpec, flags: u32, found: &MapInfo) -> Option<(&'static str, String, String)> {
    // Where its memory is matters to nobody who uses it; device maps get the other one from the kernel.
    let devices = [MapType::DEVMAP, MapType::DEVMAP_HASH].contains(&spec.def.ty);
    let ignored = BPF_F_NUMA_NODE | if devices { BPF_F_RDONLY_PROG } else { 0 };
    let def = &spec.def;
    let pairs = [
        ("type", def.ty.0.into(), found.ty.0.into()),
        ("size of keys", def.key_size.into(), found.key_size.into()),
        ("size of values", def.value_size.into(), found.value_size.into()),
        ("number of entries", def.max_entries.into(), found.max_entries.into()),
        ("flags", (flags & !ignored).into(), (found.map_flags & !ignored).into()),
        ("extra", def.extra, found.map_extra),
    ];
    let (what, expected, found) = pairs.into_iter().find(|(_, expected, found)| expected != found)?;
    Some((what, expected.to_string(), found.to_string()))
}

/// Pins an object, in a directory that is made if it is not there.
///
/// # Errors
/// The kernel's, and of making the directory.
pub fn pin(object: BorrowedFd<'_>, path: &Path) -> Result<(), Diagnostic> {
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        fs::create_dir_all(parent).map_err(|why| {
            let message = format!("the directory `{}` cannot be made: {why}", parent.display());
            Diagnostic::new("pin", message, Place::Nowhere)
                .help("mount a BPF file system: mount -t bpf bpf /sys/fs/bpf")
        })?;
    }
    sys::obj_pin(object, path, PathFlags::default()).map_err(|e| e.diagnostic())
}

#[cfg(test)]
mod tests {
    use super::kernel_name;

    #[test]
    fn data_sections_carry_the_objects_name() {
        assert_eq!(kernel_name(".rodata", "xdpfilt_alw_all"), "xdpfilt_.rodata");
        assert_eq!(kernel_name(".bss", "count"), "count.bss");
        assert_eq!(kernel_name(".bss", "a_long_object_name"), "a_long_o.bss");
        assert_eq!(kernel_name(".data.mine", "count"), ".data.mine");
        assert_eq!(kernel_name("packets", "count"), "packets");
    }
}

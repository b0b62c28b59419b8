//! The maps behind `.rodata`, `.data`, `.bss` and sections named after them, named as libbpf names them (which puts the
//! object's name in front when it loads them).

use super::{Maps, Source};
use crate::special;
use alveary_abi::{MapDef, MapType, flags::BPF_F_RDONLY_PROG};
use alveary_btf::Kind;
use alveary_diag::Diagnostic;
use alveary_spec::{Initial, MapSpec};

/// Whether a section of this name holds global variables.
pub(super) fn is_data(name: &str) -> bool {
    ["rodata", "data", "bss"].iter().any(|kind| {
        let rest = name.strip_prefix('.').and_then(|n| n.strip_prefix(kind));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

pub(super) fn read(source: &Source<'_>, index: usize, maps: &mut Maps) -> Result<(), Diagnostic> {
    let section = &source.elf.sections[index];
    let Some(value_size) = u32::try_from(section.size).ok().filter(|size| i32::try_from(*size).is_ok()) else {
        return Err(Diagnostic::new(
            "map-size",
            format!("section `{}` is too large for a map", section.name),
            section.place(0),
        )
        .expected(format!("at most {} bytes", i32::MAX))
        .found(format!("{} bytes", section.size)));
    };
    let frozen = section.name.starts_with(".rodata");
    let def = MapDef {
        ty: MapType::ARRAY,
        key_size: 4,
        value_size,
        max_entries: 1,
        flags: if frozen { BPF_F_RDONLY_PROG } else { 0 },
        extra: 0,
        special: Vec::new(),
    };
    let mut spec = MapSpec::new(section.name, def, section.name);
    spec.freeze = frozen;
    // What takes no room in the file takes none here: an array begins as zeros.
    spec.initial = if section.is_zero() { Initial::Empty } else { Initial::Bytes(section.data.to_vec()) };
    if let Some(btf) = source.btf {
        spec.value_type = btf.find(section.name, Kind::DataSec);
        spec.def.special = spec.value_type.map_or_else(Vec::new, |ty| special::find(btf, ty));
    }
    maps.data.insert(index, spec.name.clone());
    maps.specs.insert(spec.name.clone(), spec);
    Ok(())
}

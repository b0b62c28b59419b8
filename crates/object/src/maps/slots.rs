//! Relocations in map definitions and in data: first entries of prog arrays and maps of maps, and addresses that
//! variables should hold.

use super::{Maps, Source, struct_ops};
use crate::{
    code::Places,
    elf::{Home, Rel, Symbol, SymbolKind},
};
use alveary_btf::{Kind, Type};
use alveary_diag::Diagnostic;
use alveary_isa::Insn;
use alveary_spec::Initial;

/// Bytes of a pointer in `values`.
const POINTER: u64 = 8;
const R_BPF_NONE: u32 = 0;

pub(super) fn read(source: &Source<'_>, places: &Places, maps: &mut Maps) -> Result<(), Diagnostic> {
    for (index, entries) in source.elf.relocations()? {
        let name = source.elf.sections[index].name;
        let (is_maps, is_interface) = (name == ".maps", struct_ops::is_interface(name));
        let data = maps.data.get(&index).cloned();
        let definitions = if is_maps || is_interface { source.definitions(index) } else { Vec::new() };
        for entry in entries.iter().filter(|e| e.kind != R_BPF_NONE) {
            if is_maps {
                slot(source, places, maps, &definitions, index, entry)?;
            } else if is_interface {
                struct_ops::member(source, places, maps, &definitions, index, entry)?;
            } else if let Some(spec) = data.as_ref().and_then(|name| maps.specs.get_mut(name)) {
                let symbol = source.symbol(index, entry)?;
                let name = match symbol.at {
                    Home::Section(i) if symbol.kind == SymbolKind::Section => source.elf.sections[i].name,
                    _ => symbol.name,
                };
                spec.addresses.push((u32::try_from(entry.at).unwrap_or(u32::MAX), name.to_owned()));
            }
        }
    }
    Ok(())
}

/// One entry of a map's `values`.
fn slot(
    source: &Source<'_>,
    places: &Places,
    maps: &mut Maps,
    definitions: &[&Symbol<'_>],
    index: usize,
    entry: &Rel,
) -> Result<(), Diagnostic> {
    let section = &source.elf.sections[index];
    let bad = |message: String| Diagnostic::new("map-values", message, section.place(entry.at));
    let symbol = source.symbol(index, entry)?;
    let before = definitions.partition_point(|s| s.value <= entry.at);
    let Some(home) = before.checked_sub(1).and_then(|i| definitions.get(i)) else {
        return Err(bad("a relocation in front of the first map".to_owned()));
    };
    let map = home.name;
    if entry.at >= section.data.len() as u64 {
        return Err(bad(format!("map `{map}` has an entry outside of its section")));
    }
    let start = values_offset(source, map).map(|off| home.value + off).filter(|start| entry.at >= *start);
    let Some(start) = start else {
        return Err(bad(format!("map `{map}` has a relocation that is not in its `values`")));
    };
    let at = ((entry.at - start) / POINTER) as usize;

    let target = match symbol.at {
        Home::Section(i) => i,
        _ => return Err(bad(format!("map `{map}` has an entry that the object does not define: `{}`", symbol.name))),
    };
    let offset = symbol.value.wrapping_add(entry.addend as u64);
    let inner = u32::try_from(offset).ok().and_then(|at| maps.definition(target, at)).map(str::to_owned);
    let program = u32::try_from(offset / Insn::SIZE as u64).ok().and_then(|slot| places.starting(target, slot));
    let (name, fresh) = match (inner, program) {
        (Some(inner), _) => (inner, Initial::Maps(Vec::new())),
        (None, Some(place)) => (place.name.clone(), Initial::Programs(Vec::new())),
        (None, None) => {
            return Err(bad(format!("map `{map}` has an entry that is neither map nor program: `{}`", symbol.name)));
        }
    };
    let Some(spec) = maps.specs.get_mut(map) else { return Ok(()) };
    if spec.initial == Initial::Empty {
        spec.initial = fresh;
    }
    let (Initial::Maps(slots) | Initial::Programs(slots)) = &mut spec.initial else { return Ok(()) };
    slots.resize(slots.len().max(at + 1), None);
    slots[at] = Some(name);
    Ok(())
}

/// Where `values` stands in the struct that defines a map.
fn values_offset(source: &Source<'_>, map: &str) -> Option<u64> {
    let btf = source.btf?;
    let Type::Var { ty, .. } = btf.ty(btf.find(map, Kind::Var)?)? else { return None };
    let Type::Struct(t) = btf.resolved(ty) else { return None };
    t.members().find(|m| m.name == "values").map(|m| u64::from(m.bit_offset / 8))
}

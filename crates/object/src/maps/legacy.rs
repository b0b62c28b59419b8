//! Map definitions without BTF: `struct bpf_map_def` in section `maps`, of any length, and iproute2's
//! `struct bpf_elf_map`, which is longer and means something else.

use super::{Maps, Source};
use crate::{elf::Symbol, special};
use alveary_abi::MapDef;
use alveary_btf::{Kind, Type};
use alveary_diag::Diagnostic;
use alveary_isa::Endian;
use alveary_spec::{Initial, MapSpec};

/// Words of `struct bpf_map_def`: type, key size, value size, entries; flags are newer.
const LEAST: usize = 4;
const MAP_DEF: usize = 5;
/// Words of `struct bpf_elf_map`: type, key size, value size, entries, flags, id, pinning, inner id, inner index.
const ELF_MAP: usize = 9;

/// What `struct bpf_elf_map` says besides.
struct Link {
    name: String,
    id: u32,
    inner_id: u32,
    inner_index: u32,
}

pub(super) fn read(source: &Source<'_>, index: usize, maps: &mut Maps) -> Result<(), Diagnostic> {
    let section = &source.elf.sections[index];
    let symbols = source.definitions(index);
    let mut links = Vec::new();
    for (i, symbol) in symbols.iter().enumerate() {
        let end = symbols.get(i + 1).map_or(section.size, |next| next.value);
        let len = if symbol.size == 0 { end.saturating_sub(symbol.value) } else { symbol.size };
        let words = words(source, index, symbol, len)?;
        let word = |i: usize| words.get(i).copied().unwrap_or(0);
        let def = MapDef {
            ty: Source::map_type(word(0), symbol.name, section.place(symbol.value))?,
            key_size: word(1),
            value_size: word(2),
            max_entries: word(3),
            flags: word(4),
            extra: 0,
            special: Vec::new(),
        };
        let mut spec = MapSpec::new(symbol.name, def, section.name);
        annotate(source, &mut spec);
        if words.len() >= ELF_MAP {
            spec.pin_by_name = word(6) != 0;
            let name = symbol.name.to_owned();
            links.push(Link { name, id: word(5), inner_id: word(7), inner_index: word(8) });
        } else if let Some(extra) = words.iter().skip(MAP_DEF).position(|w| *w != 0) {
            let place = section.place(symbol.value + 4 * (MAP_DEF + extra) as u64);
            let message = format!("map `{}` sets a member that `struct bpf_map_def` does not have", symbol.name);
            return Err(Diagnostic::new("map-def", message, place)
                .expected("zeros behind `map_flags`")
                .found(word(MAP_DEF + extra).to_string())
                .help("define the map with BTF, in section `.maps`"));
        }
        maps.define(index, symbol.value as u32, spec);
    }
    link(&links, maps, source, index)?;
    tail_calls(source, &links, maps);
    Ok(())
}

/// The words of a definition.
fn words(source: &Source<'_>, index: usize, symbol: &Symbol<'_>, len: u64) -> Result<Vec<u32>, Diagnostic> {
    let section = &source.elf.sections[index];
    let start = usize::try_from(symbol.value).unwrap_or(usize::MAX);
    let end = start.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
    let bytes = section.data.get(start..end).filter(|b| b.len() >= 4 * LEAST && b.len() <= 1024);
    let Some(bytes) = bytes else {
        let message = format!("the definition of map `{}` does not fit its section", symbol.name);
        return Err(Diagnostic::new("map-def", message, section.place(symbol.value))
            .expected(format!("from {} to 1024 bytes, inside of {:#x}", 4 * LEAST, section.data.len()))
            .found(format!("{len} bytes at {start:#x}")));
    };
    let words = bytes.as_chunks::<4>().0.iter().map(|b| match source.elf.endian {
        Endian::Little => u32::from_le_bytes(*b),
        Endian::Big => u32::from_be_bytes(*b),
    });
    Ok(words.collect())
}

/// Types of key and value, where the source has annotated the map (`BPF_ANNOTATE_KV_PAIR`).
fn annotate(source: &Source<'_>, spec: &mut MapSpec) {
    let Some(btf) = source.btf else { return };
    let Some(id) = btf.find(&format!("____btf_map_{}", spec.name), Kind::Struct) else { return };
    let Some(Type::Struct(pair)) = btf.ty(id) else { return };
    let member = |name: &str, size: u32| {
        pair.members().find(|m| m.name == name).map(|m| m.ty).filter(|ty| btf.size_of(*ty) == Some(size))
    };
    spec.key_type = member("key", spec.def.key_size);
    spec.value_type = member("value", spec.def.value_size);
    spec.def.special = spec.value_type.map_or_else(Vec::new, |ty| special::find(btf, ty));
}

/// Maps of maps by iproute2's ids: the outer map names the id of the inner ones, those their place in it.
fn link(links: &[Link], maps: &mut Maps, source: &Source<'_>, index: usize) -> Result<(), Diagnostic> {
    for outer in links.iter().filter(|l| l.inner_id != 0) {
        let section = &source.elf.sections[index];
        let mut inner = links.iter().filter(|l| l.id == outer.inner_id && l.name != outer.name).peekable();
        let template = inner.peek().and_then(|l| maps.specs.get(&l.name)).cloned();
        let Some(template) = template else {
            let message = format!("map `{}` names an inner map that is not there", outer.name);
            return Err(Diagnostic::new("map-inner", message, section.place(0))
                .expected(format!("a map whose `id` is {}", outer.inner_id)));
        };
        let limit = maps.specs.get(&outer.name).map_or(0, |spec| spec.def.max_entries);
        let limit = limit.min(links.len() as u32 * 1024) as usize;
        let mut slots = Vec::new();
        for map in inner.filter(|l| (l.inner_index as usize) < limit) {
            let at = map.inner_index as usize;
            slots.resize(slots.len().max(at + 1), None);
            slots[at] = Some(map.name.clone());
        }
        if let Some(spec) = maps.specs.get_mut(&outer.name) {
            spec.inner = Some(Box::new(template));
            spec.initial = if slots.is_empty() { Initial::Empty } else { Initial::Maps(slots) };
        }
    }
    Ok(())
}

/// Programs in sections named `id/slot` go into the prog array with that id.
fn tail_calls(source: &Source<'_>, links: &[Link], maps: &mut Maps) {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    for symbol in source.elf.symbols.iter().filter(|s| !s.local && !s.name.is_empty()) {
        let crate::elf::Home::Section(home) = symbol.at else { continue };
        let section = &source.elf.sections[home];
        let Some((id, slot)) = section.name.split_once('/') else { continue };
        let (true, Some(id), Some(slot)) = (section.is_code(), number(id), number(slot)) else { continue };
        let Some(map) = links.iter().find(|l| l.id == id) else { continue };
        let Some(spec) = maps.specs.get_mut(&map.name).filter(|spec| slot < spec.def.max_entries.min(1 << 16)) else {
            continue;
        };
        if !matches!(spec.initial, Initial::Programs(_)) {
            spec.initial = Initial::Programs(Vec::new());
        }
        if let Initial::Programs(slots) = &mut spec.initial {
            slots.resize(slots.len().max(slot as usize + 1), None);
            slots[slot as usize] = Some(symbol.name.to_owned());
        }
    }
}

//! The maps that an object defines: in `maps` (legacy), in `.maps` (BTF), those behind its data sections, and the kernel
//! interfaces that it fills in.

mod arena;
mod data;
mod legacy;
mod slots;
mod struct_ops;
mod typed;

use crate::{
    code::Places,
    elf::{Elf, Home, Rel, Symbol, SymbolKind},
};
use alveary_abi::MapType;
use alveary_btf::Btf;
use alveary_diag::{Diagnostic, Place, did_you_mean};
use alveary_sort::Sort;
use alveary_spec::MapSpec;
use std::collections::{BTreeMap, HashMap};
pub(crate) use typed::definition;

/// The maps, and where they are defined.
pub(crate) struct Maps {
    pub(crate) specs: BTreeMap<String, MapSpec>,
    /// Names of defined maps by section and offset.
    definitions: HashMap<(usize, u32), String>,
    /// Names of the maps behind data sections.
    data: HashMap<usize, String>,
}

/// What the definitions are read from.
struct Source<'a> {
    elf: &'a Elf<'a>,
    btf: Option<&'a Btf>,
}

impl Maps {
    pub(crate) fn read(elf: &Elf<'_>, btf: Option<&Btf>, places: &Places) -> Result<Maps, Diagnostic> {
        let source = Source { elf, btf };
        let mut maps = Maps { specs: BTreeMap::new(), definitions: HashMap::new(), data: HashMap::new() };
        for (index, section) in elf.sections.iter().enumerate() {
            match section.name {
                "maps" => legacy::read(&source, index, &mut maps)?,
                ".maps" => typed::read(&source, index, &mut maps)?,
                name if struct_ops::is_interface(name) => struct_ops::read(&source, index, &mut maps)?,
                name if data::is_data(name) && section.size > 0 => data::read(&source, index, &mut maps)?,
                _ => {}
            }
        }
        if let Some(index) = elf.sections.iter().position(|s| s.name == arena::SECTION && s.size > 0) {
            arena::read(&source, index, &mut maps)?;
        }
        slots::read(&source, places, &mut maps)?;
        Ok(maps)
    }

    /// The map defined at an offset of a section.
    pub(crate) fn definition(&self, section: usize, at: u32) -> Option<&str> {
        self.definitions.get(&(section, at)).map(String::as_str)
    }

    /// The map behind a data section.
    pub(crate) fn data(&self, section: usize) -> Option<&str> {
        self.data.get(&section).map(String::as_str)
    }

    fn define(&mut self, section: usize, at: u32, spec: MapSpec) {
        let spec = MapSpec { at: at.into(), ..spec };
        self.definitions.insert((section, at), spec.name.clone());
        self.specs.insert(spec.name.clone(), spec);
    }
}

impl<'a> Source<'a> {
    /// The symbols that define something in a section, by offset.
    fn definitions(&self, section: usize) -> Vec<&'a Symbol<'a>> {
        let defines = |s: &&Symbol<'_>| {
            s.at == Home::Section(section)
                && matches!(s.kind, SymbolKind::Object | SymbolKind::None)
                && !s.name.is_empty()
        };
        let mut found: Vec<_> = self.elf.symbols.iter().filter(defines).collect();
        found.order_by_key(|s| (s.value, s.local));
        found.dedup_by_key(|s| s.value);
        found
    }

    /// What a relocation of a section refers to.
    fn symbol(&self, index: usize, entry: &Rel) -> Result<&'a Symbol<'a>, Diagnostic> {
        let section = &self.elf.sections[index];
        self.elf.symbols.get(entry.symbol as usize).ok_or_else(|| {
            Diagnostic::new("relocation", "a relocation to a symbol that is not there", section.place(entry.at))
                .expected(format!("a symbol below {}", self.elf.symbols.len()))
                .found(entry.symbol.to_string())
        })
    }

    /// A map's type, known or not: what a kernel does not have is refused when it shall be loaded.
    fn map_type(number: u32, map: &str, place: Place) -> Result<MapType, Diagnostic> {
        match number {
            0 => Err(Diagnostic::new("map-type", format!("map `{map}` has no type"), place)
                .expected("a type other than 0, which is BPF_MAP_TYPE_UNSPEC")),
            number => Ok(MapType(number)),
        }
    }
}

/// Adds ``did you mean `near`?`` where a name is near enough.
fn suggest<'n>(problem: Diagnostic, name: &str, known: impl IntoIterator<Item = &'n str>) -> Diagnostic {
    match did_you_mean(name, known) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}

//! Map definitions in BTF: variables in `.maps` whose types spell out the map (`__uint`, `__type`, `__array`).

use super::{Maps, Source, suggest};
use crate::special;
use alveary_abi::MapDef;
use alveary_btf::{Array, Btf, Composite, Kind, Linkage, Type, TypeId};
use alveary_diag::{Diagnostic, Place};
use alveary_spec::MapSpec;
use std::collections::HashMap;

/// The members that a definition may have.
const MEMBERS: [&str; 11] = [
    "type",
    "max_entries",
    "map_flags",
    "numa_node",
    "key_size",
    "value_size",
    "key",
    "value",
    "values",
    "pinning",
    "map_extra",
];

pub(super) fn read(source: &Source<'_>, index: usize, maps: &mut Maps) -> Result<(), Diagnostic> {
    let section = &source.elf.sections[index];
    let Some(btf) = source.btf else {
        return Err(Diagnostic::new("map-btf", "maps are defined in BTF, and the object has none", section.place(0))
            .help("compile with -g"));
    };
    let variables = btf.find(".maps", Kind::DataSec).map(|id| btf.resolved(id));
    let Some(Type::DataSec(variables)) = variables else {
        return Err(Diagnostic::new("map-btf", "the BTF does not describe section `.maps`", section.place(0))
            .help("compile with -g"));
    };
    let symbols: HashMap<&str, u64> = source.definitions(index).iter().map(|s| (s.name, s.value)).collect();
    for variable in variables.vars() {
        let Some(Type::Var { name, ty, linkage }) = btf.ty(variable.ty) else { continue };
        // Another object's map, until both are linked.
        if linkage == Linkage::Extern {
            continue;
        }
        let Some(&at) = symbols.get(name) else {
            return Err(Diagnostic::new("map-symbol", format!("map `{name}` has no symbol"), section.place(0)));
        };
        let spec = Definition { btf, section: section.name, at, name }.read(ty, true)?;
        maps.define(index, u32::try_from(at).unwrap_or(u32::MAX), spec);
    }
    Ok(())
}

/// A map as a type defines it, wherever it stands: another object may define it.
pub(crate) fn definition(btf: &Btf, name: &str, ty: TypeId) -> Result<MapSpec, Diagnostic> {
    Definition { btf, section: ".maps", at: 0, name }.read(ty, true)
}

struct Definition<'a> {
    btf: &'a Btf,
    section: &'a str,
    at: u64,
    name: &'a str,
}

impl Definition<'_> {
    fn read(&self, ty: TypeId, outer: bool) -> Result<MapSpec, Diagnostic> {
        let Type::Struct(members) = self.btf.resolved(ty) else {
            return Err(self.bad("is not defined by a struct").expected("a struct").found(self.btf.c_name(ty)));
        };
        let def = MapDef {
            ty: Source::map_type(self.number(members, "type")?, self.name, self.place())?,
            key_size: 0,
            value_size: 0,
            max_entries: self.number(members, "max_entries")?,
            flags: self.number(members, "map_flags")?,
            extra: self.long(members, "map_extra")?,
            special: Vec::new(),
        };
        let mut spec = MapSpec::new(self.name, def, self.section);
        (spec.def.key_size, spec.key_type) = self.size(members, "key", "key_size")?;
        (spec.def.value_size, spec.value_type) = self.size(members, "value", "value_size")?;
        spec.def.special = spec.value_type.map_or_else(Vec::new, |ty| special::find(self.btf, ty));
        if members.members().any(|m| m.name == "numa_node") {
            spec.numa_node = Some(self.number(members, "numa_node")?);
        }
        spec.pin_by_name = match self.number(members, "pinning")? {
            0 => false,
            1 => true,
            n => {
                return Err(self
                    .bad("is pinned in an unknown way")
                    .expected("0 (not) or 1 (by name)")
                    .found(n.to_string()));
            }
        };
        if let Some(values) = members.members().find(|m| m.name == "values") {
            self.values(values.ty, outer, &mut spec)?;
        }
        for member in members.members() {
            if !MEMBERS.contains(&member.name) {
                let problem = self.bad("has a member that no map has").found(format!("`{}`", member.name));
                return Err(suggest(problem, member.name, MEMBERS));
            }
        }
        Ok(spec)
    }

    /// `__array(values, …)`: what a map of maps or a prog array holds.
    fn values(&self, ty: TypeId, outer: bool, spec: &mut MapSpec) -> Result<(), Diagnostic> {
        let element = match self.btf.resolved(ty) {
            Type::Array(Array { element, .. }) => self.btf.resolved(element),
            _ => Type::Void,
        };
        let Type::Ptr(to) = element else {
            return Err(self.bad("has `values` that are no array of pointers").found(self.btf.c_name(ty)));
        };
        // The kernel's values of such maps are ids or descriptors: 4 bytes.
        if spec.def.value_size == 0 {
            spec.def.value_size = 4;
        }
        match self.btf.resolved(to) {
            Type::FuncProto(_) => Ok(()),
            Type::Struct(_) if outer => {
                let name = format!("{}.inner", self.name);
                let inner = Definition { name: &name, ..*self };
                spec.inner = Some(Box::new(inner.read(to, false)?));
                Ok(())
            }
            Type::Struct(_) => Err(self.bad("has inner maps that have inner maps themselves")),
            _ => Err(self.bad("has `values` that are neither maps nor functions").found(self.btf.c_name(to))),
        }
    }

    /// The size of keys or values, and their type: from `__type(key, …)`, or `__uint(key_size, …)`.
    fn size(&self, members: Composite<'_>, ty: &str, size: &str) -> Result<(u32, Option<TypeId>), Diagnostic> {
        let said = self.number(members, size)?;
        let Some(member) = members.members().find(|m| m.name == ty) else { return Ok((said, None)) };
        let Type::Ptr(to) = self.btf.resolved(member.ty) else {
            return Err(self.bad("has a member that is no `__type`").found(format!("`{ty}`")));
        };
        let Some(known) = self.btf.size_of(to) else {
            return Err(self.bad("has a type without a size").found(format!("`{}` as its {ty}", self.btf.c_name(to))));
        };
        if said != 0 && said != known {
            return Err(self
                .bad("gives two sizes")
                .expected(format!("{size} {known}, the size of `{}`", self.btf.c_name(to)))
                .found(said.to_string()));
        }
        Ok((known, Some(to)))
    }

    /// A number that must fit 32 bits; 0 if it is not given.
    fn number(&self, members: Composite<'_>, name: &str) -> Result<u32, Diagnostic> {
        let long = self.long(members, name)?;
        u32::try_from(long).map_err(|_| {
            self.bad("has a number that is too large").expected(format!("32 bits for `{name}`")).found(long.to_string())
        })
    }

    /// `__uint` (a pointer to an array of so many elements) or `__ulong` (an enumeration of one value).
    fn long(&self, members: Composite<'_>, name: &str) -> Result<u64, Diagnostic> {
        let Some(member) = members.members().find(|m| m.name == name) else { return Ok(0) };
        let number = match self.btf.resolved(member.ty) {
            Type::Ptr(to) => match self.btf.resolved(to) {
                Type::Array(t) => Some(u64::from(t.len)),
                _ => None,
            },
            Type::Enum(t) | Type::Enum64(t) => t.values().next().map(|v| v.value as u64),
            _ => None,
        };
        number.ok_or_else(|| {
            self.bad("has a member that is no number")
                .expected(format!("`__uint({name}, …)`"))
                .found(self.btf.c_name(member.ty))
        })
    }

    fn place(&self) -> Place {
        Place::Section { section: self.section.into(), at: self.at }
    }

    fn bad(&self, what: &str) -> Diagnostic {
        Diagnostic::new("map-def", format!("map `{}` {what}", self.name), self.place())
    }
}

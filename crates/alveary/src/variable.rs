//! Global variables of an object by name, before it is loaded.

use crate::{Error, Kind, Object, Result, loader::not_found};
use alveary_btf::{Linkage, Type};
use alveary_diag::{Diagnostic, Place};
use alveary_spec::{Initial, Spec};

/// A variable, and where it stands.
struct Variable<'a> {
    name: &'a str,
    map: &'a str,
    at: usize,
    size: usize,
    /// It is not static, so that there is one of that name.
    global: bool,
}

impl Object {
    /// Sets what a global variable begins with, constants (`const volatile`) included, in the object's byte order:
    /// `object.set_variable("limit", &7u32.to_le_bytes())`. Of static variables of one name the first is meant, of a
    /// static and a global one the global.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the names that there are; [`Kind::Map`] if the value is not as long as the variable.
    pub fn set_variable(&mut self, name: &str, value: &[u8]) -> Result<()> {
        let all: Vec<Variable<'_>> = variables(self.spec()).collect();
        let named = || all.iter().filter(|one| one.name == name);
        let Some(found) = named().find(|one| one.global).or_else(|| named().next()) else {
            return Err(not_found("variable", name, all.iter().map(|one| one.name).collect()));
        };
        if found.size != value.len() {
            let why = Diagnostic::new("variable-size", format!("`{name}` is not of this size"), Place::Nowhere);
            let why = why.expected(format!("{} bytes", found.size)).found(format!("{} bytes", value.len()));
            return Err(Error::new(Kind::Map, why));
        }
        let (at, map) = (found.at, found.map.to_owned());
        let map = self.map_spec_mut(&map)?;
        let mut bytes = match std::mem::replace(&mut map.initial, Initial::Empty) {
            Initial::Bytes(bytes) => bytes,
            // What begins as zeros has no content yet.
            _ => vec![0; map.def.value_size as usize],
        };
        if let Some(to) = bytes.get_mut(at..).and_then(|rest| rest.get_mut(..value.len())) {
            to.copy_from_slice(value);
        }
        map.initial = Initial::Bytes(bytes);
        Ok(())
    }
}

/// The variables of an object's data sections; those of the kernel's configuration are not its own to set.
fn variables(spec: &Spec) -> impl Iterator<Item = Variable<'_>> {
    let btf = spec.btf.as_deref();
    let sections = spec.maps.iter().filter_map(move |(map, spec)| match btf?.ty(spec.value_type?) {
        Some(Type::DataSec(section)) => Some((map.as_str(), section)),
        _ => None,
    });
    sections.flat_map(move |(map, section)| {
        section.vars().filter_map(move |var| match btf?.ty(var.ty) {
            Some(Type::Var { name, linkage: linkage @ (Linkage::Global | Linkage::Static), .. }) => {
                let (at, size) = (var.offset as usize, var.size as usize);
                Some(Variable { name, map, at, size, global: linkage == Linkage::Global })
            }
            _ => None,
        })
    })
}

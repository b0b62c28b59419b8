//! Global variables by name: set in an object before it is loaded, read in what is.

use crate::{Backend, Error, Kind, Loaded, MapHandle, Object, Result, loader::not_found};
use alveary_btf::{Btf, Linkage, Type, TypeId};
use alveary_diag::{Diagnostic, Place};
use alveary_spec::{Initial, MapSpec};
use std::{collections::BTreeMap, sync::Arc};

/// A variable, and where it stands.
pub(crate) struct Variable<'a> {
    pub(crate) name: &'a str,
    pub(crate) map: &'a str,
    pub(crate) at: usize,
    pub(crate) size: usize,
    /// It is not static, so that there is one of that name.
    global: bool,
}

/// The data sections of an object: a map each, and the type that lists what is in it.
#[derive(Debug)]
pub(crate) struct Sections {
    types: Option<Arc<Btf>>,
    maps: Vec<(String, TypeId)>,
}

impl Object {
    /// Sets what a global variable begins with, constants (`const volatile`) included, in the object's byte order:
    /// `object.set_variable("limit", &7u32.to_le_bytes())`. Of static variables of one name the first is meant, of a
    /// static and a global one the global.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the names that there are; [`Kind::Map`] if the value is not as long as the variable.
    pub fn set_variable(&mut self, name: &str, value: &[u8]) -> Result<()> {
        let sections = Sections::of(&self.spec().maps, self.spec().btf.as_ref());
        let found = sections.find(name)?;
        if found.size != value.len() {
            let why = Diagnostic::new("variable-size", format!("`{name}` is not of this size"), Place::Nowhere);
            let why = why.expected(format!("{} bytes", found.size)).found(format!("{} bytes", value.len()));
            return Err(Error::new(Kind::Map, why));
        }
        let map = self.map_spec_mut(found.map)?;
        let mut bytes = match std::mem::replace(&mut map.initial, Initial::Empty) {
            Initial::Bytes(bytes) => bytes,
            // What begins as zeros has no content yet.
            _ => vec![0; map.def.value_size as usize],
        };
        if let Some(to) = bytes.get_mut(found.at..).and_then(|rest| rest.get_mut(..value.len())) {
            to.copy_from_slice(value);
        }
        map.initial = Initial::Bytes(bytes);
        Ok(())
    }
}

impl<B: Backend> Loaded<B> {
    /// What a global variable holds now, in the target's byte order; which one a name means, [`Object::set_variable`]
    /// says.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the names that there are; [`Kind::Map`] if the target cannot read it.
    pub fn variable(&self, name: &str) -> Result<Vec<u8>> {
        let found = self.sections.find(name)?;
        let section = self.map(found.map)?.lookup(&[0; 4])?.unwrap_or_default();
        let bytes = section.get(found.at..).and_then(|rest| rest.get(..found.size));
        bytes.map(<[u8]>::to_vec).ok_or_else(|| {
            let why = Diagnostic::new("variable-size", format!("`{name}` is not in its section"), Place::Nowhere);
            let why = why.expected(format!("{} bytes at {}", found.size, found.at));
            Error::new(Kind::Map, why.found(format!("`{}` of {} bytes", found.map, section.len())))
        })
    }
}

impl Sections {
    pub(crate) fn of(maps: &BTreeMap<String, MapSpec>, types: Option<&Arc<Btf>>) -> Sections {
        let maps = maps.iter().filter_map(|(name, map)| Some((name.clone(), map.value_type?)));
        Sections { types: types.cloned(), maps: maps.collect() }
    }

    fn find(&self, name: &str) -> Result<Variable<'_>> {
        let named = || self.variables().filter(|one| one.name == name);
        let found = named().find(|one| one.global).or_else(|| named().next());
        found.ok_or_else(|| not_found("variable", name, self.variables().map(|one| one.name).collect()))
    }

    /// All variables; those of the kernel's configuration are not the object's own.
    pub(crate) fn variables(&self) -> impl Iterator<Item = Variable<'_>> {
        let btf = self.types.as_deref();
        let sections = self.maps.iter().filter_map(move |(map, ty)| match btf?.ty(*ty) {
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
}

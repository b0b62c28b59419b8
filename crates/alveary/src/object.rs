//! Object files.

use crate::{Backend, Error, Kind, Loaded, Loader, Result, error::OrKind, loader::not_found, skeleton::plain::Plain};
use alveary_diag::{Diagnostic, Place};
use alveary_spec::{Initial, MapSpec, ProgramSpec, Spec};
use std::{path::Path, sync::Arc};

/// An eBPF object file: a [`Spec`] that can be read, edited, and loaded onto a target as often as needed.
///
/// ```
/// use alveary::{Object, Target};
/// # fn main() -> alveary::Result<()> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/count.bpf.o");
/// let object = Object::open(path)?;
/// let names: Vec<&str> = object.spec().programs.keys().map(String::as_str).collect();
/// assert_eq!(names, ["count"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Object {
    spec: Spec,
    file: Option<Arc<str>>,
}

impl Object {
    /// Reads an object file.
    ///
    /// # Errors
    /// [`Kind::Read`] if the file cannot be read, [`Kind::Object`] if it is not an eBPF object.
    pub fn open(path: impl AsRef<Path>) -> Result<Object> {
        let path = path.as_ref();
        let name: Arc<str> = path.to_string_lossy().into();
        let bytes = std::fs::read(path).map_err(|e| {
            let mut why = Diagnostic::new("read", format!("the object file cannot be read: {e}"), Place::Nowhere);
            if e.kind() == std::io::ErrorKind::NotFound {
                why = why.help("check the path; objects are made with `clang -target bpf -c`");
            }
            Error::new(Kind::Read, why.in_file(name.clone()))
        })?;
        let spec = alveary_object::read(&bytes).map_err(|why| why.in_file(name.clone())).or_kind(Kind::Object)?;
        Ok(Object { spec, file: Some(name) })
    }

    /// Reads an object from memory.
    ///
    /// # Errors
    /// [`Kind::Object`] if it is not an eBPF object.
    pub fn parse(bytes: &[u8]) -> Result<Object> {
        Ok(Object { spec: alveary_object::read(bytes).or_kind(Kind::Object)?, file: None })
    }

    /// Takes a Spec that came from elsewhere.
    #[must_use]
    pub fn from_spec(spec: Spec) -> Object {
        Object { spec, file: None }
    }

    /// What the file says.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// What the file says, to be changed before it is loaded: map sizes, first contents, program types.
    pub fn spec_mut(&mut self) -> &mut Spec {
        &mut self.spec
    }

    /// A map before it is made, by name.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the names that there are; so for the others.
    pub fn map_spec(&self, name: &str) -> Result<&MapSpec> {
        self.spec.maps.get(name).ok_or_else(|| not_found("map", name, keys(&self.spec.maps)))
    }

    /// A map before it is made, to be changed: `object.map_spec_mut("services")?.def.max_entries = 64`.
    ///
    /// # Errors
    /// As for [`Object::map_spec`].
    pub fn map_spec_mut(&mut self, name: &str) -> Result<&mut MapSpec> {
        self.map_spec(name)?;
        self.spec.maps.get_mut(name).ok_or_else(|| not_found("map", name, Vec::new()))
    }

    /// A program before it is loaded, by name.
    ///
    /// # Errors
    /// As for [`Object::map_spec`].
    pub fn program_spec(&self, name: &str) -> Result<&ProgramSpec> {
        self.spec.programs.get(name).ok_or_else(|| not_found("program", name, keys(&self.spec.programs)))
    }

    /// A program before it is loaded, to be changed: `object.program_spec_mut("count")?.autoload = false`.
    ///
    /// # Errors
    /// As for [`Object::map_spec`].
    pub fn program_spec_mut(&mut self, name: &str) -> Result<&mut ProgramSpec> {
        self.program_spec(name)?;
        self.spec.programs.get_mut(name).ok_or_else(|| not_found("program", name, Vec::new()))
    }

    /// The first content of a data section's map (`.rodata`, `.data`, `.bss`), as the type that a skeleton has for it.
    ///
    /// # Errors
    /// [`Kind::Map`] if the map is not as large as the type; [`Kind::NotFound`].
    pub fn data<T: Plain>(&self, map: &str) -> Result<T> {
        let map = self.map_spec(map)?;
        fits::<T>(map)?;
        Ok(match &map.initial {
            Initial::Bytes(bytes) => T::from_bytes(bytes),
            _ => T::zeroed(),
        })
    }

    /// Sets the first content of a data section's map.
    ///
    /// # Errors
    /// As for [`Object::data`].
    pub fn set_data<T: Plain>(&mut self, map: &str, value: &T) -> Result<()> {
        let map = self.map_spec_mut(map)?;
        fits::<T>(map)?;
        let mut bytes = vec![0; size_of::<T>()];
        value.to_bytes(&mut bytes);
        // What begins as zeros needs no content.
        let is_empty = map.initial == Initial::Empty && bytes.iter().all(|b| *b == 0);
        map.initial = if is_empty { Initial::Empty } else { Initial::Bytes(bytes) };
        Ok(())
    }

    /// Path that the object was read from.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Its name: that of its file, without folder and suffixes; empty if it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        let file = self.file.as_deref().map(Path::new).and_then(Path::file_name).and_then(|name| name.to_str());
        file.unwrap_or_default().split('.').next().unwrap_or_default()
    }

    /// Loads maps and programs onto a target. [`Loader`] does the same with settings.
    ///
    /// # Errors
    /// What [`Loader::load`] gives.
    pub fn load<B: Backend>(&self, on: B) -> Result<Loaded<B>> {
        Loader::new(on).load(self)
    }
}

fn keys<T>(map: &std::collections::BTreeMap<String, T>) -> Vec<&str> {
    map.keys().map(String::as_str).collect()
}

/// Refuses a type that is not what a map's value is.
pub(crate) fn fits<T>(map: &MapSpec) -> Result<()> {
    sized::<T>(map, "value", map.def.value_size)
}

/// Refuses a type that has not the size of a map's key or value.
pub(crate) fn sized<T>(map: &MapSpec, what: &str, size: u32) -> Result<()> {
    if size_of::<T>() == size as usize {
        return Ok(());
    }
    let message = format!("map `{}`: the type has not the size of a {what}", map.name);
    let why = Diagnostic::new("map-size", message, Place::Nowhere).expected(format!("{size} bytes")).found(format!(
        "{} bytes: {}",
        size_of::<T>(),
        std::any::type_name::<T>()
    ));
    Err(Error::new(Kind::Map, why.help("make the skeleton anew")))
}

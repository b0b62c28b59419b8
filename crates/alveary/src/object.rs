//! Object files.

use crate::{Backend, Error, Kind, Loaded, Loader, Result, error::OrKind};
use alveary_diag::{Diagnostic, Place};
use alveary_spec::Spec;
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

//! The types of a kernel's modules: read when they are first asked for, since few programs ask.

use alveary_btf::Btf;
use std::{
    fmt,
    sync::{Arc, OnceLock},
};

/// A kernel module's types.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its name: `nf_conntrack`.
    pub name: Arc<str>,
    /// Its types, which continue the kernel's.
    pub btf: Arc<Btf>,
}

/// The modules of a kernel, in the order in which they are asked.
#[derive(Clone, Default)]
pub struct Modules(Option<Arc<Source>>);

struct Source {
    read: Box<dyn Fn() -> Vec<Module> + Send + Sync>,
    all: OnceLock<Vec<Module>>,
}

impl Modules {
    /// Whether both are one, or clones of one.
    #[must_use]
    pub fn is(&self, other: &Modules) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }

    /// Modules that `read` gives, which is called once at most.
    #[must_use]
    pub fn new(read: impl Fn() -> Vec<Module> + Send + Sync + 'static) -> Modules {
        Modules(Some(Arc::new(Source { read: Box::new(read), all: OnceLock::new() })))
    }

    /// The modules; reads them if nobody did.
    #[must_use]
    pub fn all(&self) -> &[Module] {
        self.0.as_ref().map_or(&[], |source| source.all.get_or_init(|| (source.read)()))
    }
}

impl fmt::Debug for Modules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.as_ref().and_then(|source| source.all.get());
        f.debug_tuple("Modules").field(&known.map_or(&[][..], Vec::as_slice)).finish()
    }
}

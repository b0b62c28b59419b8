//! From a Spec to loaded maps and programs, for any target.

use crate::{Backend, Error, Kind, Object, Origin, Outcome, Result, TestRun, error::OrKind, fit, variable::Sections};
use alveary_abi::ProgType;
use alveary_diag::{Diagnostic, Place, did_you_mean};
use alveary_object::Options;
use alveary_spec::{Initial, MapSpec, Program, Resolved};
use std::{collections::BTreeMap, sync::Arc};

/// Loads objects onto a target, with settings.
///
/// ```
/// use alveary::{Loader, Object, Target};
/// # fn main() -> alveary::Result<()> {
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/count.bpf.o");
/// let object = Object::open(path)?;
/// let loaded = Loader::new(Target::user()).program("count").load(&object)?;
/// assert_eq!(loaded.programs().count(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Loader<B: Backend> {
    on: B,
    options: Options,
    given: BTreeMap<String, B::Map>,
    name: String,
}

impl<B: Backend> Loader<B> {
    /// Loads onto `on`, every program that the object wants loaded.
    pub fn new(on: B) -> Self {
        Loader { on, options: Options::default(), given: BTreeMap::new(), name: String::new() }
    }

    /// Loads this program, and no others than those that are asked for likewise.
    #[must_use]
    pub fn program(mut self, name: &str) -> Self {
        self.options.programs.get_or_insert_default().push(name.to_owned());
        self
    }

    /// The type of programs whose section name does not say it.
    #[must_use]
    pub fn program_type(mut self, ty: ProgType) -> Self {
        self.options.ty = Some(ty);
        self
    }

    /// Uses a map that exists in place of the object's map of that name.
    #[must_use]
    pub fn map(mut self, name: &str, map: B::Map) -> Self {
        self.given.insert(name.to_owned(), map);
        self
    }

    /// What the object is called on the target; unless it is said, as its file is, without folder and suffixes.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Resolves the object for the target's kernel, makes and fills its maps, and loads its programs.
    ///
    /// # Errors
    /// [`Kind::Resolve`] if the object does not fit the kernel, [`Kind::Map`] and [`Kind::Unsupported`] as the target
    /// says. Nothing of a failed load remains.
    pub fn load(mut self, object: &Object) -> Result<Loaded<B>> {
        let name_file = |e: Error| match object.file() {
            Some(file) => e.in_file(file),
            None => e,
        };
        if self.name.is_empty() {
            self.name = object.name().to_owned();
        }
        let kernel = self.on.kernel_for(object.spec()).map_err(name_file)?;
        let resolved = alveary_object::resolve(object.spec(), kernel, &self.options)
            .map_err(|all| Error::many(Kind::Resolve, all))
            .map_err(name_file)?;
        self.load_resolved(resolved).map_err(name_file)
    }

    /// The second half of [`Loader::load`], for what is resolved already.
    ///
    /// # Errors
    /// As for [`Loader::load`].
    pub fn load_resolved(self, resolved: Resolved) -> Result<Loaded<B>> {
        let Loader { on, given, name, .. } = self;
        let from = Origin { object: &name, btf: resolved.btf.as_ref() };
        fit::byte_order(&resolved).or_kind(Kind::Unsupported)?;
        // The order is the kernel's: a program names maps that exist, a prog array holds programs that are loaded.
        let mut maps = given;
        for (name, spec) in &resolved.maps {
            if !maps.contains_key(name) {
                maps.insert(name.clone(), create(&on, &fit::map(spec, on.kernel()), &from)?);
            }
        }
        let mut programs = Vec::with_capacity(resolved.programs.len());
        for program in &resolved.programs {
            let used: Vec<B::Map> = program.maps.iter().map(|name| maps[name].clone()).collect();
            let handle = on.load_program(program, &used).map_err(|e| e.of_programs(&resolved.programs))?;
            for name in resolved.maps.keys().filter(|name| is_constant(name) && !program.maps.contains(name)) {
                on.hold(&handle, &maps[name]);
            }
            programs.push((program.clone(), handle));
        }
        let sections = Sections::of(&resolved.maps, resolved.btf.as_ref());
        let loaded = Loaded { on, maps, programs, sections };
        for (name, spec) in &resolved.maps {
            loaded.fill_slots(name, spec)?;
        }
        loaded.on.keep_maps(&loaded.maps.values().collect::<Vec<_>>())?;
        Ok(loaded)
    }
}

/// Whether a map is a section of constants.
fn is_constant(map: &str) -> bool {
    map.strip_prefix(".rodata").is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn create<B: Backend>(on: &B, spec: &MapSpec, from: &Origin<'_>) -> Result<B::Map> {
    let inner = spec.inner.as_deref().map(|inner| create(on, inner, from)).transpose()?;
    on.create_map(spec, inner.as_ref(), from)
}

/// An object on a target: its maps and programs, for as long as this value lives.
#[derive(Debug)]
pub struct Loaded<B: Backend> {
    on: B,
    maps: BTreeMap<String, B::Map>,
    programs: Vec<(Arc<Program>, B::Prog)>,
    pub(crate) sections: Sections,
}

impl<B: Backend> Loaded<B> {
    /// The target.
    pub fn target(&self) -> &B {
        &self.on
    }

    /// A program by name.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the names that there are.
    pub fn program(&self, name: &str) -> Result<ProgramRef<'_, B>> {
        self.programs().find(|p| &*p.spec.name == name).ok_or_else(|| {
            let names = || self.programs.iter().map(|(p, _)| &*p.name);
            not_found("program", name, names().collect())
        })
    }

    /// The programs, in the object's order.
    pub fn programs(&self) -> impl Iterator<Item = ProgramRef<'_, B>> {
        self.programs.iter().map(|(spec, prog)| ProgramRef { on: &self.on, spec, prog })
    }

    /// A map by name.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with the names that there are.
    pub fn map(&self, name: &str) -> Result<&B::Map> {
        self.maps.get(name).ok_or_else(|| not_found("map", name, self.maps.keys().map(String::as_str).collect()))
    }

    /// The maps by name.
    pub fn maps(&self) -> impl Iterator<Item = (&str, &B::Map)> {
        self.maps.iter().map(|(name, map)| (name.as_str(), map))
    }

    fn fill_slots(&self, name: &str, spec: &MapSpec) -> Result<()> {
        let map = &self.maps[name];
        match &spec.initial {
            Initial::Programs(entries) => {
                for (index, entry) in (0..).zip(entries) {
                    // A program that was left out leaves its slot empty, as with libbpf.
                    let Some(entry) = entry else { continue };
                    if let Some((_, prog)) = self.programs.iter().find(|(p, _)| &*p.name == entry.as_str()) {
                        self.on.set_program(map, index, prog)?;
                    }
                }
            }
            Initial::Maps(entries) => {
                for (index, entry) in (0u32..).zip(entries) {
                    if let Some(entry) = entry {
                        self.on.set_map(map, &index.to_ne_bytes(), self.map(entry)?)?;
                    }
                }
            }
            Initial::Empty | Initial::Bytes(_) | Initial::StructOps(_) => {}
        }
        Ok(())
    }
}

/// A loaded program.
#[derive(Debug)]
pub struct ProgramRef<'a, B: Backend> {
    on: &'a B,
    spec: &'a Arc<Program>,
    prog: &'a B::Prog,
}

impl<B: Backend> Clone for ProgramRef<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: Backend> Copy for ProgramRef<'_, B> {}

impl<'a, B: Backend> ProgramRef<'a, B> {
    /// What was loaded.
    #[must_use]
    pub fn spec(&self) -> &'a Arc<Program> {
        self.spec
    }

    /// The target's own handle.
    #[must_use]
    pub fn handle(&self) -> &'a B::Prog {
        self.prog
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> &'a B {
        self.on
    }

    /// Runs the program over one packet, on CPU 0.
    ///
    /// # Errors
    /// [`Kind::Trap`] if it was stopped, [`Kind::Unsupported`] if its type cannot be run over a packet.
    pub fn run(&self, packet: &[u8]) -> Result<Outcome> {
        self.on.test_run(self.prog, &TestRun { data: packet, cpu: 0 })
    }
}

pub(crate) fn not_found(what: &str, name: &str, known: Vec<&str>) -> Error {
    let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let mut why = Diagnostic::new("not-found", format!("there is no {what} `{name}`"), Place::Nowhere)
        .expected(format!("one of the {what}s: {list}"))
        .found(format!("`{name}`"));
    if let Some(near) = did_you_mean(name, known.iter().copied()) {
        why = why.help(format!("did you mean `{near}`?"));
    }
    Error::new(Kind::NotFound, why)
}

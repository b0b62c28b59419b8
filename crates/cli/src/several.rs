//! Programs of an object on the user-space kernel, where one that is rejected does not hide the others.

use crate::{failure::Failure, inspect, verb::run::Programs};
use alveary::{Backend, Kind, Loaded, Loader, User};
use alveary_diag::Diagnostic;
use alveary_object::{Options, resolve};
use alveary_spec::{Program, Spec};
use std::sync::Arc;

/// Why programs do not load.
#[derive(Debug, Default)]
pub(crate) struct Rejected {
    /// What is wrong, program by program.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// What their places look like.
    programs: Vec<Arc<Program>>,
    /// What the library calls the first of them.
    kind: Option<Kind>,
}

impl Rejected {
    /// The same with something done to each diagnostic.
    pub(crate) fn map(self, change: impl FnMut(Diagnostic) -> Diagnostic) -> Rejected {
        Rejected { diagnostics: self.diagnostics.into_iter().map(change).collect(), ..self }
    }

    /// These, too, which stand in `programs`.
    pub(crate) fn with(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>, programs: &[Arc<Program>]) {
        self.diagnostics.extend(diagnostics);
        self.programs.extend_from_slice(programs);
        self.kind = self.kind.or(Some(Kind::Unsupported));
    }

    fn and(&mut self, other: Rejected) {
        self.diagnostics.extend(other.diagnostics);
        self.programs.extend(other.programs);
        self.kind = self.kind.or(other.kind);
    }
}

impl From<Rejected> for Failure {
    fn from(rejected: Rejected) -> Failure {
        let failure = Failure::with_scene(rejected.diagnostics, Programs(rejected.programs));
        rejected.kind.into_iter().fold(failure, Failure::of_kind)
    }
}

/// Loads the programs that are asked for; where not all of them load, those that do, and why the others do not.
///
/// # Errors
/// None of them loads.
pub(crate) fn load(spec: &Spec, user: &User, options: &Options) -> Result<(Loaded<User>, Option<Rejected>), Rejected> {
    let why = match at_once(spec, user, options) {
        Ok(loaded) => return Ok((loaded, None)),
        Err(why) => why,
    };
    let names: Vec<String> = match &options.programs {
        Some(names) => names.clone(),
        None => {
            inspect::in_order(spec).filter(|program| program.autoload).map(|program| program.name.clone()).collect()
        }
    };
    if names.len() < 2 {
        return Err(why);
    }
    let (mut good, mut rejected) = (Vec::new(), Rejected::default());
    for name in names {
        let alone = Options { programs: Some(vec![name.clone()]), ..options.clone() };
        match at_once(spec, user, &alone) {
            Ok(_) => good.push(name),
            Err(why) => rejected.and(why),
        }
    }
    // What only fails together with the others is said as it was.
    if rejected.diagnostics.is_empty() {
        return Err(why);
    }
    if good.is_empty() {
        return Err(rejected);
    }
    let loaded = at_once(spec, user, &Options { programs: Some(good), ..options.clone() })?;
    Ok((loaded, Some(rejected)))
}

fn at_once(spec: &Spec, user: &User, options: &Options) -> Result<Loaded<User>, Rejected> {
    let resolved =
        resolve(spec, user.kernel(), options).map_err(|diagnostics| Rejected { diagnostics, ..Rejected::default() })?;
    let programs = resolved.programs.clone();
    Loader::new(user.clone()).load_resolved(resolved).map_err(|why| Rejected {
        diagnostics: why.diagnostics().cloned().collect(),
        programs,
        kind: Some(why.kind()),
    })
}

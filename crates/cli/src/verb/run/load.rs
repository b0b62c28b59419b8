//! From the command line to a loaded program: the object or the filter, its presets, the target.

use super::{Run, Time, dump::Dump, preset, proof::Proof};
use crate::{
    classic::Classic,
    error::Scene,
    failure::Failure,
    inspect,
    names::{self, Known},
};
use alveary::{
    Backend, Kind, Linux, Loaded, Loader, ProgramRef, User,
    runtime::{Clock, Fault, TrapKind},
};
use alveary_abi::{Profile, ProgType};
use alveary_btf::Btf;
use alveary_diag::{Diagnostic, Place, SourceLine, Sources, did_you_mean};
use alveary_isa::Endian;
use alveary_object::Options;
use alveary_spec::{Initial, Program, ProgramSpec, Resolved, Spec};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// A program that is ready to run, and what belongs to it.
pub(super) struct Ready<B: Backend> {
    loaded: Loaded<B>,
    name: String,
    /// The object's types.
    pub(super) btf: Option<Arc<Btf>>,
    /// Packets are shown to the program as they are in the capture, whatever their link type.
    pub(super) as_captured: bool,
}

/// The number of a program type.
///
/// # Errors
/// There is none of that name: in clap's manner.
pub(crate) fn parse_type(name: &str) -> Result<ProgType, String> {
    let profile = Profile::linux_6_18();
    if let Some(row) = profile.prog_type_named(name) {
        return Ok(row.ty);
    }
    let near = did_you_mean(name, profile.tables().prog_types.iter().map(|row| row.name));
    Err(match near {
        Some(near) => format!("there is no such program type; did you mean `{near}`?"),
        None => "there is no such program type".to_owned(),
    })
}

/// Loads what the command line names onto the user-space kernel.
pub(super) fn on_user(run: &Run, cpus: u32) -> Result<Ready<User>, Failure> {
    let clock = match run.time {
        Time::Capture => Clock::Virtual { start: 0 },
        Time::Real => Clock::Real,
    };
    let mut user = User::builder()
        .clock(clock)
        .seed(run.seed)
        .cpus(cpus)
        .engine(run.engine.into())
        .fuel(run.fuel)
        .harden(run.harden);
    if let Some(bytes) = run.native_limit {
        user = user.native_limit(bytes);
    }
    if let Some(path) = alveary::cache::users_path().filter(|_| !run.no_cache) {
        user = user.cache(alveary::cache::directory_telling(path, |why| {
            let found = why.found.iter().chain(&why.help).map(|more| format!("; {more}")).collect::<String>();
            eprintln!("warning: {}{found}; or keep nothing: `--no-cache`", why.message);
        }));
    }
    load(run, |spec| {
        let user = run.kernel.user(user, spec)?.build();
        Ok(if run.unverified { user.unverified() } else { user })
    })
}

/// Loads what the command line names onto the running kernel.
pub(super) fn on_linux(run: &Run) -> Result<Ready<Linux>, Failure> {
    // A run leaves nothing behind, and finds nothing of others.
    load(run, |_| Ok(run.kernel.linux(Linux::builder().without_pins())?.build()))
}

fn load<B: Backend>(run: &Run, on: impl FnOnce(Option<&Spec>) -> Result<B, Failure>) -> Result<Ready<B>, Failure> {
    match (&run.cbpf, &run.object) {
        (Some(filter), _) => filter_of(filter, on(None)?),
        (None, Some(object)) => program_of(object, run, on),
        (None, None) => unreachable!("clap asks for one of the two"),
    }
}

fn program_of<B: Backend>(
    path: &Path,
    run: &Run,
    on: impl FnOnce(Option<&Spec>) -> Result<B, Failure>,
) -> Result<Ready<B>, Failure> {
    let file = path.display().to_string();
    let mut spec = inspect::open(path)?;
    let name = choose(&spec, run.prog.as_deref(), path)?;
    agree(&spec.programs[&name], run.ty).map_err(|why| why.in_file(&*file))?;
    let mut entries = Vec::new();
    for given in &run.maps {
        if !preset::into_spec(given, &mut spec)? {
            entries.push(given);
        }
    }
    let on = on(Some(&spec))?;
    let options = Options { programs: Some(vec![name.clone()]), ty: run.ty.or_else(|| of_others(&spec, &name)) };
    let resolved = alveary_object::resolve(&spec, on.kernel_for(&spec)?, &options)
        .map_err(|all| Failure::from(all.into_iter().map(|d| d.in_file(&*file)).collect::<Vec<_>>()))?;
    let scene = Programs(resolved.programs.clone());
    let stem = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.split('.').next()).unwrap_or_default();
    let loaded = Loader::new(on).named(stem).load_resolved(resolved).map_err(|why| {
        let rejected = why.kind() == Kind::Verifier;
        let advised = |d: Diagnostic| {
            if rejected { d.help("`--unverified` runs it all the same, with each access checked") } else { d }
        };
        let diagnostics = why.diagnostics().map(|d| advised(d.clone().in_file(&*file))).collect();
        Failure::with_scene(diagnostics, scene).of_kind(why.kind())
    })?;
    for given in entries {
        preset::into_map(given, &loaded, spec.btf.as_deref(), spec.endian)?;
    }
    Ok(Ready { loaded, name, btf: spec.btf, as_captured: false })
}

/// The program that is asked for, or the only one.
fn choose(spec: &Spec, wanted: Option<&str>, path: &Path) -> Result<String, Diagnostic> {
    if let Some(name) = wanted {
        return Ok(inspect::program(spec, name, path)?.name.clone());
    }
    let names: Vec<_> = inspect::in_order(spec).map(|p| &*p.name).collect();
    let why = match &*names {
        [only] => return Ok((*only).to_owned()),
        [] => Diagnostic::new("no-program", "the object has no program", Place::Nowhere)
            .help("programs are functions in sections that say their type, like `SEC(\"xdp\")`"),
        _ => {
            let likely = inspect::in_order(spec).find(|p| p.ty.is_some() && !is_tail_called(spec, &p.name));
            let why = Diagnostic::new("which-program", "the object has more than one program", Place::Nowhere)
                .found(names.join(", "));
            match likely {
                Some(program) => why.help(format!("name the one to run: `--prog {}`", program.name)),
                None => why.help("name the one to run: `--prog NAME`"),
            }
        }
    };
    Err(why.in_file(path.display().to_string()))
}

/// Whether a prog array of the object holds the program.
fn is_tail_called(spec: &Spec, name: &str) -> bool {
    spec.maps.values().any(|map| match &map.initial {
        Initial::Programs(slots) => slots.iter().flatten().any(|slot| &**slot == name),
        _ => false,
    })
}

/// Whether a section's name and `--type` say the same, if both say something.
fn agree(program: &ProgramSpec, given: Option<ProgType>) -> Result<(), Diagnostic> {
    let (Some(given), Some(says)) = (given, program.ty) else { return Ok(()) };
    if given == says {
        return Ok(());
    }
    let profile = Profile::linux_6_18();
    let name = |ty| profile.prog_type(ty).map_or("unknown", |row| row.name);
    let message = format!("program `{}` is of another type than `--type` says", program.name);
    Err(Diagnostic::new("type", message, Place::Nowhere)
        .expected(format!("{}, by its section `{}`", name(says), program.section))
        .found(name(given))
        .help("leave `--type` out: it is for sections whose name says no type"))
}

/// The type of programs whose section does not say it, as those of iproute2's tail calls (`7/1`): that of the program
/// that is run, or else the one that all others have.
fn of_others(spec: &Spec, name: &str) -> Option<ProgType> {
    if let Some(ty) = spec.programs[name].ty {
        return Some(ty);
    }
    let tail_called = |section: &str| {
        let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        section.split_once('/').is_some_and(|(map, slot)| number(map) && number(slot))
    };
    let mut types = spec.programs.values().filter_map(|p| p.ty);
    let first = types.next().filter(|_| tail_called(&spec.programs[name].section))?;
    types.all(|ty| ty == first).then_some(first)
}

fn filter_of<B: Backend>(path: &Path, on: B) -> Result<Ready<B>, Failure> {
    let name = "filter";
    let program = Program {
        name: name.into(),
        section: "socket".into(),
        ty: ProgType::SOCKET_FILTER,
        insns: Classic::read(path)?.translated()?,
        subprogs: vec![(0, name.into())],
        license: "GPL".to_owned(),
        ..Program::default()
    };
    let programs = vec![Arc::new(program)];
    let resolved = Resolved { endian: Endian::HOST, maps: BTreeMap::new(), programs, btf: None };
    let loaded = Loader::new(on).load_resolved(resolved)?;
    Ok(Ready { loaded, name: name.to_owned(), btf: None, as_captured: true })
}

impl Ready<User> {
    /// What the verifier made of it.
    pub(super) fn proof(&self) -> Proof {
        Proof::of(&self.loaded, &self.name)
    }
}

impl<B: Backend> Ready<B> {
    /// The program.
    pub(super) fn program(&self) -> Result<ProgramRef<'_, B>, Failure> {
        Ok(self.loaded.program(&self.name)?)
    }

    /// Everything that was loaded.
    pub(super) fn loaded(&self) -> &Loaded<B> {
        &self.loaded
    }

    /// What the tables say.
    pub(super) fn profile(&self) -> &Profile {
        &self.loaded.target().kernel().profile
    }

    /// What the maps hold.
    pub(super) fn dumps(&self) -> Result<Vec<Dump>, Failure> {
        let maps = self.loaded.maps();
        Ok(maps
            .map(|(name, map)| Dump::of(name, map, &self.loaded, self.btf.as_deref()))
            .collect::<alveary::Result<_>>()?)
    }
}

/// A trap, with the instruction and source line that it struck.
pub(super) fn explain(fault: &Fault, packet: u64) -> Failure {
    let why = match fault.trap.kind {
        TrapKind::Budget => fault
            .diagnostic()
            .note(format!("in packet {packet}, with which the run ends"))
            .help("`--budget` gives each packet more"),
        _ => fault.diagnostic().note(format!("in packet {packet}, the first of those that it happened to")),
    };
    Failure::with_scene(vec![why], Programs(vec![fault.program.clone()])).of_kind(Kind::Trap)
}
/// Programs whose instructions can be shown.
pub(crate) struct Programs(pub(crate) Vec<Arc<Program>>);

impl Programs {
    fn at(&self, place: &Place) -> Option<(&Program, usize)> {
        let Place::Insn { prog, index } = place else { return None };
        let program = self.0.iter().find(|p| p.name == *prog)?;
        Some((program, *index as usize))
    }
}

impl Sources for Programs {
    fn source(&self, at: &Place) -> Option<SourceLine> {
        self.at(at)?.0.source(at)
    }
}

impl Scene for Programs {
    fn instruction(&self, at: &Place) -> Option<String> {
        let (program, index) = self.at(at)?;
        let known = Known::of_program(program, &Profile::linux_6_18());
        names::text(&known, &program.insns, index)
    }
}

//! `alveary attach`: programs of an object to where they run, until Ctrl-C or for good.

mod held;
mod place;

pub(super) use place::one_of;

use super::target_prog::TargetProg;
use crate::{failure::Failure, files, inspect, kernel::KernelOptions, output};
use alveary::{
    Linux, Loaded, Loader, Object,
    kernel::{
        attach::{Link, Pinned},
        signal::Ending,
    },
};
use alveary_abi::ProgType;
use alveary_diag::{Diagnostic, Place as At};
use alveary_spec::Spec;
use clap::{Args, ValueHint};
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Load an object into the running kernel and attach its programs
///
/// Programs go where their section names say. What those leave open, a device, a control group, a process, is said by an
/// option, which is for one program. Kernel interfaces (`.struct_ops`) are registered. They stay until Ctrl-C; with --pin
/// for good.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary attach trace.bpf.o
  alveary attach filter.bpf.o --xdp eth0
  alveary attach filter.bpf.o --prog classify --tcx eth0 egress --pin /sys/fs/bpf/classify
  alveary attach patch.bpf.o --target-prog /sys/fs/bpf/classify weight
  alveary attach tasks.bpf.o --over pid 1234 --pin /sys/fs/bpf/tasks
  alveary detach /sys/fs/bpf/classify")]
pub(crate) struct Attach {
    /// The object file
    #[arg(value_name = "OBJ", value_hint = ValueHint::FilePath, value_parser = files::input)]
    object: PathBuf,

    /// The program; needed if the object has several that could go to the place which an option names
    #[arg(long, value_name = "NAME")]
    prog: Option<String>,

    #[command(flatten)]
    target: TargetProg,

    #[command(flatten)]
    place: place::Options,

    /// Keep it attached: give the link this name in a BPF file system. Several links go into a folder of that name
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pin: Option<PathBuf>,

    #[command(flatten)]
    kernel: KernelOptions,
}

/// What is attached, as `--json` says it.
#[derive(Serialize)]
struct Attached<'a> {
    #[serde(flatten)]
    what: What<'a>,
    place: &'a str,
    notes: &'a [String],
    pinned: Option<String>,
}

/// A program; a kernel interface by its map, whose programs go as one.
#[derive(Clone, Copy, Serialize)]
#[serde(untagged)]
enum What<'a> {
    Program { program: &'a str, id: u32 },
    Interface { map: &'a str, id: u32 },
}

impl<'a> What<'a> {
    fn name(self) -> &'a str {
        match self {
            What::Program { program: name, .. } | What::Interface { map: name, .. } => name,
        }
    }
}

impl Attach {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let ending = Ending::expect()?;
        let object = Object::open(&self.object)?;
        let programs = self.programs(object.spec())?;
        let everything = self.prog.is_none() && self.place.types().is_none();
        let named = programs.iter().filter(|_| !everything);
        let linux = self.kernel.linux(self.target.give(Linux::builder(), object.spec())?)?.build();
        let loader = named.fold(Loader::new(linux), |loader, name| loader.program(name));
        let loaded = loader.load(&object)?;
        let links = self.links(&loaded, &programs)?;
        let several = links.len() > 1;
        let mut held = Vec::new();
        for (what, link) in links {
            let (place, notes) = (link.place().to_owned(), link.notes().to_vec());
            let pinned = match &self.pin {
                Some(path) => Some(pin(link, path, several.then_some(what.name()))?),
                None => {
                    held.push(link);
                    None
                }
            };
            say(&Attached { what, place: &place, notes: &notes, pinned }, json)?;
        }
        if held.is_empty() {
            return Ok(());
        }
        if !json {
            output::plain("Ctrl-C detaches.\n")?;
        }
        ending.wait();
        held.into_iter().rev().try_for_each(|link| Ok(link.detach()?))
    }

    /// The programs to be attached.
    fn programs(&self, spec: &Spec) -> Result<Vec<String>, Failure> {
        if let Some(name) = &self.prog {
            return Ok(vec![inspect::program(spec, name, &self.object)?.name.clone()]);
        }
        let all: Vec<_> = inspect::in_order(spec).filter(|program| program.autoload).collect();
        let fitting: Vec<_> = match self.place.types() {
            Some(types) => all.iter().filter(|program| program.ty.is_some_and(|ty| types.contains(&ty))).collect(),
            None => all.iter().collect(),
        };
        let names: Vec<String> = fitting.iter().map(|program| program.name.clone()).collect();
        let file = self.object.display().to_string();
        match (names.len(), self.place.types()) {
            (0, _) => {
                let there: Vec<String> = all.iter().map(|p| format!("{} in section {}", p.name, p.section)).collect();
                Err(Diagnostic::new("no-program", "the object has no program for that", At::Nowhere)
                    .found(if there.is_empty() { "no programs".to_owned() } else { there.join(", ") })
                    .in_file(file)
                    .into())
            }
            (1, _) | (_, None) => Ok(names),
            (_, Some(_)) => {
                Err(Diagnostic::new("which-program", "several programs of the object could go there", At::Nowhere)
                    .found(names.join(", "))
                    .help(format!("name the one: `--prog {}`", names[0]))
                    .in_file(file)
                    .into())
            }
        }
    }

    /// Attaches the programs, and registers the kernel interfaces.
    fn links<'a>(&self, loaded: &'a Loaded<Linux>, programs: &'a [String]) -> Result<Vec<(What<'a>, Link)>, Failure> {
        let mut links = Vec::new();
        for name in programs {
            // A function of an interface that is made on demand only is not loaded.
            let Ok(program) = loaded.program(name) else { continue };
            if program.spec().ty != ProgType::STRUCT_OPS {
                let id = program.handle().id();
                links.push((What::Program { program: name, id }, self.link(loaded, name)?));
            }
        }
        for map in loaded.interfaces() {
            let id = loaded.map(map)?.sys().info().map_err(Diagnostic::from)?.id;
            let link = loaded.register(map).map_err(|error| self.failed(error.diagnostic().clone()))?;
            links.push((What::Interface { map, id }, link));
        }
        Ok(links)
    }

    fn link(&self, loaded: &Loaded<Linux>, name: &str) -> Result<Link, Failure> {
        let spec = loaded.program(name)?.spec().clone();
        let held = held::Held::open(&self.place)?;
        let link = match self.place.place(&held, &spec)? {
            Some(place) => loaded.attach_to(name, &place),
            None => loaded.attach(name),
        };
        link.map_err(|error| {
            let mut why = error.diagnostic().clone();
            if why.code.0 == "attach-where" {
                why = why.help(place::wanted(spec.ty));
            }
            self.failed(why)
        })
    }

    fn failed(&self, why: Diagnostic) -> Failure {
        why.in_file(self.object.display().to_string()).into()
    }
}

/// Pins a link, in a folder under its own name if it is one of several; says where, nothing if it needs no pin.
fn pin(link: Link, path: &Path, among: Option<&str>) -> Result<String, Failure> {
    let path = match among {
        Some(name) => {
            fs::create_dir_all(path).map_err(|why| Failure::directory(path, &why))?;
            path.join(name)
        }
        None => path.to_owned(),
    };
    Ok(match link.pin(&path)? {
        Pinned::At(path) => path.display().to_string(),
        Pinned::Without => String::new(),
    })
}

fn say(said: &Attached<'_>, json: bool) -> Result<(), Failure> {
    if json {
        return output::object(said);
    }
    output::write(|out| {
        match said.what {
            What::Program { program, id } => write!(out, "{program} (id {id}) is attached to {}", said.place)?,
            What::Interface { map, id } => write!(out, "{map} (map {id}) is registered")?,
        }
        match said.pinned.as_deref() {
            None => writeln!(out)?,
            Some("") => writeln!(out, ", and stays: it needs no pin")?,
            Some(path) => writeln!(out, ", pinned at {path}")?,
        }
        said.notes.iter().try_for_each(|note| writeln!(out, "  {note}"))
    })
}

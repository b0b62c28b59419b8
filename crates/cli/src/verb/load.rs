//! `alveary load`: an object's programs into the running kernel, where they stay by their pins.

use super::{
    keep,
    run::{Programs, parse_type},
    target_prog::TargetProg,
};
use crate::{
    bpftool::pins::Pins,
    failure::Failure,
    inspect,
    kernel::KernelOptions,
    output,
    table::{HEADING, printable},
};
use alveary::{
    Backend, Kind, Linux, LinuxMap, Loaded, Loader, Object,
    kernel::{
        attach::{Device, Link, Pinned},
        sys::{self, LOG_BRANCHES, LOG_INSNS, LOG_STATS, LogLevel},
    },
};
use alveary_abi::{MapType, ProgType};
use alveary_diag::Place;
use alveary_sort::Sort;
use clap::{Args, ValueEnum, ValueHint};
use serde_json::{Value, json};
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// Load an object into the running kernel and pin its programs
///
/// Makes the object's maps, loads its programs, and gives each a name below DIR in a BPF file system, by which they
/// stay until the name is removed. Nothing is attached, unless --autoattach is given. If anything fails nothing stays,
/// neither pins nor programs.
///
/// With --json the result is one object: `programs` and `maps`, each with `name`, `id`, `pinned` (null for maps that are
/// not), programs with `type`, `tag`, `attached` (where, or null); `interfaces` with `map`, `id`, `pinned`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary load count.bpf.o --pin /sys/fs/bpf/count
  alveary load filter.bpf.o --pin /sys/fs/bpf/filter --pin-maps /sys/fs/bpf/filter/maps
  alveary load trace.bpf.o --pin /sys/fs/bpf/trace --autoattach
  alveary load count.bpf.o --pin /sys/fs/bpf/again --map services=/sys/fs/bpf/count/services")]
pub(crate) struct Load {
    /// The object file
    #[arg(value_name = "OBJ", value_hint = ValueHint::FilePath)]
    object: PathBuf,

    /// Pin each program in this directory under its name; it is made if it is not there. A BPF file system is mounted
    /// on it if it is in none and empty
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pin: PathBuf,

    /// Attach the programs whose sections say where, and pin their links in place of them; register kernel interfaces
    #[arg(long)]
    autoattach: bool,

    /// Pin each map in this directory under its name
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pin_maps: Option<PathBuf>,

    /// Load this program alone, and those that it jumps to; may be given again
    #[arg(long = "prog", value_name = "NAME")]
    programs: Vec<String>,

    /// Program type, where the section's name does not say it
    #[arg(long = "type", value_name = "TYPE", value_parser = parse_type)]
    ty: Option<ProgType>,

    /// Use a pinned map in place of the object's map of that name; may be given again
    #[arg(long = "map", value_name = "NAME=FILE", value_parser = reuse)]
    maps: Vec<(String, PathBuf)>,

    /// Where maps that the object wants pinned by name are looked for and pinned
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, default_value = "/sys/fs/bpf")]
    pin_root: PathBuf,

    #[command(flatten)]
    target: TargetProg,

    /// Bind the programs to a network device, for its metadata functions
    #[arg(long, value_name = "DEVICE")]
    dev: Option<String>,

    /// Write what the kernel's verifier says of each program to stderr
    #[arg(long, value_enum, value_name = "LEVEL")]
    log: Option<Log>,

    #[command(flatten)]
    kernel: KernelOptions,
}

/// How much the verifier says.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Log {
    /// How much work it was
    Stats,
    /// What it knows where paths part
    Branches,
    /// The state behind each instruction
    Insns,
}

impl Log {
    fn level(self) -> LogLevel {
        match self {
            Log::Stats => LOG_STATS,
            Log::Branches => LOG_BRANCHES.and(LOG_STATS),
            Log::Insns => LOG_BRANCHES.and(LOG_INSNS).and(LOG_STATS),
        }
    }
}

/// Takes `NAME=FILE` apart, in clap's manner.
fn reuse(text: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("there is no `=` between a map and its file")?;
    Ok((name.to_owned(), file.into()))
}

impl Load {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        // What cannot be pinned is not loaded either.
        let mut pins = Pins::default();
        for directory in [Some(&self.pin), self.pin_maps.as_ref()].into_iter().flatten() {
            pins.ready_directory(directory, false)?;
        }
        let loaded = self.load()?;
        let kept = self.keep(&loaded, &mut pins)?;
        pins.stay();
        if json { output::object(&kept.json()) } else { output::write(|out| kept.write(out)) }
    }

    fn load(&self) -> Result<Loaded<Linux>, Failure> {
        let mut linux = self.kernel.linux(Linux::builder().pin_root(&self.pin_root))?;
        if let Some(level) = self.log {
            linux = linux.log(level.level());
        }
        if let Some(name) = &self.dev {
            linux = linux.device(Device::named(name)?.index);
        }
        let object = Object::from_spec(inspect::open(&self.object)?);
        let linux = self.target.give(linux, object.spec())?;
        let file = self.object.display().to_string();
        let stem = self.object.file_name().and_then(|n| n.to_str()).and_then(|n| n.split('.').next());
        let mut loader = Loader::new(linux.build()).named(stem.unwrap_or_default());
        for name in &self.programs {
            inspect::program(object.spec(), name, &self.object)?;
            loader = loader.program(name);
        }
        if let Some(ty) = self.ty {
            loader = loader.program_type(ty);
        }
        for (name, pin) in &self.maps {
            let Some(spec) = object.spec().maps.get(name) else {
                let known: Vec<&str> = object.spec().maps.keys().map(String::as_str).collect();
                return Err(inspect::missing("map", name, &known, Place::Nowhere).in_file(&*file).into());
            };
            loader = loader.map(name, LinuxMap::pinned(pin, spec)?);
        }
        let loaded = loader.load(&object).map_err(|why| {
            if self.log.is_some() {
                std::io::stderr().write_all(why.log().as_bytes()).ok();
            }
            let explained = format!("`alveary check {file}` explains rejections on the source lines that matter");
            let help = why.kind() == Kind::Verifier && self.log.is_none();
            let named = why.diagnostics().map(|d| {
                let d = d.clone().in_file(&*file);
                if help {
                    d.help(explained.as_str()).help("`--log insns` shows everything that the verifier says")
                } else {
                    d
                }
            });
            Failure::with_scene(named.collect(), Programs(why.programs().to_vec())).of_kind(why.kind())
        })?;
        for program in loaded.programs().filter(|p| !p.handle().log().is_empty()) {
            let text = format!("{}:\n{}", printable(&program.spec().name), program.handle().log());
            std::io::stderr().write_all(text.as_bytes()).ok();
        }
        Ok(loaded)
    }

    fn keep(&self, loaded: &Loaded<Linux>, pins: &mut Pins) -> Result<Kept, Failure> {
        let mut kept = Kept::default();
        for program in loaded.programs() {
            let info = program.handle().info(sys::ProgParts::default())?;
            let path = pins.place(&self.pin, &program.spec().name);
            // A kernel interface is attached as a whole.
            let attached = self.autoattach && program.spec().ty != ProgType::STRUCT_OPS;
            let keep::Kept { place, notes } = keep::keep(loaded, &program.spec().name, &path, attached)?;
            pins.made(path.clone());
            kept.notes.extend(notes);
            let profile = &loaded.target().kernel().profile;
            kept.programs.push(KeptProgram {
                name: program.spec().name.to_string(),
                ty: profile.prog_type(info.ty).map_or("unknown", |row| row.name),
                id: info.id,
                tag: info.tag.iter().map(|byte| format!("{byte:02x}")).collect(),
                attached: place,
                pinned: path,
            });
        }
        for (name, map) in loaded.maps() {
            let mut pinned = None;
            if let Some(directory) = &self.pin_maps {
                let path = pins.place(directory, name);
                map.pin(&path)?;
                pins.made(path.clone());
                pinned = Some(path);
            }
            let info = map.sys().info().map_err(|e| Failure::from(e.diagnostic()))?;
            kept.maps.push(KeptMap { name: name.to_owned(), ty: type_name(loaded, info.ty), id: info.id, pinned });
        }
        if self.autoattach {
            self.register(loaded, pins, &mut kept)?;
        }
        Ok(kept)
    }

    /// Registers the kernel interfaces: none stays unless all do.
    fn register(&self, loaded: &Loaded<Linux>, pins: &mut Pins, kept: &mut Kept) -> Result<(), Failure> {
        let register = |map| Ok((map, loaded.register(map)?));
        let mut links: Vec<(&str, Link)> = loaded.interfaces().map(register).collect::<Result<_, Failure>>()?;
        // Those that need no pin stay as soon as they are let go of, and nothing is wrong with that.
        links.order_by_key(|(_, link)| link.fds().next().is_none());
        for (map, link) in links {
            let path = pins.place(&self.pin, map);
            let id = loaded.map(map)?.sys().info().map_err(|e| Failure::from(e.diagnostic()))?.id;
            let pinned = match link.pin(&path)? {
                Pinned::At(path) => {
                    pins.made(path.clone());
                    Some(path)
                }
                Pinned::Without => None,
            };
            kept.interfaces.push(KeptInterface { map: map.to_owned(), id, pinned });
        }
        Ok(())
    }
}

fn type_name(loaded: &Loaded<Linux>, ty: MapType) -> &'static str {
    loaded.target().kernel().profile.map_type(ty).map_or("unknown", |row| row.name)
}

/// What stays in the kernel.
#[derive(Default)]
struct Kept {
    programs: Vec<KeptProgram>,
    interfaces: Vec<KeptInterface>,
    maps: Vec<KeptMap>,
    notes: Vec<String>,
}

struct KeptProgram {
    name: String,
    ty: &'static str,
    id: u32,
    tag: String,
    attached: Option<String>,
    pinned: PathBuf,
}

struct KeptInterface {
    map: String,
    id: u32,
    pinned: Option<PathBuf>,
}

struct KeptMap {
    name: String,
    ty: &'static str,
    id: u32,
    pinned: Option<PathBuf>,
}

impl Kept {
    fn json(&self) -> Value {
        let path = |path: &Path| path.display().to_string();
        let program = |p: &KeptProgram| {
            let KeptProgram { name, ty, id, tag, attached, pinned } = p;
            json!({ "name": name, "type": ty, "id": id, "tag": tag, "attached": attached, "pinned": path(pinned) })
        };
        let interface =
            |i: &KeptInterface| json!({ "map": i.map, "id": i.id, "pinned": i.pinned.as_deref().map(path) });
        let map =
            |m: &KeptMap| json!({ "name": m.name, "type": m.ty, "id": m.id, "pinned": m.pinned.as_deref().map(path) });
        json!({
            "programs": self.programs.iter().map(program).collect::<Vec<_>>(),
            "interfaces": self.interfaces.iter().map(interface).collect::<Vec<_>>(),
            "maps": self.maps.iter().map(map).collect::<Vec<_>>(),
        })
    }

    fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "{HEADING}programs{HEADING:#}")?;
        for p in &self.programs {
            let KeptProgram { name, ty, id, tag, attached, pinned } = p;
            write!(out, "  {}: {ty}, id {id}, tag {tag}, ", printable(name))?;
            if let Some(place) = attached {
                write!(out, "attached to {place}, ")?;
            }
            writeln!(out, "pinned at {}", pinned.display())?;
        }
        for note in &self.notes {
            writeln!(out, "  {note}")?;
        }
        if !self.interfaces.is_empty() {
            writeln!(out, "{HEADING}kernel interfaces{HEADING:#}")?;
        }
        for KeptInterface { map, id, pinned } in &self.interfaces {
            write!(out, "  {}: map {id}, registered, ", printable(map))?;
            match pinned {
                Some(path) => writeln!(out, "pinned at {}", path.display())?,
                None => writeln!(out, "and stays: it needs no pin")?,
            }
        }
        if !self.maps.is_empty() {
            writeln!(out, "{HEADING}maps{HEADING:#}")?;
        }
        for KeptMap { name, ty, id, pinned } in &self.maps {
            write!(out, "  {}: {ty}, id {id}", printable(name))?;
            match pinned {
                Some(path) => writeln!(out, ", pinned at {}", path.display())?,
                None => writeln!(out)?,
            }
        }
        Ok(())
    }
}

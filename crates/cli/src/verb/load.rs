//! `alveary load`: an object's programs into the running kernel, where they stay by their pins.

use super::run::{Programs, parse_type};
use crate::{
    bpftool::pins::Pins,
    failure::Failure,
    inspect, output,
    table::{HEADING, printable},
};
use alveary::{
    Backend, Kind, Linux, LinuxMap, Loaded, Loader, Object,
    kernel::sys::{self, LOG_BRANCHES, LOG_INSNS, LOG_STATS, LogLevel},
};
use alveary_abi::{MapType, ProgType};
use alveary_diag::{Diagnostic, Place};
use clap::{Args, ValueEnum, ValueHint};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// Load an object into the running kernel and pin its programs
///
/// Makes the object's maps, loads its programs, and gives each a name below DIR in a BPF file system, by which they
/// stay until the name is removed. Nothing is attached. If anything fails nothing stays, neither pins nor programs.
///
/// With --json the result is one object: `programs` and `maps`, each with `name`, `id`, `pinned` (null for maps that are
/// not), programs with `type` and `tag`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary load count.bpf.o --pin /sys/fs/bpf/count
  alveary load filter.bpf.o --pin /sys/fs/bpf/filter --pin-maps /sys/fs/bpf/filter/maps
  alveary load count.bpf.o --pin /sys/fs/bpf/again --map services=/sys/fs/bpf/count/services")]
pub(crate) struct Load {
    /// The object file
    #[arg(value_name = "OBJ", value_hint = ValueHint::FilePath)]
    object: PathBuf,

    /// Pin each program in this directory under its name; it is made if it is not there
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pin: PathBuf,

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

    /// Bind the programs to a network device, for its metadata functions
    #[arg(long, value_name = "DEVICE")]
    dev: Option<String>,

    /// Write what the kernel's verifier says of each program to stderr
    #[arg(long, value_enum, value_name = "LEVEL")]
    log: Option<Log>,
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
        let loaded = self.load()?;
        let mut pins = Pins::default();
        let kept = self.keep(&loaded, &mut pins)?;
        pins.stay();
        if json { output::object(&kept.json()) } else { output::write(|out| kept.write(out)) }
    }

    fn load(&self) -> Result<Loaded<Linux>, Failure> {
        let mut linux = Linux::builder().pin_root(&self.pin_root);
        if let Some(level) = self.log {
            linux = linux.log(level.level());
        }
        if let Some(name) = &self.dev {
            linux = linux.device(device(name)?);
        }
        let object = Object::from_spec(inspect::open(&self.object)?);
        let stem = self.object.file_name().and_then(|n| n.to_str()).and_then(|n| n.split('.').next());
        let mut loader = Loader::new(linux.build()).named(stem.unwrap_or_default());
        for name in &self.programs {
            loader = loader.program(name);
        }
        if let Some(ty) = self.ty {
            loader = loader.program_type(ty);
        }
        for (name, file) in &self.maps {
            let Some(spec) = object.spec().maps.get(name) else {
                return Err(Diagnostic::new("not-found", format!("the object has no map `{name}`"), Place::Nowhere)
                    .expected(object.spec().maps.keys().cloned().collect::<Vec<_>>().join(", "))
                    .found(format!("`{name}`"))
                    .into());
            };
            loader = loader.map(name, LinuxMap::pinned(file, spec)?);
        }
        let file = self.object.display().to_string();
        let loaded = loader.load(&object).map_err(|why| {
            if self.log.is_some() {
                std::io::stderr().write_all(why.log().as_bytes()).ok();
            }
            let help = why.kind() == Kind::Verifier && self.log.is_none();
            let named = why.diagnostics().map(|d| {
                let d = d.clone().in_file(&*file);
                if help { d.help("`--log insns` shows everything that the verifier says") } else { d }
            });
            Failure::with_scene(named.collect(), Programs(why.programs().to_vec()))
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
            program.handle().pin(&path)?;
            pins.made(path.clone());
            let profile = &loaded.target().kernel().profile;
            kept.programs.push(KeptProgram {
                name: program.spec().name.to_string(),
                ty: profile.prog_type(info.ty).map_or("unknown", |row| row.name),
                id: info.id,
                tag: info.tag.iter().map(|byte| format!("{byte:02x}")).collect(),
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
        Ok(kept)
    }
}

fn type_name(loaded: &Loaded<Linux>, ty: MapType) -> &'static str {
    loaded.target().kernel().profile.map_type(ty).map_or("unknown", |row| row.name)
}

/// The number of a network device.
fn device(name: &str) -> Result<u32, Diagnostic> {
    let path = Path::new("/sys/class/net").join(name).join("ifindex");
    fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        Diagnostic::new("device", format!("there is no network device `{name}`"), Place::Nowhere)
            .help("`ip link` lists those that there are")
    })
}

/// What stays in the kernel.
#[derive(Default)]
struct Kept {
    programs: Vec<KeptProgram>,
    maps: Vec<KeptMap>,
}

struct KeptProgram {
    name: String,
    ty: &'static str,
    id: u32,
    tag: String,
    pinned: PathBuf,
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
        let program = |p: &KeptProgram| json!({ "name": p.name, "type": p.ty, "id": p.id, "tag": p.tag, "pinned": path(&p.pinned) });
        let map =
            |m: &KeptMap| json!({ "name": m.name, "type": m.ty, "id": m.id, "pinned": m.pinned.as_deref().map(path) });
        json!({
            "programs": self.programs.iter().map(program).collect::<Vec<_>>(),
            "maps": self.maps.iter().map(map).collect::<Vec<_>>(),
        })
    }

    fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        writeln!(out, "{HEADING}programs{HEADING:#}")?;
        for p in &self.programs {
            let KeptProgram { name, ty, id, tag, pinned } = p;
            writeln!(out, "  {}: {ty}, id {id}, tag {tag}, pinned at {}", printable(name), pinned.display())?;
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

//! `alveary prog load` and `loadall`: an object's programs into the kernel, kept by their pins.

use crate::{
    bpftool::{
        mounts,
        options::{Options, Shape},
        pins::Pins,
        select, usage,
        words::Words,
    },
    failure::Failure,
    inspect,
    kernel::KernelOptions,
    verb::{keep::keep, run::Programs},
};
use alveary::{Linux, LinuxBuilder, LinuxMap, Loaded, Loader, Object, kernel::attach::Device};
use alveary_abi::{AttachType, Profile, ProgType, flags::BPF_F_XDP_DEV_BOUND_ONLY};
use alveary_diag::{Diagnostic, Place};
use alveary_linux::sys::LOG_INSNS;
use alveary_sort::Sort;
use alveary_spec::{MapSpec, Spec};
use clap::Args;
use std::{
    io::{self, Write},
    os::fd::OwnedFd,
    path::Path,
};

/// An object, a path, and how it is loaded
#[derive(Debug, Args)]
#[command(after_help = "Behind the path:
  type TYPE                       the programs' type, where their sections do not say it: xdp, classifier …
  map idx N MAP, map name X MAP   use a map of the kernel in place of the object's
  pinmaps DIR                     pin the maps in a directory
  autoattach                      attach what its section says where, and pin the link
  offload_dev DEVICE              load for a device's own engine
  xdpmeta_dev DEVICE              bind XDP programs to a device, for its metadata functions

Examples:
  alveary prog load count.bpf.o /sys/fs/bpf/count
  alveary prog loadall filter.bpf.o /sys/fs/bpf/filter pinmaps /sys/fs/bpf/maps
  alveary prog load count.bpf.o /sys/fs/bpf/count map name packets id 7")]
pub(super) struct Load {
    /// The object file, the path of the pin (for `loadall`: of a directory of pins), then how it is loaded
    #[arg(value_name = "WORD", required = true)]
    words: Vec<String>,

    #[command(flatten)]
    kernel: KernelOptions,

    /// Tell what the verifier says, on stderr
    #[arg(short = 'd', long)]
    debug: bool,
}

/// What the words say.
#[derive(Default)]
struct Wanted<'a> {
    ty: Option<(ProgType, Option<AttachType>)>,
    maps: Vec<(Named<'a>, OwnedFd)>,
    pin_maps: Option<&'a Path>,
    attach: bool,
    offload: Option<Device>,
    metadata: Option<Device>,
}

/// A map of the object.
enum Named<'a> {
    Index(usize),
    Name(&'a str),
}

/// The section of maps that have an index: those of data are named.
const MAPS: &str = ".maps";

impl Load {
    pub(super) fn run(&self, all: bool, options: Options, json: bool) -> Result<(), Failure> {
        let shape = options.shape(json);
        let mut words = Words::new(&self.words);
        let (file, path) = (words.must("an object file")?, Path::new(words.must("a path in a BPF file system")?));
        let wanted = Wanted::read(&mut words)?;
        // What cannot be pinned is not loaded either.
        let mut made = Pins::default();
        if all {
            made.ready_directory(path, options.nomount)?
        } else {
            made.ready_name(path, options.nomount)?
        }
        if let Some(directory) = wanted.pin_maps {
            made.ready_directory(directory, options.nomount)?;
        }
        let linux = if self.debug { Linux::builder().log(LOG_INSNS) } else { Linux::builder() };
        let (loaded, order) = wanted.load(Path::new(file), self.kernel.linux(linux)?)?;
        for program in loaded.programs().filter(|_| self.debug) {
            // A closed stderr is no reason to fail.
            write!(io::stderr(), "{}:\n{}", program.spec().name, program.handle().log()).ok();
        }
        let programs = order.iter().filter_map(|name| loaded.program(name).ok());
        let mut found = false;
        for program in programs.take(if all { usize::MAX } else { 1 }) {
            found = true;
            let path = if all { made.place(path, &program.spec().name) } else { path.to_owned() };
            let kept = keep(&loaded, &program.spec().name, &path, wanted.attach)?;
            kept.notes.iter().for_each(|note| remark(note, shape));
            made.made(path);
        }
        if !found {
            let why = Diagnostic::new("no-program", "the object has no program that loads", Place::Nowhere);
            return Err(why.in_file(file).into());
        }
        if let Some(directory) = wanted.pin_maps {
            for (name, map) in loaded.maps() {
                let path = made.place(directory, name);
                map.pin(&path)?;
                made.made(path);
            }
        }
        made.stay();
        shape.done()
    }
}

impl<'a> Wanted<'a> {
    fn read(words: &mut Words<'a>) -> Result<Wanted<'a>, Failure> {
        let mut wanted = Wanted::default();
        while !words.is_empty() {
            if words.is("type") {
                let ty = section_type(words.must("a type")?)?;
                once(&mut wanted.ty, ty, "type")?;
            } else if words.is("map") {
                let named = if words.is("idx") {
                    Named::Index(words.number("an index")?)
                } else if words.is("name") {
                    Named::Name(words.must("the name of a map of the object")?)
                } else {
                    return Err(words.unexpected("`idx N` or `name NAME`"));
                };
                wanted.maps.push((named, select::map(words)?));
            } else if words.is("dev") || words.is("offload_dev") {
                once(&mut wanted.offload, Device::named(words.must("a network device")?)?, "offload_dev")?;
            } else if words.is("xdpmeta_dev") {
                once(&mut wanted.metadata, Device::named(words.must("a network device")?)?, "xdpmeta_dev")?;
            } else if words.is("pinmaps") {
                wanted.pin_maps = Some(Path::new(words.must("a directory")?));
            } else if words.is("autoattach") {
                wanted.attach = true;
            } else {
                return Err(words.unexpected(
                    "`type TYPE`, `map …`, `offload_dev DEVICE`, `xdpmeta_dev DEVICE`, `pinmaps DIR` or `autoattach`",
                ));
            }
        }
        if wanted.offload.is_some() && wanted.metadata.is_some() {
            return Err(usage("`offload_dev` and `xdpmeta_dev` exclude each other").into());
        }
        Ok(wanted)
    }

    /// Loads the object; gives the names of its programs in their order.
    fn load(&self, file: &Path, linux: LinuxBuilder) -> Result<(Loaded<Linux>, Vec<String>), Failure> {
        let mut spec = inspect::open(file)?;
        let mut order: Vec<(u32, String)> = spec.programs.values().map(|p| (p.order, p.name.clone())).collect();
        order.order();
        let mut linux = linux;
        if let Some(device) = self.offload.as_ref().or(self.metadata.as_ref()) {
            linux = linux.device(device.index);
        }
        if let Some(token) = mounts::token()? {
            linux = linux.token(token);
        }
        self.change(&mut spec, file)?;
        let object = Object::from_spec(spec);
        let stem = file.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('.').next());
        let mut loader = Loader::new(linux.build()).named(stem.unwrap_or_default());
        for (named, fd) in &self.maps {
            let map = named.of(object.spec()).map_err(|why| why.in_file(file.display().to_string()))?;
            let fd = fd.try_clone()?;
            loader = loader.map(&map.name, LinuxMap::opened(fd, "the map that is given", map)?);
        }
        let loaded = loader.load(&object).map_err(|why| {
            let named = why.diagnostics().map(|d| self.about_device(d.clone()).in_file(file.display().to_string()));
            Failure::with_scene(named.collect(), Programs(why.programs().to_vec())).of_kind(why.kind())
        })?;
        Ok((loaded, order.into_iter().map(|(_, name)| name).collect()))
    }

    /// A refusal, with what a device may have to do with it.
    fn about_device(&self, why: Diagnostic) -> Diagnostic {
        let device = self.offload.as_ref().or(self.metadata.as_ref());
        // Where the verifier has something against a program, it says so.
        let refused = matches!(why.code.0, "bpf-unsupported" | "bpf-refused") && why.notes.is_empty();
        let Some(device) = device.filter(|_| refused) else { return why };
        let what = if self.offload.is_some() { "translates programs" } else { "binds programs to itself" };
        why.expected(format!("a device whose driver {what}")).found(format!("`{}`", device.name))
    }

    /// What the words say of programs in place of their sections.
    fn change(&self, spec: &mut Spec, file: &Path) -> Result<(), Failure> {
        if self.offload.is_some() && !spec.maps.is_empty() {
            let why = Diagnostic::new("offload-maps", "maps cannot be made on a device", Place::Nowhere);
            let names: Vec<_> = spec.maps.keys().map(|name| format!("`{name}`")).collect();
            let why = why.in_file(file.display().to_string()).expected("programs without maps, for `offload_dev`");
            return Err(why.found(names.join(", ")).into());
        }
        for program in spec.programs.values_mut() {
            if let Some((ty, expected)) = self.ty {
                (program.ty, program.expected) = (Some(ty), expected);
            }
            if self.metadata.is_none() {
                continue;
            }
            if program.ty != Some(ProgType::XDP) {
                let what = format!("`{}` is no XDP program: no other kind is bound to a device", program.name);
                let why = Diagnostic::new("device-bound", what, Place::Nowhere).in_file(file.display().to_string());
                return Err(why.expected("XDP programs, for `xdpmeta_dev`").into());
            }
            program.flags |= BPF_F_XDP_DEV_BOUND_ONLY;
        }
        Ok(())
    }
}

impl Named<'_> {
    /// The map that is meant.
    fn of<'s>(&self, spec: &'s Spec) -> Result<&'s MapSpec, Diagnostic> {
        let mut indexed: Vec<_> = spec.maps.values().filter(|map| &*map.section == MAPS).collect();
        indexed.order_by_key(|map| map.at);
        let (found, what) = match self {
            Named::Index(index) => (indexed.get(*index).copied(), format!("map {index}")),
            Named::Name(name) => (spec.maps.get(*name), format!("map `{name}`")),
        };
        found.ok_or_else(|| {
            let mut known: Vec<_> = indexed.iter().enumerate().map(|(i, map)| format!("{i}: {}", map.name)).collect();
            known.extend(spec.maps.values().filter(|map| &*map.section != MAPS).map(|map| map.name.clone()));
            Diagnostic::new("not-found", format!("the object has no {what}"), Place::Nowhere)
                .expected(if known.is_empty() { "none: it has no maps".to_owned() } else { known.join(", ") })
        })
    }
}

/// What the name of a section, or its beginning, says of its programs.
fn section_type(name: &str) -> Result<(ProgType, Option<AttachType>), Failure> {
    let profile = Profile::linux_6_18();
    let found = profile.section(name).or_else(|| profile.section(name.trim_end_matches('/')));
    let (ty, attach) = found.map(|found| (found.row.ty, found.row.attach)).ok_or_else(|| {
        usage(format!("`{name}` is no type of programs"))
            .expected("a section's name: `xdp`, `classifier`, `cgroup/skb`, `kprobe` …")
    })?;
    Ok((ty, attach))
}

/// Sets what may be said once.
fn once<T>(place: &mut Option<T>, value: T, what: &str) -> Result<(), Failure> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(usage(format!("`{what}` is said twice")).into()),
    }
}

/// A line for people, beside the result.
fn remark(text: &str, shape: Shape) {
    if shape == Shape::Text {
        // A closed stderr is no reason to fail.
        writeln!(io::stderr(), "note: {text}").ok();
    }
}

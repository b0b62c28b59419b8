//! `alveary cgroup show` and `tree`: the programs on a cgroup, and on all of them.

use super::place::{self, PLACES};
use crate::{
    bpftool::{json::Json, options::Shape, select, typed, usage, words::Words},
    failure::Failure,
    output, types,
};
use alveary_abi::{
    AttachType, Errno, Profile,
    flags::{BPF_F_ALLOW_MULTI, BPF_F_ALLOW_OVERRIDE},
};
use alveary_btf::Btf;
use alveary_linux::sys::{self, Object, ProgInfo, ProgParts, ProgQuery, Target};
use clap::Args;
use std::{
    fs,
    io::{self, Write},
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// `BPF_F_QUERY_EFFECTIVE`
const EFFECTIVE: u32 = 1;
/// Deeper cgroups are not looked into.
const DEEPEST: usize = 256;

/// Show the programs on a cgroup
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The cgroup; `effective`: what runs there, from the cgroups above as well
    #[arg(value_name = "CGROUP", required = true)]
    words: Vec<String>,
}

impl Show {
    pub(super) fn run(&self, shape: Shape) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let path = PathBuf::from(words.must("a cgroup's path")?);
        let effective = effective(&mut words)?;
        let programs = Reader::new(effective).programs(&path)?;
        output::write(|out| match shape {
            Shape::Text if programs.is_empty() => Ok(()),
            Shape::Text => {
                heading(effective, out)?;
                programs.iter().try_for_each(|program| program.text("", out))
            }
            // As bpftool: nothing at all, not even a list.
            Shape::Json { .. } if programs.is_empty() => writeln!(out),
            Shape::Json { pretty } => {
                let mut json = Json::new(&mut *out, pretty);
                json.array(|json| programs.iter().try_for_each(|program| program.json(json)))?;
                writeln!(out)
            }
        })
    }
}

/// Show the programs on a cgroup and on all below it
#[derive(Debug, Args)]
pub(super) struct Tree {
    /// The cgroup, else the root of all; `effective`: what runs there, from the cgroups above as well
    #[arg(value_name = "CGROUP")]
    words: Vec<String>,
}

impl Tree {
    pub(super) fn run(&self, shape: Shape) -> Result<(), Failure> {
        let mut words = Words::new(&self.words);
        let root = match words.take() {
            Some(path) => PathBuf::from(path),
            None => root()?,
        };
        let effective = effective(&mut words)?;
        let mut found = Vec::new();
        let device = fs::metadata(&root).map_err(|why| Failure::file("open", &root, &why))?.dev();
        walk(&root, 0, device, &mut Reader::new(effective), &mut found)?;
        output::write(|out| match shape {
            Shape::Text => {
                writeln!(out, "CgroupPath")?;
                heading(effective, out)?;
                found.iter().try_for_each(|(path, level, programs)| {
                    writeln!(out, "{}", path.display())?;
                    let indent = if *level > 0 { "    " } else { "" };
                    programs.iter().try_for_each(|program| program.text(indent, out))
                })
            }
            Shape::Json { pretty } => {
                Json::new(&mut *out, pretty).array(|json| {
                    found.iter().try_for_each(|(path, _, programs)| {
                        json.object(|json| {
                            json.field("cgroup", &path.display().to_string())?;
                            json.name("programs")?;
                            json.array(|json| programs.iter().try_for_each(|program| program.json(json)))
                        })
                    })
                })?;
                writeln!(out)
            }
        })
    }
}

fn effective(words: &mut Words<'_>) -> Result<bool, Failure> {
    let effective = words.is("effective");
    if words.is_empty() { Ok(effective) } else { Err(words.unexpected("`effective`, once, or nothing")) }
}

/// Where cgroups are.
fn root() -> Result<PathBuf, Failure> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let found = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let path = fields.next()?;
        (fields.next() == Some("cgroup2")).then(|| PathBuf::from(path))
    });
    found.ok_or_else(|| usage("cgroups are not mounted").help("`mount -t cgroup2 none PATH`").into())
}

/// A cgroup with programs, and how far below the first one it is.
type Found = (PathBuf, usize, Vec<Program>);

/// Looks through a cgroup and those below, each before those below it.
fn walk(path: &Path, level: usize, device: u64, reader: &mut Reader, found: &mut Vec<Found>) -> Result<(), Failure> {
    let programs = reader.programs(path)?;
    if !programs.is_empty() {
        found.push((path.to_owned(), level, programs));
    }
    if level == DEEPEST {
        return Ok(());
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let here = entry.metadata().is_ok_and(|data| data.is_dir() && data.dev() == device);
        // One that went meanwhile has nothing any more.
        if here
            && let Err(why) = walk(&entry.path(), level + 1, device, reader, found)
            && entry.path().exists()
        {
            return Err(why);
        }
    }
    Ok(())
}

fn heading(effective: bool, out: &mut dyn Write) -> io::Result<()> {
    if effective {
        writeln!(out, "{:<8} {:<15} {:<15}", "ID", "AttachType", "Name")
    } else {
        writeln!(out, "{:<8} {:<15} {:<15} {:<15}", "ID", "AttachType", "AttachFlags", "Name")
    }
}

/// A program on a cgroup.
struct Program {
    info: ProgInfo,
    name: String,
    place: &'static str,
    /// `None` for what is effective, which flags are not told of.
    flags: Option<String>,
    /// The function of the kernel that it is attached to.
    function: Option<String>,
}

impl Program {
    fn text(&self, indent: &str, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{indent}{:<8} {:<15}", self.info.id, self.place)?;
        if let Some(flags) = &self.flags {
            write!(out, " {flags:<15}")?;
        }
        write!(out, " {:<15}", self.name)?;
        match &self.function {
            Some(function) => write!(out, " {function:<15}")?,
            None if self.info.attach_btf.0 != 0 => {
                let (object, id) = (self.info.attach_btf_obj_id, self.info.attach_btf.0);
                write!(out, " attach_btf_obj_id={object} attach_btf_id={id}")?;
            }
            None => {}
        }
        writeln!(out)
    }

    fn json(&self, json: &mut Json<'_>) -> io::Result<()> {
        json.object(|json| {
            json.field("id", self.info.id)?;
            json.field("attach_type", self.place)?;
            if let Some(flags) = &self.flags {
                json.field("attach_flags", flags)?;
            }
            json.field("name", &self.name)?;
            if let Some(function) = &self.function {
                json.field("attach_btf_name", function)?;
            }
            json.field("attach_btf_obj_id", self.info.attach_btf_obj_id)?;
            json.field("attach_btf_id", self.info.attach_btf.0)
        })
    }
}

/// Reads what is attached; opens the kernel's types once, and only if a program is attached by them.
struct Reader {
    effective: bool,
    profile: Profile,
    /// The kernel's types and their id.
    vmlinux: Option<(u32, Arc<Btf>)>,
    has_types: bool,
}

impl Reader {
    fn new(effective: bool) -> Reader {
        let has_types = Path::new(types::KERNEL).exists();
        Reader { effective, profile: Profile::linux_6_18(), vmlinux: None, has_types }
    }

    fn programs(&mut self, path: &Path) -> Result<Vec<Program>, Failure> {
        let cgroup = place::open(path)?;
        let mut programs = Vec::new();
        for ty in PLACES {
            let flags = if self.effective { EFFECTIVE } else { 0 };
            let found = match (ProgQuery { target: Target::Fd(cgroup.as_fd()), ty, flags }).query() {
                Ok(found) => found,
                // A place that this kernel does not have, or cannot be asked for.
                Err(why) if why.errno() == Errno::EINVAL => continue,
                Err(why) => return Err(why.into()),
            };
            for (index, id) in found.progs.iter().enumerate() {
                let own = found.prog_flags.get(index).copied().filter(|flags| *flags != 0);
                let flags = (!self.effective).then(|| flags_text(own.unwrap_or(found.flags)));
                programs.extend(self.program(*id, ty, flags));
            }
        }
        Ok(programs)
    }

    /// `None` if it is gone.
    fn program(&mut self, id: u32, ty: AttachType, flags: Option<String>) -> Option<Program> {
        let fd = sys::open_id(Object::Prog, id, 0, None).ok()?;
        let info = sys::prog_info(fd.as_fd(), ProgParts::default()).ok()?;
        let name = select::full_name(fd.as_fd(), &info);
        let place = self.profile.attach_type(ty).map_or("", |row| row.name);
        let function = self.function(&info);
        Some(Program { info, name, place, flags, function })
    }

    /// As bpftool: of a program that is attached by no type the empty name, until one was found that is.
    fn function(&mut self, info: &ProgInfo) -> Option<String> {
        if !self.has_types {
            return None;
        }
        let object = info.attach_btf_obj_id;
        if object == 0 {
            return self.vmlinux.is_none().then(String::new);
        }
        if self.vmlinux.is_none() {
            let btf = sys::btf_info(sys::open_id(Object::Btf, object, 0, None).ok()?.as_fd(), false).ok()?;
            if btf.kernel && btf.name == "vmlinux" {
                self.vmlinux = Some((object, typed::vmlinux().ok()?));
            }
        }
        let (id, types) = self.vmlinux.as_ref()?;
        (*id == object).then(|| types.name(info.attach_btf).to_owned())
    }
}

fn flags_text(flags: u32) -> String {
    match flags {
        0 => String::new(),
        BPF_F_ALLOW_MULTI => "multi".to_owned(),
        BPF_F_ALLOW_OVERRIDE => "override".to_owned(),
        other => format!("unknown({other:x})"),
    }
}

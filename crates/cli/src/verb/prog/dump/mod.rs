//! `alveary prog dump`: the code of a program that is loaded.

mod code;
mod dot;
mod graph;
mod source;
mod xlated;

use super::show;
use crate::{
    bpftool::{
        json::Json,
        options::{Options, Shape},
        select, typed, usage,
        words::Words,
    },
    failure::Failure,
    output,
};
use alveary_abi::Profile;
use alveary_diag::{Diagnostic, Place};
use alveary_linux::sys::{self, ProgInfo, ProgParts};
use clap::Args;
use code::Code;
use source::Source;
use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
};

/// Show the code of programs, with source lines where there are some
#[derive(Debug, Args)]
#[command(after_help = "What to show:
  file FILE  write the bytes to a file
  opcodes    with the bytes of each instruction
  linum      with file, line and column of each source line
  visual     the control flow, as text for Graphviz

Examples:
  alveary prog dump xlated name filter linum
  alveary prog dump xlated id 7 visual | dot -Tpng > filter.png")]
pub(super) struct Dump {
    /// `xlated`, the program (`id ID`, `name NAME`, `tag TAG` or `pinned FILE`), then what to show
    #[arg(value_name = "WORD", required = true)]
    words: Vec<String>,
}

/// What is told beside the instructions.
#[derive(Clone, Copy, Debug, Default)]
struct Detail {
    /// The bytes.
    opcodes: bool,
    /// File, line and column.
    numbers: bool,
}

/// What the words ask for.
#[derive(Debug, Default)]
struct Wanted<'a> {
    detail: Detail,
    visual: bool,
    file: Option<&'a str>,
}

impl Dump {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let shape = options.shape(json);
        let mut words = Words::new(&self.words);
        if !words.is("xlated") {
            return Err(words.unexpected("`xlated`"));
        }
        let programs = select::progs(&mut words)?;
        let wanted = Wanted::read(&mut words)?;
        wanted.check(shape, programs.len())?;
        let parts = ProgParts { xlated: true, jited: true, maps: false };
        let mut all = programs.iter().map(|fd| Seen::of(fd, parts)).collect::<Result<Vec<_>, _>>()?;
        match (&mut *all, wanted.file) {
            ([seen], Some(file)) => {
                save(Path::new(file), &seen.bytes)?;
                shape.done()
            }
            (all, _) => show(all, &wanted, shape),
        }
    }
}

impl<'a> Wanted<'a> {
    fn read(words: &mut Words<'a>) -> Result<Wanted<'a>, Failure> {
        let mut wanted = Wanted::default();
        while !words.is_empty() {
            if words.is("file") {
                wanted.file = Some(words.must("a file to write")?);
            } else if words.is("opcodes") {
                wanted.detail.opcodes = true;
            } else if words.is("visual") {
                wanted.visual = true;
            } else if words.is("linum") {
                wanted.detail.numbers = true;
            } else {
                return Err(words.unexpected("`file FILE`, `opcodes`, `visual` or `linum`"));
            }
        }
        Ok(wanted)
    }

    /// Not everything goes together.
    fn check(&self, shape: Shape, programs: usize) -> Result<(), Failure> {
        let Detail { opcodes, numbers } = self.detail;
        if self.file.is_some() && (opcodes || numbers || self.visual) {
            return Err(usage("`file` writes bytes: `opcodes`, `linum` and `visual` mean nothing to it").into());
        }
        if self.visual && shape != Shape::Text {
            return Err(usage("`visual` is text for Graphviz, there is no JSON of it").into());
        }
        if programs > 1 && (self.file.is_some() || self.visual) {
            let why = usage("several programs are called so").expected("one, for `file` and `visual`");
            return Err(why.found(format!("{programs} programs")).help("name the one that is meant by its id").into());
        }
        Ok(())
    }
}

/// A program with its code.
struct Seen {
    info: ProgInfo,
    name: String,
    bytes: Vec<u8>,
    code: Code,
    source: Source,
}

impl Seen {
    fn of(fd: &OwnedFd, parts: ProgParts) -> Result<Seen, Failure> {
        let fd = fd.as_fd();
        let mut info = sys::prog_info(fd, parts)?;
        let name = select::full_name(fd, &info);
        let bytes = info.xlated.take().filter(|bytes| !bytes.is_empty()).ok_or_else(|| hidden(&info))?;
        let btf = if info.btf_id == 0 { None } else { Some(typed::types(info.btf_id)?) };
        let source = Source { btf, funcs: std::mem::take(&mut info.funcs), lines: std::mem::take(&mut info.lines) };
        let code = Code::new(&bytes, std::mem::take(&mut info.jited_ksyms));
        Ok(Seen { info, name, bytes, code, source })
    }
}

/// The kernel keeps the code to itself.
fn hidden(info: &ProgInfo) -> Diagnostic {
    let message = format!("the kernel does not show the code of program {}", info.id);
    Diagnostic::new("hidden", message, Place::Nowhere)
        .help("it takes CAP_PERFMON (or CAP_SYS_ADMIN), and `sysctl kernel.kptr_restrict` below 2")
}

fn show(all: &[Seen], wanted: &Wanted<'_>, shape: Shape) -> Result<(), Failure> {
    let profile = Profile::linux_6_18();
    match (shape, all) {
        (Shape::Text, [seen]) if wanted.visual => {
            output::write(|out| dot::graph(&seen.code, &seen.source, wanted.detail, out))
        }
        (Shape::Text, [seen]) => output::write(|out| text(seen, wanted, out)),
        (Shape::Text, all) => output::write(|out| {
            for (i, seen) in all.iter().enumerate() {
                write!(out, "{}", if i > 0 { "\n" } else { "" })?;
                show::header_text(&seen.info, &seen.name, &profile, out)?;
                text(seen, wanted, out)?;
            }
            Ok(())
        }),
        (Shape::Json { pretty }, all) => output::write(|out| {
            let mut json = Json::new(out, pretty);
            match all {
                [seen] => code_json(seen, wanted, &mut json)?,
                all => json.array(|json| {
                    all.iter().try_for_each(|seen| {
                        json.object(|json| {
                            show::header_json(&seen.info, &seen.name, &profile, json)?;
                            json.name("insns")?;
                            code_json(seen, wanted, json)
                        })
                    })
                })?,
            }
            writeln!(out)
        }),
    }
}

fn text(seen: &Seen, wanted: &Wanted<'_>, out: &mut dyn Write) -> io::Result<()> {
    xlated::text(&seen.code, &seen.source, wanted.detail, out)
}

fn code_json(seen: &Seen, wanted: &Wanted<'_>, json: &mut Json<'_>) -> io::Result<()> {
    xlated::json(&seen.code, &seen.source, wanted.detail, json)
}

/// Writes a file that is for its owner alone: code may say what the kernel's addresses are.
fn save(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|why| Failure::file("write", path, &why))
}

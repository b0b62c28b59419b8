//! `alveary prog dump`: the code of a program that is loaded.

mod code;
mod dot;
mod graph;
mod jited;
mod picture;
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
use jited::Jited;
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
  alveary prog dump jited name filter opcodes
  alveary prog dump xlated id 7 visual | dot -Tpng > filter.png
  alveary prog dump xlated name filter visual --svg > filter.svg")]
pub(super) struct Dump {
    /// `xlated` (eBPF) or `jited` (machine code), the program (`id ID`, `name NAME`, `tag TAG` or `pinned FILE`), then what to show
    #[arg(value_name = "WORD", required = true)]
    words: Vec<String>,

    /// Draw the control flow: `visual` as a picture of its own
    #[arg(long)]
    svg: bool,
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
    /// `visual` as a picture.
    svg: bool,
    file: Option<&'a str>,
}

impl Dump {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let shape = options.shape(json);
        let mut words = Words::new(&self.words);
        let jited = words.is("jited");
        if !jited && !words.is("xlated") {
            return Err(words.unexpected("`xlated` or `jited`"));
        }
        let programs = select::progs(&mut words)?;
        let mut wanted = Wanted::read(&mut words)?;
        (wanted.svg, wanted.visual) = (self.svg, self.svg || wanted.visual);
        wanted.check(shape, programs.len(), jited)?;
        if let (Some(file), [program]) = (wanted.file, &*programs) {
            let mut info = sys::prog_info(program.as_fd(), ProgParts { xlated: !jited, jited, maps: false })?;
            save(Path::new(file), &bytes(&mut info, jited)?)?;
            return shape.done();
        }
        let all = programs.iter().map(|fd| Seen::of(fd, jited)).collect::<Result<Vec<_>, _>>()?;
        show(&all, &wanted, shape)
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
    fn check(&self, shape: Shape, programs: usize, jited: bool) -> Result<(), Failure> {
        let Detail { opcodes, numbers } = self.detail;
        if self.file.is_some() && (opcodes || numbers || self.visual) {
            return Err(usage("`file` writes bytes: `opcodes`, `linum` and `visual` mean nothing to it").into());
        }
        if self.visual && jited {
            return Err(usage("`visual` shows the control flow of eBPF").expected("`xlated`, not `jited`").into());
        }
        if self.visual && shape != Shape::Text {
            return Err(usage("`visual` is text for Graphviz or a picture, there is no JSON of it").into());
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
    listing: Listing,
    source: Source,
}

enum Listing {
    Xlated(Box<Code>),
    Jited(Jited),
}

impl Seen {
    fn of(fd: &OwnedFd, jited: bool) -> Result<Seen, Failure> {
        let fd = fd.as_fd();
        // The names of functions are those of their machine code.
        let mut info = sys::prog_info(fd, ProgParts { xlated: !jited, jited: true, maps: false })?;
        let name = select::full_name(fd, &info);
        let btf = if info.btf_id == 0 { None } else { Some(typed::types(info.btf_id)?) };
        let source = Source { btf, funcs: std::mem::take(&mut info.funcs), lines: std::mem::take(&mut info.lines) };
        let bytes = bytes(&mut info, jited)?;
        let listing = if jited {
            Listing::Jited(Jited::new(&info, &bytes, &source)?)
        } else {
            Listing::Xlated(Box::new(Code::new(&bytes, std::mem::take(&mut info.jited_ksyms))))
        };
        Ok(Seen { info, name, listing, source })
    }

    fn text(&self, wanted: &Wanted<'_>, out: &mut dyn Write) -> io::Result<()> {
        match &self.listing {
            Listing::Xlated(code) if wanted.svg => picture::svg(code, &self.source, wanted.detail, out),
            Listing::Xlated(code) if wanted.visual => dot::graph(code, &self.source, wanted.detail, out),
            Listing::Xlated(code) => xlated::text(code, &self.source, wanted.detail, out),
            Listing::Jited(code) => code.text(&self.source, wanted.detail, out),
        }
    }

    fn json(&self, wanted: &Wanted<'_>, json: &mut Json<'_>) -> io::Result<()> {
        match &self.listing {
            Listing::Xlated(code) => xlated::json(code, &self.source, wanted.detail, json),
            Listing::Jited(code) => code.json(&self.source, wanted.detail, json),
        }
    }
}

/// The bytes of a program's code.
fn bytes(info: &mut ProgInfo, jited: bool) -> Result<Vec<u8>, Failure> {
    if jited && info.jited_len == 0 {
        let message = format!("program {} is interpreted: it has no machine code", info.id);
        return Err(Diagnostic::new("not-jited", message, Place::Nowhere)
            .help("`sysctl net.core.bpf_jit_enable=1` has the kernel make some of programs that are loaded then")
            .into());
    }
    let code = if jited { info.jited.take() } else { info.xlated.take() };
    code.filter(|bytes| !bytes.is_empty()).ok_or_else(|| {
        let message = format!("the kernel does not show the code of program {}", info.id);
        Diagnostic::new("hidden", message, Place::Nowhere)
            .help("it takes CAP_PERFMON (or CAP_SYS_ADMIN), and `sysctl kernel.kptr_restrict` below 2")
            .into()
    })
}

fn show(all: &[Seen], wanted: &Wanted<'_>, shape: Shape) -> Result<(), Failure> {
    let profile = Profile::linux_6_18();
    match (shape, all) {
        (Shape::Text, [seen]) => output::bare(|out| seen.text(wanted, out)),
        (Shape::Text, all) => output::bare(|out| {
            for (i, seen) in all.iter().enumerate() {
                write!(out, "{}", if i > 0 { "\n" } else { "" })?;
                show::header_text(&seen.info, &seen.name, &profile, out)?;
                seen.text(wanted, out)?;
            }
            Ok(())
        }),
        (Shape::Json { pretty }, all) => output::bare(|out| {
            let mut json = Json::new(out, pretty);
            match all {
                [seen] => seen.json(wanted, &mut json)?,
                all => json.array(|json| {
                    all.iter().try_for_each(|seen| {
                        json.object(|json| {
                            show::header_json(&seen.info, &seen.name, &profile, json)?;
                            json.name("insns")?;
                            seen.json(wanted, json)
                        })
                    })
                })?,
            }
            writeln!(out)
        }),
    }
}

/// Writes a file that is for its owner alone: code may say what the kernel's addresses are.
fn save(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|why| Failure::file("write", path, &why))
}

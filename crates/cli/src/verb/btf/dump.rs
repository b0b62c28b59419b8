//! `alveary btf dump`: types as text. Takes bpftool's words, and options of our own.

use super::raw;
use crate::{
    bpftool::{json::Json, options::Shape, select, typed, usage as word, words::Words},
    failure::Failure,
    output, types,
};
use alveary_btf::{Btf, Kind, TypeId};
use alveary_diag::{Diagnostic, Place};
use alveary_linux::sys::{self, ProgParts};
use clap::{Args, ValueEnum, ValueHint};
use std::{fmt, os::fd::AsFd, path::PathBuf, sync::Arc};

/// Show types: as they are stored, as a C header, or in Rust
///
/// Takes what bpftool's `btf dump` takes: `file FILE`, or what is loaded (`id ID`, `prog PROG`, `map MAP` with `key`,
/// `value`, `kv` or `all` behind), then `format raw` or `format c`, with `unsorted` and `root_id ID` behind. `kernel` stands
/// for the running kernel's types. FILE is raw BTF, or an object, kernel or module that holds some.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary btf dump kernel format c > vmlinux.h
  alveary btf dump file filter.bpf.o
  alveary btf dump kernel format c --type task_struct --type sk_buff
  alveary btf dump file count.bpf.o --format rust --type service > types.rs")]
pub(crate) struct Dump {
    /// Where the types are: `file FILE`, `kernel`, `id ID`, `prog PROG` or `map MAP [key|value|kv|all]`; and how to show
    /// them: `format FORMAT`, `unsorted`, `root_id ID`
    #[arg(value_name = "WORDS", required = true, value_hint = ValueHint::FilePath)]
    words: Vec<String>,

    /// How to show them
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,

    /// Show only the types of this name (`sock`, or as in C `struct sock`) and what they need
    #[arg(long = "type", value_name = "NAME")]
    types: Vec<String>,

    /// The types that FILE continues: the kernel's, for those of a module
    #[arg(short = 'B', long = "base-btf", value_name = "FILE", value_hint = ValueHint::FilePath)]
    base: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One type after the other, as they are stored
    #[default]
    Raw,
    /// A C header
    C,
    /// The same as raw, as JSON
    Json,
    /// A Rust module
    Rust,
}

/// bpftool's words, understood.
#[derive(Default)]
struct Request {
    source: Option<Source>,
    format: Option<Format>,
    unsorted: bool,
    roots: Vec<TypeId>,
    /// A map's key and value: shown alone, and even if they have no type.
    of_map: Option<Vec<TypeId>>,
}

/// Where the types are.
enum Source {
    File(PathBuf),
    /// Loaded in the kernel, under this id.
    Loaded(u32),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => path.display().fmt(f),
            Source::Loaded(id) => write!(f, "BTF {id}"),
        }
    }
}

impl Dump {
    pub(crate) fn run(&self, shape: Shape) -> Result<(), Failure> {
        let request = Request::read(&self.words)?;
        let Some(source) = &request.source else {
            return Err(word("nothing says where the types are")
                .expected("`file FILE`, `kernel`, `id ID`, `prog PROG` or `map MAP`")
                .into());
        };
        let base = self.base.as_deref().map(|base| types::open(base, None)).transpose()?.map(Arc::new);
        let btf = match source {
            Source::File(path) => Arc::new(types::open(path, base)?),
            Source::Loaded(id) => typed::types_over(*id, base)?,
        };
        let btf = &*btf;
        let roots = self.roots(btf, &request, source)?;
        match self.format.or(request.format).unwrap_or_default() {
            format @ (Format::C | Format::Rust) => {
                let of_map = || request.of_map.iter().flatten().copied().filter(|id| id.0 > 0).collect::<Vec<_>>();
                let roots = roots.or_else(|| request.of_map.is_some().then(of_map));
                let all = || if request.unsorted { (1..btf.count()).map(TypeId).collect() } else { btf.sorted() };
                let text = match (format, roots) {
                    (Format::C, Some(roots)) => btf.to_c(roots),
                    (Format::C, None) => btf.to_c_whole(all()),
                    (_, roots) => btf.to_rust(roots.unwrap_or_else(all)),
                };
                let text = text.map_err(|why| why.in_file(source.to_string()))?;
                output::plain(&text)
            }
            format => {
                let ids = match (roots, &request.of_map) {
                    (Some(roots), _) => needed(btf, roots),
                    (None, Some(of_map)) => of_map.clone(),
                    (None, None) => btf.ids().collect(),
                };
                let shape =
                    if format == Format::Json && shape == Shape::Text { Shape::Json { pretty: false } } else { shape };
                output::write(|out| match shape {
                    Shape::Text => raw::text(btf, &ids, out),
                    Shape::Json { pretty } => {
                        raw::json(btf, &ids, &mut Json::new(&mut *out, pretty))?;
                        writeln!(out)
                    }
                })
            }
        }
    }

    /// The types that were asked for; `None` if all are wanted.
    fn roots(&self, btf: &Btf, request: &Request, source: &Source) -> Result<Option<Vec<TypeId>>, Failure> {
        let mut roots = request.roots.clone();
        if let Some(id) = roots.iter().find(|id| btf.ty(**id).is_none()) {
            let why = Diagnostic::new("not-found", format!("there is no type {}", id.0), Place::Nowhere);
            return Err(why.expected(format!("an id below {}", btf.count())).in_file(source.to_string()).into());
        }
        for name in &self.types {
            let before = roots.len();
            let (kinds, bare) = as_in_c(name);
            let fits = |id: &TypeId| btf.ty(*id).is_some_and(|ty| kinds.is_empty() || kinds.contains(&ty.kind()));
            roots.extend(btf.named(bare).filter(fits));
            if roots.len() == before {
                return Err(missing(name, bare, btf).in_file(source.to_string()).into());
            }
        }
        Ok(if roots.is_empty() { None } else { Some(roots) })
    }
}

impl Request {
    fn read(words: &[String]) -> Result<Request, Failure> {
        let mut request = Request::default();
        let mut words = Words::new(words);
        while !words.is_empty() {
            let of = |id: u32, what: &str| match id {
                0 => {
                    let why = format!("the {what} has no types");
                    Err(Diagnostic::new("btf-none", why, Place::Nowhere).help("compile it with `-g`"))
                }
                id => Ok(Source::Loaded(id)),
            };
            if words.is("map") {
                let info = sys::map_info(select::map(&mut words)?.as_fd())?;
                let (key, value) = (info.btf_key_type, info.btf_value_type);
                let which: [(&str, Option<Vec<TypeId>>); 4] = [
                    ("key", Some(vec![key])),
                    ("value", Some(vec![value])),
                    ("all", None),
                    ("kv", Some(vec![key, value])),
                ];
                let said = which.into_iter().find(|(name, _)| words.is(name));
                request.of_map = said.map_or_else(|| Some(vec![key, value]), |(_, roots)| roots);
                request.source = Some(of(info.btf_id, "map")?);
            } else if words.is("prog") {
                let info = sys::prog_info(select::prog(&mut words)?.as_fd(), ProgParts::default())?;
                request.source = Some(of(info.btf_id, "program")?);
            } else if words.is("id") {
                request.source = Some(Source::Loaded(words.number("an id")?));
            } else if words.is("file") {
                request.source = Some(Source::File(PathBuf::from(words.must("a file")?)));
            } else if words.is(types::KERNEL_WORD) {
                request.source = Some(Source::File(PathBuf::from(types::KERNEL)));
            } else if words.is("format") {
                request.format = Some(format(words.must("raw, c, json or rust")?)?);
            } else if words.is("unsorted") {
                request.unsorted = true;
            } else if words.is("root_id") {
                request.roots.push(TypeId(words.number("the id of a type")?));
            } else {
                let other = words.peek().unwrap_or_default();
                return Err(word(format!("`{other}` is no word of `btf dump`"))
                    .expected(
                        "`file FILE`, `kernel`, `id ID`, `prog PROG`, `map MAP`, `format FORMAT`, `unsorted` or `root_id ID`",
                    )
                    .into());
            }
        }
        Ok(request)
    }
}

fn format(name: &str) -> Result<Format, Failure> {
    Format::from_str(name, false)
        .map_err(|_| word("this is no format").expected("raw, c, json or rust").found(format!("`{name}`")).into())
}

/// A name as C has it, `struct sock`: what it may be, and the name; any kind without a word in front.
fn as_in_c(name: &str) -> (&'static [Kind], &str) {
    const WORDS: [(&str, &[Kind]); 3] =
        [("struct", &[Kind::Struct]), ("union", &[Kind::Union]), ("enum", &[Kind::Enum, Kind::Enum64])];
    let said = name.split_once(' ').and_then(|(word, rest)| {
        let (_, kinds) = WORDS.iter().find(|(known, _)| *known == word)?;
        Some((*kinds, rest.trim()))
    });
    said.unwrap_or((&[], name))
}

/// The types and all that they refer to, by id.
fn needed(btf: &Btf, roots: Vec<TypeId>) -> Vec<TypeId> {
    let mut is_needed = vec![false; btf.count() as usize];
    let mut open = roots;
    while let Some(id) = open.pop() {
        if let Some(seen @ false) = is_needed.get_mut(id.0 as usize) {
            *seen = true;
            btf.references(id, |to| open.push(to));
        }
    }
    (1..btf.count()).map(TypeId).filter(|id| is_needed[id.0 as usize]).collect()
}

/// Says that there is no such type, and which there is.
fn missing(name: &str, bare: &str, btf: &Btf) -> Diagnostic {
    let why = Diagnostic::new("not-found", format!("there is no type `{name}`"), Place::Nowhere);
    if let Some(other) = btf.named(bare).next() {
        return why.help(format!("there is `{}`", btf.c_name(other)));
    }
    let mut known: Vec<&str> = btf.ids().map(|id| btf.name(id)).filter(|n| !n.is_empty()).collect();
    known.dedup();
    match alveary_diag::did_you_mean(name, known.iter().copied()) {
        Some(near) => why.help(format!("did you mean `{near}`?")),
        None => why,
    }
}

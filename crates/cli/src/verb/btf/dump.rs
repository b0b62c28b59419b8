//! `alveary btf dump`: types as text. Takes bpftool's words, and options of our own.

use super::raw;
use crate::{failure::Failure, output, types};
use alveary_btf::{Btf, TypeId};
use alveary_diag::{Diagnostic, Place};
use clap::{Args, ValueEnum, ValueHint};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Show types: as they are stored, as a C header, or in Rust
///
/// Takes what bpftool's `btf dump` takes: `file FILE`, then `format raw` or `format c`, with `unsorted` and `root_id ID`
/// behind. `kernel` stands for the running kernel's types. FILE is raw BTF, or an object, kernel or module that holds some.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary btf dump kernel format c > vmlinux.h
  alveary btf dump file filter.bpf.o
  alveary btf dump kernel format c --type task_struct --type sk_buff
  alveary btf dump file count.bpf.o --format rust --type service > types.rs")]
pub(crate) struct Dump {
    /// Where the types are, and how to show them: `file FILE` or `kernel`, `format FORMAT`, `unsorted`, `root_id ID`
    #[arg(value_name = "WORDS", required = true, value_hint = ValueHint::FilePath)]
    words: Vec<String>,

    /// How to show them
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,

    /// Show only the types of this name and what they need
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
    file: Option<PathBuf>,
    format: Option<Format>,
    unsorted: bool,
    roots: Vec<TypeId>,
}

/// What bpftool dumps besides files: it lives in the kernel.
const KERNEL_OBJECTS: [&str; 3] = ["id", "prog", "map"];

impl Dump {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let request = Request::read(&self.words)?;
        let Some(file) = &request.file else {
            return Err(word("nothing says where the types are").expected("`file FILE` or `kernel`").into());
        };
        let base = self.base.as_deref().map(|base| types::open(base, None)).transpose()?.map(Arc::new);
        let btf = types::open(file, base)?;
        let format = match self.format.or(request.format).unwrap_or_default() {
            Format::Raw if json => Format::Json,
            format => format,
        };
        let roots = self.roots(&btf, &request, file)?;
        match format {
            Format::C | Format::Rust => {
                let all = || if request.unsorted { (1..btf.count()).map(TypeId).collect() } else { btf.sorted() };
                let roots = roots.unwrap_or_else(all);
                let text = if format == Format::C { btf.to_c(roots) } else { btf.to_rust(roots) };
                let text = text.map_err(|why| why.in_file(file.display().to_string()))?;
                output::plain(&text)
            }
            Format::Raw | Format::Json => {
                let ids = roots.map_or_else(|| btf.ids().collect(), |roots| needed(&btf, roots));
                if format == Format::Json {
                    raw::json(&btf, &ids)
                } else {
                    output::write(|out| raw::text(&btf, &ids, out))
                }
            }
        }
    }

    /// The types that were asked for; `None` if all are wanted.
    fn roots(&self, btf: &Btf, request: &Request, file: &Path) -> Result<Option<Vec<TypeId>>, Failure> {
        let mut roots = request.roots.clone();
        if let Some(id) = roots.iter().find(|id| btf.ty(**id).is_none()) {
            let why = Diagnostic::new("not-found", format!("there is no type {}", id.0), Place::Nowhere);
            return Err(why
                .expected(format!("an id below {}", btf.count()))
                .in_file(file.display().to_string())
                .into());
        }
        for name in &self.types {
            let before = roots.len();
            roots.extend(btf.named(name));
            if roots.len() == before {
                let mut known: Vec<&str> = btf.ids().map(|id| btf.name(id)).filter(|n| !n.is_empty()).collect();
                known.dedup();
                return Err(missing(name, &known).in_file(file.display().to_string()).into());
            }
        }
        Ok(if roots.is_empty() { None } else { Some(roots) })
    }
}

impl Request {
    fn read(words: &[String]) -> Result<Request, Failure> {
        let mut request = Request::default();
        let mut words = words.iter().map(String::as_str);
        while let Some(found) = words.next() {
            let mut next =
                |what: &str| words.next().ok_or_else(|| word(format!("nothing follows `{found}`")).expected(what));
            match found {
                "file" => request.file = Some(PathBuf::from(next("a file")?)),
                types::KERNEL_WORD => request.file = Some(PathBuf::from(types::KERNEL)),
                "format" => request.format = Some(format(next("raw, c, json or rust")?)?),
                "unsorted" => request.unsorted = true,
                "root_id" => {
                    let id = next("the id of a type")?;
                    let id = id
                        .parse()
                        .map_err(|_| word("this is no id of a type").expected("a number").found(format!("`{id}`")))?;
                    request.roots.push(TypeId(id));
                }
                object if KERNEL_OBJECTS.contains(&object) => {
                    return Err(Diagnostic::new(
                        "unsupported",
                        format!("`{object}` names what is loaded in the kernel, which this version cannot reach"),
                        Place::Nowhere,
                    )
                    .help("`file FILE` and `kernel` are supported")
                    .into());
                }
                other => {
                    return Err(word(format!("`{other}` is no word of `btf dump`"))
                        .expected("`file FILE`, `kernel`, `format FORMAT`, `unsorted` or `root_id ID`")
                        .into());
                }
            }
        }
        Ok(request)
    }
}

fn format(name: &str) -> Result<Format, Failure> {
    Format::from_str(name, false)
        .map_err(|_| word("this is no format").expected("raw, c, json or rust").found(format!("`{name}`")).into())
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

fn missing(name: &str, known: &[&str]) -> Diagnostic {
    let why = Diagnostic::new("not-found", format!("there is no type `{name}`"), Place::Nowhere);
    match alveary_diag::did_you_mean(name, known.iter().copied()) {
        Some(near) => why.help(format!("did you mean `{near}`?")),
        None => why,
    }
}

fn word(message: impl Into<String>) -> Diagnostic {
    Diagnostic::new("usage", message.into(), Place::Nowhere)
}

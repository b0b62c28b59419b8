//! `alveary btf merge`, `dedup`, `split`: sets of types put together, made smaller, taken apart.

use crate::{failure::Failure, files, output, types};
use alveary_btf::{Btf, Builder};
use alveary_diag::{Diagnostic, Place};
use alveary_isa::Endian;
use clap::{Args, ValueHint};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Put the types of several files one behind the other
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary btf merge one.bpf.o two.bpf.o -o both.btf")]
pub(super) struct Merge {
    #[command(flatten)]
    files: Files,
}

/// Put the types of several files together, each type once
///
/// Types that are the same become one, also when one file only declares what another one defines. Gives the types that
/// libbpf gives, in the same order. Sections and their variables are kept as often as they are there.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary btf dedup one.bpf.o two.bpf.o -o types.btf")]
pub(super) struct Dedup {
    #[command(flatten)]
    files: Files,
}

/// Leave out the types that another file has
///
/// What is left is split BTF, as kernel modules have it: it continues the types of BASE, and is read with `-B BASE`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary btf split --base kernel filter.bpf.o -o filter.btf
  alveary btf dump file filter.btf -B kernel")]
pub(super) struct Split {
    #[command(flatten)]
    files: Files,

    /// The types that are left out: a file, or `kernel`
    #[arg(long, value_name = "BASE", value_hint = ValueHint::FilePath)]
    base: PathBuf,
}

#[derive(Debug, Args)]
struct Files {
    /// Objects, or files of raw BTF
    #[arg(value_name = "IN", required = true, value_hint = ValueHint::FilePath)]
    inputs: Vec<PathBuf>,

    /// Write raw BTF here
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath, value_parser = files::written)]
    output: PathBuf,
}

impl Merge {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        self.files.distinct(None)?;
        let all = self.files.together(None)?;
        self.files.write(&all, all.ids().count(), json)
    }
}

impl Dedup {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        self.files.distinct(None)?;
        let all = self.files.together(None)?;
        let (once, _) = all.dedup()?;
        self.files.write(&once, all.ids().count(), json)
    }
}

impl Split {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        self.files.distinct(Some(&self.base))?;
        let base = Arc::new(types::open(&self.base, None)?);
        let all = self.files.together(Some(base))?;
        let (once, _) = all.dedup()?;
        self.files.write(&once, all.ids().count(), json)
    }
}

impl Files {
    /// The output is a file of its own: an object that is read is not replaced by its types.
    fn distinct(&self, base: Option<&Path>) -> Result<(), Failure> {
        let inputs = self.inputs.iter().map(|path| ("IN", &**path));
        let read: Vec<files::Named<'_>> = inputs.chain(base.map(|path| ("--base", path))).collect();
        Ok(files::distinct(&read, &[("--output", &self.output)])?)
    }

    /// The types of all inputs, one behind the other, over a base if there is one.
    fn together(&self, base: Option<Arc<Btf>>) -> Result<Btf, Failure> {
        let mut all: Option<Builder> = base.map(Builder::over);
        for path in &self.inputs {
            let btf = types::open(path, None)?;
            let all = all.get_or_insert_with(|| Builder::new(btf.endian()));
            if all.endian() != btf.endian() {
                return Err(other_order(path, &btf, all).into());
            }
            all.append(&btf);
        }
        // clap asks for one input at least.
        Ok(all.unwrap_or_else(|| Builder::new(Endian::Little)).finish()?)
    }

    fn write(&self, btf: &Btf, before: usize, json: bool) -> Result<(), Failure> {
        fs::write(&self.output, btf.bytes()).map_err(|why| Failure::file("write", &self.output, &why))?;
        let types = btf.ids().count();
        if json {
            return output::object(&json!({ "output": self.output, "types_in": before, "types": types }));
        }
        output::write(|out| writeln!(out, "{}: {types} types of {before}", self.output.display()))
    }
}

fn other_order(path: &Path, btf: &Btf, all: &Builder) -> Diagnostic {
    Diagnostic::new("btf-endian", "the files differ in byte order", Place::Nowhere)
        .expected(format!("{:?}-endian", all.endian()))
        .found(format!("{:?}-endian", btf.endian()))
        .in_file(path.display().to_string())
}

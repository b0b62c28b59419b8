//! `alveary gen skeleton`, `gen subskeleton`: an object as source text. Takes bpftool's words, and options of our own.

use crate::{failure::Failure, files, output};
use alveary_diag::{Diagnostic, Place};
use clap::{Args, ValueEnum, ValueHint};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Print source text that loads an object: its maps, programs and variables by name and type
///
/// In C a header for programs that use libbpf, to be used as the one that `bpftool gen skeleton` prints. In Rust a module
/// for programs that use the library `alveary`. Both have the object in them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary gen skeleton count.bpf.o > count.skel.h
  alveary gen skeleton count.bpf.o name counter > counter.skel.h
  alveary gen skeleton count.bpf.o --lang rust > src/count.rs")]
pub(super) struct Skeleton {
    #[command(flatten)]
    input: Input,

    /// The language
    #[arg(long, value_name = "LANGUAGE", default_value = "c")]
    lang: Language,
}

/// Print a C header for the part of an object that a library brought along
///
/// To be used as the one that `bpftool gen subskeleton` prints: it finds the library's maps, programs and variables in the
/// object that the library was linked into (`alveary gen object`), which somebody else opened.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary gen subskeleton library.bpf.o > library.subskel.h")]
pub(super) struct Subskeleton {
    #[command(flatten)]
    input: Input,
}

#[derive(Debug, Args)]
struct Input {
    /// The object
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, value_parser = files::input)]
    file: PathBuf,

    /// What to call it: `name NAME`; after the file unless given
    #[arg(value_name = "WORDS", num_args = 0..=2)]
    words: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    /// A header for libbpf
    C,
    /// A module for the crate `alveary`
    Rust,
}

impl Skeleton {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        self.input.print(json, |skeleton| match self.lang {
            Language::C => skeleton.c(),
            Language::Rust => skeleton.rust(),
        })
    }
}

impl Subskeleton {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        self.input.print(json, |skeleton| skeleton.subskeleton())
    }
}

impl Input {
    fn print(
        &self,
        json: bool,
        generate: impl FnOnce(&alveary_object::Skeleton<'_>) -> Result<String, Diagnostic>,
    ) -> Result<(), Failure> {
        let name = self.name()?;
        let named = |why: Diagnostic| why.in_file(self.file.display().to_string());
        let bytes = fs::read(&self.file).map_err(|why| Failure::file("read", &self.file, &why))?;
        let spec = alveary_object::read(&bytes).map_err(named)?;
        let text = generate(&alveary_object::Skeleton::new(&spec, &bytes, &name)).map_err(named)?;
        if json {
            return output::object(&json!({ "name": name, "text": text }));
        }
        output::write(|out| out.write_all(text.as_bytes()))
    }

    fn name(&self) -> Result<String, Failure> {
        match &self.words[..] {
            [] => Ok(named_after(&self.file)),
            [word, name] if word == "name" && !name.is_empty() => Ok(name.clone()),
            words => Err(Diagnostic::new("usage", "these words make no sense here", Place::Nowhere)
                .expected("`name NAME`, or nothing")
                .found(format!("`{}`", words.join(" ")))
                .into()),
        }
    }
}

/// `count.bpf.o` is `count_bpf`, as with bpftool.
fn named_after(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(".o").unwrap_or(&name).replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

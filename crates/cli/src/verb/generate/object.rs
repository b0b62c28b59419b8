//! `alveary gen object`: several objects linked to one.

use crate::{
    failure::Failure,
    files, output,
    table::{count, printable},
};
use alveary_object::{Input, link};
use alveary_sort::Gather;
use alveary_spec::{RelocKind, Spec};
use clap::{Args, ValueHint};
use serde_json::json;
use std::{collections::BTreeSet, fs, path::PathBuf};

/// Link several objects to one
///
/// What one object declares `extern` (functions, variables, maps) becomes what another one defines; the types of both
/// have to agree. Of several definitions the one that is not `__weak` counts; what is `static` stays its file's own.
/// Sections of one name are put together, types are kept once. What nobody defines stays extern: `__kconfig` and `__ksym`
/// for the kernel, the rest for another link; the result says which. The same files in the same order give the same bytes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary gen object all.bpf.o one.bpf.o two.bpf.o
  alveary show all.bpf.o")]
pub(super) struct Object {
    /// Write the object here
    #[arg(value_name = "OUT", value_hint = ValueHint::FilePath, value_parser = files::written)]
    output: PathBuf,

    /// The objects
    #[arg(value_name = "IN", required = true, value_hint = ValueHint::FilePath)]
    inputs: Vec<PathBuf>,
}

impl Object {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let read: Vec<files::Named<'_>> = self.inputs.iter().map(|path| ("IN", &**path)).collect();
        files::distinct(&read, &[("OUT", &self.output)])?;
        let mut objects = Vec::new();
        for path in &self.inputs {
            let bytes = fs::read(path).map_err(|why| Failure::file("read", path, &why))?;
            objects.push((path.display().to_string(), bytes));
        }
        let inputs: Vec<_> = objects.iter().map(|(name, bytes)| Input { name, bytes }).collect();
        let linked = link(&inputs)?;
        fs::write(&self.output, &linked).map_err(|why| Failure::file("write", &self.output, &why))?;
        let open = alveary_object::read(&linked).map(|spec| undefined(&spec)).unwrap_or_default();
        if json {
            return output::object(&json!({
                "output": self.output, "objects": inputs.len(), "bytes": linked.len(), "extern": open,
            }));
        }
        let objects = count(inputs.len() as u64, "object", "objects");
        output::write(|out| {
            writeln!(out, "{}: {objects}, {} bytes", self.output.display(), linked.len())?;
            let names: Vec<&str> = open.iter().map(String::as_str).collect();
            if names.is_empty() { Ok(()) } else { writeln!(out, "stays extern: {}", printable(&names.join(", "))) }
        })
    }
}

/// The names that the code of an object uses and no input has defined.
fn undefined(spec: &Spec) -> BTreeSet<String> {
    let used = spec.functions.values().flat_map(|function| &function.relocs).filter_map(|reloc| match &reloc.kind {
        RelocKind::Extern(name) | RelocKind::Kfunc(name) => Some(name),
        RelocKind::Call(name) | RelocKind::FuncAddr(name) if !spec.functions.contains_key(name) => Some(name),
        _ => None,
    });
    used.cloned().gather()
}

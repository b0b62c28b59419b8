//! `alveary gen min_core_btf`: the part of a kernel's types that some objects need.

use crate::{
    failure::Failure,
    files, inspect, output,
    table::{count, printable},
    types,
};
use alveary_btf::Btf;
use alveary_object::{CoreOutcome, core_relocations, minimal_types};
use alveary_spec::{Modules, Spec};
use clap::{Args, ValueHint};
use serde_json::json;
use std::{fs, path::PathBuf, sync::Arc};

/// Write the part of a kernel's types that the CO-RE relocations of objects need
///
/// In OUT they resolve as they do in IN: a program can so bring along the types of kernels that do not show theirs. Ids of
/// types are those of OUT: programs that ask for the kernel's ids, and kernel functions (kfuncs), need the whole.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary gen min_core_btf kernel least.btf trace.bpf.o
  alveary gen min_core_btf vmlinux-5.4.btf 5.4.btf one.bpf.o two.bpf.o
  alveary show trace.bpf.o --relocs --btf least.btf")]
pub(super) struct MinCoreBtf {
    /// The kernel's types: raw BTF, a file that has some, or `kernel`
    #[arg(value_name = "IN", value_hint = ValueHint::FilePath)]
    input: PathBuf,

    /// Write raw BTF here
    #[arg(value_name = "OUT", value_hint = ValueHint::FilePath)]
    output: PathBuf,

    /// The objects
    #[arg(value_name = "OBJ", required = true, value_hint = ValueHint::FilePath)]
    objects: Vec<PathBuf>,

    /// The types that IN continues: the kernel's, for those of a module
    #[arg(short = 'B', long = "base-btf", value_name = "FILE", value_hint = ValueHint::FilePath)]
    base: Option<PathBuf>,
}

impl MinCoreBtf {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let read: Vec<files::Named<'_>> =
            [("IN", &*self.input)].into_iter().chain(self.objects.iter().map(|o| ("OBJ", &**o))).collect();
        files::distinct(&read, &[("OUT", &self.output)])?;
        let base = self.base.as_deref().map(|base| types::open(base, None)).transpose()?.map(Arc::new);
        let kernel = types::open(&self.input, base)?;
        let objects = self.objects.iter().map(|path| inspect::open(path)).collect::<Result<Vec<_>, _>>()?;
        let relocations: usize = objects.iter().flat_map(|o| o.functions.values()).map(|f| f.core.len()).sum();
        let least = minimal_types(&objects, &kernel)?;
        fs::write(&self.output, least.bytes()).map_err(|why| Failure::file("write", &self.output, &why))?;
        let (types, before, bytes) = (least.ids().count(), kernel.count() - 1, least.bytes().len());
        let missing: Vec<String> = objects.iter().flat_map(|object| missing(object, &kernel)).collect();
        if json {
            return output::object(&json!({
                "output": self.output, "types": types, "types_in": before, "bytes": bytes, "relocations": relocations, "missing": missing,
            }));
        }
        let relocations = count(relocations as u64, "relocation", "relocations");
        output::write(|out| {
            writeln!(out, "{}: {types} types of {before}, {bytes} bytes, for {relocations}", self.output.display())?;
            missing.iter().try_for_each(|one| writeln!(out, "not in {}: {}", self.input.display(), printable(one)))
        })
    }
}

/// What an object asks for and the kernel does not have, neither in the whole of its types nor in the part.
fn missing(object: &Spec, kernel: &Btf) -> Vec<String> {
    let answers = core_relocations(object, Some(kernel), &Modules::default()).into_iter();
    let reasons = answers.filter_map(|one| match one.outcome {
        CoreOutcome::Missing(why) | CoreOutcome::Refused(why) => {
            Some(format!("{} ({}): {}", one.asked, one.function, why.message))
        }
        CoreOutcome::Resolved { .. } => None,
    });
    reasons.collect()
}

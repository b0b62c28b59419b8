//! `alveary show`: what an object file holds. Loads nothing: works on objects that need another kernel.

mod relocs;
mod report;
mod table;

use crate::{failure::Failure, inspect, kernel::KernelOptions, output};
use alveary_spec::Kernel;
use clap::{Args, ValueHint};
use relocs::Relocations;
use report::Report;
use std::{path::PathBuf, sync::Arc};

/// Show what an object file holds
///
/// Programs with their types, sections and attach targets, maps, global variables, BTF, the licence, and what the
/// object needs of a kernel. Nothing is loaded.
#[derive(Debug, Args)]
#[command(mut_args(|arg| match arg.get_id().as_str() {
    "btf" | "kconfig" | "kernel_version" => arg.requires("relocs"),
    _ => arg,
}))]
#[command(after_help = "Examples:
  alveary show filter.bpf.o
  alveary show trace.bpf.o --relocs --btf other-kernel.btf
  alveary show --json filter.bpf.o | jq '.maps[].name'")]
pub(crate) struct Show {
    /// The object file
    #[arg(value_name = "OBJ", value_hint = ValueHint::FilePath)]
    object: PathBuf,

    /// Show the CO-RE relocations and externs instead, and what the kernel answers
    ///
    /// What each relocation asks for, by which source line; what the compiler wrote and what belongs there in the kernel;
    /// or why there is no answer, with the nearest name. What values of the kernel's configuration are, and whether it has
    /// the functions and variables that are asked for.
    #[arg(long)]
    relocs: bool,

    #[command(flatten)]
    kernel: KernelOptions,
}

impl Show {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let spec = inspect::open(&self.object)?;
        if self.relocs {
            // A kernel that gives programs its own functions and variables, as Linux does.
            let kernel = Kernel { symbols: Some(Arc::default()), ..self.kernel.described(&spec)? };
            let all = Relocations::of(&spec, &kernel);
            return if json { output::object(&all) } else { output::write(|out| all.write(out)) };
        }
        let report = Report::of(&spec, &self.object.display().to_string());
        if json { output::object(&report) } else { output::write(|out| table::write(&report, out)) }
    }
}

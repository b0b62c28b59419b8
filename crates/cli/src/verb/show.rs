//! `alveary show`: what an object file holds. Loads nothing: works on objects that need another kernel.

mod relocs;
mod report;
mod table;

use crate::{failure::Failure, inspect, kernel::KernelTypes, output};
use clap::{Args, ValueHint};
use relocs::Relocations;
use report::Report;
use std::path::PathBuf;

/// Show what an object file holds
///
/// Programs with their types, sections and attach targets, maps, global variables, BTF, the licence, and what the
/// object needs of a kernel. Nothing is loaded.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary show filter.bpf.o
  alveary show trace.bpf.o --relocs --btf other-kernel.btf
  alveary show --json filter.bpf.o | jq '.maps[].name'")]
pub(crate) struct Show {
    /// The object file
    #[arg(value_name = "OBJ", value_hint = ValueHint::FilePath)]
    object: PathBuf,

    /// Show the CO-RE relocations instead, and what the kernel's types answer
    ///
    /// What each asks for, by which source line; what the compiler wrote and what belongs there in the kernel; or why
    /// there is no answer, with the nearest name.
    #[arg(long)]
    relocs: bool,

    /// The kernel's types: raw BTF, as in /sys/kernel/btf/vmlinux, or an ELF file; this machine's unless it is given
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "relocs")]
    btf: Option<PathBuf>,
}

impl Show {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let spec = inspect::open(&self.object)?;
        if self.relocs {
            let kernel = KernelTypes { btf: self.btf.clone() };
            let types = kernel.wanted(&spec)?;
            let all = Relocations::of(&spec, types.as_deref(), &kernel.modules(types.as_ref()));
            return if json { output::object(&all) } else { output::write(|out| all.write(out)) };
        }
        let report = Report::of(&spec, &self.object.display().to_string());
        if json { output::object(&report) } else { output::write(|out| table::write(&report, out)) }
    }
}

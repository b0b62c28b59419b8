//! `alveary show`: what an object file holds. Reads the object, resolves nothing: works on objects that need another kernel.

mod report;
mod table;

use crate::{failure::Failure, inspect, output};
use clap::{Args, ValueHint};
use report::Report;
use std::path::PathBuf;

/// Show what an object file holds
///
/// Programs with their types, sections and attach targets, maps, global variables, BTF, the licence, and what the
/// object needs of a kernel. Nothing is loaded.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary show filter.bpf.o
  alveary show --json filter.bpf.o | jq '.maps[].name'")]
pub(crate) struct Show {
    /// The object file
    #[arg(value_name = "OBJ", value_hint = ValueHint::FilePath)]
    object: PathBuf,
}

impl Show {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let spec = inspect::open(&self.object)?;
        let report = Report::of(&spec, &self.object.display().to_string());
        if json { output::object(&report) } else { output::write(|out| table::write(&report, out)) }
    }
}

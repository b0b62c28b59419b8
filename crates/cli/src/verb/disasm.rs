//! `alveary disasm`: the instructions of an object, or of a classic filter, as text.

mod classic;
mod listing;

use crate::{failure::Failure, inspect, kernel::KernelTypes, output};
use alveary_diag::Diagnostic;
use clap::{Args, ValueHint};
use listing::{Listing, Look};
use std::path::PathBuf;

/// Show the instructions of an object
///
/// One instruction a line, in the notation of the kernel's log and of llvm-objdump. Every function is shown once:
/// programs in the file's order, each followed by the functions that it calls. Behind a jump stands the instruction
/// that it goes to. With --btf the instructions hold what CO-RE relocations make of them on that kernel.
///
/// `asm` reads the listing, unless it shows bytes (--raw). BTF, maps and data are not in it: their names are.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary disasm filter.bpf.o --prog filter --source
  tcpdump -ddd 'udp port 53' > dns.txt; alveary disasm --cbpf dns.txt --ebpf")]
pub(crate) struct Disasm {
    /// The object file
    #[arg(value_name = "OBJ", value_hint = ValueHint::FilePath, required_unless_present = "cbpf")]
    object: Option<PathBuf>,

    /// Show only this program and the functions that it calls
    #[arg(long, value_name = "NAME", conflicts_with = "cbpf")]
    prog: Option<String>,

    /// Put source lines in between
    ///
    /// They come from the object's BTF, which clang writes with -g.
    #[arg(long, conflicts_with = "cbpf")]
    source: bool,

    /// Show the bytes of each instruction
    #[arg(long)]
    raw: bool,

    #[command(flatten)]
    types: KernelTypes,

    /// Show a classic filter in tcpdump's -d notation
    ///
    /// FILE holds what `tcpdump -ddd` prints.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "object")]
    cbpf: Option<PathBuf>,

    /// Show what the classic filter is in eBPF
    #[arg(long, requires = "cbpf", conflicts_with = "object")]
    ebpf: bool,
}

impl Disasm {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let look = Look { source: self.source, raw: self.raw };
        match (&self.object, &self.cbpf) {
            (_, Some(filter)) => classic::run(filter, look, self.ebpf, json),
            (Some(path), None) => {
                let mut spec = inspect::open(path)?;
                if let Some(btf) = self.types.given()? {
                    let named = |why: Diagnostic| why.in_file(path.display().to_string());
                    alveary_object::apply_core(&mut spec, &btf)
                        .map_err(|all| Failure::from(all.into_iter().map(named).collect::<Vec<_>>()))?;
                }
                let only = self.prog.as_deref().map(|name| inspect::program(&spec, name, path)).transpose()?;
                let listing = Listing::of(&spec, only);
                if json { output::object(&listing) } else { output::write(|out| listing.write(look, out)) }
            }
            (None, None) => unreachable!("clap asks for one of the two"),
        }
    }
}

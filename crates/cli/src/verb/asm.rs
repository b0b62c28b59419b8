//! `alveary asm`: assembler text to an object file, or to the bytes of the instructions.

use crate::{failure::Failure, files, output};
use alveary_abi::Profile;
use alveary_diag::{Diagnostic, Place};
use alveary_isa::{
    Endian, Insn,
    asm::{AsmError, Assembly, assemble},
};
use clap::{Args, ValueHint};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Assemble eBPF into an object file
///
/// Reads the notation that `disasm` prints, with labels, comments and `.section` lines, and the mnemonics that
/// conformance suites use. A section's name says the program's type, as in C: what stands in front of the first `.section`
/// line is no program, but a function that programs may call. A name that the text does not define, as a map's, is left
/// to whoever loads the object.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary asm drop.s -o drop.o
  alveary asm --raw drop.s

drop.s:
  .section xdp
  drop:
      r0 = 1      ; XDP_DROP
      exit")]
pub(crate) struct Asm {
    /// The assembler text
    #[arg(value_name = "FILE.s", value_hint = ValueHint::FilePath, value_parser = files::input)]
    text: PathBuf,

    /// Write the object file here
    #[arg(short, long, value_name = "OBJ", value_hint = ValueHint::FilePath, value_parser = files::written,
          required_unless_present = "raw")]
    output: Option<PathBuf>,

    /// Print the bytes of the instructions in hex instead, a line for each slot
    #[arg(long, conflicts_with = "output")]
    raw: bool,
}

impl Asm {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        if let Some(output) = &self.output {
            files::distinct(&[("the text", &self.text)], &[("--output", output)])?;
        }
        let text = files::text(&self.text)?;
        let assembly = read(&self.text, &text)?;
        if assembly.sections.iter().all(|s| s.insns.is_empty()) {
            return Err(Diagnostic::new("asm-empty", "there is no instruction in the text", Place::Nowhere)
                .in_file(self.text.display().to_string())
                .into());
        }
        let Some(path) = &self.output else { return self.print(&text, assembly, json) };
        let slots: usize = assembly.sections.iter().map(|s| s.insns.len()).sum();
        let object = alveary_object::write(&assembly, Endian::Little);
        fs::write(path, object).map_err(|why| Failure::file("write", path, &why))?;
        if json { output::object(&json!({ "output": path, "insns": slots })) } else { Ok(()) }
    }

    fn print(&self, text: &str, assembly: Assembly, json: bool) -> Result<(), Failure> {
        let insns = assembly.into_raw().map_err(|errors| wrong(&self.text, text, errors))?;
        if json {
            return output::object(&json!({ "hex": hex(&insns).replace(['\n', ' '], ""), "insns": insns.len() }));
        }
        output::write(|out| out.write_all(hex(&insns).as_bytes()))
    }
}

fn read(path: &Path, text: &str) -> Result<Assembly, Failure> {
    let profile = Profile::linux_6_18();
    let helper = |name: &str| {
        let row = profile.helper_named(name.strip_prefix("bpf_").unwrap_or(name))?;
        i32::try_from(row.id.0).ok()
    };
    let (assembly, errors) = assemble(text, &helper);
    if errors.is_empty() { Ok(assembly) } else { Err(wrong(path, text, errors)) }
}

fn wrong(path: &Path, text: &str, errors: Vec<AsmError>) -> Failure {
    let (file, text): (Arc<str>, Arc<str>) = (path.display().to_string().into(), text.into());
    let diagnostics = errors.into_iter().map(|error| {
        let at = Place::Text { file: file.clone(), text: text.clone(), bytes: error.bytes };
        let mut why = Diagnostic::new("asm", error.message, at);
        let given = |part: String| (!part.is_empty()).then_some(part);
        why.expected = given(error.expected);
        why.found = given(error.found);
        why.help.extend(given(error.help));
        why
    });
    diagnostics.collect::<Vec<_>>().into()
}

/// Eight bytes a line.
fn hex(insns: &[Insn]) -> String {
    let line = |insn: &Insn| insn.to_bytes(Endian::Little).map(|b| format!("{b:02x}")).join(" ") + "\n";
    insns.iter().map(line).collect()
}

//! `cargo xtask conformance DIR`: the cases of the public conformance suite, of which DIR is a clone (bpf_conformance by
//! Alan Jowett), by each engine: checked, trusted, as native code.
//!
//! Our assembler reads the cases. Each runs in a process of its own, the plug-in that the suite's own runner can have, too
//! (`crates/vm/examples/conformance_plugin.rs`).

use crate::{
    Outcome,
    process::{self, cargo},
};
use alveary_isa::{Endian, asm::assemble};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const USAGE: &str = "takes the folder of a clone of bpf_conformance";
/// As the plug-in knows the engines.
const ENGINES: [&str; 3] = ["--checked", "--trusted", "--jit"];

/// The command.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let [folder] = arguments else { return Err(USAGE.into()) };
    let cases = cases(&Path::new(folder).join("tests"))?;
    process::run(&mut cargo(&["build", "--quiet", "--package", "alveary-vm", "--example", "conformance_plugin"]))?;
    let plugin = process::target().join("debug/examples/conformance_plugin");
    let mut failures = 0;
    for engine in ENGINES {
        let mut right = 0;
        for case in &cases {
            match case.run(&plugin, engine) {
                Ok(value) if value == case.result => right += 1,
                Ok(value) => println!("{} {engine}: {value:#x}, not {:#x}", case.name, case.result),
                Err(why) => println!("{} {engine}: {why}", case.name),
            }
        }
        println!("{engine}: {right} of {} cases", cases.len());
        failures += cases.len() - right;
    }
    if failures == 0 { Ok(()) } else { Err(format!("{failures} failures")) }
}

/// A case of the suite.
struct Case {
    name: String,
    /// Slots as hexadecimal bytes.
    program: String,
    /// What r1 points to, likewise.
    memory: String,
    /// What r0 is in the end.
    result: u64,
}

/// The cases of a folder, in the order of their names.
fn cases(folder: &Path) -> Result<Vec<Case>, String> {
    let said = |error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(said)?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_, _>>().map_err(said)?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "data"));
    files.sort();
    let case = |file: &PathBuf| Case::read(file).map_err(|why| format!("{}: {why}", file.display()));
    let cases: Vec<Case> = files.iter().map(case).collect::<Result<_, _>>()?;
    if cases.is_empty() { Err(format!("{}: no cases; {USAGE}", folder.display())) } else { Ok(cases) }
}

impl Case {
    fn read(file: &Path) -> Result<Case, String> {
        let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
        let (source, raw, memory, result) =
            (section(&text, "asm"), section(&text, "raw"), section(&text, "mem"), section(&text, "result"));
        let words = raw.split_whitespace().map(|word| Ok(number(word)?.to_le_bytes()));
        let slots: Vec<[u8; 8]> =
            if raw.is_empty() { assembled(&source)? } else { words.collect::<Result<_, String>>()? };
        let bytes = slots.as_flattened().iter().map(|byte| format!("{byte:02x} "));
        Ok(Case {
            name: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            program: bytes.collect(),
            memory: memory.split_whitespace().collect::<Vec<_>>().join(" "),
            result: number(result.trim())?,
        })
    }

    /// What r0 is in the end.
    fn run(&self, plugin: &Path, engine: &str) -> Result<u64, String> {
        let said = |error: std::io::Error| format!("{}: {error}", plugin.display());
        let mut command = Command::new(plugin);
        if !self.memory.is_empty() {
            command.arg(&self.memory);
        }
        let (stdin, stdout, stderr) = (Stdio::piped(), Stdio::piped(), Stdio::piped());
        let mut child = command.arg(engine).stdin(stdin).stdout(stdout).stderr(stderr).spawn().map_err(said)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(self.program.as_bytes()).map_err(said)?;
        }
        let output = child.wait_with_output().map_err(said)?;
        if !output.status.success() {
            return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        u64::from_str_radix(text.trim(), 16).map_err(|_| format!("printed {text:?}"))
    }
}

/// The lines between a line `-- NAME` and the next one that begins so; without comments.
fn section(text: &str, name: &str) -> String {
    let mut lines = text.lines().skip_while(|line| line.strip_prefix("--").map(str::trim) != Some(name)).skip(1);
    let lines = lines.by_ref().take_while(|line| !line.starts_with("--")).filter(|line| !line.starts_with('#'));
    lines.map(|line| format!("{line}\n")).collect()
}

fn assembled(source: &str) -> Result<Vec<[u8; 8]>, String> {
    let (assembly, errors) = assemble(source, &|_| None);
    let errors = if errors.is_empty() { assembly.into_raw() } else { Err(errors) };
    let insns = errors.map_err(|errors| errors.iter().map(|error| format!("{error}; ")).collect::<String>())?;
    Ok(insns.iter().map(|insn| insn.to_bytes(Endian::Little)).collect())
}

fn number(text: &str) -> Result<u64, String> {
    let (digits, base) = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
    u64::from_str_radix(digits, base).map_err(|_| format!("`{text}` is no number"))
}

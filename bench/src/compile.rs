//! Kernels become objects: eBPF by clang, native ones by clang and gcc.

use crate::set::Kernel;
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The instruction set's versions that are measured.
pub(crate) const VERSIONS: [&str; 2] = ["v3", "v4"];

/// A compiler of native code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compiler {
    pub(crate) program: &'static str,
    pub(crate) option: &'static str,
}

pub(crate) const CLANG: Compiler = Compiler { program: "clang-19", option: "-O2" };
pub(crate) const GCC: Compiler = Compiler { program: "gcc", option: "-O3" };

impl Compiler {
    /// Its first line about itself; `None` if it is not there.
    pub(crate) fn version(self) -> Option<String> {
        let output = Command::new(self.program).arg("--version").stderr(Stdio::null()).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned())
    }

    /// The kernel for this machine, as a shared object.
    pub(crate) fn native(self, set: &str, kernel: &Kernel) -> Result<PathBuf, String> {
        let object = output(set, kernel, &format!("{}.so", self.program));
        let sources = std::iter::once(format!("{}.c", kernel.name)).chain(kernel.beside.iter().map(|s| s.to_string()));
        let sources = sources.map(|name| source(set, &name));
        let mut compiler = Command::new(self.program);
        compiler.args([self.option, "-shared", "-fPIC", "-w", "-o"]).arg(&object).args(sources);
        run(&mut compiler).map(|()| object)
    }
}

/// A program of bpf/ for this machine, as these definitions tell `native/native.c`; `kind` tells those of one compiler apart.
pub(crate) fn example(compiler: Compiler, name: &str, kind: &str, defines: &[String]) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("native");
    let library = scratch(&format!("example-{name}.{}{kind}.so", compiler.program));
    let mut command = Command::new(compiler.program);
    // The sources read bytes as words, as kernel code does, which compilers for eBPF take as it is meant.
    command.args([compiler.option, "-shared", "-fPIC", "-w", "-fvisibility=protected", "-fno-strict-aliasing", "-I"]);
    command.arg(&folder).args(defines).arg("-o").arg(&library);
    // What stands in one file is unknown to the other.
    command.args(["native.c", "helpers.c"].map(|source| folder.join(source)));
    run(&mut command).map(|()| library)
}

/// An object of a program that none is committed of.
pub(crate) fn object(source: &Path, name: &str) -> Result<PathBuf, String> {
    let object = scratch(&format!("example-{name}.o"));
    let mut clang = Command::new(CLANG.program);
    clang.args(["-O2", "-target", "bpf", "-g", "-c", "-o"]).arg(&object).arg(source);
    run(&mut clang).map(|()| object)
}

/// The kernel as an XDP program's object.
pub(crate) fn xdp(set: &str, kernel: &Kernel, version: &str) -> Result<PathBuf, String> {
    bpf(set, kernel, version, &["-g"], "xdp.o")
}

/// The instructions of the kernel over plain memory.
pub(crate) fn plain(set: &str, kernel: &Kernel, version: &str) -> Result<Vec<u8>, String> {
    let object = bpf(set, kernel, version, &["-DPLAIN"], "plain.o")?;
    let section = object.with_extension("bin");
    let options = ["-O", "binary", "--only-section=plain"];
    run(Command::new("llvm-objcopy-19").args(options).arg(&object).arg(&section))?;
    std::fs::read(&section).map_err(|error| format!("{}: {error}", section.display()))
}

fn bpf(set: &str, kernel: &Kernel, version: &str, options: &[&str], name: &str) -> Result<PathBuf, String> {
    let object = output(set, kernel, &format!("{version}.{name}"));
    let mut clang = Command::new(CLANG.program);
    clang.args(["-O2", "-target", "bpf", "-w", "-c", "-o"]).arg(&object).args(options);
    clang.arg(format!("-mcpu={version}")).arg(source(set, &format!("{}.c", kernel.name)));
    run(&mut clang).map(|()| object)
}

fn source(set: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels").join(set).join(name)
}

fn output(set: &str, kernel: &Kernel, suffix: &str) -> PathBuf {
    scratch(&format!("{set}-{}.{suffix}", kernel.name))
}

fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("alveary-bench-{}", std::process::id()));
    let _ = std::fs::create_dir_all(&folder);
    folder.join(name)
}

/// What was compiled goes with this.
#[derive(Debug)]
pub(crate) struct Scratch;

impl Drop for Scratch {
    fn drop(&mut self) {
        let folder = std::env::temp_dir().join(format!("alveary-bench-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(folder);
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

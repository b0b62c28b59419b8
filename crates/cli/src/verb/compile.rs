//! `alveary compile`: programs as native functions in an object file or a shared library, ahead of time.

mod link;

use crate::{
    failure::Failure,
    files, inspect,
    kernel::KernelOptions,
    output, several,
    table::{count, printable},
    verb::run::{Programs, parse_type},
};
use alveary::{
    User,
    ahead::{Compiled, Cpu, Machine, Options},
};
use alveary_abi::ProgType;
use alveary_diag::{Diagnostic, Place};
use alveary_spec::Program;
use clap::{Args, ValueHint};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Compile programs ahead of time: to native functions that C and Rust call
///
/// Programs are verified and rewritten as `run` does, and become functions of their names in an object file (OUT.o) or, by
/// the system's linker, in a shared library (OUT.so). They need neither verifier nor compiler nor Alveary when they run. A
/// function takes the context as a struct that the header defines, and gives back what the program returns.
///
/// A library has the memory of the arrays that its programs look into, global variables among them. What else helpers do
/// is done by functions that its user brings, in a table that the header defines: helpers are told of maps by a
/// description. Programs that call none take no table. What there is nothing of in a library is refused by name: tail
/// calls, packet loads of classic filters, programs that are not proven.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary compile count.bpf.o -o count.o --header count.h
  alveary compile filter.bpf.o -o libfilter.so --header filter.h
  alveary compile count.bpf.o -o count.o --rust src/count.rs --cpu host")]
pub(crate) struct Compile {
    /// The object file
    #[arg(value_name = "OBJ", value_hint = ValueHint::FilePath, value_parser = files::input)]
    object: PathBuf,

    /// Write the library here: an object file, or a shared library if it ends in .so
    #[arg(short, long, value_name = "OUT", value_hint = ValueHint::FilePath, value_parser = files::written)]
    output: PathBuf,

    /// Write a C header here
    #[arg(long, value_name = "FILE.h", value_hint = ValueHint::FilePath, value_parser = files::written)]
    header: Option<PathBuf>,

    /// Write a Rust module here
    #[arg(long, value_name = "FILE.rs", value_hint = ValueHint::FilePath, value_parser = files::written)]
    rust: Option<PathBuf>,

    /// Compile only this program
    #[arg(long, value_name = "NAME")]
    prog: Option<String>,

    /// Program type, where the section's name does not say it: xdp, sched_cls, sched_act, socket_filter
    #[arg(long = "type", value_name = "TYPE", value_parser = parse_type)]
    ty: Option<ProgType>,

    /// What to call the library in names of its maps and its table of helpers; after the object unless given
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// What to put in front of the names of all programs, which their functions have
    ///
    /// A program `write` would be called wherever the library is linked and somebody calls C's.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,

    /// The machine: x86_64, aarch64, riscv64 or s390x; this one unless given
    ///
    /// Which of them a build of `alveary` makes code for is said when there is none: code generators for others than its own
    /// are the feature `targets`. An object is compiled for machines of its byte order.
    #[arg(long, value_name = "MACHINE", value_parser = machine)]
    target: Option<Machine>,

    /// The processor: baseline, host, or a name as `x86-64-v3`
    ///
    /// `baseline` runs on any processor of the machine, `host` on those that have what this one has.
    #[arg(long, value_name = "CPU", default_value = "baseline", value_parser = cpu)]
    cpu: Cpu,

    #[command(flatten)]
    kernel: KernelOptions,
}

fn machine(name: &str) -> Result<Machine, String> {
    let names: Vec<&str> = Machine::ALL.iter().map(|machine| machine.name()).collect();
    Machine::named(name).ok_or_else(|| format!("no such machine; there are {}", names.join(", ")))
}

fn cpu(name: &str) -> Result<Cpu, String> {
    Ok(match name {
        "baseline" => Cpu::Baseline,
        "host" => Cpu::Host,
        name => Cpu::Named(name.to_owned()),
    })
}

impl Compile {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        self.outputs_are_distinct()?;
        self.output_is_a_library()?;
        let machine = match self.target.or(Machine::host()) {
            Some(machine) => machine,
            None => return Err(no_machine().into()),
        };
        let compiled = self.compile(machine)?;
        for name in compiled.clashes() {
            eprintln!(
                "warning: the function of program `{name}` has the name of one of C's library, and stands in its place where \
                 both are linked: `--prefix PREFIX` puts something in front of it"
            );
        }
        self.write(&compiled, machine)?;
        self.show(&compiled, machine, json)
    }

    fn compile(&self, machine: Machine) -> Result<Compiled, Failure> {
        let file = self.object.display().to_string();
        let spec = inspect::open(&self.object)?;
        let only = self.prog.as_deref().map(|name| inspect::program(&spec, name, &self.object)).transpose()?;
        let options = alveary_object::Options { programs: only.map(|program| vec![program.name.clone()]), ty: self.ty };
        let user = self.kernel.user(User::builder(), Some(&spec))?.build();
        let named = |why: Diagnostic| why.in_file(&*file);
        let (loaded, rejected) = several::load(&spec, &user, &options).map_err(|all| all.map(named))?;
        let programs: Vec<Arc<Program>> = loaded.programs().map(|program| program.spec().clone()).collect();
        // A library is whole, or it is not there.
        let refused = Compiled::refused(&loaded);
        if rejected.is_some() || !refused.is_empty() {
            let is_refused = |program: &&Arc<Program>| refused.iter().any(|(name, _)| *program.name == **name);
            let others: Vec<&str> =
                programs.iter().filter(|program| !is_refused(program)).map(|program| &*program.name).collect();
            let help = format!("`--prog NAME` compiles one of the others alone: {}", others.join(", "));
            let advised = |why: Diagnostic| if others.is_empty() { named(why) } else { named(why).help(help.clone()) };
            let mut all = rejected.unwrap_or_default();
            all.with(refused.iter().map(|(_, why)| why.clone()), &programs);
            return Err(all.map(advised).into());
        }
        if programs.is_empty() {
            return Err(named(Diagnostic::new("no-program", "the object has no program", Place::Nowhere)).into());
        }
        let told = |why: alveary::Error| {
            let all = why.diagnostics().map(|d| named(d.clone())).collect();
            Failure::with_scene(all, Programs(programs.clone()))
        };
        let name = self.name.clone().unwrap_or_else(|| named_after(&self.object));
        let prefix = self.prefix.clone().unwrap_or_default();
        Compiled::of(&loaded, &Options { name, prefix, machine, cpu: self.cpu.clone() }).map_err(&told)
    }

    /// The library comes last: it is not there without what describes it.
    fn write(&self, compiled: &Compiled, machine: Machine) -> Result<(), Failure> {
        if let Some(header) = &self.header {
            put(header, compiled.header().as_bytes())?;
        }
        if let Some(module) = &self.rust {
            put(module, compiled.module().as_bytes())?;
        }
        match self.output.extension() {
            Some(extension) if extension == "so" => link::shared(&compiled.object, &self.output, machine),
            _ => put(&self.output, &compiled.object),
        }
    }

    fn output_is_a_library(&self) -> Result<(), Failure> {
        let name = self.output.display().to_string();
        match self.output.extension().and_then(|extension| extension.to_str()) {
            Some("o" | "so") => Ok(()),
            // What is no file has no name to go by.
            _ if self.output.exists() && !self.output.is_file() => Ok(()),
            _ => Err(Diagnostic::new(
                "ahead-output",
                "what `compile` writes is an object file or a shared library",
                Place::Nowhere,
            )
            .expected("a name that ends in .o or .so")
            .found(format!("`{}`", printable(&name)))
            .help("a program of your own is linked by `cc`: `cc -o PROGRAM main.c OUT.o`")
            .into()),
        }
    }

    fn show(&self, compiled: &Compiled, machine: Machine, json: bool) -> Result<(), Failure> {
        let functions: Vec<&str> = compiled.functions().collect();
        let helpers: Vec<&str> = compiled.helpers().collect();
        let (outside, inside) = compiled.maps();
        if json {
            return output::object(&json!({
                "output": self.output, "machine": machine.name(), "functions": functions, "helpers": helpers,
                "maps": { "in_library": inside, "of_helpers": outside },
            }));
        }
        output::write(|out| {
            let many = count(functions.len() as u64, "function", "functions");
            writeln!(
                out,
                "{}: {many} for {}: {}",
                self.output.display(),
                machine.name(),
                printable(&functions.join(", "))
            )?;
            let lists =
                [("helpers of its user", &helpers), ("maps of those helpers", &outside), ("maps of its own", &inside)];
            lists
                .iter()
                .filter(|(_, names)| !names.is_empty())
                .try_for_each(|(what, names)| writeln!(out, "{what}: {}", printable(&names.join(", "))))
        })
    }

    fn outputs_are_distinct(&self) -> Result<(), Failure> {
        let named = |name, path: &'_ Option<PathBuf>| path.clone().map(|path| (name, path));
        let more = [named("--header", &self.header), named("--rust", &self.rust)];
        let outputs: Vec<(&str, PathBuf)> =
            [("--output", self.output.clone())].into_iter().chain(more.into_iter().flatten()).collect();
        let outputs: Vec<files::Named<'_>> = outputs.iter().map(|(name, path)| (*name, &**path)).collect();
        Ok(files::distinct(&[("OBJ", &self.object)], &outputs)?)
    }
}

fn no_machine() -> Diagnostic {
    Diagnostic::new("ahead", "there is no native code for this machine", Place::Nowhere)
        .help("name another one: `--target`")
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(|why| Failure::file("write", path, &why))
}

/// `count.bpf.o` is `count`.
fn named_after(object: &Path) -> String {
    let name = object.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

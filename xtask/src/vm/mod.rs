//! `cargo xtask vm`: a command inside a small virtual machine that runs one of Debian's kernels.
//!
//! QEMU interprets the machine (TCG), so that neither hardware help nor privileges are needed. Kernel, tools and, where
//! the installed one is too old, QEMU itself come from Debian's archive by apt and stay in `target/vm/`.

mod cpio;
mod debian;
mod image;
mod kernels;
mod machine;
mod table;

use std::{process::exit, time::Duration};

use crate::{Outcome, linked, process, test::report::Tally};
pub(crate) use table::write as write_table;

use image::File;
use kernels::Kernel;

const USAGE: &str =
    "--kernel 6.1|6.12|7.2 [--xtask] [--tests PACKAGE[:TEST]]… [--file PATH]… [--seconds N] -- COMMAND…";

/// How long a command may take, boot included, unless `--seconds` says it.
const PATIENCE: Duration = Duration::from_secs(1200);

/// What the command line asks for.
struct Order {
    kernel: &'static Kernel,
    /// This command goes inside, in place of `alveary`.
    itself: bool,
    /// Packages, or single test programs of theirs, that are built statically and put into /tests.
    tests: Vec<String>,
    /// Files of the repository beside examples/.
    files: Vec<String>,
    patience: Duration,
    command: Vec<String>,
}

/// The command. Ends the process itself, with the exit code of what ran inside.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let order = Order::parse(arguments)?;
    if let Some(obstacle) = obstacle() {
        return Err(obstacle);
    }
    let code = order.carry_out()?;
    exit(code)
}

/// Why no virtual machine can be run here, if none can.
pub(crate) fn obstacle() -> Option<String> {
    if std::env::consts::ARCH != "x86_64" {
        return Some(format!("the kernels are for x86_64, this machine is {}", std::env::consts::ARCH));
    }
    machine::obstacle().or_else(debian::obstacle)
}

/// What the test run has every kernel do, one check each: `full` takes all kernels, otherwise the first.
pub(crate) fn check(full: bool) -> Tally {
    let kernels = if full { kernels::KERNELS } else { &kernels::KERNELS[..1] };
    let mut tally = Tally::default();
    for kernel in kernels {
        let what = format!("Linux {} in a virtual machine", kernel.name);
        tally.add(match obstacle().or_else(|| machine::prepare(kernel).and_then(|_| image::base(kernel)).err()) {
            Some(obstacle) => Tally::skipped(&what, &obstacle),
            None => Tally::of(&what, smoke(kernel)),
        });
    }
    tally
}

/// The machine is the one that was asked for, the binary runs an example, programs of every type are attached, functions
/// of programs replaced and traced.
fn smoke(kernel: &'static Kernel) -> Outcome {
    let script = format!(
        "case $(uname -r) in {0}.*) ;; *) uname -r; exit 1; esac
        alveary run examples/count.bpf.o --pcap examples/traffic.pcap
        modprobe veth
        /tests/attach --test-threads=1
        /tests/linux --test-threads=1 replace",
        kernel.name
    );
    let command = ["sh", "-euc", &script].map(String::from).to_vec();
    let tests = ["alveary-linux:attach", "alveary:linux"].map(String::from).to_vec();
    let order = Order { kernel, itself: false, tests, files: Vec::new(), patience: PATIENCE, command };
    match order.carry_out()? {
        0 => Ok(()),
        code => Err(format!("what ran inside ended with {code}")),
    }
}

impl Order {
    fn parse(arguments: &[String]) -> Result<Order, String> {
        let mut words = arguments.iter();
        let (mut kernel, mut tests, mut files, mut patience) = (None, Vec::new(), Vec::new(), PATIENCE);
        let mut itself = false;
        while let Some(word) = words.next() {
            if word == "--" {
                break;
            }
            if word == "--xtask" {
                itself = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("`{word}` needs a value: {USAGE}"))?;
            match word.as_str() {
                "--kernel" => kernel = Some(kernels::named(value)?),
                "--tests" => tests.push(value.clone()),
                "--file" => files.push(value.clone()),
                "--seconds" => patience = Duration::from_secs(value.parse().map_err(|_| format!("`{value}` seconds"))?),
                _ => return Err(format!("`{word}` is not known: {USAGE}")),
            }
        }
        let command: Vec<String> = words.cloned().collect();
        let kernel = kernel.ok_or_else(|| format!("which kernel? {USAGE}"))?;
        if command.is_empty() {
            return Err(format!("no command behind `--`: {USAGE}"));
        }
        Ok(Order { kernel, itself, tests, files, patience, command })
    }

    /// Builds, boots, runs; gives the command's exit code.
    fn carry_out(&self) -> Result<i32, String> {
        let machine = machine::prepare(self.kernel)?;
        let mut image = image::base(self.kernel)?;
        let mut files =
            if self.itself { File::itself()? } else { vec![File::program("bin/alveary", &linked::binary()?)] };
        for wanted in &self.tests {
            let built = linked::tests(wanted)?;
            files.extend(built.iter().map(|(name, path)| File::program(&format!("tests/{name}"), path)));
        }
        files.extend(File::folder("examples")?);
        for file in &self.files {
            files.extend(if process::path(file).is_dir() { File::folder(file)? } else { vec![File::ours(file)] });
        }
        image::add(&mut image, &files, &self.command)?;
        machine.boot(&image, self.patience)
    }
}

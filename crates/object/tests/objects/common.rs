//! Small C programs for the tests, compiled and resolved.

use alveary_abi::Profile;
use alveary_object::{Options, resolve};
use alveary_spec::{Kernel, Program, Resolved, Spec};
use std::sync::Arc;

/// Compiles C, for a big-endian machine if the options say `big`; `None` (and a word about it) without a compiler.
pub(crate) fn compile(test: &str, source: &str, options: &[&str]) -> Option<Vec<u8>> {
    let target = if options.contains(&"big") { "bpfeb" } else { "bpfel" };
    let options: Vec<&str> = options.iter().copied().filter(|option| *option != "big").collect();
    alveary_testing::compile(test, source, target, &options)
}

/// The newest kernel.
pub(crate) fn kernel() -> Kernel {
    Kernel::of(Profile::linux_6_18())
}

/// Resolves what loads unless told otherwise.
pub(crate) fn resolved(spec: &Spec) -> Resolved {
    resolve(spec, &kernel(), &Options::default()).unwrap()
}

/// What is wrong with the programs of a Spec.
pub(crate) fn refused(spec: &Spec) -> Vec<String> {
    resolve(spec, &kernel(), &Options::default()).unwrap_err().iter().map(ToString::to_string).collect()
}

/// A program by name.
pub(crate) fn program(resolved: &Resolved, name: &str) -> Arc<Program> {
    resolved.programs.iter().find(|p| &*p.name == name).unwrap().clone()
}

//! Compiles small C programs for the tests.

use alveary_abi::Profile;
use alveary_object::{Options, resolve};
use alveary_spec::{Kernel, Program, Resolved, Spec};
use std::{
    io::Write,
    process::{Command, Stdio},
    sync::Arc,
};

/// What the programs would include.
const HEADER: &str = r#"
typedef unsigned char __u8; typedef unsigned int __u32; typedef unsigned long long __u64;
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define __ulong(name, val) enum { unique_##name = val } name
#define noinline __attribute__((noinline))
struct xdp_md { __u32 data, data_end; };
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_tail_call)(void *ctx, void *map, __u32 i) = (void *)12;
static long (*bpf_for_each_map_elem)(void *map, void *fn, void *ctx, __u64 flags) = (void *)164;
"#;

/// Compiles C with clang-19; `None` (and a word about it) if that is not there.
pub(crate) fn compile(test: &str, source: &str, options: &[&str]) -> Option<Vec<u8>> {
    let target = if options.contains(&"big") { "bpfeb" } else { "bpfel" };
    let options = options.iter().filter(|o| **o != "big");
    let clang = Command::new("clang-19")
        .args(["-O2", "-Wno-everything", "-target", target, "-x", "c", "-c", "-", "-o", "-"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut clang) = clang else {
        eprintln!("SKIP {test}: clang-19 is missing");
        return None;
    };
    clang.stdin.take().unwrap().write_all(format!("{HEADER}{source}").as_bytes()).unwrap();
    let output = clang.wait_with_output().unwrap();
    assert!(output.status.success(), "{test}: the source does not compile");
    Some(output.stdout)
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

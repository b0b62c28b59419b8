//! Programs from C.

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// What the programs would include.
const HEADER: &str = r#"
typedef unsigned char __u8; typedef unsigned short __u16; typedef unsigned int __u32; typedef unsigned long long __u64;
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

/// Compiles C with clang-19 for `target` (`bpfel`, `bpfeb`), with further options; `None`, and a line about it, if
/// that is not there.
///
/// # Panics
/// If the source does not compile.
#[must_use]
pub fn compile(test: &str, source: &str, target: &str, options: &[&str]) -> Option<Vec<u8>> {
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
    clang.stdin.take().expect("a pipe").write_all(format!("{HEADER}{source}").as_bytes()).expect("a source");
    let output = clang.wait_with_output().expect("clang's end");
    assert!(output.status.success(), "{test}: the source does not compile");
    Some(output.stdout)
}

//! Says whether the engine's operations call each other: where the compiler makes jumps of calls at the end of a
//! function. It does so when it optimises. Nothing depends on it but speed: see `engine/depth.rs`.
//!
//! And gives the sources a number: native code that another version has kept is not this one's (`jit/cache.rs`).

use std::fs;
use std::path::Path;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(threaded)");
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name| std::env::var(name).unwrap_or_default();
    let optimised = matches!(variable("OPT_LEVEL").as_str(), "2" | "3");
    let machine = matches!(variable("CARGO_CFG_TARGET_ARCH").as_str(), "x86_64" | "aarch64");
    if optimised && machine && variable("CARGO_CFG_MIRI").is_empty() {
        println!("cargo::rustc-cfg=threaded");
    }
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rustc-env=ALVEARY_SOURCES={:016x}", digest(Path::new("src"), 0xcbf2_9ce4_8422_2325));
}

/// FNV-1a over all files, by name.
fn digest(path: &Path, start: u64) -> u64 {
    if let Ok(entries) = fs::read_dir(path) {
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        return paths.iter().fold(start, |digest, path| self::digest(path, digest));
    }
    let bytes = fs::read(path).unwrap_or_default();
    bytes.iter().fold(start, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

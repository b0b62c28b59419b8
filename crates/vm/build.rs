//! Says whether the engine's operations call each other: where the compiler makes jumps of calls at the end of a
//! function. It does so when it optimises. Nothing depends on it but speed: see `engine/depth.rs`.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(threaded)");
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name| std::env::var(name).unwrap_or_default();
    let optimised = matches!(variable("OPT_LEVEL").as_str(), "2" | "3");
    let machine = matches!(variable("CARGO_CFG_TARGET_ARCH").as_str(), "x86_64" | "aarch64");
    if optimised && machine && variable("CARGO_CFG_MIRI").is_empty() {
        println!("cargo::rustc-cfg=threaded");
    }
}

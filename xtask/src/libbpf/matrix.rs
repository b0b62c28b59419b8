//! Our own sources, compiled in every way at hand.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::process::{command, exists, path, target};

/// Compilers, and the versions of the instruction set that they know.
const COMPILERS: &[(&str, &[&str])] = &[("clang-19", &["v1", "v2", "v3", "v4"]), ("clang-14", &["v1", "v2", "v3"])];
const LEVELS: &[&str] = &["-O1", "-O2"];
const TARGETS: &[&str] = &["bpfel", "bpfeb"];
/// What Debian calls GCC for eBPF.
const GCC: &str = "bpf-gcc";

/// Compiles all; gives the objects by compiler and byte order.
pub(super) fn build() -> Result<Vec<(String, Vec<PathBuf>)>, String> {
    let sources = sources()?;
    let mut groups = Vec::new();
    for (compiler, versions) in COMPILERS {
        for target in TARGETS {
            let mut objects = Vec::new();
            for (level, version) in LEVELS.iter().flat_map(|l| versions.iter().map(move |v| (l, v))) {
                let words = [*level, "-target", target, &format!("-mcpu={version}")];
                objects.extend(compile(&sources, compiler, &words)?);
            }
            groups.push((format!("{compiler} {target}"), objects));
        }
    }
    for order in ["-mlittle-endian", "-mbig-endian"] {
        let mut objects = Vec::new();
        for level in LEVELS {
            objects.extend(compile(&sources, GCC, &[*level, order, "-gbtf", "-mco-re"])?);
        }
        groups.push((format!("{GCC} {order}"), objects));
    }
    groups.retain(|(name, objects)| {
        if objects.is_empty() {
            println!("SKIP: {name}: not installed, or compiles nothing");
        }
        !objects.is_empty()
    });
    Ok(groups)
}

/// The sources: those of `bpf/`, and those that show what objects can hold.
fn sources() -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut folders = vec![path("bpf"), path("crates/object/tests/sources")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().is_some_and(|name| name.ends_with(".bpf.c")) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The objects that a compiler makes of the sources; those that it cannot compile are left out.
fn compile(sources: &[PathBuf], compiler: &str, words: &[&str]) -> Result<Vec<PathBuf>, String> {
    if !exists(compiler) {
        return Ok(Vec::new());
    }
    let folder = target().join("libbpf").join(compiler).join(words.join(""));
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let headers = format!("-idirafter/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    let mut objects = Vec::new();
    for source in sources {
        let name = source.file_stem().map(Path::new).unwrap_or(source).with_extension("o");
        let object = folder.join(name);
        drop(fs::remove_file(&object));
        let mut compile = command(compiler, &["-g", "-w", &headers, "-idirafter/usr/include"]);
        compile.args(words).arg("-c").arg(source).arg("-o").arg(&object);
        let compiled = compile.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        objects.extend(compiled.then_some(object));
    }
    Ok(objects)
}

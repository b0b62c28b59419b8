//! `cargo xtask bpf`: compiles `bpf/NAME/NAME.bpf.c` into `examples/NAME.bpf.o`, and other sources `bpf/NAME/PART.bpf.c`
//! into `examples/NAME-PART.bpf.o`, the same bytes on every machine with the same compiler and headers.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    Outcome,
    process::{self, command, path, root},
};

/// The compiler that the committed objects come from, and what removes DWARF but leaves BTF.
const CLANG: &str = "clang-19";
const STRIP: &str = "llvm-strip-19";

/// Why objects cannot be rebuilt here, if they cannot.
pub(crate) fn obstacle() -> Option<String> {
    [CLANG, STRIP].iter().find(|tool| !process::exists(tool)).map(|tool| format!("{tool} is not installed")).or_else(
        || {
            let header = Path::new("/usr/include/bpf/bpf_helpers.h");
            (!header.exists()).then(|| "libbpf-dev is not installed".into())
        },
    )
}

/// The command.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => build(&path("examples")).map(|names| println!("compiled {}", names.join(", "))),
        ["--check"] => check(),
        _ => Err("takes --check or nothing".into()),
    }
}

/// Compiles all programs and compares them with the committed objects.
pub(crate) fn check() -> Outcome {
    let fresh = process::target().join("bpf");
    fs::create_dir_all(&fresh).map_err(|error| format!("{}: {error}", fresh.display()))?;
    let names = build(&fresh)?;
    for name in &names {
        let object = path("examples").join(name);
        if fs::read(&object).is_ok_and(|bytes| has_path(&bytes, root())) {
            let tree = root().display();
            return Err(format!(
                "examples/{name} has the path {tree} of this tree in it: run `cargo xtask bpf` and commit"
            ));
        }
    }
    let differs: Vec<&str> = names
        .iter()
        .filter(|name| fs::read(fresh.join(name)).ok() != fs::read(path("examples").join(name)).ok())
        .map(String::as_str)
        .collect();
    if differs.is_empty() {
        println!("{} are what {CLANG} makes of their sources", names.join(", "));
        return Ok(());
    }
    Err(format!("{} differ from what {CLANG} makes of bpf/: run `cargo xtask bpf` and commit", differs.join(", ")))
}

/// Whether an object tells where it was compiled.
fn has_path(object: &[u8], folder: &Path) -> bool {
    let prefix = [folder.as_os_str().as_encoded_bytes(), b"/"].concat();
    object.windows(prefix.len()).any(|window| window == prefix)
}

/// Why the kernel cannot be asked about the objects here, if it cannot.
pub(crate) fn kernel_obstacle() -> Option<String> {
    if !process::is_root() {
        return Some("bpf(2) needs root".into());
    }
    if !process::exists("bpftool") {
        return Some("bpftool is not installed".into());
    }
    let probe = "bpftool map create /sys/fs/bpf/probe type array key 4 value 4 entries 1 name probe";
    let permitted = with_bpffs(probe).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    (!permitted).then(|| "bpf(2) is not permitted".into())
}

/// Has the kernel load the committed objects.
pub(crate) fn load() -> Outcome {
    let each = "for object in examples/*.bpf.o; do
        bpftool prog loadall $object /sys/fs/bpf/$(basename $object .bpf.o)
    done";
    process::run(&mut with_bpffs(each))
}

/// A script for which /sys/fs/bpf is mounted anew: nobody else sees what it pins, and it ends with the script.
fn with_bpffs(script: &str) -> Command {
    command("unshare", &["--mount", "sh", "-euc", &format!("mount -t bpf bpf /sys/fs/bpf\n{script}")])
}

/// Compiles all programs into a folder; gives the names of the objects.
fn build(into: &Path) -> Result<Vec<String>, String> {
    if let Some(obstacle) = obstacle() {
        return Err(obstacle);
    }
    let mut sources = sources()?;
    sources.sort();
    for (name, source) in &sources {
        let object = into.join(format!("{name}.bpf.o"));
        let object = object.to_str().ok_or("the repository's path is not UTF-8")?;
        let prefix = format!("-ffile-prefix-map={}=.", root().display());
        // The target has no headers of its own; the machine's follow the compiler's.
        let headers = format!("-idirafter/usr/include/{}-linux-gnu", std::env::consts::ARCH);
        let flags = ["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-Wextra", "-Werror", &prefix];
        let rest = ["-fdebug-compilation-dir=.", &headers, "-c", source, "-o", object];
        process::run(command(CLANG, &flags).args(rest))?;
        process::run(&mut command(STRIP, &["-g", object]))?;
        if fs::read(object).is_ok_and(|bytes| has_path(&bytes, root())) {
            return Err(format!("{object} has the path of this tree in it: other trees would make other bytes"));
        }
    }
    Ok(sources.into_iter().map(|(name, _)| format!("{name}.bpf.o")).collect())
}

/// The programs: what the object is called, and its source.
fn sources() -> Result<Vec<(String, String)>, String> {
    let names = |folder: &str| -> Result<Vec<String>, String> {
        let entries = fs::read_dir(path(folder)).map_err(|error| format!("{folder}: {error}"))?;
        Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
    };
    let mut all = Vec::new();
    for folder in names("bpf")?.into_iter().filter(|name| path("bpf").join(name).is_dir()) {
        for file in names(&format!("bpf/{folder}"))? {
            let Some(part) = file.strip_suffix(".bpf.c") else { continue };
            let name = if part == folder { folder.clone() } else { format!("{folder}-{part}") };
            all.push((name, format!("bpf/{folder}/{file}")));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_tree_are_found_in_objects() {
        let tree = Path::new("/home/us/tree");
        assert!(has_path(b"\0/home/us/tree/bpf/lb/lb.h\0", tree));
        assert!(!has_path(b"\0./bpf/lb/lb.h\0/home/us/trees/a\0", tree));
        assert!(!has_path(b"", tree));
    }
}

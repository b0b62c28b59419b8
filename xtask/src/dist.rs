//! `cargo xtask dist`: what a release consists of, in `dist/`: the binary, linked statically so that it runs on any
//! Linux of its architecture; manual pages; completions for bash, zsh and fish; the library for C with its header.

use std::{fs, path::Path};

use crate::{
    Outcome, linked,
    process::{self, cargo, command, output, path, run},
};

/// The largest binary that we ship, in bytes.
const MOST_BYTES: u64 = 10_000_000;

/// A shell, and where its completions stand below an installation's `share`.
const SHELLS: &[(&str, &str)] = &[
    ("bash", "bash-completion/completions/alveary"),
    ("zsh", "zsh/site-functions/_alveary"),
    ("fish", "fish/vendor_completions.d/alveary.fish"),
];

/// Type of the program header that names a dynamic linker: a static binary has none.
const PT_INTERP: u32 = 3;

/// The binary stands where it was linked for: to move 7,000 addresses at each start takes a third of what a short command
/// takes, and as much memory as the rest of it.
const FIXED: &str = "-C relocation-model=static";

/// The linker (LLVM's, which rustc brings for this architecture) keeps one of several functions with the same code, and lays
/// the binary out as the script says.
const LAID_OUT: &str =
    if cfg!(target_arch = "x86_64") { "-C link-arg=-Wl,--icf=all -C link-arg=-Wl,-T,xtask/src/layout.ld" } else { "" };

/// The command.
pub(crate) fn make(arguments: &[String]) -> Outcome {
    if !arguments.is_empty() {
        return Err("takes no arguments".into());
    }
    let dist = path("dist");
    if dist.exists() {
        fs::remove_dir_all(&dist).map_err(|error| format!("{}: {error}", dist.display()))?;
    }
    let built = build_static()?;
    let binary = dist.join("bin/alveary");
    write(&binary, &built)?;
    fs::set_permissions(&binary, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .map_err(|error| format!("{}: {error}", binary.display()))?;

    let program = binary.to_str().ok_or("the repository's path is not UTF-8")?;
    let pages = dist.join("share/man/man1");
    run(command(program, &["man"]).arg(&pages))?;
    for (shell, file) in SHELLS {
        let script = output(&mut command(program, &["completions", shell]))?;
        write(&dist.join("share").join(file), script.as_bytes())?;
    }
    libraries(&dist)?;
    for licence in ["LICENSE-MIT", "LICENSE-APACHE", "README.md", "CHANGELOG.md"] {
        let text = fs::read(path(licence)).map_err(|error| format!("{licence}: {error}"))?;
        write(&dist.join("share/doc/alveary").join(licence), &text)?;
    }
    println!("{}: {} bytes, static", binary.display(), built.len());
    if built.len() as u64 > MOST_BYTES {
        return Err(format!("the binary is larger than {MOST_BYTES} bytes"));
    }
    Ok(())
}

/// Builds the library for C, static and shared, and puts it beside its header.
fn libraries(dist: &Path) -> Outcome {
    run(&mut cargo(&["build", "--release", "--package", "alveary-capi"]))?;
    let built = process::target().join("release");
    let header = path("crates/capi/include/alveary.h");
    let files = [built.join("libalveary.a"), built.join("libalveary.so"), header];
    for (from, to) in files.iter().zip(["lib/libalveary.a", "lib/libalveary.so", "include/alveary.h"]) {
        let bytes = fs::read(from).map_err(|error| format!("{}: {error}", from.display()))?;
        write(&dist.join(to), &bytes)?;
    }
    Ok(())
}

/// Builds the binary, linked statically; gives its bytes.
fn build_static() -> Result<Vec<u8>, String> {
    let host = linked::host()?;
    let mut build = cargo(&["build", "--release", "--package", "alveary-cli", "--target", &host]);
    run(build.env("RUSTFLAGS", format!("{} {FIXED} {LAID_OUT}", linked::STATIC)))?;
    let file = process::target().join(host).join("release/alveary");
    let bytes = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    match names_dynamic_linker(&bytes) {
        Some(false) => Ok(bytes),
        Some(true) => Err("the binary is not static: it names a dynamic linker".into()),
        None => Err("the binary is not an ELF file of 64 bits".into()),
    }
}

/// Whether an ELF file of 64 bits, in the byte order of this machine, has a program header that names a dynamic linker.
fn names_dynamic_linker(elf: &[u8]) -> Option<bool> {
    let half = |at: usize| elf.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes).map(usize::from);
    let table = usize::try_from(u64::from_ne_bytes(elf.get(32..40)?.try_into().ok()?)).ok()?;
    let (size, count) = (half(54)?, half(56)?);
    let mut headers = (0..count).map(|index| {
        let at = table + index * size;
        Some(u32::from_ne_bytes(elf.get(at..at + 4)?.try_into().ok()?))
    });
    headers.try_fold(false, |found, kind| Some(found || kind? == PT_INTERP))
}

fn write(file: &Path, bytes: &[u8]) -> Outcome {
    let folder = file.parent().ok_or("a file without a folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(file, bytes))
        .map_err(|error| format!("{}: {error}", file.display()))
}

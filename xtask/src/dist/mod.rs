//! `cargo xtask dist`: what a release consists of, in `dist/`: the binary, linked statically so that it runs on any
//! Linux of its architecture; manual pages; completions for bash, zsh and fish; the library for C with its header.

mod map;
mod order;

use std::{
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use crate::{
    Outcome, linked,
    process::{self, cargo, command, output, path, run},
};

/// The largest binary that we ship, in bytes: what it had when it was last weighed, rounded up, so that it does not grow unseen.
/// The goal is 10,000,000: docs/performance.md, Start, says what has grown, what was done about it and what was tried.
const MOST_BYTES: u64 = 11_000_000;

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

/// Rust's linker for this architecture is LLVM's, which takes our script and tells where it put what.
const LAID_OUT: bool = cfg!(target_arch = "x86_64");

/// The command.
pub(crate) fn make(arguments: &[String]) -> Outcome {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {}
        ["--order"] if LAID_OUT => {
            let built = build_static()?;
            order::renew(&built, &map::read(&map_file())?)?;
        }
        _ => return Err("takes nothing, or `--order` on x86-64".into()),
    }
    let dist = path("dist");
    if dist.exists() {
        fs::remove_dir_all(&dist).map_err(|error| format!("{}: {error}", dist.display()))?;
    }
    let file = build_static()?;
    let built = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    match names_dynamic_linker(&built) {
        Some(false) => {}
        Some(true) => return Err("the binary is not static: it names a dynamic linker".into()),
        None => return Err("the binary is not an ELF file of 64 bits".into()),
    }
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
    if LAID_OUT { order::check(&map::read(&map_file())?) } else { Ok(()) }
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

/// Builds the binary, linked statically; gives its path.
fn build_static() -> Result<PathBuf, String> {
    let host = linked::host()?;
    let mut build = cargo(&["rustc", "--release", "--package", "alveary-cli", "--bin", "alveary", "--target", &host]);
    if LAID_OUT {
        build.arg("--").args(linker_options()?);
    }
    let flags: Vec<String> =
        [linked::STATIC, FIXED].join(" ").split(' ').map(str::to_owned).chain(nameless()).collect();
    run(build.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")))?;
    Ok(process::target().join(host).join("release/alveary"))
}

/// What the compiler is told for panics to name files of dependencies from their package on: not where this machine keeps
/// packages, which is in hundreds of names and would make another binary elsewhere.
fn nameless() -> Vec<String> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo"))).unwrap_or_default();
    let registries = fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten();
    registries.map(|registry| format!("--remap-path-prefix={}=", registry.path().display())).collect()
}

/// What the linker is told: to keep one of several functions with the same code and one of several texts with the same end,
/// to lay the binary out as our script says, and to write a map.
fn linker_options() -> Result<Vec<String>, String> {
    let script = fs::read_to_string(path(order::SCRIPT)).map_err(|error| format!("{}: {error}", order::SCRIPT))?;
    // Cargo links again where the options differ: the script's name has to say what is in it.
    let mut hasher = DefaultHasher::new();
    script.hash(&mut hasher);
    let copy = process::target().join(format!("layout-{:016x}.ld", hasher.finish()));
    write(&copy, script.as_bytes())?;
    let options = [
        "-O2".to_owned(),
        "--icf=all".to_owned(),
        format!("-T,{}", copy.display()),
        format!("-Map={}", map_file().display()),
    ];
    Ok(options.into_iter().flat_map(|option| ["-C".to_owned(), format!("link-arg=-Wl,{option}")]).collect())
}

/// Where the linker writes what it put where.
fn map_file() -> PathBuf {
    process::target().join("alveary.map")
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

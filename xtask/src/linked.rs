//! Our programs for a machine without libraries: linked statically, in the debug profile.

use std::path::{Path, PathBuf};

use crate::process::{self, cargo, command, output};

/// Flags of the compiler that make a static program.
pub(crate) const STATIC: &str = "-C target-feature=+crt-static";

/// Name of the target that we build on and for.
///
/// Naming it to cargo keeps the flags away from what runs during the build: a macro cannot be a static library.
pub(crate) fn host() -> Result<String, String> {
    let version = output(&mut command("rustc", &["-vV"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not name its host".into())
}

/// The `alveary` binary.
pub(crate) fn binary() -> Result<PathBuf, String> {
    let host = host()?;
    process::run(cargo(&["build", "--package", "alveary-cli", "--target", &host]).env("RUSTFLAGS", STATIC))?;
    Ok(process::target().join(host).join("debug/alveary"))
}

/// The test programs of a package: each one's name, and where it is.
pub(crate) fn tests(package: &str) -> Result<Vec<(String, PathBuf)>, String> {
    let arguments = ["test", "--no-run", "--tests", "--message-format=json-render-diagnostics", "--package", package];
    let messages = output(cargo(&arguments).args(["--target", &host()?]).env("RUSTFLAGS", STATIC))?;
    let programs = messages.lines().filter_map(|line| line.split_once("\"executable\":\"")?.1.split('"').next());
    let tests: Vec<(String, PathBuf)> = programs.filter_map(|path| Some((name(path)?, path.into()))).collect();
    if tests.is_empty() { Err(format!("the package {package} has no tests")) } else { Ok(tests) }
}

/// A test's name, without the hash that cargo puts behind.
fn name(path: &str) -> Option<String> {
    let file = Path::new(path).file_name()?.to_str()?;
    Some(file.rsplit_once('-').map_or(file, |(name, _)| name).to_owned())
}

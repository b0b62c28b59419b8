//! Our programs for a machine without libraries: linked statically, in the debug profile but without what debuggers read,
//! which is most of a program and would fill a small machine's memory.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

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
    process::run(&mut statically(&host, &["build", "--package", "alveary-cli"]))?;
    Ok(process::target().join(host).join("debug/alveary"))
}

/// The test programs of `PACKAGE`, or the one of `PACKAGE:TEST`: each one's name, and where it is.
pub(crate) fn tests(wanted: &str) -> Result<Vec<(String, PathBuf)>, String> {
    let (package, test) = wanted.split_once(':').map_or((wanted, None), |(package, test)| (package, Some(test)));
    let mut build = statically(&host()?, &["test", "--no-run", "--message-format=json-render-diagnostics"]);
    build.args(["--package", package]);
    match test {
        Some(test) => build.args(["--test", test]),
        None => build.arg("--tests"),
    };
    let messages = output(&mut build)?;
    let programs = messages.lines().filter_map(|line| line.split_once("\"executable\":\"")?.1.split('"').next());
    let tests: Vec<(String, PathBuf)> = programs.filter_map(|path| Some((name(path)?, path.into()))).collect();
    if tests.is_empty() { Err(format!("the package {package} has no tests")) } else { Ok(tests) }
}

fn statically(host: &str, arguments: &[&str]) -> Command {
    let mut build = cargo(arguments);
    build.args(["--target", host]).env("RUSTFLAGS", STATIC).env("CARGO_PROFILE_DEV_DEBUG", "0");
    build
}

/// A test's name, without the hash that cargo puts behind.
fn name(path: &str) -> Option<String> {
    let file = Path::new(path).file_name()?.to_str()?;
    Some(file.rsplit_once('-').map_or(file, |(name, _)| name).to_owned())
}

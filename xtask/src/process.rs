//! Running other programs, always from the repository's root.

use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
};

use crate::Outcome;

/// The repository's root: of the tree that cargo runs us in, which need not be the one that we were built in.
pub(crate) fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let told = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let told = told.filter(|folder| folder.file_name().is_some_and(|name| name == "xtask"));
        let xtask = told.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        xtask.parent().unwrap_or(&xtask).to_owned()
    })
}

/// A file or folder of the repository.
pub(crate) fn path(relative: &str) -> PathBuf {
    root().join(relative)
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| path("target"), |folder| root().join(folder))
}

/// A command that runs in the root.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root()).env("PATH", search_path());
    command
}

/// The cargo that started us.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()), arguments)
}

/// Runs a command to its end; what it prints is passed through.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|error| format!("{}: {error}", name(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{} failed: {status}", name(command))) }
}

/// What a command prints on its standard output. Its complaints are passed through; the first error is part of ours.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let failed = |error: io::Error| format!("{}: {error}", name(command));
    let mut child = spawned.map_err(failed)?;
    let stderr = child.stderr.take();
    let complaints = thread::spawn(move || {
        let lines = stderr.into_iter().flat_map(|pipe| BufReader::new(pipe).lines()).map_while(Result::ok);
        lines.inspect(|line| eprintln!("{line}")).filter(|line| line.contains("error")).reduce(|first, _| first)
    });
    let output = child.wait_with_output().map_err(failed)?;
    let complaint = complaints.join().ok().flatten();
    if !output.status.success() {
        let why = complaint.map_or_else(String::new, |line| format!(": {}", line.trim()));
        return Err(format!("{} failed: {}{why}", name(command), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program is to be found.
pub(crate) fn exists(program: &str) -> bool {
    std::env::split_paths(&search_path()).any(|folder| folder.join(program).is_file())
}

/// Where programs are looked for: the user's path, and where Debian keeps what is root's, which many users' paths lack.
fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

/// Whether we are root.
pub(crate) fn is_root() -> bool {
    // SAFETY: the call takes nothing, changes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

fn name(command: &Command) -> String {
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words: Vec<_> = std::iter::once(program.to_string_lossy()).chain(arguments).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_prints_is_read_and_its_first_error_told() {
        let shell = |script: &str| output(&mut command("sh", &["-c", script]));
        assert_eq!(shell("echo read; echo 'error: none' >&2"), Ok("read\n".into()));
        let failed = shell("echo once >&2; echo 'error: no space' >&2; echo 'error: again' >&2; exit 3").unwrap_err();
        assert!(failed.ends_with("failed: exit status: 3: error: no space"), "{failed}");
        assert!(shell("exit 1").unwrap_err().ends_with("failed: exit status: 1"));
    }
}

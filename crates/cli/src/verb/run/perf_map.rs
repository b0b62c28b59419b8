//! The file in which `perf` looks for names of native functions that no file on disk holds: a line each, address, size
//! and name, as tools/perf/Documentation/jit-interface.txt of Linux has it.

use crate::failure::Failure;
use alveary::{Loaded, User, runtime::Prog};
use alveary_diag::{Diagnostic, Place};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    process,
};

/// Names the native functions that there are by now.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(loaded: &Loaded<User>) -> Result<(), Failure> {
    let path = format!("/tmp/perf-{}.map", process::id());
    let all: String = loaded.programs().map(|program| lines(program.handle().prog())).collect();
    written(&path, &all).map_err(|why| {
        Diagnostic::new("perf-map", format!("{path} cannot be written"), Place::Nowhere).found(why.to_string()).into()
    })
}

fn lines(prog: &Prog) -> String {
    let line = |function: alveary_vm::NativeFunction| {
        format!("{:x} {:x} {}\n", function.address, function.size, name(prog, function.slot))
    };
    prog.native_functions().into_iter().map(line).collect()
}

/// The name of the function that begins at a slot of a program's code.
pub(super) fn name(prog: &Prog, slot: u32) -> String {
    let program = prog.program();
    let origin = prog.code().origin.get(slot as usize).copied().unwrap_or(slot);
    let named = program.subprogs.iter().find(|(at, _)| *at == origin).map_or(&program.name, |(_, name)| name);
    format!("bpf_{}::{named}", program.name)
}

/// Anew, so that nothing that another user has put in its place is written to.
fn written(path: &str, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

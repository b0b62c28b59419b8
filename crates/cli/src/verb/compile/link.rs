//! The system's linker: from an object file to a shared library.

use crate::failure::Failure;
use alveary::ahead::Machine;
use alveary_diag::{Diagnostic, Place};
use std::{
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

/// Links an object file to a shared library, which needs no other.
pub(super) fn shared(object: &[u8], output: &Path, machine: Machine) -> Result<(), Failure> {
    // Beside the output, where there is room for either.
    let part = Part(output.with_extension(format!("{}.o", std::process::id())));
    fs::write(&part.0, object).map_err(|why| Failure::file("write", output, &why))?;
    let compiler = compiler(machine);
    let made = Command::new(&compiler).args(["-shared", "-nostdlib", "-o"]).args([output, &part.0]).output();
    let made = match made {
        Ok(made) => made,
        Err(why) if why.kind() == ErrorKind::NotFound => return Err(missing(&compiler).into()),
        Err(why) => return Err(Failure::file("run", Path::new(&compiler), &why)),
    };
    if made.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&made.stderr);
    let message = format!("`{compiler}` does not link the library");
    // One that says nothing has ended in some way.
    let found = if said.trim().is_empty() { made.status.to_string() } else { said.trim().to_owned() };
    Err(Diagnostic::new("linker", message, Place::Nowhere)
        .found(found)
        .help("name a C compiler in CC, or write an object file (`-o LIB.o`) and link it elsewhere")
        .into())
}

/// `CC`, or the machine's own compiler by the name that distributions give it.
fn compiler(machine: Machine) -> String {
    match env::var("CC") {
        Ok(compiler) if !compiler.is_empty() => compiler,
        _ if Machine::host() == Some(machine) => "cc".to_owned(),
        _ => format!("{}-linux-gnu-gcc", machine.name()),
    }
}

fn missing(compiler: &str) -> Diagnostic {
    Diagnostic::new("linker", format!("there is no `{compiler}` to link a shared library with"), Place::Nowhere)
        .help("install a C compiler, name one in CC, or write an object file (`-o LIB.o`) and link it elsewhere")
}

/// A file that goes when this does.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

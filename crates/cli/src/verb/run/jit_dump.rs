//! Native functions with their machine code and source lines, where `perf inject --jit` finds them.

use super::perf_map::name;
use crate::failure::Failure;
use alveary::{Loaded, User, runtime::Prog};
use alveary_diag::{Diagnostic, Place, Sources};
use alveary_vm::{JitDump, Listed, SourcePlace};
use std::{io, path::Path};

/// Begins the file, in a folder.
///
/// # Errors
/// It cannot be written there.
pub(super) fn begin(folder: &Path) -> Result<JitDump, Failure> {
    JitDump::create(folder).map_err(|why| refused(folder, &why))
}

/// Writes the native functions that there are by now, and ends the file.
///
/// # Errors
/// It cannot be written.
pub(super) fn write(mut dump: JitDump, loaded: &Loaded<User>) -> Result<(), Failure> {
    let path = dump.path().to_owned();
    for program in loaded.programs() {
        let prog = program.handle().prog();
        // Compiled once more, to say what comes from where. What turns out otherwise is without lines.
        let listed =
            if prog.is_native() { loaded.target().runtime().list(prog).unwrap_or_default() } else { Vec::new() };
        functions(&mut dump, prog, &listed).map_err(|why| refused(&path, &why))?;
    }
    dump.close().map_err(|why| refused(&path, &why))
}

fn functions(dump: &mut JitDump, prog: &Prog, listed: &[Listed]) -> io::Result<()> {
    let program = prog.program();
    for (number, function) in prog.native_functions().iter().enumerate() {
        let Some(code) = prog.machine_code(function) else { continue };
        // What is between two functions belongs to the first one, too.
        let same = listed.get(number).filter(|listed| code.starts_with(&listed.code));
        let places = same.into_iter().flat_map(|listed| &listed.parts).filter_map(|part| {
            let index = prog.code().origin.get(part.slot as usize).copied().unwrap_or(part.slot);
            let line = program.source(&Place::Insn { prog: program.name.clone(), index })?;
            Some((part.bytes.start, line.file.to_string(), line.line))
        });
        let places: Vec<(usize, String, u32)> = places.collect();
        let mut lines: Vec<SourcePlace<'_>> = places.iter().map(|(at, file, line)| (*at, &**file, *line)).collect();
        lines.dedup_by(|next, before| (next.1, next.2) == (before.1, before.2));
        dump.function(function, &name(prog, function.slot), code, &lines)?;
    }
    Ok(())
}

fn refused(path: &Path, why: &io::Error) -> Failure {
    let message = format!("the dump of native code cannot be written to {}", path.display());
    let error = Diagnostic::new("jitdump", message, Place::Nowhere).found(why.to_string());
    error.help("name a folder that is there, that you may write to, on a file system that is not mounted noexec: `--jitdump DIR`").into()
}

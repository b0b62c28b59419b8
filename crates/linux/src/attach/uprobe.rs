//! Probes of functions in files.

use super::{
    Link, Place, Program,
    elf::Elf,
    explain::refused,
    kprobe::AT_RETURN,
    perf::{self, Attr},
};
use crate::sys::{LinkCreate, LinkOptions, Target};
use alveary_abi::AttachType;
use alveary_diag::{Diagnostic, Place as At};
use std::{ffi::CString, os::unix::ffi::OsStrExt, path::Path};

/// Of an event's configuration: where the place of the probe's semaphore begins.
const SEMAPHORE_SHIFT: u32 = 32;
/// Of a link over many functions: the probes are at the returns.
const MULTI_RETURN: u32 = 1;

/// What is probed of a function, and of whom.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) ret: bool,
    pub(super) pid: Option<u32>,
    pub(super) cookie: u64,
}

pub(super) fn attach(
    program: Program<'_>,
    place: &Place<'_>,
    path: &Path,
    function: &str,
    offset: u64,
    how: How,
) -> Result<Link, Diagnostic> {
    // Without a function the offset is the file's.
    let start = if function.is_empty() { 0 } else { Elf::read(path)?.function(function)? };
    attach_at(program, place, path, start + offset, 0, how)
}

/// Attaches to an offset in a file; `semaphore` is the offset of the counter that tells the file's code of the probe.
pub(super) fn attach_at(
    program: Program<'_>,
    place: &Place<'_>,
    path: &Path,
    offset: u64,
    semaphore: u64,
    how: How,
) -> Result<Link, Diagnostic> {
    let name = c_path(path)?;
    let config = (if how.ret { AT_RETURN } else { 0 }) | semaphore << SEMAPHORE_SHIFT;
    let attr = Attr::probe(perf::probe_type("uprobe")?, config, &name, offset);
    // Of everyone: on whichever CPU the event is, its program runs on all.
    let (pid, cpu) = how.pid.map_or((-1, 0), |pid| (pid as i32, -1));
    // SAFETY: the path ends in a zero, and lives until the call is over.
    let event = unsafe { perf::open(attr, pid, cpu) }.map_err(|error| perf::failed(program, place, &error))?;
    perf::run_on(program, place, event, how.cookie)
}

pub(super) fn attach_many(
    program: Program<'_>,
    place: &Place<'_>,
    path: &Path,
    pattern: &str,
    ret: bool,
    pid: Option<u32>,
) -> Result<Link, Diagnostic> {
    let offsets = Elf::read(path)?.functions(pattern)?;
    let name = c_path(path)?;
    let options = LinkOptions::UprobeMulti {
        flags: if ret { MULTI_RETURN } else { 0 },
        path: &name,
        offsets: &offsets,
        ref_ctr_offsets: &[],
        cookies: &[],
        pid: pid.unwrap_or(0),
    };
    let ty = program.attach_type(AttachType::TRACE_UPROBE_MULTI);
    let create = LinkCreate { options, ..LinkCreate::new(program.fd, Target::None, ty) };
    Ok(Link::of_fd(place, create.create().map_err(|error| refused(program, place, &error))?))
}

fn c_path(path: &Path) -> Result<CString, Diagnostic> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Diagnostic::new("no-file", "a path holds a zero byte", At::Nowhere))
}

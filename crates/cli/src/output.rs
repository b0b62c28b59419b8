//! Where results go: stdout, buffered, and quiet when its reader has gone; or into the result of a verb around it.

use crate::failure::Failure;
use serde::Serialize;
use std::{
    cell::RefCell,
    io::{self, BufWriter, Write},
};

/// Bytes that are collected before they are written.
const BUFFER: usize = 64 << 10;

thread_local! {
    /// What is captured, if it is.
    static CAPTURED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Runs a verb, and gives what it writes as a result instead of writing it.
pub(crate) fn capture(verb: impl FnOnce() -> Result<(), Failure>) -> (Vec<u8>, Result<(), Failure>) {
    CAPTURED.with(|captured| captured.replace(Some(Vec::new())));
    let done = verb();
    (CAPTURED.with(RefCell::take).unwrap_or_default(), done)
}

/// Adds to what is captured; `false`: nothing is.
fn captured(bytes: &[u8]) -> bool {
    CAPTURED.with_borrow_mut(|captured| captured.as_mut().map(|all| all.extend(bytes)).is_some())
}

/// Writes a result: `write` gets a buffered stdout, which is flushed behind it. Colours reach a terminal only, and only
/// one whose user has not set `NO_COLOR`.
pub(crate) fn write(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    if captured(&[]) {
        let mut bytes = Vec::new();
        write(&mut anstream::StripStream::new(&mut bytes))?;
        captured(&bytes);
        return Ok(());
    }
    let mut out = BufWriter::with_capacity(BUFFER, anstream::AutoStream::auto(io::stdout().lock()));
    write(&mut out)?;
    Ok(out.flush()?)
}

/// [`write`], for results that hold no colours: looking for some takes longer than writing them.
pub(crate) fn bare(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    if captured(&[]) {
        let mut bytes = Vec::new();
        write(&mut bytes)?;
        captured(&bytes);
        return Ok(());
    }
    let mut out = BufWriter::with_capacity(BUFFER, io::stdout().lock());
    write(&mut out)?;
    Ok(out.flush()?)
}

/// Writes text that holds no colours, as it is: looking for some takes longer than writing it.
pub(crate) fn plain(text: &str) -> Result<(), Failure> {
    if captured(text.as_bytes()) { Ok(()) } else { Ok(io::stdout().lock().write_all(text.as_bytes())?) }
}

/// Writes one JSON object, on one line.
pub(crate) fn object(value: &impl Serialize) -> Result<(), Failure> {
    write(|out| {
        serde_json::to_writer(&mut *out, value)?;
        writeln!(out)
    })
}

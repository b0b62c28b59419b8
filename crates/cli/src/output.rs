//! Where results go: stdout, buffered, and quiet when its reader has gone.

use crate::failure::Failure;
use serde::Serialize;
use std::io::{self, BufWriter, Write};

/// Bytes that are collected before they are written.
const BUFFER: usize = 64 << 10;

/// Writes a result: `write` gets a buffered stdout, which is flushed behind it. Colours reach a terminal only, and only
/// one whose user has not set `NO_COLOR`.
pub(crate) fn write(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(BUFFER, anstream::AutoStream::auto(io::stdout().lock()));
    write(&mut out)?;
    Ok(out.flush()?)
}

/// Writes text that holds no colours, as it is: looking for some takes longer than writing it.
pub(crate) fn plain(text: &str) -> Result<(), Failure> {
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

/// Writes one JSON object, on one line.
pub(crate) fn object(value: &impl Serialize) -> Result<(), Failure> {
    write(|out| {
        serde_json::to_writer(&mut *out, value)?;
        writeln!(out)
    })
}

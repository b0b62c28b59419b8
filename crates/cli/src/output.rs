//! Where results go: stdout, buffered, and quiet when its reader has gone.

use crate::failure::Failure;
use std::io::{self, BufWriter, Write};

/// Bytes that are collected before they are written.
const BUFFER: usize = 64 << 10;

/// Writes a result: `write` gets a buffered stdout, which is flushed behind it.
pub(crate) fn write(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(BUFFER, io::stdout().lock());
    write(&mut out)?;
    Ok(out.flush()?)
}

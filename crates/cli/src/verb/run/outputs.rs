//! The files that a run writes: captures of the packets that go on and of those that do not, a line for each packet.

use super::{Run, fate};
use crate::failure::Failure;
use alveary::{Dropped, Redirect};
use alveary_abi::ProgType;
use alveary_ports::{LinkType, Writer};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// Bytes of lines that are collected before they are written.
const BUFFER: usize = 256 << 10;

/// What became of a packet.
pub(super) struct Outcome<'a> {
    /// Number in the capture, from 1.
    pub(super) number: u64,
    pub(super) time: u64,
    /// Its length on the wire before the program.
    pub(super) length: u32,
    /// Its captured bytes before the program.
    pub(super) original: &'a [u8],
    /// What the program returned and left; or why it was stopped.
    pub(super) end: Result<End<'a>, String>,
}

/// What a program returned and left.
pub(super) struct End<'a> {
    pub(super) code: i32,
    pub(super) name: Option<&'static str>,
    pub(super) bytes: &'a [u8],
    pub(super) redirect: Option<Redirect>,
    pub(super) dropped: Option<Dropped>,
}

/// The files.
pub(super) struct Outputs {
    ty: ProgType,
    on: Option<Writer>,
    dropped: Option<Writer>,
    lines: Option<Lines>,
}

struct Lines {
    path: PathBuf,
    file: BufWriter<File>,
    hex: String,
}

impl Outputs {
    /// Creates those that are asked for.
    pub(super) fn create(run: &Run, ty: ProgType, link: LinkType) -> Result<Outputs, Failure> {
        let capture = |path: &Option<PathBuf>| path.as_ref().map(|p| Writer::create(p, link)).transpose();
        Ok(Outputs {
            ty,
            on: capture(&run.write)?,
            dropped: capture(&run.write_dropped)?,
            lines: run.packets.as_deref().map(Lines::create).transpose()?,
        })
    }

    /// Whether anyone wants to see packets.
    pub(super) fn wanted(&self) -> bool {
        self.on.is_some() || self.dropped.is_some() || self.lines.is_some()
    }

    /// Takes a packet.
    pub(super) fn take(&mut self, outcome: &Outcome<'_>) -> Result<(), Failure> {
        let (goes_on, whole) = match &outcome.end {
            Ok(end) => (fate::goes_on(self.ty, end.code), end.bytes),
            Err(_) => (false, outcome.original),
        };
        let bytes = match &outcome.end {
            Ok(end) if goes_on => &whole[..fate::kept(self.ty, end.code, whole.len())],
            _ => whole,
        };
        if let Some(capture) = if goes_on { &mut self.on } else { &mut self.dropped } {
            // What the capture had cut off the packet is still missing behind what the program made of the rest.
            let missing = outcome.length.saturating_sub(outcome.original.len() as u32);
            capture.write(outcome.time, missing.saturating_add(whole.len() as u32), bytes)?;
        }
        match &mut self.lines {
            Some(lines) => lines.write(self.ty, outcome, bytes),
            None => Ok(()),
        }
    }

    /// Writes what is still buffered.
    pub(super) fn finish(self) -> Result<(), Failure> {
        for capture in [self.on, self.dropped].into_iter().flatten() {
            capture.finish()?;
        }
        match self.lines {
            Some(mut lines) => lines.file.flush().map_err(|why| Failure::file("write", &lines.path, &why)),
            None => Ok(()),
        }
    }
}

impl Lines {
    fn create(path: &Path) -> Result<Lines, Failure> {
        let file = File::create(path).map_err(|why| Failure::file("create", path, &why))?;
        Ok(Lines { path: path.to_owned(), file: BufWriter::with_capacity(BUFFER, file), hex: String::new() })
    }

    fn write(&mut self, ty: ProgType, outcome: &Outcome<'_>, bytes: &[u8]) -> Result<(), Failure> {
        self.hex.clear();
        hex(bytes, &mut self.hex);
        let end = outcome.end.as_ref().ok();
        let line = Line {
            number: outcome.number,
            verdict: end.map(|end| verdict(ty, end.code, end.name)),
            value: end.map(|end| end.code),
            error: outcome.end.as_ref().err().map(String::as_str),
            length: bytes.len(),
            data: &self.hex,
            redirect: end.and_then(|end| end.redirect.as_ref()).map(target),
            dropped: end.and_then(|end| end.dropped).map(|why| why.to_string()),
        };
        let mut write = || {
            serde_json::to_writer(&mut self.file, &line)?;
            self.file.write_all(b"\n")
        };
        write().map_err(|why: io::Error| Failure::file("write", &self.path, &why))
    }
}

/// A packet as `--packets` shows it.
#[derive(Serialize)]
struct Line<'a> {
    number: u64,
    verdict: Option<Cow<'static, str>>,
    value: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    length: usize,
    data: &'a str,
    redirect: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped: Option<String>,
}

/// What a verdict is called: a socket filter's is a number of bytes, as is one that has no name.
pub(super) fn verdict(ty: ProgType, code: i32, name: Option<&'static str>) -> Cow<'static, str> {
    match (name, ty) {
        (Some(name), _) => name.into(),
        (None, ProgType::SOCKET_FILTER) => (code as u32).to_string().into(),
        (None, _) => code.to_string().into(),
    }
}

fn target(redirect: &Redirect) -> Value {
    match redirect {
        Redirect::Device { ifindex, .. } => json!({ "ifindex": ifindex }),
        Redirect::Route { table, next_hop } => json!({ "table": table, "next_hop": next_hop }),
        Redirect::Map { map, key, value, .. } => json!({ "map": map, "key": key, "value": value }),
    }
}

/// Appends bytes in hex.
pub(super) fn hex(bytes: &[u8], into: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    into.reserve(bytes.len() * 2);
    for byte in bytes {
        into.push(DIGITS[usize::from(byte >> 4)].into());
        into.push(DIGITS[usize::from(byte & 15)].into());
    }
}

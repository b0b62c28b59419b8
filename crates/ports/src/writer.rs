//! Writing captures: pcap with nanoseconds, or pcapng, either compressed by gzip.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use alveary_diag::{Diagnostic, Place};
use flate2::{Compression, write::GzEncoder};

use crate::{input::MAX_PACKET, link::LinkType, pcap::NANOSECONDS};

/// Which way a packet went through its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It came.
    In,
    /// It left.
    Out,
}

/// What a capture is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// pcap with times in nanoseconds. Its seconds end in 2106; it has no comments.
    Pcap,
    /// pcapng with one interface and times in nanoseconds.
    PcapNg,
}

impl Format {
    /// The format and whether to compress, by a file's name: `.pcapng` or `.ntar`, else pcap; `.gz` behind it compresses.
    #[must_use]
    pub fn of(path: &Path) -> (Format, bool) {
        let gzip = path.extension().is_some_and(|extension| extension == "gz");
        let stem = if gzip { path.with_extension("") } else { path.to_path_buf() };
        let ng = stem.extension().is_some_and(|extension| extension == "pcapng" || extension == "ntar");
        (if ng { Format::PcapNg } else { Format::Pcap }, gzip)
    }
}

enum Sink<W: Write> {
    Plain(W),
    Gzip(Box<GzEncoder<W>>),
}

impl<W: Write> Sink<W> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::Plain(sink) => sink.write_all(bytes),
            Sink::Gzip(sink) => sink.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<W> {
        let mut sink = match self {
            Sink::Plain(sink) => sink,
            Sink::Gzip(sink) => sink.finish()?,
        };
        sink.flush()?;
        Ok(sink)
    }
}

/// A capture that is being written. [`finish`](Self::finish) it, so that errors of the last bytes are seen.
pub struct Writer<W: Write = BufWriter<File>> {
    sink: Sink<W>,
    format: Format,
    path: PathBuf,
    packets: u64,
}

impl Writer {
    /// Creates a capture file; its name says the format, as [`Format::of`] reads it.
    ///
    /// # Errors
    /// The file cannot be created or written.
    pub fn create(path: impl AsRef<Path>, link: LinkType) -> Result<Self, Diagnostic> {
        let path = path.as_ref();
        let (format, gzip) = Format::of(path);
        let file = File::create(path).map_err(|error| {
            Diagnostic::new("capture-write", "the capture cannot be created", Place::Nowhere)
                .found(error.to_string())
                .in_file(path.display().to_string())
        })?;
        let file = BufWriter::with_capacity(256 << 10, file);
        let sink =
            if gzip { Sink::Gzip(Box::new(GzEncoder::new(file, Compression::default()))) } else { Sink::Plain(file) };
        Self::begin(sink, format, link, path.to_path_buf())
    }
}

impl<W: Write> Writer<W> {
    /// Writes a capture, not compressed, into `sink`.
    ///
    /// # Errors
    /// The sink does not take the bytes.
    pub fn to_sink(sink: W, format: Format, link: LinkType) -> Result<Self, Diagnostic> {
        Self::begin(Sink::Plain(sink), format, link, PathBuf::from("capture"))
    }

    fn begin(sink: Sink<W>, format: Format, link: LinkType, path: PathBuf) -> Result<Self, Diagnostic> {
        let mut writer = Writer { sink, format, path, packets: 0 };
        let head = match format {
            Format::Pcap => pcap_header(link),
            Format::PcapNg => pcapng_header(link),
        };
        writer.put(&head)?;
        Ok(writer)
    }

    /// Appends a packet: its time in nanoseconds since 1970, its length on the wire, the bytes to keep of it.
    ///
    /// # Errors
    /// The file cannot be written, or the packet is longer than [`MAX_PACKET`].
    #[inline]
    pub fn write(&mut self, timestamp_ns: u64, original_len: u32, data: &[u8]) -> Result<(), Diagnostic> {
        self.write_with_comment(timestamp_ns, original_len, data, "")
    }

    /// Appends a packet with a remark on it, which pcapng keeps and pcap does not.
    ///
    /// # Errors
    /// As for [`write`](Self::write); or the comment is longer than 65,535 bytes.
    pub fn write_with_comment(
        &mut self,
        timestamp_ns: u64,
        original_len: u32,
        data: &[u8],
        comment: &str,
    ) -> Result<(), Diagnostic> {
        self.put_packet(timestamp_ns, original_len, data, &options(comment, None), comment)
    }

    /// The same with the way that the packet went, which pcapng keeps, too.
    ///
    /// # Errors
    /// As for [`write_with_comment`](Self::write_with_comment).
    pub fn write_with_direction(
        &mut self,
        timestamp_ns: u64,
        original_len: u32,
        data: &[u8],
        comment: &str,
        direction: Direction,
    ) -> Result<(), Diagnostic> {
        self.put_packet(timestamp_ns, original_len, data, &options(comment, Some(direction)), comment)
    }

    fn put_packet(
        &mut self,
        timestamp_ns: u64,
        original_len: u32,
        data: &[u8],
        options: &[u8],
        comment: &str,
    ) -> Result<(), Diagnostic> {
        self.packets += 1;
        self.limit("packet", MAX_PACKET, data.len())?;
        self.limit("comment", u16::MAX.into(), comment.len())?;
        match self.format {
            Format::Pcap => {
                let seconds = (timestamp_ns / 1_000_000_000) as u32;
                let nanoseconds = (timestamp_ns % 1_000_000_000) as u32;
                let words = [seconds, nanoseconds, data.len() as u32, original_len];
                self.put(words.map(u32::to_le_bytes).as_flattened())?;
                self.put(data)
            }
            Format::PcapNg => {
                let padding = &[0; 3][..data.len().next_multiple_of(4) - data.len()];
                let len = (32 + data.len() + padding.len() + options.len()) as u32;
                let (high, low) = ((timestamp_ns >> 32) as u32, timestamp_ns as u32);
                let words = [6, len, 0, high, low, data.len() as u32, original_len];
                self.put(words.map(u32::to_le_bytes).as_flattened())?;
                self.put(data)?;
                self.put(padding)?;
                self.put(options)?;
                self.put(&len.to_le_bytes())
            }
        }
    }

    /// Packets that were written so far.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Writes what is still buffered.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(self) -> Result<W, Diagnostic> {
        self.sink.finish().map_err(|error| failed(&error, &self.path))
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Result<(), Diagnostic> {
        self.sink.write(bytes).map_err(|error| failed(&error, &self.path))
    }

    fn limit(&self, what: &str, most: usize, found: usize) -> Result<(), Diagnostic> {
        if found <= most {
            return Ok(());
        }
        let message = format!("the {what} of packet {} is too long for a capture file", self.packets);
        Err(Diagnostic::new("capture-packet-length", message, Place::Nowhere)
            .expected(format!("at most {most} bytes"))
            .found(format!("{found}"))
            .in_file(self.path.display().to_string()))
    }
}

fn failed(error: &io::Error, path: &Path) -> Diagnostic {
    Diagnostic::new("capture-write", "the capture cannot be written", Place::Nowhere)
        .found(error.to_string())
        .in_file(path.display().to_string())
}

fn pcap_header(link: LinkType) -> Vec<u8> {
    let version = 2 | 4 << 16;
    [NANOSECONDS, version, 0, 0, MAX_PACKET as u32, link.number().into()].map(u32::to_le_bytes).concat()
}

/// A section header of unknown length, and one interface whose clock counts nanoseconds.
fn pcapng_header(link: LinkType) -> Vec<u8> {
    let section = [0x0a0d_0d0a, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28];
    let resolution = [9 | 1 << 16, 9, 0];
    let interface = [1, 32, link.number().into(), MAX_PACKET as u32, resolution[0], resolution[1], resolution[2], 32];
    [section.map(u32::to_le_bytes).concat(), interface.map(u32::to_le_bytes).concat()].concat()
}

/// The options of a packet block: `opt_comment`, `epb_flags`, `opt_endofopt`; nothing if there are none.
fn options(comment: &str, direction: Option<Direction>) -> Vec<u8> {
    let mut options = Vec::with_capacity(comment.len() + 20);
    if !comment.is_empty() {
        options.extend(1u16.to_le_bytes());
        // What is longer is refused before it is written.
        options.extend((comment.len() as u16).to_le_bytes());
        options.extend(comment.as_bytes());
        options.resize(options.len().next_multiple_of(4), 0);
    }
    if let Some(direction) = direction {
        let flags = match direction {
            Direction::In => 1,
            Direction::Out => 2,
        };
        options.extend([2u32 | 4 << 16, flags].iter().flat_map(|word| word.to_le_bytes()));
    }
    if !options.is_empty() {
        options.extend([0; 4]);
    }
    options
}

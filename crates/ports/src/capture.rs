//! A capture file that is being read: opening, telling the formats apart, and the walk over its packets.

use std::{
    fs::File,
    io::{self, Cursor, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use alveary_diag::{Diagnostic, Place};
use flate2::read::MultiGzDecoder;

use crate::{foreign, input::Input, link::LinkType, pcap::Pcap, pcapng::PcapNg};

/// A packet as it was captured. Its bytes stand in the reader's buffer until the next one is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// When it was captured, in nanoseconds since 1970; 0 where the capture has no time (pcapng's simple packets).
    pub timestamp_ns: u64,
    /// Its length on the wire, which is more than `data` holds if the capture cut it.
    pub original_len: u32,
    /// The captured bytes, from the link header on.
    pub data: &'a [u8],
    /// Number of the interface in the file's current section; 0 in a pcap file.
    pub interface: u32,
    /// The header that `data` begins with.
    pub link: LinkType,
}

/// Where a packet stands: what the walk of a format gives, before bytes are borrowed.
#[derive(Clone, Copy)]
pub(crate) struct Record {
    pub(crate) timestamp_ns: u64,
    pub(crate) original_len: u32,
    pub(crate) interface: u32,
    pub(crate) link: LinkType,
    /// Length of the whole record, which the window has passed.
    pub(crate) passed: usize,
    /// The packet's bytes within it.
    pub(crate) from: usize,
    pub(crate) len: usize,
}

enum Reader {
    Pcap(Pcap),
    PcapNg(PcapNg),
}

/// A capture that is being read, packet by packet.
///
/// ```no_run
/// # fn main() -> Result<(), alveary_diag::Diagnostic> {
/// let mut capture = alveary_ports::Capture::open("traffic.pcap")?;
/// while let Some(packet) = capture.next() {
///     let packet = packet?;
///     println!("{} {}", packet.timestamp_ns, packet.data.len());
/// }
/// # Ok(())
/// # }
/// ```
pub struct Capture {
    name: Arc<str>,
    input: Input,
    reader: Reader,
    link: LinkType,
    packets: u64,
    done: bool,
    gzip: bool,
    bytes_read: Arc<AtomicU64>,
    bytes_total: Option<u64>,
}

impl Capture {
    /// Opens a capture file and reads its head.
    ///
    /// # Errors
    /// The file cannot be read, is no capture, or its packets are of a link type that is not read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Diagnostic> {
        let path = path.as_ref();
        let name: Arc<str> = path.display().to_string().into();
        let open = || -> io::Result<(File, Option<u64>)> {
            let file = File::open(path)?;
            let meta = file.metadata()?;
            Ok((file, meta.is_file().then_some(meta.len())))
        };
        let (file, size) = open().map_err(|error| {
            unreadable(&error, "the capture cannot be opened", Place::Nowhere).in_file(name.clone())
        })?;
        let mut capture = Self::from_reader(&name, file)?;
        capture.bytes_total = size;
        Ok(capture)
    }

    /// Reads a capture from a stream; `name` is what errors call it.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn from_reader(name: &str, source: impl Read + Send + 'static) -> Result<Self, Diagnostic> {
        Self::begin(name.into(), source).map_err(|error| error.in_file(name))
    }

    fn begin(name: Arc<str>, source: impl Read + Send + 'static) -> Result<Self, Diagnostic> {
        let bytes_read = Arc::new(AtomicU64::new(0));
        let mut source = Counted { source, count: bytes_read.clone() };
        let mut head = Vec::new();
        let cannot = |error: &io::Error| unreadable(error, "the capture cannot be read", Place::Byte { at: 0 });
        source.by_ref().take(2).read_to_end(&mut head).map_err(|error| cannot(&error))?;
        let gzip = head == [0x1f, 0x8b];
        let whole = Cursor::new(head).chain(source);
        let mut input = Input::new(if gzip {
            Box::new(MultiGzDecoder::new(whole))
        } else {
            Box::new(whole) as Box<dyn Read + Send>
        });

        let magic = input.peek(4).first_chunk::<4>().copied();
        let opened = match magic.map(u32::from_le_bytes) {
            Some(magic) if Pcap::begins(magic) => Pcap::open(&mut input).map(|pcap| (pcap.link(), Reader::Pcap(pcap))),
            Some(PcapNg::MAGIC) => PcapNg::open(&mut input).map(|(ng, link)| (link, Reader::PcapNg(ng))),
            _ => Err(foreign::refusal(input.peek(64))),
        };
        match opened {
            Ok((link, reader)) => {
                Ok(Capture { name, input, reader, link, packets: 0, done: false, gzip, bytes_read, bytes_total: None })
            }
            Err(error) => Err(explain(error, &mut input, gzip)),
        }
    }

    /// The link type of the file, or of the first interface of a pcapng file. Each packet names its own.
    #[must_use]
    pub fn link_type(&self) -> LinkType {
        self.link
    }

    /// Packets that were handed out so far.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Bytes of the file that were read so far (compressed bytes of a gzip file), for progress.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Size of the file, if it has one.
    #[must_use]
    pub fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }

    /// The next packet; `None` at the end, and after an error.
    #[expect(
        clippy::should_implement_trait,
        reason = "the packet borrows the reader's buffer, which Iterator cannot say"
    )]
    #[inline]
    pub fn next(&mut self) -> Option<Result<Packet<'_>, Diagnostic>> {
        if self.done {
            return None;
        }
        let number = self.packets + 1;
        let record = match &mut self.reader {
            Reader::Pcap(pcap) => pcap.next(&mut self.input, number),
            Reader::PcapNg(ng) => ng.next(&mut self.input, number),
        };
        match record {
            Ok(Some(record)) => {
                self.packets = number;
                Some(Ok(Packet {
                    timestamp_ns: record.timestamp_ns,
                    original_len: record.original_len,
                    data: self.input.behind(record.passed, record.from, record.len),
                    interface: record.interface,
                    link: record.link,
                }))
            }
            Ok(None) => self.end().map(Err),
            Err(error) => {
                self.done = true;
                Some(Err(explain(error, &mut self.input, self.gzip).in_file(self.name.clone())))
            }
        }
    }

    /// The stream has no more bytes: because it ended, or because it could not be read.
    #[cold]
    fn end(&mut self) -> Option<Diagnostic> {
        self.done = true;
        let at = Place::Byte { at: self.input.offset() };
        let failure = self.input.take_failure()?;
        Some(unreadable(&failure, "the capture cannot be read to its end", at).in_file(self.name.clone()))
    }
}

/// What stopped the stream is the cause of an error about missing bytes; offsets in a gzip file need a word.
#[cold]
fn explain(error: Diagnostic, input: &mut Input, gzip: bool) -> Diagnostic {
    let error = match input.take_failure() {
        Some(failure) => unreadable(&failure, "the capture cannot be read to its end", error.place().clone()),
        None => error,
    };
    if gzip { error.note("the file is compressed: offsets count decompressed bytes") } else { error }
}

fn unreadable(error: &io::Error, message: &'static str, at: Place) -> Diagnostic {
    Diagnostic::new("capture-read", message, at)
        .expected("a file that can be read")
        .found(error.to_string())
        .help("check the path, and who may read it")
}

/// Counts what is read from a source, so that progress can be shown while another reader owns it.
struct Counted<R> {
    source: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(into)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

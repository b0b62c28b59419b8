//! The classic pcap format: one header, then records of 16 bytes and a packet.
//!
//! Source: <https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/>.

use alveary_diag::{Diagnostic, Place};

use crate::{
    capture::Record,
    input::{Input, MAX_PACKET},
    link::LinkType,
};

/// Bytes of the file's header, of a record's.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// First word of a file whose times are in microseconds, in nanoseconds.
pub(crate) const MICROSECONDS: u32 = 0xa1b2_c3d4;
pub(crate) const NANOSECONDS: u32 = 0xa1b2_3c4d;

/// What the file's header says.
pub(crate) struct Pcap {
    big_endian: bool,
    /// Nanoseconds in one unit of a record's fraction of a second.
    unit_ns: u64,
    link: LinkType,
}

impl Pcap {
    /// Whether a file is of this format, by its first word read as little-endian.
    pub(crate) fn begins(magic: u32) -> bool {
        [MICROSECONDS, NANOSECONDS].iter().any(|known| magic == *known || magic == known.swap_bytes())
    }

    /// Reads the file's header.
    pub(crate) fn open(input: &mut Input) -> Result<Self, Diagnostic> {
        let bytes = input.peek(FILE_HEADER);
        let Some(header) = bytes.first_chunk::<FILE_HEADER>() else {
            return Err(Diagnostic::new(
                "capture-truncated",
                "the capture ends inside its header",
                Place::Byte { at: 0 },
            )
            .expected(format!("{FILE_HEADER} bytes"))
            .found(format!("{} bytes", bytes.len()))
            .help("the file was cut: copy or record it again"));
        };
        let magic = word(header, 0, false);
        let big_endian = magic == MICROSECONDS.swap_bytes() || magic == NANOSECONDS.swap_bytes();
        let unit_ns = if word(header, 0, big_endian) == NANOSECONDS { 1 } else { 1000 };
        let major = if big_endian {
            u16::from_be_bytes([header[4], header[5]])
        } else {
            u16::from_le_bytes([header[4], header[5]])
        };
        if major != 2 {
            return Err(Diagnostic::new("capture-version", "this version of pcap is not read", Place::Byte { at: 4 })
                .expected("version 2")
                .found(format!("version {major}")));
        }
        // The upper half of the word tells of checksums that follow each frame, not of the link type.
        let link = LinkType::from_number(word(header, 20, big_endian) as u16, Place::Byte { at: 20 })?;
        input.pass(FILE_HEADER);
        Ok(Pcap { big_endian, unit_ns, link })
    }

    pub(crate) fn link(&self) -> LinkType {
        self.link
    }

    /// The next record; `number` is the packet's, from 1.
    #[inline]
    pub(crate) fn next(&mut self, input: &mut Input, number: u64) -> Result<Option<Record>, Diagnostic> {
        let bytes = input.peek(RECORD_HEADER);
        let Some(header) = bytes.first_chunk::<RECORD_HEADER>() else {
            return match bytes.len() {
                0 => Ok(None),
                found => Err(truncated(input.offset(), number, "record header", RECORD_HEADER, found)),
            };
        };
        let seconds = word(header, 0, self.big_endian);
        let fraction = word(header, 4, self.big_endian);
        let captured = word(header, 8, self.big_endian) as usize;
        let original_len = word(header, 12, self.big_endian);
        if captured > MAX_PACKET {
            return Err(too_long(input.offset() + 8, number, captured as u64));
        }
        let passed = RECORD_HEADER + captured;
        let found = input.peek(passed).len();
        if found < passed {
            return Err(truncated(input.offset(), number, "packet", captured, found - RECORD_HEADER));
        }
        input.pass(passed);
        Ok(Some(Record {
            timestamp_ns: u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.unit_ns,
            original_len,
            interface: 0,
            link: self.link,
            passed,
            from: RECORD_HEADER,
            len: captured,
        }))
    }
}

#[inline]
fn word(header: &[u8], at: usize, big_endian: bool) -> u32 {
    let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
    if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

/// The capture ends inside a packet's record, which begins at `at`.
#[cold]
pub(crate) fn truncated(at: u64, number: u64, part: &str, expected: usize, found: usize) -> Diagnostic {
    Diagnostic::new("capture-truncated", format!("the capture ends inside packet {number}"), Place::Byte { at })
        .expected(format!("{expected} bytes of its {part}"))
        .found(format!("{found}"))
        .note(format!("packets before it: {}", number - 1))
        .help("the file was cut: copy or record it again; what comes before is sound")
}

/// A record claims a packet that no capture holds.
#[cold]
pub(crate) fn too_long(at: u64, number: u64, claimed: u64) -> Diagnostic {
    Diagnostic::new(
        "capture-packet-length",
        format!("packet {number} cannot be as long as the capture says"),
        Place::Byte { at },
    )
    .expected(format!("at most {MAX_PACKET} bytes"))
    .found(format!("{claimed}"))
    .help("the file is damaged here; `editcap` can keep the packets before it")
}

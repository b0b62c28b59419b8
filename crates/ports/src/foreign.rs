//! Files that are no captures: what they are instead, as far as their first bytes tell.

use alveary_diag::{Diagnostic, Place};

/// A file that people hand over by mistake.
struct Foreign {
    magic: &'static [u8],
    what: &'static str,
    help: Option<&'static str>,
}

const FOREIGN: &[Foreign] = &[
    Foreign {
        magic: b"\x7fELF",
        what: "an ELF file",
        help: Some("the object comes first, the capture after --pcap: alveary run OBJ --pcap CAPTURE"),
    },
    Foreign { magic: b"\x28\xb5\x2f\xfd", what: "a zstd file", help: Some("decompress it: zstd -d") },
    Foreign { magic: b"\xfd7zXZ\0", what: "an xz file", help: Some("decompress it: xz -d") },
    Foreign { magic: b"BZh", what: "a bzip2 file", help: Some("decompress it: bzip2 -d") },
    Foreign { magic: b"PK\x03\x04", what: "a zip file", help: Some("unpack it") },
    Foreign { magic: b"\x1f\x8b", what: "a gzip file inside a gzip file", help: Some("decompress it once: gzip -d") },
    Foreign { magic: b"snoop\0\0\0", what: "a snoop capture", help: Some("convert it: editcap -F pcap IN OUT") },
    Foreign {
        magic: b"\x34\xcd\xb2\xa1",
        what: "a pcap file in Kuznetzov's format",
        help: Some("convert it: editcap -F pcap IN OUT"),
    },
    Foreign {
        magic: b"\xa1\xb2\xcd\x34",
        what: "a pcap file in Kuznetzov's format",
        help: Some("convert it: editcap -F pcap IN OUT"),
    },
];

/// The refusal of a file that begins with `head` (as many bytes as there are, up to 64).
pub(crate) fn refusal(head: &[u8]) -> Diagnostic {
    let error = Diagnostic::new("capture-format", "this is not a capture file", Place::Byte { at: 0 })
        .expected("a pcap or pcapng file, or one of them compressed by gzip");
    if let Some(known) = FOREIGN.iter().find(|known| head.starts_with(known.magic)) {
        let error = error.found(known.what);
        return match known.help {
            Some(help) => error.help(help),
            None => error,
        };
    }
    let head = &head[..head.len().min(64)];
    if head.is_empty() {
        error.found("an empty file")
    } else if head.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
        error.found("a text file")
    } else {
        let bytes: Vec<String> = head.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        error.found(format!("a file that begins with {}", bytes.join(" ")))
    }
}

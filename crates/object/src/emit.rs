//! The bytes of a relocatable ELF file for eBPF, in either byte order: sections are written one behind the other, their
//! headers last. Knows nothing of what stands in them.

use alveary_isa::Endian;

const HEADER: usize = 64;
const EM_BPF: u16 = 247;
pub(crate) const SHT_PROGBITS: u32 = 1;
pub(crate) const SHT_SYMTAB: u32 = 2;
pub(crate) const SHT_STRTAB: u32 = 3;
pub(crate) const SHT_NOBITS: u32 = 8;
pub(crate) const SHT_REL: u32 = 9;
/// `SHF_INFO_LINK`.
pub(crate) const INFO_LINK: u64 = 64;
pub(crate) const STT_NOTYPE: u8 = 0;
pub(crate) const STT_OBJECT: u8 = 1;
pub(crate) const STT_FUNC: u8 = 2;
pub(crate) const STT_SECTION: u8 = 3;
/// The most sections that a file header counts.
pub(crate) const MOST_SECTIONS: usize = 0xff00;

/// Adds a string to a table; gives its offset.
pub(crate) fn add(table: &mut Vec<u8>, string: &str) -> u32 {
    let at = table.len() as u32;
    table.extend(string.bytes().chain([0]));
    at
}

/// A section header.
#[derive(Clone, Copy, Default)]
pub(crate) struct Header {
    pub(crate) name: u32,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) link: u32,
    pub(crate) info: u32,
    pub(crate) align: u64,
    pub(crate) entry: u64,
}

pub(crate) struct Writer {
    endian: Endian,
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    /// A file of which nothing but the room for its header is there.
    pub(crate) fn new(endian: Endian) -> Writer {
        Writer { endian, bytes: vec![0; HEADER] }
    }

    /// Goes on at a multiple of `align`.
    pub(crate) fn align(&mut self, align: u64) {
        self.bytes.resize(self.bytes.len().next_multiple_of(align.max(1) as usize), 0);
    }

    /// The header of a section whose bytes begin at `offset` and have just been written.
    pub(crate) fn header(&self, name: u32, kind: u32, offset: usize, align: u64, entry: u64) -> Header {
        let size = (self.bytes.len() - offset) as u64;
        Header { name, kind, offset: offset as u64, size, align, entry, ..Header::default() }
    }

    /// The file: what was written, then the headers, of which the last is that of the section names.
    pub(crate) fn finish(mut self, headers: &[Header]) -> Vec<u8> {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let table = self.bytes.len() as u64;
        for h in headers {
            self.u32(h.name);
            self.u32(h.kind);
            for word in [h.flags, 0, h.offset, h.size] {
                self.u64(word);
            }
            self.u32(h.link);
            self.u32(h.info);
            self.u64(h.align);
            self.u64(h.entry);
        }
        let body = std::mem::take(&mut self.bytes);
        let order = if self.endian == Endian::Little { 1 } else { 2 };
        self.bytes.extend(b"\x7fELF");
        // 64-bit, the byte order, version 1, then padding.
        self.bytes.extend([2, order, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        self.u16(1);
        self.u16(EM_BPF);
        self.u32(1);
        for word in [0, 0, table] {
            self.u64(word);
        }
        self.u32(0);
        // Sizes of this header, of (no) program headers, of section headers; the string table is the last section.
        for half in [HEADER as u16, 0, 0, 64, headers.len() as u16, headers.len() as u16 - 1] {
            self.u16(half);
        }
        self.bytes.extend(&body[HEADER..]);
        self.bytes
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes.extend(if self.endian == Endian::Little { value.to_le_bytes() } else { value.to_be_bytes() });
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes.extend(if self.endian == Endian::Little { value.to_le_bytes() } else { value.to_be_bytes() });
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes.extend(if self.endian == Endian::Little { value.to_le_bytes() } else { value.to_be_bytes() });
    }
}

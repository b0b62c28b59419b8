//! The types in any ELF file: eBPF objects, a kernel (`vmlinux`), its modules (`.ko`), programs of a machine; 32 or 64
//! bits, either byte order.
//!
//! Reads no more of a file than its headers and the sections with types: a kernel with debug information has hundreds of
//! megabytes. Knows nothing of what else is in there; `elf` looks at eBPF objects as a whole.

use alveary_btf::Btf;
use alveary_diag::{Diagnostic, Place};
use alveary_isa::Endian;
use std::{
    io::{Cursor, Read, Seek, SeekFrom},
    sync::Arc,
};

const TYPES: &str = ".BTF";
/// What of the kernel's types a module was built for (Linux 6.11 and later).
const DISTILLED: &str = ".BTF.base";

const SHT_NOBITS: u32 = 8;
const SHF_COMPRESSED: u64 = 0x800;
/// The largest table of section headers, and of their names, that is read.
const LARGEST_TABLE: u64 = 1 << 26;

/// Where the fields of a class stand that are looked at.
struct Layout {
    /// Bytes of the file's header and of a section's.
    header: usize,
    section: usize,
    /// Bytes of an address or offset.
    word: usize,
    /// In the file's header: offset of the section headers; size of one, their number, which holds the names.
    sections_at: usize,
    numbers_at: usize,
    /// In a section's header; name and type are its first fields.
    flags_at: usize,
    offset_at: usize,
    size_at: usize,
    link_at: usize,
}

const ELF32: Layout = Layout {
    header: 52,
    section: 40,
    word: 4,
    sections_at: 32,
    numbers_at: 46,
    flags_at: 8,
    offset_at: 16,
    size_at: 20,
    link_at: 24,
};
const ELF64: Layout = Layout {
    header: 64,
    section: 64,
    word: 8,
    sections_at: 40,
    numbers_at: 58,
    flags_at: 8,
    offset_at: 24,
    size_at: 32,
    link_at: 40,
};

/// The types in an ELF file exactly as they stand in it; `None` if it has none. With a `base` they are split BTF. Where the
/// file brings a distilled base along, they are moved over `base`; without one they stand over what was brought.
///
/// # Errors
/// The file is no ELF file or is damaged, its BTF is, or `base` is not the one that it was made for.
pub fn read_types(bytes: &[u8], base: Option<Arc<Btf>>) -> Result<Option<Btf>, Diagnostic> {
    read_types_from(&mut Cursor::new(bytes), base)
}

/// [`read_types`] of a file of which no more than that is read.
///
/// # Errors
/// As [`read_types`]; the file cannot be read.
pub fn read_types_from(file: &mut (impl Read + Seek), base: Option<Arc<Btf>>) -> Result<Option<Btf>, Diagnostic> {
    let mut binary = Binary::open(file)?;
    let [types, distilled] = binary.find([TYPES, DISTILLED])?;
    let Some(types) = types else { return Ok(None) };
    let types = binary.content(&types)?;
    let Some(distilled) = distilled else { return Btf::read_owned(types, base).map(Some) };
    let distilled = Arc::new(Btf::read_owned(binary.content(&distilled)?, None)?);
    let own = Btf::read_owned(types, Some(distilled))?;
    Ok(Some(match base {
        Some(base) => own.relocate(base)?,
        None => own,
    }))
}

struct Binary<'a, F> {
    file: &'a mut F,
    len: u64,
    endian: Endian,
    layout: &'static Layout,
    /// The section headers, one behind the other.
    headers: Vec<u8>,
}

/// A section that was looked for.
struct Section {
    name: &'static str,
    at: u64,
    size: u64,
    flags: u64,
}

impl<'a, F: Read + Seek> Binary<'a, F> {
    fn open(file: &'a mut F) -> Result<Binary<'a, F>, Diagnostic> {
        let len = file.seek(SeekFrom::End(0)).map_err(|why| unreadable(&why))?;
        let first = read_at(file, 0, len.min(ELF64.header as u64), len)?;
        if first.get(..4) != Some(b"\x7fELF") {
            return Err(problem("elf-magic", "this is no ELF file", 0)
                .expected("a file that begins with 7f 45 4c 46")
                .found(format!("{:02x?}", first.get(..4).unwrap_or(&first))));
        }
        let layout = match first.get(4) {
            Some(1) => &ELF32,
            Some(2) => &ELF64,
            other => {
                return Err(problem("elf-class", "an ELF file of an unknown class", 4)
                    .expected("1 (32-bit) or 2 (64-bit)")
                    .found(other.map_or("the end".to_owned(), u8::to_string)));
            }
        };
        let endian = match first.get(5) {
            Some(1) => Endian::Little,
            Some(2) => Endian::Big,
            other => {
                return Err(problem("elf-endian", "an ELF file without a byte order", 5)
                    .expected("1 (little-endian) or 2 (big-endian)")
                    .found(other.map_or("the end".to_owned(), u8::to_string)));
            }
        };
        if first.len() < layout.header {
            return Err(problem("elf-truncated", "the file ends inside the ELF header", len)
                .expected(format!("{} bytes", layout.header))
                .found(format!("{len} bytes")));
        }
        let field = |at, size| number(&first, at, size, endian);
        let at = field(layout.sections_at, layout.word);
        let size = field(layout.numbers_at, 2);
        if at == 0 || size != layout.section as u64 {
            return Err(problem("elf-sections", "the file has no section headers", layout.sections_at as u64)
                .expected(format!("section headers of {} bytes", layout.section))
                .found(if at == 0 { "none".to_owned() } else { format!("headers of {size} bytes") }));
        }
        let mut count = field(layout.numbers_at + 2, 2);
        if count == 0 {
            // More than 16 bits hold: the number stands in the first of them.
            let first = read_at(file, at, size, len)?;
            count = number(&first, layout.size_at, layout.word, endian);
        }
        let bytes = count.checked_mul(size).filter(|bytes| *bytes <= LARGEST_TABLE).ok_or_else(|| {
            problem("elf-sections", "the file has more sections than is reasonable", at).found(count.to_string())
        })?;
        let headers = read_at(file, at, bytes, len)?;
        let mut binary = Binary { file, len, endian, layout, headers };
        binary.headers.truncate(bytes as usize);
        Ok(binary)
    }

    /// The sections of these names that have content.
    fn find<const N: usize>(&mut self, names: [&'static str; N]) -> Result<[Option<Section>; N], Diagnostic> {
        let header = read_at(self.file, 0, self.layout.header as u64, self.len)?;
        let mut index = number(&header, self.layout.numbers_at + 4, 2, self.endian);
        if index == 0xffff {
            index = self.field(0, self.layout.link_at, 4);
        }
        let index = index as usize;
        let size = self.field(index, self.layout.size_at, self.layout.word).min(LARGEST_TABLE);
        let table = read_at(self.file, self.field(index, self.layout.offset_at, self.layout.word), size, self.len)?;
        let mut found = names.map(|_| None);
        for i in 0..self.headers.len() / self.layout.section {
            let kind = self.field(i, 4, 4);
            let name = table.get(self.field(i, 0, 4) as usize..).unwrap_or_default();
            let is = |wanted: &str| name.strip_prefix(wanted.as_bytes()).is_some_and(|rest| rest.first() == Some(&0));
            let Some(which) = names.iter().position(|wanted| is(wanted)) else { continue };
            let section = Section {
                name: names[which],
                at: self.field(i, self.layout.offset_at, self.layout.word),
                size: self.field(i, self.layout.size_at, self.layout.word),
                flags: self.field(i, self.layout.flags_at, self.layout.word),
            };
            if section.size != 0 && kind != u64::from(SHT_NOBITS) && found[which].is_none() {
                found[which] = Some(section);
            }
        }
        Ok(found)
    }

    fn content(&mut self, section: &Section) -> Result<Vec<u8>, Diagnostic> {
        let place = Place::Section { section: section.name.into(), at: 0 };
        if section.flags & SHF_COMPRESSED != 0 {
            return Err(Diagnostic::new("elf-compressed", "the section is compressed", place)
                .help("unpack it: `objcopy --decompress-debug-sections FILE PLAIN`"));
        }
        read_at(self.file, section.at, section.size, self.len)
    }

    /// A field of a section's header; 0 if there is none.
    fn field(&self, index: usize, at: usize, size: usize) -> u64 {
        let start = index.saturating_mul(self.layout.section);
        let header = self.headers.get(start..).and_then(|rest| rest.get(..self.layout.section));
        number(header.unwrap_or_default(), at, size, self.endian)
    }
}

/// A number of `size` bytes; 0 if they are not there.
fn number(bytes: &[u8], at: usize, size: usize, endian: Endian) -> u64 {
    let bytes = bytes.get(at..).and_then(|rest| rest.get(..size)).unwrap_or_default();
    let join = |n: u64, byte: &u8| n << 8 | u64::from(*byte);
    match endian {
        Endian::Little => bytes.iter().rev().fold(0, join),
        Endian::Big => bytes.iter().fold(0, join),
    }
}

/// Bytes of a file of `len` bytes.
fn read_at(file: &mut (impl Read + Seek), at: u64, size: u64, len: u64) -> Result<Vec<u8>, Diagnostic> {
    let end = at.checked_add(size).filter(|end| *end <= len);
    if end.is_none() {
        return Err(problem("elf-truncated", "the file ends before what its headers name", at.min(len))
            .expected(format!("{} bytes", at.saturating_add(size)))
            .found(format!("{len} bytes"))
            .help("the file was cut: copy or build it again"));
    }
    let mut bytes = vec![0; size as usize];
    let done = file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut bytes));
    done.map_err(|why| unreadable(&why))?;
    Ok(bytes)
}

fn unreadable(why: &std::io::Error) -> Diagnostic {
    Diagnostic::new("file", format!("cannot read the file: {why}"), Place::Nowhere)
}

fn problem(code: &'static str, message: &'static str, at: u64) -> Diagnostic {
    Diagnostic::new(code, message, Place::Byte { at })
}

//! The check of foreign bytes. What passes here, views may trust: every type lies inside the type section, every
//! name and every reference exists.

use crate::{
    Btf,
    index::Names,
    shape::{HEAD, Shape, Use},
};
use alveary_diag::{Diagnostic, Place};
use alveary_isa::Endian;
use std::{ops::Range, sync::Arc};

pub(crate) const MAGIC: u16 = 0xeb9f;
/// Bytes of the header that every version has.
pub(crate) const HEADER: usize = 24;

/// The highest names and ids that types refer to.
struct Highest {
    name: u32,
    ty: u32,
}

impl Highest {
    fn note(&mut self, uses: &[Use], words: &[[u8; 4]], word: impl Fn([u8; 4]) -> u32) {
        for (what, bytes) in uses.iter().zip(words) {
            match what {
                Use::Name => self.name = self.name.max(word(*bytes)),
                Use::Type => self.ty = self.ty.max(word(*bytes)),
                Use::Plain => {}
            }
        }
    }
}

impl Btf {
    /// Reads raw BTF (a `.BTF` section, `/sys/kernel/btf/vmlinux`), of either byte order. With a `base` the bytes are
    /// split BTF: their ids and strings continue the base's.
    ///
    /// # Errors
    /// What is wrong with the bytes, by offset in `.BTF`.
    pub fn read(bytes: &[u8], base: Option<Arc<Btf>>) -> Result<Btf, Diagnostic> {
        Btf::read_owned(bytes.to_vec(), base)
    }

    /// [`Btf::read`] of bytes that need not be copied.
    ///
    /// # Errors
    /// What is wrong with the bytes, by offset in `.BTF`.
    pub fn read_owned(bytes: Vec<u8>, base: Option<Arc<Btf>>) -> Result<Btf, Diagnostic> {
        let header = Header::read(&bytes)?;
        if let Some(base) = &base
            && base.endian != header.endian
        {
            return Err(problem("btf-endian", "split BTF and its base differ in byte order", 0)
                .expected(format!("{:?}-endian", base.endian))
                .found(format!("{:?}-endian", header.endian)));
        }
        let mut btf = Btf {
            endian: header.endian,
            raw: bytes,
            types: header.types,
            strings: header.strings,
            text: None,
            offsets: Vec::new(),
            base,
            names: Names::default(),
        };
        btf.check_strings()?;
        btf.text = btf.raw.get(btf.strings.clone()).and_then(|all| std::str::from_utf8(all).ok()).map(Box::from);
        let highest;
        (btf.offsets, highest) = match btf.endian {
            Endian::Little => btf.find_types(u32::from_le_bytes)?,
            Endian::Big => btf.find_types(u32::from_be_bytes)?,
        };
        if highest.name >= btf.string_end() || highest.ty >= btf.count() {
            btf.check_references()?;
        }
        Ok(btf)
    }

    fn check_strings(&self) -> Result<(), Diagnostic> {
        let strings = self.raw.get(self.strings.clone()).unwrap_or_default();
        let at = self.strings.start as u64;
        if self.base.is_none() && strings.first() != Some(&0) {
            return Err(problem("btf-strings", "the string section does not begin with the empty string", at));
        }
        if strings.last().is_some_and(|b| *b != 0) {
            return Err(problem("btf-strings", "the last string does not end", self.strings.end as u64));
        }
        Ok(())
    }

    /// Walks the type section, notes where each type begins, and the highest name and id that any refers to.
    fn find_types(&self, word: impl Fn([u8; 4]) -> u32) -> Result<(Vec<u32>, Highest), Diagnostic> {
        let section = self.types.clone();
        let bytes = self.raw.get(section.clone()).unwrap_or_default();
        // A type takes 12 bytes at least, mostly about 30: no more is reserved than bytes are there.
        let mut offsets = Vec::with_capacity(section.len() / 24);
        let mut highest = Highest { name: 0, ty: 0 };
        let mut rest = bytes.as_chunks().0;
        let left_over = bytes.len() % 4;
        while !rest.is_empty() || left_over != 0 {
            let at = section.end - left_over - 4 * rest.len();
            let id = self.first_id() as usize + offsets.len();
            let cut =
                || problem("btf-truncated", format!("type {id} is cut off by the end of the type section"), at as u64);
            let Some(info) = rest.get(1).filter(|_| 4 * rest.len() + left_over >= 4 * HEAD).map(|w| word(*w)) else {
                return Err(cut());
            };
            let Some(shape) = Shape::of(info) else {
                return Err(problem("btf-kind", format!("type {id} is of an unknown kind"), at as u64)
                    .expected("a kind from 1 to 19")
                    .found((info >> 24 & 0x1f).to_string())
                    .help("the BTF is damaged, or newer than this version knows"));
            };
            let Some((ty, behind)) = rest.split_at_checked(shape.len(info)) else {
                return Err(cut());
            };
            let (head, parts) = ty.split_at(HEAD + shape.fixed.len());
            highest.name = highest.name.max(word(head[0]));
            highest.note(&[shape.third], &head[2..HEAD], &word);
            highest.note(shape.fixed, &head[HEAD..], &word);
            for part in parts.chunks_exact(shape.part.len().max(1)) {
                highest.note(shape.part, part, &word);
            }
            offsets.push(at as u32);
            rest = behind;
        }
        Ok((offsets, highest))
    }

    /// Says which reference leads nowhere.
    fn check_references(&self) -> Result<(), Diagnostic> {
        let (types, strings) = (self.count(), self.string_end());
        for (i, &at) in self.offsets.iter().enumerate() {
            let id = self.first_id() as usize + i;
            let at = at as usize;
            let name = |at: usize| {
                let off = self.word(at);
                if off < strings || off == 0 {
                    return Ok(());
                }
                Err(problem("btf-name", format!("type {id} has a name outside the string section"), at as u64)
                    .expected(format!("an offset below {strings}"))
                    .found(off.to_string()))
            };
            let ty = |at: usize| {
                let to = self.word(at);
                if to < types {
                    return Ok(());
                }
                Err(problem("btf-reference", format!("type {id} refers to a type that is not there"), at as u64)
                    .expected(format!("an id below {types}"))
                    .found(to.to_string()))
            };
            let info = self.word(at + 4);
            // The kind has been seen in `find_types`.
            let Some(shape) = Shape::of(info) else { continue };
            for (i, what) in shape.uses(info).enumerate() {
                match what {
                    Use::Name => name(at + 4 * i)?,
                    Use::Type => ty(at + 4 * i)?,
                    Use::Plain => {}
                }
            }
        }
        Ok(())
    }
}

/// The header, its ranges checked against the bytes.
struct Header {
    endian: Endian,
    types: Range<usize>,
    strings: Range<usize>,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Header, Diagnostic> {
        let endian = endian(bytes, "BTF", ".BTF")?;
        let word = |at: usize| word(bytes, at, endian);
        let (Some(size), Some(types), Some(types_len), Some(strings), Some(strings_len)) =
            (word(4), word(8), word(12), word(16), word(20))
        else {
            return Err(problem("btf-truncated", "the BTF ends inside its header", bytes.len() as u64)
                .expected(format!("{HEADER} bytes"))
                .found(format!("{} bytes", bytes.len())));
        };
        if (size as usize) < HEADER || size as usize > bytes.len() || size % 4 != 0 {
            return Err(problem("btf-header", "the BTF header gives itself an impossible length", 4)
                .expected(format!("a multiple of 4 from {HEADER} to {}", bytes.len()))
                .found(size.to_string()));
        }
        let range = |off: u32, len: u32, what: &str, at: u64| {
            let start = u64::from(size) + u64::from(off);
            let end = start + u64::from(len);
            if end > bytes.len() as u64 {
                return Err(problem(
                    "btf-truncated",
                    format!("the {what} section reaches past the end of the BTF"),
                    at,
                )
                .expected(format!("an end at {} or before", bytes.len()))
                .found(end.to_string()));
            }
            Ok(start as usize..end as usize)
        };
        Ok(Header {
            endian,
            types: range(types, types_len, "type", 8)?,
            strings: range(strings, strings_len, "string", 16)?,
        })
    }
}

/// The byte order that the magic number of `.BTF` or `.BTF.ext` tells; checks the version too.
pub(crate) fn endian(bytes: &[u8], what: &str, section: &str) -> Result<Endian, Diagnostic> {
    let place = |at| Place::Section { section: section.into(), at };
    let endian = match bytes.first_chunk() {
        Some(m) if u16::from_le_bytes(*m) == MAGIC => Endian::Little,
        Some(m) if u16::from_be_bytes(*m) == MAGIC => Endian::Big,
        _ => {
            let found = bytes.first_chunk::<2>().map_or("less than 2 bytes".into(), |m| format!("{m:02x?}"));
            return Err(Diagnostic::new("btf-magic", format!("this is not {what}"), place(0))
                .expected("the bytes 9f eb (or eb 9f, big-endian)")
                .found(found));
        }
    };
    match bytes.get(2) {
        Some(1) => Ok(endian),
        version => Err(Diagnostic::new("btf-version", format!("{what} of an unknown version"), place(2))
            .expected("version 1")
            .found(version.map_or("the end".into(), u8::to_string))),
    }
}

/// A word, if it is there.
pub(crate) fn word(bytes: &[u8], at: usize, endian: Endian) -> Option<u32> {
    let bytes = *bytes.get(at..)?.first_chunk()?;
    Some(match endian {
        Endian::Little => u32::from_le_bytes(bytes),
        Endian::Big => u32::from_be_bytes(bytes),
    })
}

fn problem(code: &'static str, message: impl Into<std::borrow::Cow<'static, str>>, at: u64) -> Diagnostic {
    Diagnostic::new(code, message, Place::Section { section: ".BTF".into(), at })
}

//! The bytes of the result: sections, their relocations, types, symbols, strings.

use super::{relocs::Entry, sections::Layout, symbols::Symbols, types::Types};
use crate::emit::{Header, INFO_LINK, SHT_PROGBITS, SHT_REL, SHT_STRTAB, SHT_SYMTAB, Writer, add};
use alveary_diag::{Diagnostic, Place};
use alveary_isa::Endian;
use std::collections::HashMap;

const HIDDEN: u8 = 2;

pub(super) fn write(
    endian: Endian,
    layout: &Layout<'_>,
    symbols: &Symbols<'_>,
    relocations: &[Vec<Entry>],
    types: Option<Types>,
) -> Result<Vec<u8>, Diagnostic> {
    let mut out = Writer::new(endian);
    let mut strings = Strings { bytes: vec![0], known: HashMap::new() };
    let mut headers = vec![Header::default()];
    for section in &layout.sections {
        out.align(section.align);
        let offset = out.bytes.len();
        out.bytes.extend(&section.data);
        let header = out.header(strings.offset(section.name), section.kind, offset, section.align, section.entry);
        headers.push(Header { flags: section.flags, size: section.size, ..header });
    }
    let relocated = relocations.iter().filter(|entries| !entries.is_empty()).count();
    let sets: Vec<_> = types.iter().flat_map(|t| [(".BTF", Some(&t.btf)), (".BTF.ext", t.ext.as_ref())]).collect();
    let sets: Vec<_> = sets.into_iter().filter_map(|(name, bytes)| Some((name, bytes?))).collect();
    let symbol_table = headers.len() + relocated + sets.len();
    for (i, entries) in relocations.iter().enumerate().filter(|(_, entries)| !entries.is_empty()) {
        out.align(8);
        let offset = out.bytes.len();
        for entry in entries {
            out.u64(entry.at);
            out.u64((entry.symbol as u64 + 1) << 32 | u64::from(entry.kind));
        }
        let name = strings.offset(&format!(".rel{}", layout.sections[i].name));
        let table = out.header(name, SHT_REL, offset, 8, 16);
        headers.push(Header { flags: INFO_LINK, link: symbol_table as u32, info: i as u32 + 1, ..table });
    }
    for (name, bytes) in sets {
        out.align(8);
        let offset = out.bytes.len();
        out.bytes.extend(bytes);
        headers.push(out.header(strings.offset(name), SHT_PROGBITS, offset, 8, 0));
    }
    out.align(8);
    let offset = out.bytes.len();
    out.bytes.extend([0; 24]);
    for row in &symbols.rows {
        let name = strings.offset(row.name);
        out.u32(name);
        out.bytes.extend([row.bind << 4 | row.kind, if row.hidden { HIDDEN } else { 0 }]);
        out.u16(row.section.map_or(0, |i| i as u16 + 1));
        out.u64(row.value);
        out.u64(row.size);
    }
    let table = out.header(strings.offset(".symtab"), SHT_SYMTAB, offset, 8, 24);
    headers.push(Header { link: symbol_table as u32 + 1, info: symbols.own as u32 + 1, ..table });
    let name = strings.offset(".strtab");
    let offset = out.bytes.len();
    out.bytes.extend(&strings.bytes);
    headers.push(out.header(name, SHT_STRTAB, offset, 1, 0));
    if u32::try_from(out.bytes.len()).is_err() {
        return Err(Diagnostic::new("link-size", "the objects are too large together", Place::Nowhere)
            .expected("less than 4 GiB")
            .found(format!("{} bytes", out.bytes.len())));
    }
    Ok(out.finish(&headers))
}

/// The strings of names, each once.
struct Strings {
    bytes: Vec<u8>,
    known: HashMap<String, u32>,
}

impl Strings {
    fn offset(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let at = add(&mut self.bytes, text);
        self.known.insert(text.to_owned(), at);
        at
    }
}

//! Relocations by the symbols and offsets of the result. What counts from the start of a section has its offset in the
//! instruction or the data: that moves with the section.

use super::{
    input::Object,
    sections::{Home, Layout},
    symbols::Symbols,
};
use crate::{
    elf::{Rel, SymbolKind},
    insn::{CALL, LD_IMM64},
};
use alveary_diag::Diagnostic;
use alveary_isa::{Endian, Insn};

/// Relocation types: `Documentation/bpf/llvm_reloc.rst`.
const R_BPF_NONE: u32 = 0;
const R_BPF_64_64: u32 = 1;
const R_BPF_64_ABS64: u32 = 2;
const R_BPF_64_ABS32: u32 = 3;
const R_BPF_64_NODYLD32: u32 = 4;
const R_BPF_64_32: u32 = 10;

/// A relocation of the result.
pub(super) struct Entry {
    pub(super) at: u64,
    pub(super) kind: u32,
    /// The row of its symbol.
    pub(super) symbol: usize,
}

/// The relocations of each section of the result; changes what stands at them.
pub(super) fn rewrite(
    objects: &[Object<'_>],
    symbols: &Symbols<'_>,
    layout: &mut Layout<'_>,
) -> Result<Vec<Vec<Entry>>, Diagnostic> {
    let mut all: Vec<Vec<Entry>> = layout.sections.iter().map(|_| Vec::new()).collect();
    for (number, object) in objects.iter().enumerate() {
        for (section, entries) in object.elf.relocations().map_err(|why| why.in_file(object.name))? {
            let Some(home) = layout.home(number, section) else { continue };
            for entry in entries.iter().filter(|e| e.kind != R_BPF_NONE) {
                let moved = Moved { object, number, section, home, endian: object.elf.endian };
                let new = moved.entry(entry, symbols, layout).map_err(|why| why.in_file(object.name))?;
                all[home.section].push(new);
            }
        }
    }
    Ok(all)
}

/// A section of an object that has moved.
struct Moved<'a> {
    object: &'a Object<'a>,
    number: usize,
    section: usize,
    home: Home,
    endian: Endian,
}

impl Moved<'_> {
    fn entry(&self, entry: &Rel, symbols: &Symbols<'_>, layout: &mut Layout<'_>) -> Result<Entry, Diagnostic> {
        if entry.at >= self.object.elf.sections[self.section].size {
            return Err(self.bad(entry, "a relocation outside of its section".to_owned()));
        }
        let Some(symbol) = self.object.elf.symbols.get(entry.symbol as usize) else {
            return Err(self
                .bad(entry, "a relocation to a symbol that is not there".to_owned())
                .expected(format!("a symbol below {}", self.object.elf.symbols.len()))
                .found(entry.symbol.to_string()));
        };
        let Some(row) = symbols.row(self.number, entry.symbol) else {
            let name = if symbol.name.is_empty() { "a symbol without a name" } else { symbol.name };
            return Err(self
                .bad(entry, format!("a reference to something that is not linked: `{name}`"))
                .help("only code and data are: sections that are loaded"));
        };
        let moved = match symbol.at {
            crate::elf::Home::Section(i) if symbol.kind == SymbolKind::Section => {
                layout.home(self.number, i).map_or(0, |home| home.at)
            }
            _ => 0,
        };
        let at = self.home.at + entry.at;
        let by = (moved as i64).wrapping_add(entry.addend);
        if by != 0 {
            let merged = &mut layout.sections[self.home.section];
            let code = merged.is_code();
            let place = usize::try_from(at).ok().and_then(|at| merged.data.get_mut(at..));
            place
                .and_then(|bytes| add(bytes, entry.kind, code, by, self.endian))
                .ok_or_else(|| self.bad(entry, format!("a relocation of type {} that cannot be moved", entry.kind)))?;
        }
        Ok(Entry { at, kind: entry.kind, symbol: row })
    }

    fn bad(&self, entry: &Rel, message: String) -> Diagnostic {
        Diagnostic::new("relocation", message, self.object.elf.sections[self.section].place(entry.at))
    }
}

/// Adds to the offset that stands at a relocation; `None` if none can stand there, or if it becomes too large.
fn add(bytes: &mut [u8], kind: u32, code: bool, by: i64, endian: Endian) -> Option<()> {
    let op = *bytes.first()?;
    // In code the offset is the constant of the instruction; that of a call counts instructions.
    let (at, by) = match (kind, code, op) {
        (R_BPF_64_64, true, LD_IMM64) => (4, by),
        (R_BPF_64_32, true, CALL) if by % Insn::SIZE as i64 == 0 => (4, by / Insn::SIZE as i64),
        (R_BPF_64_ABS32 | R_BPF_64_NODYLD32 | R_BPF_64_32, false, _) => (0, by),
        (R_BPF_64_64 | R_BPF_64_ABS64, false, _) => {
            let word = bytes.first_chunk_mut::<8>()?;
            *word = match endian {
                Endian::Little => i64::from_le_bytes(*word).checked_add(by)?.to_le_bytes(),
                Endian::Big => i64::from_be_bytes(*word).checked_add(by)?.to_be_bytes(),
            };
            return Some(());
        }
        _ => return None,
    };
    let word = bytes.get_mut(at..)?.first_chunk_mut::<4>()?;
    let sum = |word: i32| i64::from(word).checked_add(by).and_then(|sum| i32::try_from(sum).ok());
    *word = match endian {
        Endian::Little => sum(i32::from_le_bytes(*word))?.to_le_bytes(),
        Endian::Big => sum(i32::from_be_bytes(*word))?.to_be_bytes(),
    };
    Some(())
}

//! The notes by which a file describes its probes (`.note.stapsdt`).

use crate::attach::elf::Elf;
use alveary_diag::Diagnostic;

/// A place of a probe: one probe may have several.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Probe {
    pub(super) provider: String,
    pub(super) name: String,
    /// Where its arguments are, as the assembler writes it.
    pub(super) arguments: String,
    /// Where in the file it is.
    pub(super) offset: u64,
    /// Where in the file its counter is; 0 if it has none.
    pub(super) semaphore: u64,
}

/// Owner and type of the notes.
const OWNER: &[u8] = b"stapsdt\0";
const TYPE: u32 = 3;
const ALIGN: usize = 4;
/// Two names' lengths and a type.
const HEADER: usize = 12;
/// Three addresses before the texts.
const ADDRESSES: usize = 24;

/// The probes of a file. Notes that are cut end the list.
pub(super) fn read(elf: &Elf) -> Result<Vec<Probe>, Diagnostic> {
    let Some((_, bytes)) = elf.section(".note.stapsdt")? else { return Ok(Vec::new()) };
    // Where the base was when the notes were written, and where it is now: tools move sections afterwards.
    let base = elf.section(".stapsdt.base")?.map(|(address, _)| address);
    let mut probes = Vec::new();
    for note in notes(&bytes) {
        let moved = base.map_or(0, |base| base.wrapping_sub(note.base));
        let Some(offset) = elf.offset(note.location.wrapping_add(moved))? else { continue };
        let semaphore = match note.semaphore {
            0 => 0,
            address => elf.offset(address.wrapping_add(moved))?.unwrap_or(0),
        };
        let [provider, name, arguments] = note.texts;
        probes.push(Probe { provider, name, arguments, offset, semaphore });
    }
    Ok(probes)
}

#[derive(Debug, PartialEq, Eq)]
struct Note {
    location: u64,
    base: u64,
    semaphore: u64,
    /// Provider, name, arguments.
    texts: [String; 3],
}

fn notes(mut bytes: &[u8]) -> impl Iterator<Item = Note> {
    std::iter::from_fn(move || {
        loop {
            let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
            let (owner_len, len, ty) = (word(0)? as usize, word(4)? as usize, word(8)?);
            let owner = bytes.get(HEADER..HEADER.checked_add(owner_len)?)?;
            let start = HEADER + owner_len.checked_next_multiple_of(ALIGN)?;
            let content = bytes.get(start..start.checked_add(len)?)?;
            bytes = bytes.get((start + len).next_multiple_of(ALIGN)..).unwrap_or_default();
            if owner == OWNER
                && ty == TYPE
                && let Some(note) = note(content)
            {
                return Some(note);
            }
        }
    })
}

fn note(content: &[u8]) -> Option<Note> {
    let address = |at: usize| Some(u64::from_ne_bytes(content.get(at..at + 8)?.try_into().ok()?));
    let mut texts =
        content.get(ADDRESSES..)?.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
    Some(Note {
        location: address(0)?,
        base: address(8)?,
        semaphore: address(16)?,
        texts: [texts.next()?, texts.next()?, texts.next()?],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section() -> Vec<u8> {
        let mut content = Vec::new();
        for address in [0x1139u64, 0x2000, 0x4010] {
            content.extend(address.to_ne_bytes());
        }
        content.extend(b"app\0hit\0-4@%edi 8@-8(%rbp)\0");
        let mut bytes = Vec::new();
        for word in [8, content.len() as u32, 3] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(OWNER);
        bytes.extend(&content);
        bytes
    }

    #[test]
    fn a_note_is_read() {
        let bytes = section();
        let all: Vec<Note> = notes(&bytes).collect();
        let texts = ["app", "hit", "-4@%edi 8@-8(%rbp)"].map(str::to_owned);
        assert_eq!(all, [Note { location: 0x1139, base: 0x2000, semaphore: 0x4010, texts }]);
    }

    #[test]
    fn a_cut_note_is_none() {
        let bytes = section();
        for end in 0..bytes.len() - 1 {
            assert_eq!(notes(&bytes[..end]).count(), 0, "{end}");
        }
    }
}

//! Sections of one name put together: the bytes of each object's behind those of the one before, where they may begin.

use super::{globals::ONCE, input::Object};
use crate::{
    elf::Section,
    emit::{MOST_SECTIONS, SHT_NOBITS},
};
use alveary_diag::Diagnostic;
use alveary_isa::Insn;
use std::collections::HashMap;

/// A page: more, nothing asks for that runs here.
const MOST_ALIGNED: u64 = 4096;
const SHF_WRITE: u64 = 1;
const SHF_EXECINSTR: u64 = 4;

/// A section of the result.
pub(super) struct Merged<'a> {
    pub(super) name: &'a str,
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) entry: u64,
    pub(super) align: u64,
    pub(super) size: u64,
    /// None if it takes no room in the file.
    pub(super) data: Vec<u8>,
    /// The object that it first came from.
    first: &'a str,
}

impl Merged<'_> {
    pub(super) fn is_code(&self) -> bool {
        self.flags & SHF_EXECINSTR != 0
    }
}

/// Where a section of an object has come.
#[derive(Clone, Copy)]
pub(super) struct Home {
    /// The section of the result, by its place in [`Layout::sections`].
    pub(super) section: usize,
    /// Offset in it.
    pub(super) at: u64,
}

pub(super) struct Layout<'a> {
    pub(super) sections: Vec<Merged<'a>>,
    /// By object, by section.
    homes: Vec<Vec<Option<Home>>>,
}

impl<'a> Layout<'a> {
    pub(super) fn of(objects: &[Object<'a>]) -> Result<Layout<'a>, Diagnostic> {
        let mut layout = Layout { sections: Vec::new(), homes: Vec::new() };
        let mut names = HashMap::new();
        for object in objects {
            let mut homes = Vec::with_capacity(object.elf.sections.len());
            for section in &object.elf.sections {
                homes.push(match Object::takes_part(section) {
                    true => layout.add(object.name, section, &mut names).map_err(|why| why.in_file(object.name))?,
                    false => None,
                });
            }
            layout.homes.push(homes);
        }
        Ok(layout)
    }

    /// Where a section of an object has come; `None` if it takes no part.
    pub(super) fn home(&self, object: usize, section: usize) -> Option<Home> {
        *self.homes.get(object)?.get(section)?
    }

    fn add(
        &mut self,
        object: &'a str,
        section: &Section<'a>,
        names: &mut HashMap<&'a str, usize>,
    ) -> Result<Option<Home>, Diagnostic> {
        let align = section.align.max(1);
        if !align.is_power_of_two() || align > MOST_ALIGNED {
            return Err(Diagnostic::new(
                "link-section",
                "a section asks for an impossible alignment",
                section.place(0),
            )
            .expected(format!("a power of two up to {MOST_ALIGNED}"))
            .found(align.to_string()));
        }
        let Some(&index) = names.get(section.name) else {
            if self.sections.len() >= MOST_SECTIONS / 2 {
                return Err(Diagnostic::new("link-section", "the objects have too many sections", section.place(0))
                    .expected(format!("at most {}", MOST_SECTIONS / 2)));
            }
            names.insert(section.name, self.sections.len());
            let Section { name, kind, flags, entry, .. } = *section;
            let (size, data) = (0, Vec::new());
            self.sections.push(Merged { name, kind, flags, entry, align, size, data, first: object });
            return self.extend(self.sections.len() - 1, section).map(Some);
        };
        let merged = &mut self.sections[index];
        if ONCE.contains(&section.name) {
            same_text(merged, section)?;
            return Ok(None);
        }
        let shapes = [(merged.kind, merged.flags, merged.entry), (section.kind, section.flags, section.entry)];
        if shapes[0] != shapes[1] {
            let [expected, found] = shapes.map(shape);
            let message = format!("section `{}` holds something else in another object", section.name);
            return Err(Diagnostic::new("link-section", message, section.place(0))
                .expected(format!("{expected}, as in {}", merged.first))
                .found(found)
                .help("give one of them another name; variables of one section are all `const` or none is"));
        }
        merged.align = merged.align.max(align);
        self.extend(index, section).map(Some)
    }

    fn extend(&mut self, index: usize, section: &Section<'_>) -> Result<Home, Diagnostic> {
        let merged = &mut self.sections[index];
        if merged.is_code() && !section.data.len().is_multiple_of(Insn::SIZE) {
            let place = section.place(section.data.len() as u64);
            return Err(Diagnostic::new("code-size", "the section does not hold whole instructions", place)
                .expected("a multiple of 8 bytes")
                .found(format!("{} bytes", section.data.len())));
        }
        // Where the strictest of all may stand, as libbpf has it.
        let at = merged.size.next_multiple_of(merged.align);
        let end = at.checked_add(section.size).filter(|end| i32::try_from(*end).is_ok());
        let Some(end) = end else {
            let message = format!("section `{}` of all objects is too large", section.name);
            return Err(Diagnostic::new("link-section", message, section.place(0))
                .expected(format!("at most {} bytes", i32::MAX))
                .found(format!("{} bytes behind {at}", section.size)));
        };
        merged.size = end;
        if merged.kind != SHT_NOBITS {
            merged.data.resize(at as usize, 0);
            merged.data.extend(section.data);
        }
        Ok(Home { section: index, at })
    }
}

/// What a section holds, in words.
fn shape((kind, flags, entry): (u32, u64, u64)) -> String {
    let what = match (kind, flags & SHF_EXECINSTR != 0, flags & SHF_WRITE != 0) {
        (_, true, _) => "code",
        (SHT_NOBITS, ..) => "variables that begin as zeros",
        (_, _, true) => "variables",
        _ => "constants",
    };
    let entries = if entry > 0 { format!(", entries of {entry} bytes") } else { String::new() };
    format!("{what} (type {kind}, flags {flags:#x}{entries})")
}

/// Refuses a licence that differs from that of the objects before.
fn same_text(merged: &Merged<'_>, section: &Section<'_>) -> Result<(), Diagnostic> {
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    };
    let (ours, theirs) = (text(&merged.data), text(section.data));
    if ours == theirs {
        return Ok(());
    }
    Err(Diagnostic::new("link-license", format!("the objects differ in their {}", section.name), section.place(0))
        .expected(format!("`{ours}`, as in {}", merged.first))
        .found(format!("`{theirs}`"))
        .help("a loaded object has one: give all sources the same"))
}

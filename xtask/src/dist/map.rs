//! What the linker put where: the sections of its map, and names for them that hold in the next build, too.

use std::{fs, path::Path};

/// The kinds of sections that are laid out.
pub(super) const KINDS: [&str; 2] = [".text", ".rodata"];

/// A piece of an object file in the binary.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) start: u64,
    pub(super) size: u64,
    /// The object, or `archive(member)`.
    pub(super) file: String,
    pub(super) name: String,
}

/// The code and the constants in a map that LLVM's linker wrote.
pub(super) fn read(file: &Path) -> Result<Vec<Section>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let sections: Vec<Section> = text.lines().filter_map(section).collect();
    if sections.is_empty() { Err(format!("{} is no map of a linker", file.display())) } else { Ok(sections) }
}

/// A line `address address size alignment file:(section)`.
fn section(line: &str) -> Option<Section> {
    let mut words = line.split_ascii_whitespace();
    let start = u64::from_str_radix(words.next()?, 16).ok()?;
    let size = u64::from_str_radix(words.nth(1)?, 16).ok()?;
    let (file, name) = words.nth(1)?.strip_suffix(')')?.rsplit_once(":(")?;
    let nameless = name.starts_with(".rodata..Lanon") || file == "<internal>";
    let wanted = KINDS.iter().any(|kind| name.starts_with(kind)) && !nameless;
    wanted.then(|| Section { start, size, file: file.into(), name: name.into() })
}

impl Section {
    /// Which of [`KINDS`] it is.
    pub(super) fn kind(&self) -> &'static str {
        KINDS.into_iter().find(|kind| self.name.starts_with(kind)).unwrap_or_default()
    }

    /// What names it in a linker's script: a function, or what belongs to it, without the hash of its crate or its own, and
    /// else the member of an archive. Of functions for several processors the archive has one member each.
    pub(super) fn pattern(&self) -> String {
        if self.name.contains("._ZN") || self.name.contains("._R") {
            return format!("*({})", without_hashes(&self.name));
        }
        let (kind, file) = (self.kind(), self.file.rsplit('/').next().unwrap_or(&self.file));
        match file.strip_suffix(')').and_then(|file| file.split_once('(')) {
            Some((archive, member)) => format!("*{archive}:{}({kind} {kind}.*)", processors(member)),
            None if self.name == kind => format!("*{file}({kind} {kind}.*)"),
            None => format!("*({})", self.name),
        }
    }

    /// Whether a pattern of [`Section::pattern`] names it.
    pub(super) fn is_named(&self, pattern: &str) -> bool {
        let Some((file, sections)) = pattern.strip_suffix(')').and_then(|pattern| pattern.split_once('(')) else {
            return false;
        };
        let path = self.file.strip_suffix(')').map_or_else(|| self.file.clone(), |file| file.replacen('(', ":", 1));
        matches(file, &path) && sections.split(' ').any(|section| matches(section, &self.name))
    }
}

/// A mangled name, with `*` for what another build calls otherwise: `17h` and 16 digits at the end of the older kind, `Cs` and
/// a number before the name of a crate in the newer.
fn without_hashes(name: &str) -> String {
    if let Some(at) = name.rfind("17h").filter(|_| name.contains("_ZN")) {
        return format!("{}17h*", name.get(..at).unwrap_or(name));
    }
    // The compiler numbers copies.
    let name = name
        .rsplit_once('.')
        .filter(|(_, n)| n.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(name, |(name, _)| name);
    let mut parts = name.split("Cs");
    let mut found = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('_') {
            Some((hash, rest)) if !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                found.push_str("Cs*_");
                found.push_str(rest);
            }
            _ => {
                found.push_str("Cs");
                found.push_str(part);
            }
        }
    }
    found.push('*');
    found
}

/// `memchr-avx2.o` is the same function as `memchr-evex.o`, for another processor than the one that was looked at.
fn processors(member: &str) -> String {
    match member.find("-avx").or_else(|| member.find("-evex")) {
        Some(at) => format!("{}-*v*.o", member.get(..at).unwrap_or(member)),
        None => member.to_owned(),
    }
}

/// Whether a text is what a pattern says, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "\
             VMA              LMA     Size Align Out     In      Symbol
          31c480           31c480    b06cd    64 .text.start
          31c480           31c480       1b    64         /tmp/x.rcgu.o:(.text._ZN4core3fmt5write17h0123456789abcdefE)
          31c480           31c480       1b     1                 _ZN4core3fmt5write17h0123456789abcdefE
          31c4c0           31c4c0       20    16         /l/libstd-1.rlib(std-1.o):(.text._RNvNtCsjrHSEGnQ3l9_3std3env7__var_os.88)
          a86de0           a86de0      297    16         /usr/lib/libc.a(memchr-avx2.o):(.text.avx)
          a86de0           a86de0      297    16         /usr/lib/crt1.o:(.text)
          a86de0           a86de0      297    16         /tmp/x.rcgu.o:(.text.main)
          200600           200600       97    16         /usr/lib/libc.a(memchr-avx2.o):(.rodata)
          200700           200700       40     4         /tmp/x.rcgu.o:(.rodata._ZN4core3fmt5write17h0123456789abcdefE)
          200740           200740       40     4         /tmp/x.rcgu.o:(.rodata..Lanon.bd970e8a7e2e0f9bbb5175486e79b384.481)
          200780           200780       40     4         <internal>:(.rodata.cst16)
";

    fn sections() -> Vec<Section> {
        LINES.lines().filter_map(section).collect()
    }

    #[test]
    fn a_map_has_what_has_a_name_of_its_own() {
        let found: Vec<_> = sections().iter().map(|s| (s.start, s.size)).collect();
        assert_eq!(
            found,
            [
                (0x31c480, 0x1b),
                (0x31c4c0, 0x20),
                (0xa86de0, 0x297),
                (0xa86de0, 0x297),
                (0xa86de0, 0x297),
                (0x200600, 0x97),
                (0x200700, 0x40)
            ]
        );
    }

    #[test]
    fn names_hold_in_other_builds() {
        let patterns: Vec<_> = sections().iter().map(Section::pattern).collect();
        let expected = [
            "*(.text._ZN4core3fmt5write17h*)",
            "*(.text._RNvNtCs*_3std3env7__var_os*)",
            "*libc.a:memchr-*v*.o(.text .text.*)",
            "*crt1.o(.text .text.*)",
            "*(.text.main)",
            "*libc.a:memchr-*v*.o(.rodata .rodata.*)",
            "*(.rodata._ZN4core3fmt5write17h*)",
        ];
        assert_eq!(patterns, expected);
    }

    #[test]
    fn each_section_is_named_by_its_own_pattern_alone() {
        let sections = sections();
        for (at, section) in sections.iter().enumerate() {
            let named: Vec<bool> = sections.iter().map(|other| other.is_named(&section.pattern())).collect();
            assert_eq!(named.iter().position(|named| *named), Some(at), "{named:?}");
            assert_eq!(named.iter().filter(|named| **named).count(), 1, "{named:?}");
        }
    }

    #[test]
    fn a_star_stands_for_anything() {
        assert!(matches("a*c", "abc") && matches("a*c", "ac") && matches("*", "") && matches("a", "a"));
        assert!(!matches("a*c", "ab") && !matches("a", "ab") && !matches("a*b*c", "acb"));
    }
}

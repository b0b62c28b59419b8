//! A checked view of a relocatable 64-bit ELF file of either byte order.
//!
//! Written here rather than taken from a crate because four small structs are all that eBPF needs of ELF, and because
//! every refusal has to say which section and which offset. Knows nothing of eBPF but its machine number.

use alveary_diag::{Diagnostic, Place};
use alveary_isa::Endian;

/// Sizes of the structs of ELF64.
const HEADER: usize = 64;
const SECTION: usize = 64;
const SYMBOL: usize = 24;
const REL: usize = 16;
const RELA: usize = 24;

const EM_BPF: u16 = 247;
const ET_REL: u16 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_RELA: u32 = 4;
const SHT_NOBITS: u32 = 8;
const SHT_REL: u32 = 9;
const SHF_EXECINSTR: u64 = 4;
/// Names are copied into Specs, several times: no file may make much of them.
const LONGEST_NAME: usize = 1024;

/// Other machines by their number, for people who give a wrong file.
const MACHINES: [(u16, &str); 9] = [
    (3, "x86"),
    (8, "MIPS"),
    (21, "64-bit PowerPC"),
    (22, "s390"),
    (40, "ARM"),
    (62, "x86-64"),
    (183, "AArch64"),
    (243, "RISC-V"),
    (258, "LoongArch"),
];

/// An ELF file.
pub(crate) struct Elf<'a> {
    pub(crate) endian: Endian,
    pub(crate) sections: Vec<Section<'a>>,
    pub(crate) symbols: Vec<Symbol<'a>>,
}

/// A section.
pub(crate) struct Section<'a> {
    pub(crate) name: &'a str,
    /// Its bytes; none if it takes no room in the file (`.bss`).
    pub(crate) data: &'a [u8],
    /// Its size in memory.
    pub(crate) size: u64,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) align: u64,
    /// Bytes of an entry, where it holds entries.
    pub(crate) entry: u64,
    link: u32,
    info: u32,
}

impl Section<'_> {
    /// Its bytes are instructions.
    pub(crate) fn is_code(&self) -> bool {
        self.flags & SHF_EXECINSTR != 0 && !self.data.is_empty()
    }

    /// It takes no room in the file.
    pub(crate) fn is_zero(&self) -> bool {
        self.kind == SHT_NOBITS
    }

    /// A place in it.
    pub(crate) fn place(&self, at: u64) -> Place {
        Place::Section { section: self.name.into(), at }
    }
}

/// A symbol.
#[derive(Clone, Copy)]
pub(crate) struct Symbol<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: u64,
    pub(crate) size: u64,
    pub(crate) at: Home,
    pub(crate) kind: SymbolKind,
    pub(crate) local: bool,
    pub(crate) weak: bool,
    pub(crate) hidden: bool,
}

/// Where a symbol is defined.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    Undefined,
    Section(usize),
    Absolute,
    Common,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SymbolKind {
    None,
    Object,
    Function,
    Section,
    Other,
}

/// A relocation.
pub(crate) struct Rel {
    /// Offset in the section that is relocated.
    pub(crate) at: u64,
    pub(crate) kind: u32,
    pub(crate) symbol: u32,
    pub(crate) addend: i64,
}

impl<'a> Elf<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Elf<'a>, Diagnostic> {
        let file = File { bytes, endian: identify(bytes)? };
        let sections = file.sections()?;
        let mut elf = Elf { endian: file.endian, sections, symbols: Vec::new() };
        elf.symbols = elf.read_symbols()?;
        Ok(elf)
    }

    /// The first section of this name.
    pub(crate) fn section(&self, name: &str) -> Option<&Section<'a>> {
        self.sections.iter().find(|s| s.name == name)
    }

    /// The relocations of each section that has some, by its index.
    pub(crate) fn relocations(&self) -> Result<Vec<(usize, Vec<Rel>)>, Diagnostic> {
        let tables = self.sections.iter().filter(|s| matches!(s.kind, SHT_REL | SHT_RELA) && s.info != 0);
        tables.map(|table| Ok((self.relocated(table)?, self.entries(table)?))).collect()
    }

    fn relocated(&self, table: &Section<'_>) -> Result<usize, Diagnostic> {
        let index = table.info as usize;
        if index < self.sections.len() {
            return Ok(index);
        }
        Err(Diagnostic::new("elf-section", "relocations of a section that is not there", table.place(0))
            .expected(format!("a section below {}", self.sections.len()))
            .found(index.to_string()))
    }

    fn entries(&self, table: &Section<'_>) -> Result<Vec<Rel>, Diagnostic> {
        let size = if table.kind == SHT_RELA { RELA } else { REL };
        if !table.data.len().is_multiple_of(size) {
            return Err(Diagnostic::new("elf-relocations", "the relocations end inside an entry", table.place(0))
                .expected(format!("a multiple of {size} bytes"))
                .found(format!("{} bytes", table.data.len())));
        }
        let raw = File { bytes: table.data, endian: self.endian };
        let mut entries = Vec::with_capacity(table.data.len() / size);
        for at in (0..table.data.len()).step_by(size) {
            let info = raw.u64(at + 8);
            entries.push(Rel {
                at: raw.u64(at),
                kind: info as u32,
                symbol: (info >> 32) as u32,
                addend: if size == RELA { raw.u64(at + 16) as i64 } else { 0 },
            });
        }
        Ok(entries)
    }

    fn read_symbols(&self) -> Result<Vec<Symbol<'a>>, Diagnostic> {
        let Some(table) = self.sections.iter().find(|s| s.kind == SHT_SYMTAB) else { return Ok(Vec::new()) };
        if !table.data.len().is_multiple_of(SYMBOL) {
            return Err(Diagnostic::new("elf-symbols", "the symbol table ends inside an entry", table.place(0))
                .expected(format!("a multiple of {SYMBOL} bytes"))
                .found(format!("{} bytes", table.data.len())));
        }
        let Some(names) = self.sections.get(table.link as usize) else {
            return Err(Diagnostic::new("elf-symbols", "the symbol table names no string table", table.place(0))
                .expected(format!("a section below {}", self.sections.len()))
                .found(table.link.to_string()));
        };
        let raw = File { bytes: table.data, endian: self.endian };
        let mut symbols = Vec::with_capacity(table.data.len() / SYMBOL);
        for at in (0..table.data.len()).step_by(SYMBOL) {
            let info = raw.byte(at + 4);
            let section = raw.u16(at + 6);
            symbols.push(Symbol {
                name: string(names.data, raw.u32(at), || table.place(at as u64))?,
                value: raw.u64(at + 8),
                size: raw.u64(at + 16),
                at: match section {
                    0 => Home::Undefined,
                    0xfff1 => Home::Absolute,
                    0xfff2 => Home::Common,
                    n if usize::from(n) < self.sections.len() => Home::Section(n.into()),
                    n => {
                        return Err(Diagnostic::new(
                            "elf-symbols",
                            "a symbol in a section that is not there",
                            table.place(at as u64),
                        )
                        .expected(format!("a section below {}", self.sections.len()))
                        .found(n.to_string()));
                    }
                },
                kind: match info & 15 {
                    0 => SymbolKind::None,
                    1 => SymbolKind::Object,
                    2 => SymbolKind::Function,
                    3 => SymbolKind::Section,
                    _ => SymbolKind::Other,
                },
                local: info >> 4 == 0,
                weak: info >> 4 == 2,
                hidden: matches!(raw.byte(at + 5) & 3, 1 | 2),
            });
        }
        Ok(symbols)
    }
}

/// The byte order, once the file is known to be an object that may hold eBPF.
fn identify(bytes: &[u8]) -> Result<Endian, Diagnostic> {
    const COMPILE: &str = "compile the source with `clang -O2 -g -target bpf -c`";
    let place = |at| Place::Byte { at };
    if bytes.get(..4) != Some(b"\x7fELF") {
        let found = match bytes {
            [] => "an empty file",
            [0x9f, 0xeb, ..] | [0xeb, 0x9f, ..] => "raw BTF: types without programs",
            b if b.iter().take(512).all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) => "text",
            b if b"\x7fELF".starts_with(&b[..b.len().min(4)]) => "the first bytes of one",
            _ => "other data",
        };
        return Err(Diagnostic::new("elf-magic", "this is no ELF object", place(0))
            .expected("a file that begins with 7f 45 4c 46")
            .found(found)
            .help(COMPILE));
    }
    let truncated = || {
        Diagnostic::new("elf-truncated", "the file ends inside the ELF header", place(bytes.len() as u64))
            .expected(format!("{HEADER} bytes"))
            .found(format!("{} bytes", bytes.len()))
    };
    let endian = match bytes.get(5) {
        Some(1) => Endian::Little,
        Some(2) => Endian::Big,
        Some(n) => {
            return Err(Diagnostic::new("elf-endian", "an ELF object without a byte order", place(5))
                .expected("1 (little-endian) or 2 (big-endian)")
                .found(n.to_string()));
        }
        None => return Err(truncated()),
    };
    if bytes.len() < 20 {
        return Err(truncated());
    }
    let file = File { bytes, endian };
    // Old clang left the machine at 0.
    let machine = file.u16(18);
    if !matches!(machine, EM_BPF | 0) {
        let found = MACHINES.iter().find(|(n, _)| *n == machine);
        return Err(Diagnostic::new("elf-machine", "this is no eBPF object", place(18))
            .expected(format!("machine {EM_BPF} (eBPF)"))
            .found(found.map_or(format!("machine {machine}"), |(n, name)| format!("machine {n} ({name})")))
            .help(COMPILE));
    }
    if file.byte(4) != 2 {
        return Err(Diagnostic::new("elf-class", "this is no 64-bit ELF object", place(4))
            .expected("class 2")
            .found(file.byte(4).to_string()));
    }
    if file.u16(16) != ET_REL {
        return Err(Diagnostic::new("elf-type", "this ELF file is no relocatable object", place(16))
            .expected("type 1 (relocatable)")
            .found(format!("type {}", file.u16(16)))
            .help(COMPILE));
    }
    if bytes.len() < HEADER { Err(truncated()) } else { Ok(endian) }
}

/// Bytes with a byte order. Reading past the end gives 0: ranges are checked before.
struct File<'a> {
    bytes: &'a [u8],
    endian: Endian,
}

impl<'a> File<'a> {
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        self.bytes.get(at..).and_then(|b| b.first_chunk()).copied().unwrap_or([0; N])
    }

    fn byte(&self, at: usize) -> u8 {
        self.array::<1>(at)[0]
    }

    fn u16(&self, at: usize) -> u16 {
        match self.endian {
            Endian::Little => u16::from_le_bytes(self.array(at)),
            Endian::Big => u16::from_be_bytes(self.array(at)),
        }
    }

    fn u32(&self, at: usize) -> u32 {
        match self.endian {
            Endian::Little => u32::from_le_bytes(self.array(at)),
            Endian::Big => u32::from_be_bytes(self.array(at)),
        }
    }

    fn u64(&self, at: usize) -> u64 {
        match self.endian {
            Endian::Little => u64::from_le_bytes(self.array(at)),
            Endian::Big => u64::from_be_bytes(self.array(at)),
        }
    }

    /// A range of the file, if it is there.
    fn range(&self, off: u64, size: u64) -> Option<&'a [u8]> {
        let end = usize::try_from(off.checked_add(size)?).ok()?;
        self.bytes.get(usize::try_from(off).ok()?..end)
    }

    fn sections(&self) -> Result<Vec<Section<'a>>, Diagnostic> {
        let (off, size, mut count, mut names) =
            (self.u64(40), self.u16(58), u64::from(self.u16(60)), u32::from(self.u16(62)));
        if off == 0 || size as usize != SECTION {
            return Err(Diagnostic::new("elf-sections", "the object has no section headers", Place::Byte { at: 40 })
                .expected(format!("section headers of {SECTION} bytes"))
                .found(if off == 0 { "none".to_owned() } else { format!("headers of {size} bytes") }));
        }
        let truncated = |count: u64| {
            let end = off.saturating_add(count.saturating_mul(SECTION as u64));
            Diagnostic::new("elf-truncated", "the file ends before its section headers", Place::Byte { at: off })
                .expected(format!("{end} bytes"))
                .found(format!("{} bytes", self.bytes.len()))
                .help("the file was cut: copy or build it again")
        };
        // Numbers that do not fit the file header stand in the first section header.
        let first = self.range(off, SECTION as u64).ok_or_else(|| truncated(count.max(1)))?;
        let first = File { bytes: first, endian: self.endian };
        if count == 0 {
            count = first.u64(32);
        }
        if names == 0xffff {
            names = first.u32(40);
        }
        let table = count.checked_mul(SECTION as u64).and_then(|len| self.range(off, len));
        let table = table.ok_or_else(|| truncated(count))?;
        let header = |i: usize| File { bytes: &table[i * SECTION..(i + 1) * SECTION], endian: self.endian };
        let count = table.len() / SECTION;
        let strings = if (names as usize) < count {
            let h = header(names as usize);
            self.range(h.u64(24), h.u64(32)).unwrap_or_default()
        } else {
            &[]
        };
        let mut sections = Vec::with_capacity(count);
        let mut total = 0u64;
        for i in 0..count {
            let h = header(i);
            let at = off + (i * SECTION) as u64;
            let name = string(strings, h.u32(0), || Place::Byte { at })?;
            let (kind, from, size) = (h.u32(4), h.u64(24), h.u64(32));
            let data = match kind {
                0 | SHT_NOBITS => &[],
                _ => self.range(from, size).ok_or_else(|| {
                    let there = (self.bytes.len() as u64).saturating_sub(from).min(size);
                    let place = Place::Section { section: name.into(), at: there };
                    Diagnostic::new("elf-truncated", format!("the file ends inside section `{name}`"), place)
                        .expected(format!("{size} bytes"))
                        .found(format!("{there} bytes"))
                        .help("the file was cut: copy or build it again")
                })?,
            };
            // Sections that shared bytes could make a small file a large Spec.
            total = total.saturating_add(data.len() as u64);
            if total > self.bytes.len() as u64 {
                let place = Place::Section { section: name.into(), at: 0 };
                return Err(Diagnostic::new("elf-overlap", "sections overlap in the file", place)
                    .expected(format!("at most {} bytes in all sections", self.bytes.len()))
                    .found(format!("{total} bytes up to this one")));
            }
            sections.push(Section {
                name,
                data,
                size,
                kind,
                flags: h.u64(8),
                align: h.u64(48),
                entry: h.u64(56),
                link: h.u32(40),
                info: h.u32(44),
            });
        }
        Ok(sections)
    }
}

/// A string of a string table.
fn string(table: &[u8], off: u32, place: impl Fn() -> Place) -> Result<&str, Diagnostic> {
    if off == 0 {
        return Ok("");
    }
    let bad = |found: String| {
        Diagnostic::new("elf-name", "a name that cannot be read", place())
            .expected(format!("at most {LONGEST_NAME} bytes of UTF-8, ended by a zero"))
            .found(found)
    };
    let rest =
        table.get(off as usize..).ok_or_else(|| bad(format!("offset {off} in a table of {} bytes", table.len())))?;
    let rest = &rest[..rest.len().min(LONGEST_NAME + 1)];
    let end = rest.iter().position(|b| *b == 0).ok_or_else(|| bad("no end".to_owned()))?;
    std::str::from_utf8(&rest[..end]).map_err(|_| bad("other bytes".to_owned()))
}

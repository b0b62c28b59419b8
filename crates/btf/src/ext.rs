//! `.BTF.ext`: what the compiler says about instructions: functions, source lines, CO-RE relocations.

use crate::{
    Btf, Builder, Type, TypeId,
    layout::DEPTH,
    read::{MAGIC, endian, word},
    write::to_bytes,
};
use alveary_diag::{Diagnostic, Place};
use alveary_isa::{Endian, Insn};

/// BTF of a function: from which instruction slot on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuncInfo {
    /// Slot.
    pub insn: u32,
    /// Its `FUNC` type.
    pub ty: TypeId,
}

/// Source line of the instructions from a slot on. Strings are offsets into the BTF's string section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineInfo {
    /// Slot.
    pub insn: u32,
    /// Name of the file.
    pub file: u32,
    /// Text of the line.
    pub text: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1; 0 if unknown.
    pub column: u32,
}

/// A CO-RE relocation: something about a type that an instruction has to learn from the kernel's BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreReloc {
    /// Slot.
    pub insn: u32,
    /// The type as the object knows it.
    pub ty: TypeId,
    /// The access string (`0:1:2`), an offset into the BTF's string section.
    pub access: u32,
    /// What is asked.
    pub kind: CoreKind,
}

/// What a CO-RE relocation asks (`enum bpf_core_relo_kind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are libbpf's")]
pub enum CoreKind {
    FieldOffset,
    FieldSize,
    FieldExists,
    FieldSigned,
    FieldLshift,
    FieldRshift,
    TypeIdLocal,
    TypeIdTarget,
    TypeExists,
    TypeSize,
    EnumvalExists,
    EnumvalValue,
    TypeMatches,
    /// A number that no compiler known to this version writes.
    Unknown(u32),
}

impl CoreKind {
    const ALL: [(CoreKind, &str); 13] = [
        (CoreKind::FieldOffset, "offset of field"),
        (CoreKind::FieldSize, "size of field"),
        (CoreKind::FieldExists, "existence of field"),
        (CoreKind::FieldSigned, "signedness of field"),
        (CoreKind::FieldLshift, "left shift of bit field"),
        (CoreKind::FieldRshift, "right shift of bit field"),
        (CoreKind::TypeIdLocal, "local id of type"),
        (CoreKind::TypeIdTarget, "kernel's id of type"),
        (CoreKind::TypeExists, "existence of type"),
        (CoreKind::TypeSize, "size of type"),
        (CoreKind::EnumvalExists, "existence of enumerator"),
        (CoreKind::EnumvalValue, "value of enumerator"),
        (CoreKind::TypeMatches, "match of type"),
    ];

    fn of(number: u32) -> CoreKind {
        Self::ALL.get(number as usize).map_or(CoreKind::Unknown(number), |(kind, _)| *kind)
    }

    fn number(self) -> u32 {
        match self {
            CoreKind::Unknown(number) => number,
            known => Self::ALL.iter().position(|(kind, _)| *kind == known).map_or(u32::MAX, |n| n as u32),
        }
    }

    /// What is asked, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("unknown property", |(_, words)| words)
    }
}

/// Records of one kind, by code section.
pub type Records<T> = Vec<(String, Vec<T>)>;

/// A `.BTF.ext` section. Slots count from the start of the code section.
#[derive(Clone, Debug, Default)]
pub struct Ext {
    /// BTF of functions.
    pub funcs: Records<FuncInfo>,
    /// Source lines.
    pub lines: Records<LineInfo>,
    /// CO-RE relocations.
    pub core: Records<CoreReloc>,
}

impl Ext {
    /// Reads a `.BTF.ext` section whose strings are in `btf`. Records may be longer than this version knows.
    ///
    /// # Errors
    /// What is wrong with the bytes, by offset in `.BTF.ext`.
    pub fn read(bytes: &[u8], btf: &Btf) -> Result<Ext, Diagnostic> {
        let endian = endian(bytes, "BTF.ext", ".BTF.ext")?;
        let reader = Reader { bytes, endian, btf };
        let header = reader.word(4)?;
        let funcs = reader.records(header, 8, 8, |insn, at| Ok(FuncInfo { insn, ty: reader.ty(at + 4)? }))?;
        let lines = reader.records(header, 16, 16, |insn, at| {
            let place = reader.word(at + 12)?;
            Ok(LineInfo {
                insn,
                file: reader.word(at + 4)?,
                text: reader.word(at + 8)?,
                line: place >> 10,
                column: place & 0x3ff,
            })
        })?;
        // Headers of old compilers end before the CO-RE part.
        let core = if header < 32 {
            Vec::new()
        } else {
            reader.records(header, 24, 16, |insn, at| {
                Ok(CoreReloc {
                    insn,
                    ty: reader.ty(at + 4)?,
                    access: reader.word(at + 8)?,
                    kind: CoreKind::of(reader.word(at + 12)?),
                })
            })?
        };
        Ok(Ext { funcs, lines, core })
    }
}

impl Ext {
    /// The bytes of a `.BTF.ext` section for the BTF that `btf` builds, which gets the names of the code sections. In
    /// the order in which compilers lay them: functions, lines, CO-RE relocations.
    #[must_use]
    pub fn write(&self, btf: &mut Builder) -> Vec<u8> {
        let funcs = part(&self.funcs, btf, |f| [f.insn * Insn::SIZE as u32, f.ty.0]);
        let lines =
            part(&self.lines, btf, |l| [l.insn * Insn::SIZE as u32, l.file, l.text, l.line << 10 | l.column & 0x3ff]);
        let core = part(&self.core, btf, |c| [c.insn * Insn::SIZE as u32, c.ty.0, c.access, c.kind.number()]);
        let mut words = vec![HEADER];
        let mut at = 0;
        for part in [&funcs, &lines, &core] {
            let len = 4 * part.len() as u32;
            words.extend([at, len]);
            at += len;
        }
        words.extend(funcs.into_iter().chain(lines).chain(core));
        let endian = btf.endian();
        let magic = match endian {
            Endian::Little => MAGIC.to_le_bytes(),
            Endian::Big => MAGIC.to_be_bytes(),
        };
        magic.into_iter().chain([1, 0]).chain(words.into_iter().flat_map(|w| to_bytes(w, endian))).collect()
    }
}

/// Bytes of the header with the CO-RE part.
const HEADER: u32 = 32;

/// The words of one part: the size of a record, then each section's name, their number, the records. Nothing if there
/// are none.
fn part<T, const N: usize>(records: &Records<T>, btf: &mut Builder, words: impl Fn(&T) -> [u32; N]) -> Vec<u32> {
    let mut out = Vec::new();
    for (section, records) in records.iter().filter(|(_, records)| !records.is_empty()) {
        if out.is_empty() {
            out.push(4 * N as u32);
        }
        out.extend([btf.string(section), records.len() as u32]);
        out.extend(records.iter().flat_map(&words));
    }
    out
}

struct Reader<'a> {
    bytes: &'a [u8],
    endian: Endian,
    btf: &'a Btf,
}

impl Reader<'_> {
    fn word(&self, at: usize) -> Result<u32, Diagnostic> {
        word(self.bytes, at, self.endian).ok_or_else(|| {
            problem("btf-truncated", "the section ends inside a record", at)
                .expected(format!("4 bytes at {at:#x}"))
                .found(format!("an end at {:#x}", self.bytes.len()))
        })
    }

    fn ty(&self, at: usize) -> Result<TypeId, Diagnostic> {
        let id = self.word(at)?;
        if id < self.btf.count() {
            return Ok(TypeId(id));
        }
        Err(problem("btf-reference", "a record refers to a type that is not there", at)
            .expected(format!("an id below {}", self.btf.count()))
            .found(id.to_string()))
    }

    /// The records of the part whose offset and length stand at `field` of the header; `least` bytes of each are
    /// needed.
    fn records<T>(
        &self,
        header: u32,
        field: usize,
        least: u32,
        read: impl Fn(u32, usize) -> Result<T, Diagnostic>,
    ) -> Result<Records<T>, Diagnostic> {
        let (off, len) = (self.word(field)?, self.word(field + 4)?);
        if len == 0 {
            return Ok(Vec::new());
        }
        let mut at = (header as usize).saturating_add(off as usize);
        let end = at.saturating_add(len as usize);
        if end > self.bytes.len() {
            return Err(problem("btf-truncated", "a part reaches past the end of the section", field)
                .expected(format!("an end at {:#x} or before", self.bytes.len()))
                .found(format!("{end:#x}")));
        }
        let size = self.word(at)?;
        if size < least || size % 4 != 0 {
            return Err(problem("btf-record-size", "records of an impossible size", at)
                .expected(format!("a multiple of 4 from {least} on"))
                .found(size.to_string()));
        }
        at += 4;
        let mut all = Vec::new();
        while at < end {
            let name = self.word(at)?;
            let Some(section) = self.btf.string(name) else {
                return Err(
                    problem("btf-name", "a section name outside the string section", at).found(name.to_string())
                );
            };
            let count = self.word(at + 4)?;
            at += 8;
            let bytes = (count as usize).saturating_mul(size as usize);
            if bytes > end.saturating_sub(at) {
                return Err(problem(
                    "btf-truncated",
                    format!("more records for `{section}` than there are bytes"),
                    at - 4,
                )
                .expected(format!("at most {}", end.saturating_sub(at) / size as usize))
                .found(count.to_string()));
            }
            let mut records = Vec::with_capacity(count as usize);
            for i in 0..count as usize {
                let place = at + i * size as usize;
                let off = self.word(place)?;
                if !(off as usize).is_multiple_of(Insn::SIZE) {
                    return Err(problem("btf-slot", "a record points between two instructions", place)
                        .expected("a multiple of 8")
                        .found(off.to_string()));
                }
                records.push(read(off / Insn::SIZE as u32, place)?);
            }
            all.push((section.to_owned(), records));
            at += bytes;
        }
        Ok(all)
    }
}

impl Btf {
    /// What a CO-RE relocation asks, in C terms: ``offset of field `struct task_struct.pid` ``.
    #[must_use]
    pub fn describe_core(&self, reloc: &CoreReloc) -> String {
        let access = self.string(reloc.access).unwrap_or_default();
        let mut path = self.c_name(reloc.ty);
        let mut steps = access.split(':').map(|s| s.parse::<usize>().ok());
        let first = steps.next().flatten();
        match reloc.kind {
            CoreKind::EnumvalExists | CoreKind::EnumvalValue => {
                if let Type::Enum(t) | Type::Enum64(t) = self.resolved(reloc.ty)
                    && let Some(value) = first.and_then(|i| t.values().nth(i))
                {
                    path = format!("{path}::{}", value.name);
                }
            }
            _ => {
                let mut ty = reloc.ty;
                for step in steps.take(DEPTH as usize) {
                    match (self.resolved(ty), step) {
                        (Type::Struct(t) | Type::Union(t), Some(i)) => {
                            let Some(member) = t.members().nth(i) else { break };
                            if !member.name.is_empty() {
                                path = format!("{path}.{}", member.name);
                            }
                            ty = member.ty;
                        }
                        (Type::Array(t), Some(i)) => {
                            path = format!("{path}[{i}]");
                            ty = t.element;
                        }
                        _ => break,
                    }
                }
            }
        }
        format!("{} `{path}`", reloc.kind.words())
    }
}

fn problem(code: &'static str, message: impl Into<std::borrow::Cow<'static, str>>, at: usize) -> Diagnostic {
    Diagnostic::new(code, message, Place::Section { section: ".BTF.ext".into(), at: at as u64 })
}

//! BTF, the BPF type format (`Documentation/bpf/btf.rst`): read, look up, print and parse values.

/// Id of a type; 0 is `void`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TypeId(pub u32);

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

/// A set of types.
#[derive(Debug)]
pub struct Btf {
    strings: Vec<u8>,
}

impl Btf {
    /// The string at an offset of the string section.
    #[must_use]
    pub fn string(&self, off: u32) -> Option<&str> {
        let s = self.strings.get(off as usize..)?;
        let end = s.iter().position(|b| *b == 0)?;
        std::str::from_utf8(&s[..end]).ok()
    }
}

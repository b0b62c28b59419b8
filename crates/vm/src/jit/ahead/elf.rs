//! A library as an ELF object file. What a linker has to write is said by the psABI of each machine.

use super::{DataId, Library, Machine, Target};
use cranelift_codegen::binemit::Reloc;
use object::write::{Object, Relocation, SectionId, StandardSection, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, FileFlags, RelocationFlags, SectionKind, SymbolFlags, SymbolKind,
    SymbolScope, elf,
};

/// A row for each of the code generator's relocations.
const KINDS: &[(Machine, Reloc, elf::RelocationType)] = &[
    (Machine::X86_64, Reloc::X86CallPCRel4, elf::R_X86_64_PLT32),
    (Machine::X86_64, Reloc::X86PCRel4, elf::R_X86_64_PC32),
    (Machine::X86_64, Reloc::Abs8, elf::R_X86_64_64),
    (Machine::Aarch64, Reloc::Arm64Call, elf::R_AARCH64_CALL26),
    (Machine::Aarch64, Reloc::Aarch64AdrPrelPgHi21, elf::R_AARCH64_ADR_PREL_PG_HI21),
    (Machine::Aarch64, Reloc::Aarch64AddAbsLo12Nc, elf::R_AARCH64_ADD_ABS_LO12_NC),
    (Machine::Aarch64, Reloc::Abs8, elf::R_AARCH64_ABS64),
    (Machine::Riscv64, Reloc::RiscvCallPlt, elf::R_RISCV_CALL_PLT),
    (Machine::Riscv64, Reloc::RiscvPCRelHi20, elf::R_RISCV_PCREL_HI20),
    (Machine::Riscv64, Reloc::RiscvPCRelLo12I, elf::R_RISCV_PCREL_LO12_I),
    (Machine::Riscv64, Reloc::Abs8, elf::R_RISCV_64),
    (Machine::S390x, Reloc::S390xPLTRel32Dbl, elf::R_390_PLT32DBL),
    (Machine::S390x, Reloc::S390xPCRel32Dbl, elf::R_390_PC32DBL),
    (Machine::S390x, Reloc::Abs8, elf::R_390_64),
];

/// What a relocation is called in a machine's files.
pub(super) fn kind(machine: Machine, kind: Reloc) -> Option<elf::RelocationType> {
    KINDS.iter().find(|row| (row.0, row.1) == (machine, kind)).map(|row| row.2)
}

/// A file in the making.
struct File<'a> {
    library: &'a Library,
    object: Object<'a>,
    text: SectionId,
    functions: Vec<SymbolId>,
    /// Of each memory its section, where it begins there, and its symbol.
    data: Vec<(SectionId, u64, SymbolId)>,
}

/// The file.
///
/// # Errors
/// What cannot be said in such a file.
pub(super) fn write(library: &Library) -> Result<Vec<u8>, String> {
    let mut file = File::new(library);
    file.add_functions();
    file.add_data();
    file.relocate_text().map_err(|why| why.to_string())?;
    file.relocate_data().map_err(|why| why.to_string())?;
    file.object.write().map_err(|why| why.to_string())
}

impl File<'_> {
    fn new(library: &Library) -> File<'_> {
        let (architecture, e_flags) = match library.machine {
            Machine::X86_64 => (Architecture::X86_64, elf::FileFlags(0)),
            Machine::Aarch64 => (Architecture::Aarch64, elf::FileFlags(0)),
            // What distributions are built with: their linkers mix nothing else.
            Machine::Riscv64 => (Architecture::Riscv64, elf::EF_RISCV_RVC | elf::EF_RISCV_FLOAT_ABI_DOUBLE),
            Machine::S390x => (Architecture::S390x, elf::FileFlags(0)),
        };
        let endian = if library.machine.is_big_endian() { Endianness::Big } else { Endianness::Little };
        let mut object = Object::new(BinaryFormat::Elf, architecture, endian);
        object.flags = FileFlags::Elf { os_abi: elf::ELFOSABI_NONE, abi_version: 0, e_flags };
        // No stack is asked for that can be executed.
        object.add_section(Vec::new(), b".note.GNU-stack".to_vec(), SectionKind::Other);
        let text = object.section_id(StandardSection::Text);
        object.append_section_data(text, &library.text, Library::ALIGNMENT as u64);
        File { library, object, text, functions: Vec::new(), data: Vec::new() }
    }

    fn add_functions(&mut self) {
        for function in &self.library.functions {
            let scope = if function.exported { SymbolScope::Dynamic } else { SymbolScope::Compilation };
            let size = function.size as u64;
            let symbol = self.symbol(&function.name, SymbolKind::Text, scope, self.text, function.start as u64, size);
            self.functions.push(symbol);
        }
    }

    fn add_data(&mut self) {
        for data in &self.library.data {
            let is_zero = data.bytes.iter().all(|byte| *byte == 0) && data.addresses.is_empty();
            let section = match (data.writable, data.addresses.is_empty()) {
                (true, _) if is_zero => StandardSection::UninitializedData,
                (true, _) => StandardSection::Data,
                (false, true) => StandardSection::ReadOnlyData,
                (false, false) => StandardSection::ReadOnlyDataWithRel,
            };
            let (section, is_bss) = (self.object.section_id(section), section == StandardSection::UninitializedData);
            let (scope, size) = (SymbolScope::Compilation, data.size.max(data.bytes.len()) as u64);
            // Lines of the cache: no two maps share one.
            let start = if is_bss {
                self.object.append_section_bss(section, size, 64)
            } else {
                let mut bytes = data.bytes.clone();
                bytes.resize(size as usize, 0);
                self.object.append_section_data(section, &bytes, 64)
            };
            let symbol = self.symbol(&data.name, SymbolKind::Data, scope, section, start, size);
            self.data.push((section, start, symbol));
        }
    }

    fn symbol(
        &mut self,
        name: &str,
        kind: SymbolKind,
        scope: SymbolScope,
        section: SectionId,
        value: u64,
        size: u64,
    ) -> SymbolId {
        self.object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value,
            size,
            kind,
            scope,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        })
    }

    fn relocate_text(&mut self) -> object::write::Result<()> {
        for fix in &self.library.fixes {
            let symbol = match fix.to {
                Target::Function(number) => self.functions[number],
                Target::Data(DataId(number)) => self.data[number].2,
                // RISC-V names the instruction that has the upper part of an address.
                Target::Text(at) => {
                    let scope = SymbolScope::Compilation;
                    self.symbol(&format!(".L{at}"), SymbolKind::Label, scope, self.text, at as u64, 0)
                }
            };
            self.relocate(self.text, fix.at as u64, fix.kind, symbol, fix.addend)?;
        }
        Ok(())
    }

    fn relocate_data(&mut self) -> object::write::Result<()> {
        for (number, data) in self.library.data.iter().enumerate() {
            let (section, start, _) = self.data[number];
            for &(at, DataId(to)) in &data.addresses {
                self.relocate(section, start + at as u64, Reloc::Abs8, self.data[to].2, 0)?;
            }
        }
        Ok(())
    }

    fn relocate(
        &mut self,
        section: SectionId,
        offset: u64,
        what: Reloc,
        symbol: SymbolId,
        addend: i64,
    ) -> object::write::Result<()> {
        // `Library::add` lets nothing else in.
        let Some(r_type) = kind(self.library.machine, what) else { return Ok(()) };
        self.object
            .add_relocation(section, Relocation { offset, symbol, addend, flags: RelocationFlags::Elf { r_type } })
    }
}

//! What instructions refer to: maps, data, functions, externs.
//!
//! The relocation types, and where their implicit addends stand: `Documentation/bpf/llvm_reloc.rst`.

use crate::{
    code::Places,
    elf::{Elf, Home, Rel, Symbol},
    insn::{BPF_PSEUDO_CALL, CALL, LD_IMM64, heads},
    maps::Maps,
};
use alveary_diag::Diagnostic;
use alveary_isa::Insn;
use alveary_sort::Sort;
use alveary_spec::{Function, Reloc, RelocKind};
use std::collections::BTreeMap;

const R_BPF_NONE: u32 = 0;
const R_BPF_64_64: u32 = 1;
const R_BPF_64_32: u32 = 10;

/// Reads the relocations of code into the functions.
pub(crate) fn read(
    elf: &Elf<'_>,
    places: &Places,
    maps: &Maps,
    functions: &mut BTreeMap<String, Function>,
) -> Result<(), Diagnostic> {
    let reader = Reader { elf, places, maps };
    for (section, entries) in elf.relocations()? {
        if elf.sections[section].is_code() {
            for entry in entries {
                reader.relocation(section, &entry, functions)?;
            }
        }
    }
    for place in &places.0 {
        if let Some(function) = functions.get_mut(&place.name) {
            function.relocs.order_by_key(|r| r.insn);
            function.relocs.dedup_by_key(|r| r.insn);
            reader.calls(place.section, place.slots.start, function)?;
        }
    }
    Ok(())
}

struct Reader<'a> {
    elf: &'a Elf<'a>,
    places: &'a Places,
    maps: &'a Maps,
}

impl Reader<'_> {
    fn relocation(
        &self,
        index: usize,
        entry: &Rel,
        functions: &mut BTreeMap<String, Function>,
    ) -> Result<(), Diagnostic> {
        if entry.kind == R_BPF_NONE {
            return Ok(());
        }
        let section = &self.elf.sections[index];
        let bad = |message: String| Diagnostic::new("relocation", message, section.place(entry.at));
        let slot =
            u32::try_from(entry.at / Insn::SIZE as u64).ok().filter(|_| entry.at.is_multiple_of(Insn::SIZE as u64));
        if entry.at >= section.data.len() as u64 {
            return Err(bad("a relocation outside of its section".to_owned())
                .expected(format!("an offset below {:#x}", section.data.len()))
                .found(format!("{:#x}", entry.at)));
        }
        let Some(slot) = slot else {
            return Err(bad("a relocation between two instructions".to_owned()).expected("a multiple of 8"));
        };
        let Some(symbol) = self.elf.symbols.get(entry.symbol as usize) else {
            return Err(bad("a relocation to a symbol that is not there".to_owned())
                .expected(format!("a symbol below {}", self.elf.symbols.len()))
                .found(entry.symbol.to_string()));
        };
        // Code in front of the first function belongs to nobody.
        let Some(place) = self.places.at(index, slot) else { return Ok(()) };
        let Some(function) = functions.get_mut(&place.name) else { return Ok(()) };
        let at = slot - place.slots.start;
        let Some(insn) = function.insns.get(at as usize).copied() else { return Ok(()) };
        let addend = i64::from(insn.imm).wrapping_add(entry.addend);
        let kind = match (entry.kind, insn.op) {
            (R_BPF_64_64, LD_IMM64) => self.constant(symbol, addend),
            (R_BPF_64_32, CALL) => self.call(symbol, addend),
            (kind, op) => {
                return Err(bad(format!("a relocation of type {kind} at an instruction that cannot have it"))
                    .expected("type 1 at a 64-bit constant, or type 10 at a call")
                    .found(format!("operation code {op:#04x}")));
            }
        };
        let kind = kind.map_err(|(code, message)| Diagnostic::new(code, message, section.place(entry.at)))?;
        function.relocs.push(Reloc { insn: at, kind });
        Ok(())
    }

    /// What a 64-bit constant refers to.
    fn constant(&self, symbol: &Symbol<'_>, addend: i64) -> Result<RelocKind, (&'static str, String)> {
        let section = self.section(symbol)?;
        let Some(section) = section else { return Ok(RelocKind::Extern(symbol.name.to_owned())) };
        let name = self.elf.sections[section].name;
        let offset = (symbol.value as i64).wrapping_add(addend);
        let offset = u32::try_from(offset);
        if let Some(map) = offset.ok().and_then(|at| self.maps.definition(section, at)) {
            return Ok(RelocKind::Map(map.to_owned()));
        }
        if let Some(map) = self.maps.data(section) {
            let size = self.elf.sections[section].size;
            // One byte behind the data is an address that C allows.
            let offset = offset.ok().filter(|at| u64::from(*at) <= size);
            let message = || format!("a reference to offset {addend:#x} of `{}`, outside of `{name}`", symbol.name);
            return Ok(RelocKind::MapValue(map.to_owned(), offset.ok_or_else(|| ("relocation", message()))?));
        }
        let slot = offset.ok().filter(|at| at.is_multiple_of(Insn::SIZE as u32)).map(|at| at / Insn::SIZE as u32);
        if self.elf.sections[section].is_code() {
            let place = slot.and_then(|slot| self.places.starting(section, slot));
            let message = || format!("the address of something in `{name}` that is no function");
            return Ok(RelocKind::FuncAddr(place.ok_or_else(|| ("relocation", message()))?.name.clone()));
        }
        // An arena's variables without an arena, and what else later kernels know: refused by name once a program wants it.
        Ok(RelocKind::Extern(if symbol.name.is_empty() { name } else { symbol.name }.to_owned()))
    }

    /// What a call refers to. The addend counts slots from the one behind the call.
    fn call(&self, symbol: &Symbol<'_>, addend: i64) -> Result<RelocKind, (&'static str, String)> {
        let Some(section) = self.section(symbol)? else { return Ok(RelocKind::Kfunc(symbol.name.to_owned())) };
        let slot = (symbol.value as i64 / Insn::SIZE as i64).wrapping_add(addend).wrapping_add(1);
        let place = u32::try_from(slot).ok().and_then(|slot| self.places.starting(section, slot));
        match place {
            Some(place) => Ok(RelocKind::Call(place.name.clone())),
            None => Err((
                "call-target",
                format!("a call to slot {slot} of `{}`, where no function begins", self.elf.sections[section].name),
            )),
        }
    }

    /// The section of a symbol; `None` if the object does not define it.
    fn section(&self, symbol: &Symbol<'_>) -> Result<Option<usize>, (&'static str, String)> {
        match symbol.at {
            Home::Section(i) => Ok(Some(i)),
            Home::Undefined if symbol.name.is_empty() => {
                Err(("relocation", "a reference to a symbol without name and section".to_owned()))
            }
            Home::Undefined => Ok(None),
            Home::Common => Err((
                "common-symbol",
                format!("`{}` is a common symbol: initialise it, or compile with -fno-common", symbol.name),
            )),
            Home::Absolute => Err(("relocation", format!("`{}` is an absolute symbol", symbol.name))),
        }
    }

    /// Names the targets of calls inside the section, for which compilers write no relocation. A call inside of one
    /// function (hand-written code) stays as it is.
    fn calls(&self, section: usize, start: u32, function: &mut Function) -> Result<(), Diagnostic> {
        let mut found = Vec::new();
        for (at, insn) in heads(&function.insns) {
            let known = function.relocs.binary_search_by_key(&at, |r| r.insn).is_ok();
            if insn.op != CALL || insn.src.0 != BPF_PSEUDO_CALL || known {
                continue;
            }
            let target = i64::from(at) + 1 + i64::from(insn.imm);
            let slot = u32::try_from(target + i64::from(start)).ok();
            if let Some(place) = slot.and_then(|slot| self.places.starting(section, slot)) {
                found.push(Reloc { insn: at, kind: RelocKind::Call(place.name.clone()) });
            } else if !(0..function.insns.len() as i64).contains(&target) {
                let home = &self.elf.sections[section];
                let place = home.place(u64::from(start + at) * Insn::SIZE as u64);
                return Err(Diagnostic::new("call-target", "a call to where no function begins", place)
                    .expected(format!("the first slot of a function in `{}`", home.name))
                    .found(format!("slot {}", target + i64::from(start))));
            }
        }
        function.relocs.extend(found);
        function.relocs.order_by_key(|r| r.insn);
        Ok(())
    }
}

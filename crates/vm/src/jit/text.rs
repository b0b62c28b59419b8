//! Functions one behind the other: their calls of each other are linked, addresses are still to be written in. Knows
//! nothing of where they will stand.

use super::address::FUNCTIONS;
use super::emitted::Emitted;
use super::plan::Plan;
use crate::bad_code::BadCodeKind;
use cranelift_codegen::FinalizedRelocTarget;
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::ir::{ExternalName, Function, UserExternalName};

/// What no linker here does.
pub(super) const STRANGE: BadCodeKind = BadCodeKind::Unsupported("a relocation of the code generator");

/// How far a call reaches on aarch64.
const FAR: i32 = 1 << 27;

/// Functions, which do not know yet where the others are.
#[derive(Default)]
pub(super) struct Text {
    code: Relocatable,
    /// Where the distance to which function's start, less so much, has to be written, and how.
    calls: Vec<(usize, usize, i64, Reloc)>,
    /// Something else has to be written, which is not known here.
    strange: bool,
}

/// Code that may stand anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Relocatable {
    bytes: Vec<u8>,
    starts: Vec<usize>,
    fixes: Vec<Fix>,
}

/// Where an address has to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fix {
    at: u32,
    /// Space and index of its name (`address`).
    name: (u32, u32),
    addend: i64,
}

impl Text {
    /// Functions begin at multiples of this, or so far behind one as is said.
    const ALIGNMENT: usize = 64;
    /// What stands between them: traps.
    const FILLER: u8 = 0xcc;

    pub(super) fn add(&mut self, begin: usize, emitted: &Emitted<'_>, function: &Function) {
        let bytes = &mut self.code.bytes;
        let start = bytes.len().next_multiple_of(Self::ALIGNMENT) + begin;
        bytes.resize(start, Self::FILLER);
        bytes.extend_from_slice(&emitted.code);
        self.code.starts.push(start);
        for relocation in emitted.compiled.buffer.relocs() {
            let at = start + emitted.place(relocation.offset as usize);
            let FinalizedRelocTarget::ExternalName(ExternalName::User(name)) = &relocation.target else {
                self.strange = true;
                continue;
            };
            let &UserExternalName { namespace, index } = &function.params.user_named_funcs()[*name];
            match (relocation.kind, namespace) {
                (kind @ (Reloc::X86CallPCRel4 | Reloc::Arm64Call), FUNCTIONS) => {
                    self.calls.push((at, index as usize, relocation.addend, kind));
                }
                (Reloc::Abs8, _) if at + 8 <= u32::MAX as usize => {
                    self.code.fixes.push(Fix { at: at as u32, name: (namespace, index), addend: relocation.addend });
                }
                _ => self.strange = true,
            }
        }
    }

    pub(super) fn link(mut self) -> Result<Relocatable, BadCodeKind> {
        for (at, callee, addend, kind) in self.calls {
            let distance = self.code.starts[callee] as i64 + addend - at as i64;
            let distance = i32::try_from(distance).map_err(|_| BadCodeKind::TooLong)?;
            let word = &mut self.code.bytes[at..at + 4];
            if kind == Reloc::Arm64Call {
                // In words, in the lower bits of the instruction.
                if !(-FAR..FAR).contains(&distance) {
                    return Err(BadCodeKind::TooLong);
                }
                let places = (distance >> 2) as u32 & 0x03ff_ffff;
                word.iter_mut().zip(places.to_le_bytes()).for_each(|(byte, bits)| *byte |= bits);
            } else {
                word.copy_from_slice(&distance.to_le_bytes());
            }
        }
        if self.strange {
            return Err(STRANGE);
        }
        Ok(self.code)
    }
}

impl Relocatable {
    /// Writes addresses in: the code, and where its functions start. `None`: it is not of this program.
    pub(super) fn place(mut self, plan: &Plan<'_>) -> Option<(Vec<u8>, Vec<usize>)> {
        for fix in &self.fixes {
            let address = plan.address(fix.name)?.wrapping_add_signed(fix.addend);
            self.bytes.get_mut(fix.at as usize..)?.get_mut(..8)?.copy_from_slice(&address.to_le_bytes());
        }
        let are_inside = self.starts.iter().all(|start| *start < self.bytes.len()) && self.starts.is_sorted();
        (are_inside && self.starts.len() == plan.functions.len()).then_some((self.bytes, self.starts))
    }

    /// As bytes.
    pub(super) fn write(&self) -> Vec<u8> {
        let counts = [self.starts.len(), self.fixes.len()].map(|count| count as u32);
        let starts = self.starts.iter().map(|start| *start as u32);
        let fixes = self.fixes.iter().flat_map(|fix| {
            let addend = fix.addend as u64;
            [fix.at, fix.name.0, fix.name.1, addend as u32, (addend >> 32) as u32]
        });
        let words = counts.into_iter().chain(starts).chain(fixes);
        words.flat_map(u32::to_le_bytes).chain(self.bytes.iter().copied()).collect()
    }

    /// From what [`Relocatable::write`] made.
    pub(super) fn read(mut from: &[u8]) -> Option<Relocatable> {
        let mut word = || {
            let (word, rest) = from.split_first_chunk::<4>()?;
            from = rest;
            Some(u32::from_le_bytes(*word))
        };
        let (starts, fixes) = (word()?, word()?);
        let starts = (0..starts).map(|_| Some(word()? as usize)).collect::<Option<Vec<usize>>>()?;
        let mut fix = || {
            let (at, name) = (word()?, (word()?, word()?));
            let (low, high) = (word()?, word()?);
            Some(Fix { at, name, addend: (u64::from(high) << 32 | u64::from(low)) as i64 })
        };
        let fixes = (0..fixes).map(|_| fix()).collect::<Option<Vec<Fix>>>()?;
        Some(Relocatable { bytes: from.to_vec(), starts, fixes })
    }
}

//! A program's instructions as the kernel gives them back, one by one as text. They are in the kernel's notation, with
//! the names that bpftool gives: maps by id, helpers and functions by the kernel's symbols.

use crate::bpftool::symbols::Symbols;
use alveary_abi::{HelperId, Profile};
use alveary_isa::{
    Endian, Insn, decode_lowered,
    disasm::{Notation, Style},
};
use std::cell::LazyCell;

/// `BPF_LD | BPF_IMM | BPF_DW`, which takes two slots.
pub(super) const LD_IMM64: u8 = 0x18;
/// `BPF_JMP | BPF_CALL`.
pub(super) const CALL: u8 = 0x85;
/// `src` of calls: of a function of the program.
pub(super) const PSEUDO_CALL: u8 = 1;
/// `src` of constants: what they name.
const PSEUDO_MAP_FD: u8 = 1;
const PSEUDO_MAP_VALUE: u8 = 2;
pub(super) const PSEUDO_FUNC: u8 = 4;
const PSEUDO_MAP_IDX_VALUE: u8 = 6;

/// What the verifier puts in and no object has: a barrier (`BPF_ST | BPF_NOSPEC`), an address on this CPU
/// (`BPF_ALU64 | BPF_MOV | BPF_X` with `off` = -1).
const NOSPEC: u8 = 0xc2;
const MOV64: u8 = 0xbf;
const PERCPU: i16 = -1;

/// The instructions of a program, and what is needed to name what they refer to.
pub(super) struct Code {
    insns: Vec<Insn>,
    /// Addresses of its functions' machine code.
    functions: Vec<u64>,
    symbols: LazyCell<Symbols>,
    profile: Profile,
}

impl Code {
    pub(super) fn new(bytes: &[u8], functions: Vec<u64>) -> Code {
        let slots = bytes.as_chunks().0;
        let insns = slots.iter().map(|slot| Insn::from_bytes(*slot, Endian::HOST)).collect();
        Code { insns, functions, symbols: LazyCell::new(Symbols::read), profile: Profile::linux_6_18() }
    }

    /// All slots.
    pub(super) fn insns(&self) -> &[Insn] {
        &self.insns
    }

    /// The instruction at a slot, and the bytes of its slots.
    pub(super) fn bytes(&self, slot: usize) -> Vec<u8> {
        let slots = self.insns.get(slot..self.after(slot)).unwrap_or_default();
        slots.iter().flat_map(|insn| insn.to_bytes(Endian::HOST)).collect()
    }

    /// The slot behind the instruction at a slot.
    pub(super) fn after(&self, slot: usize) -> usize {
        let slots = if self.insns.get(slot).is_some_and(|insn| insn.op == LD_IMM64) { 2 } else { 1 };
        (slot + slots).min(self.insns.len())
    }

    /// The slots where instructions begin.
    pub(super) fn slots(&self, from: usize, to: usize) -> impl Iterator<Item = usize> {
        let first = (from < to).then_some(from);
        std::iter::successors(first, move |slot| Some(self.after(*slot)).filter(|next| *next < to))
    }

    /// The instruction at a slot: `(bf) r6 = r1`.
    pub(super) fn text(&self, slot: usize) -> String {
        let Some(insn) = self.insns.get(slot) else { return String::new() };
        let Insn { op, dst, src, off, imm } = *insn;
        match op {
            LD_IMM64 => format!("({op:02x}) {dst} = {}", self.constant(slot, *insn)),
            CALL if src.0 == PSEUDO_CALL => format!("({op:02x}) call pc{off:+}{}", self.function(imm)),
            CALL => format!("({op:02x}) call {}#{imm}", self.callee(*insn)),
            NOSPEC => format!("({op:02x}) nospec"),
            MOV64 if off == PERCPU => format!("({op:02x}) {dst} = &(void __percpu *)({src})"),
            _ => match decode_lowered(&self.insns, slot) {
                Ok(inst) => {
                    let notation = Notation { style: Style::Kernel, names: &() };
                    format!("({op:02x}) {}", notation.text(slot, inst))
                }
                Err(_) => format!("BUG_{op:02x}"),
            },
        }
    }

    /// What an `ld_imm64` loads.
    fn constant(&self, slot: usize, insn: Insn) -> String {
        let (low, high) = (insn.imm as u32, self.insns.get(slot + 1).map_or(0, |second| second.imm as u32));
        match insn.src.0 {
            PSEUDO_MAP_FD => format!("map[id:{low}]"),
            PSEUDO_MAP_VALUE => format!("map[id:{low}][0]+{high}"),
            PSEUDO_MAP_IDX_VALUE => format!("map[idx:{low}]+{high}"),
            PSEUDO_FUNC => format!("subprog[{:+}]", insn.imm),
            _ => format!("{:#x}", u64::from(high) << 32 | u64::from(low)),
        }
    }

    /// The function of this number: `#bpf_prog_…_name`. Interpreted programs have no names.
    fn function(&self, index: i32) -> String {
        if self.functions.is_empty() {
            return String::new();
        }
        let own = usize::try_from(index).ok().and_then(|index| self.functions.get(index)).copied();
        let address = own.unwrap_or_else(|| self.address(index));
        self.symbols.at(address).map_or_else(|| format!("#{address:#x}"), |name| format!("#{name}"))
    }

    /// The helper or kernel function that is called. Calls that the kernel has bound are by address, others by number.
    fn callee(&self, insn: Insn) -> String {
        let by_number = (insn.src.0 == 0)
            .then(|| u32::try_from(insn.imm).ok().and_then(|id| self.profile.helper(HelperId(id))))
            .flatten();
        match by_number {
            Some(helper) => format!("bpf_{}", helper.name),
            None => {
                let address = self.address(insn.imm);
                self.symbols.at(address).map_or_else(|| format!("{address:#x}"), str::to_owned)
            }
        }
    }

    /// What a call by distance calls.
    fn address(&self, distance: i32) -> u64 {
        self.symbols.call_base().wrapping_add_signed(distance.into())
    }
}

//! The few instructions that refer to something.

use alveary_isa::Insn;

pub(crate) const LD_IMM64: u8 = 0x18;
pub(crate) const CALL: u8 = 0x85;
pub(crate) const BPF_PSEUDO_CALL: u8 = 1;
pub(crate) const BPF_PSEUDO_KFUNC_CALL: u8 = 2;
pub(crate) const BPF_PSEUDO_BTF_ID: u8 = 3;
pub(crate) const BPF_PSEUDO_FUNC: u8 = 4;
pub(crate) const BPF_PSEUDO_MAP_IDX: u8 = 5;
pub(crate) const BPF_PSEUDO_MAP_IDX_VALUE: u8 = 6;

/// Instructions by their first slot.
pub(crate) fn heads(insns: &[Insn]) -> impl Iterator<Item = (u32, &Insn)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let at = next;
        let insn = insns.get(at)?;
        next += if insn.op == LD_IMM64 { 2 } else { 1 };
        Some((at as u32, insn))
    })
}

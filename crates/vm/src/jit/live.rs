//! Which registers and stack words a function may still read, where its nodes begin. Knows nothing of Cranelift.

use super::budget::Budget;
use super::frame::{Frame, access};
use super::graph::{End, Graph};
use super::plan::Plan;
use alveary_isa::{Inst, Operand, Reg};

/// Registers (from the lowest bit on) and stack words that are registers, of one activation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places(u128);

/// The bit of the first word.
const WORDS: usize = 16;
/// The last bit stands for all words that have none of their own: they are always live.
const REST: u32 = 127;
/// r0–r5: all activations have the same.
const SHARED: u128 = 0b11_1111;

impl Places {
    pub(super) fn of(reg: Reg) -> Places {
        Places(1 << reg.0)
    }

    pub(super) fn of_word(number: usize) -> Places {
        Places(1 << ((WORDS + number) as u32).min(REST))
    }

    /// Of registers as [`Plan::registers`] gives them.
    fn of_bits(bits: u16) -> Places {
        Places(bits.into())
    }

    pub(super) fn has(self, other: Places) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn with(self, other: Places) -> Places {
        Places(self.0 | other.0)
    }

    pub(super) fn without(self, other: Places) -> Places {
        Places(self.0 & !(other.0 & !(1 << REST)))
    }
}

/// What is live where each node begins; more than that may be said to be, of what takes too long to look at all of it.
pub(super) fn live(plan: &Plan<'_>, graph: &Graph, order: &[usize]) -> Vec<Places> {
    let mut budget = Budget::of(order.len());
    let mut begin = vec![Places::default(); graph.nodes.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for &node in order.iter().rev() {
            let at = &graph.nodes[node];
            if !budget.take(1 + at.body.len()) {
                return vec![Places(u128::MAX); graph.nodes.len()];
            }
            let mut now = end_reads(&at.end).with(Places(1 << REST));
            for to in at.end.ways() {
                now = now.with(if graph.nodes[to].activation == at.activation && !graph.nodes[to].begins {
                    begin[to]
                } else {
                    // What this activation has of its own, it has again later.
                    Places(begin[to].0 & SHARED | !SHARED)
                });
            }
            for (slot, inst) in plan.insts_at(at.body.clone()).rev() {
                let (reads, writes) = touched(plan, graph, at.activation, slot, &inst);
                now = now.without(writes).with(reads);
            }
            changed |= begin[node] != now;
            begin[node] = now;
        }
    }
    begin
}

/// What an instruction reads, and what it writes.
pub(super) fn touched(plan: &Plan<'_>, graph: &Graph, activation: usize, slot: u32, inst: &Inst) -> (Places, Places) {
    let (reads, writes) = plan.registers(slot, inst);
    let (reads, writes) = (Places::of_bits(reads), Places::of_bits(writes));
    let Frame::Own { registers, .. } = &plan.functions[graph.activations[activation]].frame else {
        return (reads, writes);
    };
    match access(inst).and_then(|(place, is_read)| Some((Places::of_word(*registers.get(&place)?), is_read))) {
        Some((word, true)) => (reads.with(word), writes),
        Some((word, false)) => (reads, writes.with(word)),
        None => (reads, writes),
    }
}

fn end_reads(end: &End) -> Places {
    let reg = Places::of;
    match end {
        End::Branch { test, .. } => match test.src {
            Operand::Reg(src) => reg(test.dst).with(reg(src)),
            Operand::Imm(_) => reg(test.dst),
        },
        End::Switch { reg: by, .. } => reg(*by),
        End::Guard { guard, .. } => {
            guard.rises.regs.iter().chain(&guard.end.regs).fold(Places::default(), |all, &by| all.with(reg(by)))
        }
        End::Same { stretches, .. } => {
            stretches.iter().flat_map(|sum| &sum.regs).fold(Places::default(), |all, &by| all.with(reg(by)))
        }
        End::Return => reg(Reg::R0),
        End::Jump(_) | End::MayGoto { .. } => Places::default(),
    }
}

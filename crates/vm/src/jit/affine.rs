//! Registers as sums: what a register is in the middle of a round of a loop, as registers at its beginning and a
//! constant. All arithmetic is modulo 2⁶⁴, as the program's is. Knows nothing of Cranelift.

use super::graph::{Graph, Runs};
use super::loops::{Loop, Loops};
use super::plan::Plan;
use super::trips::{only_step, writes};
use alveary_isa::{AluOp, Inst, Operand, Reg, Wide};

/// Registers, added up, and a constant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) regs: Vec<Reg>,
    pub(super) off: i64,
}

/// More registers than this in a sum are not followed.
const MOST: usize = 3;

impl Sum {
    fn constant(off: i64) -> Sum {
        Sum { regs: Vec::new(), off }
    }

    fn plus(&self, other: &Sum) -> Option<Sum> {
        let regs: Vec<Reg> = self.regs.iter().chain(&other.regs).copied().collect();
        (regs.len() <= MOST).then(|| Sum { regs, off: self.off.wrapping_add(other.off) })
    }
}

/// Registers r0–r10 at some place in a loop's round; nothing of one that is no such sum.
pub(super) struct Registers([Option<Sum>; 11]);

impl Registers {
    /// What registers are at the end of `node`, of a round of `which`; nothing if there is more than one way there from
    /// the loop's head, or if a function that was made part of this one stands on it.
    pub(super) fn at_end(
        plan: &Plan<'_>,
        graph: &Graph,
        loops: &Loops,
        which: &Loop,
        node: usize,
    ) -> Option<Registers> {
        Registers::before(plan, graph, loops, which, node, u32::MAX)
    }

    /// What they are there, before an instruction of that node.
    pub(super) fn before(
        plan: &Plan<'_>,
        graph: &Graph,
        loops: &Loops,
        which: &Loop,
        node: usize,
        upto: u32,
    ) -> Option<Registers> {
        let mut path = vec![node];
        let mut at = node;
        while at != which.head {
            let [before] = loops.before[at][..] else { return None };
            path.push(before);
            at = before;
        }
        let mut registers = Registers(std::array::from_fn(|reg| Some(Sum { regs: vec![Reg(reg as u8)], off: 0 })));
        for &at in path.iter().rev() {
            let is_plain = matches!(graph.nodes[at].runs, Runs::OneByOne);
            if !is_plain || graph.nodes[at].activation != graph.nodes[which.head].activation {
                return None;
            }
            let insts = plan.insts_at(graph.nodes[at].body.clone());
            for (slot, inst) in insts.take_while(|(slot, _)| at != node || *slot < upto) {
                registers.step(plan, slot, inst);
            }
        }
        Some(registers)
    }

    fn step(&mut self, plan: &Plan<'_>, slot: u32, inst: Inst) {
        let result = match inst {
            Inst::Alu { wide: Wide::W64, op, dst, src } => {
                let right = self.operand(src);
                let sum = match (op, self.get(dst), right) {
                    (AluOp::Mov, _, right) => right,
                    (AluOp::Add, Some(left), Some(right)) => left.plus(&right),
                    (AluOp::Sub, Some(left), Some(Sum { regs, off })) if regs.is_empty() => {
                        left.plus(&Sum::constant(off.wrapping_neg()))
                    }
                    _ => None,
                };
                Some((dst, sum))
            }
            _ => None,
        };
        let written = plan.registers(slot, &inst).1;
        for reg in (0..11).filter(|reg| written & 1 << reg != 0) {
            self.0[reg] = None;
        }
        if let Some((dst, sum)) = result
            && let Some(place) = self.0.get_mut(usize::from(dst.0))
        {
            *place = sum;
        }
    }

    pub(super) fn operand(&self, src: Operand) -> Option<Sum> {
        match src {
            Operand::Reg(reg) => self.get(reg),
            Operand::Imm(imm) => Some(Sum::constant(imm.into())),
        }
    }

    pub(super) fn get(&self, reg: Reg) -> Option<Sum> {
        self.0.get(usize::from(reg.0)).cloned().flatten()
    }
}

/// By how much a sum of registers at a loop's head changes in each round; nothing if it is not always the same.
pub(super) fn change(plan: &Plan<'_>, graph: &Graph, loops: &Loops, which: &Loop, sum: &Sum) -> Option<i64> {
    let [latch] = which.latches[..] else { return None };
    if !which.nodes.iter().all(|&node| matches!(graph.nodes[node].runs, Runs::OneByOne)) {
        return None;
    }
    let activation = graph.nodes[which.head].activation;
    let mut change = 0_i64;
    for &reg in &sum.regs {
        if which.nodes.iter().all(|&node| writes(plan, graph, node, reg, activation).next().is_none()) {
            continue;
        }
        let (at, step) = only_step(plan, graph, which, reg, activation)?;
        let narrow =
            writes(plan, graph, at, reg, activation).any(|(_, inst)| matches!(inst, Inst::Alu { wide: Wide::W32, .. }));
        if narrow || !loops.dominates(at, latch) || !loops.is_once(which, at) {
            return None;
        }
        change = change.checked_add(step)?;
    }
    Some(change)
}

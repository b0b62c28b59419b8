//! A comparison whose outcome is known of one of the ways to it is not made on that way: what stands in front of it gets a
//! copy there, which goes on where the comparison would have led to. Compilers for eBPF, which has no selections, ask the
//! same again for each value that depends on it, and ask numbers that are 0 or 1 by the way that was come.
//!
//! Sound because a way is only changed where the comparison can be made here: its registers are constants that were written
//! on that way, or it was made before on that way, of registers that nothing has written since.

use crate::arith::{cmp32, cmp64};
use crate::jit::graph::{End, Graph, Node, Runs, Test};
use crate::jit::loops::Loops;
use crate::jit::plan::Plan;
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Wide};

/// Instructions in front of a comparison that are copied.
const MOST: usize = 4;
/// Ways that are changed in one function.
const MOST_WAYS: usize = 128;
/// Nodes that are looked back at.
const MOST_BACK: usize = 4;

pub(super) fn run(plan: &Plan<'_>, graph: &mut Graph) {
    let loops = Loops::of(graph);
    let mut is_head = vec![false; graph.nodes.len()];
    loops.loops.iter().for_each(|around| is_head[around.head] = true);
    let mut left = MOST_WAYS;
    for &node in &loops.order {
        let End::Branch { test, taken, next } = graph.nodes[node].end else { continue };
        if node == 0 || taken == next || is_head[node] || !may_be_copied(plan, &graph.nodes[node]) {
            continue;
        }
        // Nodes that were added are no ways that `loops` knows: what they lead to is asked as it is.
        for &from in &loops.before[node] {
            let ways = graph.nodes[from].end.ways().filter(|&way| way == node).count();
            let is_plain = matches!(graph.nodes[from].end, End::Jump(_) | End::Branch { .. });
            // It may have been changed already.
            if ways != 1 || !is_plain || graph.nodes[from].activation != graph.nodes[node].activation || left == 0 {
                continue;
            }
            let Some(outcome) = known(plan, graph, &loops, node, from, test) else { continue };
            left -= 1;
            let to = if outcome { taken } else { next };
            let way = if graph.nodes[node].body.is_empty() { to } else { graph.nodes.len() };
            if way != to {
                let copy = Node { end: End::Jump(to), ..graph.nodes[node].clone() };
                graph.nodes.push(copy);
            }
            graph.nodes[from].end.redirect(node, way);
            // Both ways to one node are none that depend on anything.
            if let End::Branch { taken, next, .. } = graph.nodes[from].end
                && taken == next
            {
                graph.nodes[from].end = End::Jump(next);
            }
        }
    }
}

fn may_be_copied(plan: &Plan<'_>, node: &Node) -> bool {
    let calls = |inst: &Inst| matches!(inst, Inst::CallHelper { .. } | Inst::CallLocal { .. } | Inst::CallX { .. });
    let mut insts = plan.insts_at(node.body.clone());
    matches!(node.runs, Runs::OneByOne)
        && !node.begins
        && node.body.len() <= MOST
        && !insts.any(|(_, inst)| calls(&inst))
}

/// What a test at the end of `node` says when control came from `from`.
fn known(plan: &Plan<'_>, graph: &Graph, loops: &Loops, node: usize, from: usize, test: Test) -> Option<bool> {
    let registers = [Some(test.dst), if let Operand::Reg(reg) = test.src { Some(reg) } else { None }];
    let mut numbers = [None, if let Operand::Imm(imm) = test.src { Some(i64::from(imm) as u64) } else { None }];
    // Whether the registers still are at the end of `node` what they were here.
    let mut kept = [true; 2];
    let (mut at, mut behind) = (node, node);
    for back in 0..=MOST_BACK {
        if back > 0 {
            // How it was left for `behind`.
            if let End::Branch { test: earlier, taken, next } = graph.nodes[at].end
                && taken != next
            {
                let holds = taken == behind;
                if kept == [true; 2]
                    && numbers[0].is_none()
                    && let Some(outcome) = follows(earlier, holds, test)
                {
                    return Some(outcome);
                }
                let equal = if holds { CmpOp::Eq } else { CmpOp::Ne };
                let number = constant_of(earlier).filter(|_| earlier.op == equal && earlier.wide == Wide::W64);
                for (number_of, (reg, kept)) in numbers.iter_mut().zip(registers.iter().zip(kept)) {
                    if kept && number_of.is_none() && *reg == Some(earlier.dst) {
                        *number_of = number;
                    }
                }
            }
        }
        for (number, (reg, kept)) in numbers.iter_mut().zip(registers.iter().zip(&mut kept)) {
            let Some(reg) = reg.filter(|_| *kept) else { continue };
            let mut insts = plan.insts_at(graph.nodes[at].body.clone()).rev();
            let write = insts.find(|(slot, inst)| plan.registers(*slot, inst).1 & 1 << reg.0 != 0);
            if let Some((_, inst)) = write {
                *kept = false;
                *number = number.or(moved(inst));
                // What else was written cannot be known any more.
                number.as_ref()?;
            }
        }
        if let [Some(x), Some(y)] = numbers {
            return Some(if test.wide == Wide::W32 { cmp32(test.op, x, y) } else { cmp64(test.op, x, y) });
        }
        if kept == [false; 2] {
            return None;
        }
        let next = match (back, &loops.before[at][..]) {
            (0, _) => from,
            // Where a function that is part of this one begins, registers are others.
            (_, &[one]) if at != 0 && !graph.nodes[at].begins => one,
            _ => return None,
        };
        let same = graph.nodes[next].activation == graph.nodes[node].activation;
        if !same || !matches!(graph.nodes[next].runs, Runs::OneByOne) {
            return None;
        }
        // Changed since ways were counted.
        if graph.nodes[next].end.ways().filter(|&way| way == at).count() != 1 {
            return None;
        }
        (behind, at) = (at, next);
    }
    None
}

/// What an instruction leaves in the register that it writes, if that is a constant.
fn moved(inst: Inst) -> Option<u64> {
    match inst {
        Inst::Alu { op: AluOp::Mov, wide: Wide::W64, src: Operand::Imm(imm), .. } => Some(i64::from(imm) as u64),
        Inst::Alu { op: AluOp::Mov, wide: Wide::W32, src: Operand::Imm(imm), .. } => Some(u64::from(imm as u32)),
        _ => None,
    }
}

fn constant_of(test: Test) -> Option<u64> {
    if let Operand::Imm(imm) = test.src { Some(i64::from(imm) as u64) } else { None }
}

/// Whether a test holds where an earlier one of the same does or does not; nothing if that does not say it.
fn follows(earlier: Test, holds: bool, test: Test) -> Option<bool> {
    if (earlier.wide, earlier.dst, earlier.src) != (test.wide, test.dst, test.src) {
        return None;
    }
    if earlier.op == test.op {
        return Some(holds);
    }
    (earlier.negated() == Some(test)).then_some(!holds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alveary_isa::Reg;

    #[test]
    fn what_follows_of_a_test_is_what_both_say_of_each_number() {
        use CmpOp::{Eq, Ge, Gt, Le, Lt, Ne, SGe, SGt, SLe, SLt, Set};
        let numbers = [0, 1, 5, 6, 7, u64::MAX, 1 << 63, (1 << 63) - 1];
        let test = |op| Test { wide: Wide::W64, op, dst: Reg(1), src: Operand::Imm(6) };
        for one in [Eq, Ne, Gt, Ge, Lt, Le, SGt, SGe, SLt, SLe, Set] {
            for other in [Eq, Ne, Gt, Ge, Lt, Le, SGt, SGe, SLt, SLe, Set] {
                for x in numbers {
                    let (holds, then) = (cmp64(one, x, 6), cmp64(other, x, 6));
                    assert!(
                        follows(test(one), holds, test(other)).is_none_or(|said| said == then),
                        "{one:?} {other:?}"
                    );
                }
            }
        }
    }
}

//! A loop that counts until its register is another number is asked whether it is below that one, or above. Asked for
//! equality, the code generator compares what the register was before it changed, and so keeps both in machine
//! registers.
//!
//! Sound because the register begins as a constant, and comes to the end in steps that do not pass it (`trips`): until
//! then it is below, or above. Or because the verifier knows the range of the number that is compared, and that the end
//! is the largest number of it, or the smallest: another one is below, or above.

use crate::jit::graph::{End, Graph, Test};
use crate::jit::loops::Loops;
use crate::jit::plan::Plan;
use crate::jit::trips::{count, writes};
use alveary_isa::{CmpOp, Operand, Wide};

pub(super) fn run(plan: &Plan<'_>, graph: &mut Graph) {
    let loops = Loops::of(graph);
    for around in &loops.loops {
        if let Some(count) = count(plan, graph, &loops, around)
            && count.test.op == CmpOp::Ne
        {
            let test = Test { op: count.goes_on(), ..count.test };
            graph.nodes[count.latch].end = End::Branch { test, taken: around.head, next: count.exit };
            continue;
        }
        for &latch in &around.latches {
            if let End::Branch { test, taken, next } = graph.nodes[latch].end
                && let Some(op) = by_range(plan, graph, latch, test)
            {
                graph.nodes[latch].end = End::Branch { test: Test { op, ..test }, taken, next };
            }
        }
    }
}

/// What asks the same at the end of a node, if the range of the register says that.
fn by_range(plan: &Plan<'_>, graph: &Graph, node: usize, test: Test) -> Option<CmpOp> {
    let Operand::Imm(end) = test.src else { return None };
    let (slot, _) = writes(plan, graph, node, test.dst, graph.nodes[node].activation).next_back()?;
    let (least, most) = plan.known(slot).range;
    let end = match test.wide {
        Wide::W64 => i64::from(end) as u64,
        Wide::W32 if most <= u32::MAX.into() => u64::from(end as u32),
        Wide::W32 => return None,
    };
    let most_signed = if test.wide == Wide::W64 { i64::MAX as u64 } else { i32::MAX as u64 };
    match test.op {
        // To be at most zero is to be zero for the code generator, too, unless it is asked with a sign.
        CmpOp::Ne if end == 0 && most <= most_signed => Some(CmpOp::SGt),
        CmpOp::Eq if end == 0 && most <= most_signed => Some(CmpOp::SLe),
        _ if end == 0 => None,
        CmpOp::Ne if end == most => Some(CmpOp::Lt),
        CmpOp::Eq if end == most => Some(CmpOp::Ge),
        CmpOp::Ne if end == least => Some(CmpOp::Gt),
        CmpOp::Eq if end == least => Some(CmpOp::Le),
        _ => None,
    }
}

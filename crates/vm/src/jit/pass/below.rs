//! A loop that counts up until its register is another number is asked whether it is below that one. Asked for
//! inequality, the code generator compares what the register was before it went up, and so keeps both in machine
//! registers.
//!
//! Sound because the register begins below the end, as a constant, and comes to it in steps that do not pass it
//! (`trips`): until then it is below, by unsigned comparison, too.

use crate::jit::graph::{End, Graph, Test};
use crate::jit::loops::Loops;
use crate::jit::plan::Plan;
use crate::jit::trips::count;
use alveary_isa::CmpOp;

pub(super) fn run(plan: &Plan<'_>, graph: &mut Graph) {
    let loops = Loops::of(graph);
    for around in &loops.loops {
        let Some(count) = count(plan, graph, &loops, around) else { continue };
        if count.test.op == CmpOp::Ne && count.step > 0 && count.first >= 0 {
            let test = Test { op: CmpOp::Lt, ..count.test };
            graph.nodes[count.latch].end = End::Branch { test, taken: around.head, next: count.exit };
        }
    }
}

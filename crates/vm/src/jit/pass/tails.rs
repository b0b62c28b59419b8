//! Where many ways of a loop lead to its last test, each has a test of its own, which goes back to the loop's head at
//! once: what a case of a `switch` in a loop jumps to would only jump again.
//!
//! Sound because a copy does what the original does, for those that came that way.

use crate::jit::graph::{End, Graph, Runs};
use crate::jit::loops::Loops;
use crate::jit::plan::Plan;
use alveary_isa::Inst;

/// Fewer ways go on as they are: the jump that is spared is foreseen well enough.
const LEAST: usize = 4;
/// Ways to one test.
const MOST: usize = 64;
/// Instructions in front of the test.
const MOST_INSTS: usize = 4;
/// Copies in one function.
const MOST_COPIES: usize = 256;

pub(super) fn run(plan: &Plan<'_>, graph: &mut Graph) {
    let loops = Loops::of(graph);
    let mut left = MOST_COPIES;
    for around in &loops.loops {
        let [latch] = around.latches[..] else { continue };
        if latch == around.head || !may_be_copied(plan, graph, latch) {
            continue;
        }
        let jumps = |from: &usize| matches!(graph.nodes[*from].end, End::Jump(_)) && !graph.nodes[*from].cold;
        let sources: Vec<usize> = loops.before[latch].iter().copied().filter(jumps).collect();
        if !(LEAST..=MOST).contains(&sources.len()) || sources.len() > left {
            continue;
        }
        left -= sources.len();
        // Who comes otherwise keeps the test; where nobody does, one of these.
        let keeps_one = usize::from(sources.len() == loops.before[latch].len());
        for source in sources.into_iter().skip(keeps_one) {
            let copy = graph.copy(&[latch]);
            graph.nodes[source].end.redirect(latch, copy);
        }
    }
}

fn may_be_copied(plan: &Plan<'_>, graph: &Graph, node: usize) -> bool {
    let calls = |inst: Inst| matches!(inst, Inst::CallHelper { .. } | Inst::CallLocal { .. } | Inst::CallX { .. });
    let node = &graph.nodes[node];
    matches!(node.end, End::Branch { .. })
        && matches!(node.runs, Runs::OneByOne)
        && !node.begins
        && plan.insts_at(node.body.clone()).count() <= MOST_INSTS
        && !plan.insts_at(node.body.clone()).any(|(_, inst)| calls(inst))
}

//! Small functions are made part of those that call them: no call, no registers saved, and what is known of arguments
//! is known inside.
//!
//! Sound because such a function is seen by nobody else: it has no frame that others could ask for or count, calls
//! nothing, and cannot stop. It has registers r6–r9 and stack words of its own; it leaves something in r1–r5, which a
//! proven program does not read behind a call.

use crate::jit::frame::Frame;
use crate::jit::graph::{End, Graph, Node};
use crate::jit::plan::Plan;
use alveary_isa::Inst;

/// A function of at most so many instructions is small.
const SMALL: usize = 40;
/// Instructions that a function may grow by.
const GROWTH: usize = 2_000;

pub(super) fn run(plan: &Plan<'_>, graph: &mut Graph) {
    let mut room = GROWTH;
    for node in 0..graph.nodes.len() {
        let mut at = node;
        while let Some((slot, callee, size)) = small_call(plan, graph, at).filter(|&(.., size)| size <= room) {
            room -= size;
            at = inline(plan, graph, at, slot, callee);
        }
    }
}

/// The first call of a small function in a node: its slot, the function, the function's instructions.
fn small_call(plan: &Plan<'_>, graph: &Graph, node: usize) -> Option<(u32, usize, usize)> {
    plan.insts_at(graph.nodes[node].body.clone()).find_map(|(slot, inst)| match inst {
        Inst::CallLocal { rel } => {
            let callee = plan.callee(slot, rel);
            small(plan, callee).map(|size| (slot, callee, size))
        }
        _ => None,
    })
}

/// How many instructions a function has, if it can be made part of another one.
fn small(plan: &Plan<'_>, number: usize) -> Option<usize> {
    let function = &plan.functions[number];
    // What its nodes take of the fuel, they take in its caller, too.
    let stops = function.stops && !function.only_pays;
    if function.counted || stops || !matches!(function.frame, Frame::Own { size: 0, .. }) {
        return None;
    }
    let insts = || function.blocks.iter().flat_map(|&block| plan.insts_of_block(block));
    let calls = insts().any(|(_, inst)| matches!(inst, Inst::CallLocal { .. } | Inst::MayGoto { .. }));
    let size = insts().count();
    (!calls && size <= SMALL).then_some(size)
}

/// Puts a function in the place of its call; what follows the call is another node then, which is given back.
fn inline(plan: &Plan<'_>, graph: &mut Graph, node: usize, slot: u32, callee: usize) -> usize {
    let mut behind = graph.nodes[node].clone();
    (behind.body.start, behind.begins) = (slot + 1, false);
    let after = graph.nodes.len();
    graph.nodes.push(behind);
    let activation = graph.activations.len();
    graph.activations.push(callee);
    // It begins in a node of its own, which is come to once for each call: its first block may be where a loop comes back to.
    let begin = Node { end: End::Jump(after + 2), activation, begins: true, ..graph.nodes[after].clone() };
    graph.nodes.push(Node { body: slot + 1..slot + 1, last: slot, holds: None, ..begin });
    let first = graph.add_function(plan, callee, activation, Some(after));
    debug_assert_eq!(first, after + 2);
    let before = &mut graph.nodes[node];
    (before.body.end, before.last) = (slot, slot);
    before.end = End::Jump(after + 1);
    after
}

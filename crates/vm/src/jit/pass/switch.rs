//! A large tree of comparisons of one register with constants becomes a jump by a table.
//!
//! Sound because a comparison does nothing but choose: for each number that the register may hold, the tree is walked
//! here. Numbers beyond the table either cannot occur (the last write of the register leaves no bits for them, or the
//! verifier knows its range), or are larger than all constants and compared without sign, so that all go the same way.

use crate::arith::{cmp32, cmp64};
use crate::jit::budget::Budget;
use crate::jit::graph::{End, Graph, Runs, Test};
use crate::jit::plan::Plan;
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Reg, Wide};
use std::collections::HashSet;

/// Fewer comparisons stay what they are: a jump by a table takes half of their time where nothing can be foreseen, but
/// twice that of 15 comparisons, and of 31, where the same numbers come in turn.
const LEAST: usize = 24;
/// Entries of a table.
const MOST: u64 = 256;
/// Entries of a table for each time that neighbours lead elsewhere: where that is seldom, a few comparisons are foreseen
/// better.
const MOST_FOR_EACH: usize = 4;
/// Comparisons of a tree: one for each entry of a table, and as many in between.
const MOST_TESTS: usize = 2 * MOST as usize;

pub(super) fn run(plan: &Plan<'_>, graph: &mut Graph) {
    let mut budget = Budget::of(graph.nodes.len());
    // In reverse, a tree's root would come after its parts; parts of a table that was made are not reached any more.
    let mut covered = vec![false; graph.nodes.len()];
    for node in graph.order() {
        if covered[node] {
            continue;
        }
        if let Some((end, tree)) = switch(plan, graph, node, &mut budget) {
            tree.into_iter().for_each(|part| covered[part] = true);
            graph.nodes[node].end = end;
        }
    }
}

/// The jump by table that the tree below a node is, and the nodes of that tree.
fn switch(plan: &Plan<'_>, graph: &Graph, root: usize, budget: &mut Budget) -> Option<(End, HashSet<usize>)> {
    let End::Branch { test: Test { wide, dst, .. }, .. } = graph.nodes[root].end else { return None };
    let tree = tree(graph, root, wide, dst, budget)?;
    if tree.len() < LEAST {
        return None;
    }
    let tests = || tree.iter().filter_map(|&node| constant(graph, node));
    let known = known_most(plan, graph, root, dst).filter(|&most| most < MOST);
    let most = match known {
        Some(most) => most,
        None => {
            let unsigned = |op| !matches!(op, CmpOp::SGt | CmpOp::SGe | CmpOp::SLt | CmpOp::SLe | CmpOp::Set);
            let largest = tests().map(|(_, constant)| constant).max()?;
            if !tests().all(|(op, constant)| unsigned(op) && constant >= 0) || largest as u64 + 1 >= MOST {
                return None;
            }
            largest as u64 + 1
        }
    };
    let ways: Option<Vec<usize>> = (0..=most).map(|number| walk(graph, &tree, root, number, budget)).collect();
    let mut ways = ways?;
    let otherwise = ways.pop()?;
    // What goes one way nearly always is found sooner by comparing.
    let cases = ways.iter().filter(|&&way| way != otherwise).count();
    let changes: Vec<usize> = (1..ways.len()).filter(|&at| ways[at] != ways[at - 1]).collect();
    let is_dense = changes.last().is_some_and(|&last| last <= changes.len() * MOST_FOR_EACH);
    (cases >= LEAST - 1 && is_dense)
        .then_some((End::Switch { reg: dst, narrow: known.is_some() || wide == Wide::W32, ways, otherwise }, tree))
}

/// The nodes from `root` on that do nothing but compare this register with a constant; nothing if they are more than a
/// table is made of.
fn tree(graph: &Graph, root: usize, wide: Wide, reg: Reg, budget: &mut Budget) -> Option<HashSet<usize>> {
    constant(graph, root)?;
    let (mut tree, mut todo) = (HashSet::from([root]), vec![root]);
    while let Some(node) = todo.pop() {
        if tree.len() > MOST_TESTS || !budget.take(1) {
            return None;
        }
        for to in graph.nodes[node].end.ways() {
            let at = &graph.nodes[to];
            let compares = matches!(at.end, End::Branch { test, .. } if test.wide == wide && test.dst == reg);
            let same = at.activation == graph.nodes[root].activation && !at.begins && matches!(at.runs, Runs::OneByOne);
            if compares && same && at.body.is_empty() && constant(graph, to).is_some() && tree.insert(to) {
                todo.push(to);
            }
        }
    }
    Some(tree)
}

/// What a node compares with.
fn constant(graph: &Graph, node: usize) -> Option<(CmpOp, i32)> {
    match graph.nodes[node].end {
        End::Branch { test: Test { op, src: Operand::Imm(constant), .. }, .. } => Some((op, constant)),
        _ => None,
    }
}

/// Where the tree leads for a number; nothing if it leads in circles.
fn walk(graph: &Graph, tree: &HashSet<usize>, root: usize, number: u64, budget: &mut Budget) -> Option<usize> {
    let mut node = root;
    for _ in 0..=tree.len() {
        if !budget.take(1) {
            return None;
        }
        let End::Branch { test, taken, next } = graph.nodes[node].end else { return None };
        let Operand::Imm(constant) = test.src else { return None };
        let compare = if test.wide == Wide::W32 { cmp32 } else { cmp64 };
        node = if compare(test.op, number, i64::from(constant) as u64) { taken } else { next };
        if !tree.contains(&node) || node == root {
            return (node != root).then_some(node);
        }
    }
    None
}

/// The most that a register can hold at the end of a node, if the node writes it.
fn known_most(plan: &Plan<'_>, graph: &Graph, node: usize, reg: Reg) -> Option<u64> {
    let insts = plan.insts_at(graph.nodes[node].body.clone());
    let (slot, inst) = insts.rev().find(|(slot, inst)| plan.registers(*slot, inst).1 & 1 << reg.0 != 0)?;
    let most = match inst {
        Inst::Alu { op: AluOp::And, src: Operand::Imm(mask @ 0..), .. } => mask as u64,
        Inst::Load { width, signed: false, .. } => u64::MAX >> (64 - 8 * width.bytes()),
        _ => u64::MAX,
    };
    Some(most.min(plan.known(slot).range.1))
}

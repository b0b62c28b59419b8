//! Loops that run a known number of rounds: up to eight small ones stand one behind the other, without a loop. Of longer
//! loops that are very small, several rounds do, with one test behind them.
//!
//! Sound because the number of rounds is known ([`crate::jit::trips`]): the test that ends the loop is left out only
//! where it is known to go on. Everything else that may leave the loop stays in every copy.

use crate::jit::graph::{End, Graph};
use crate::jit::loops::{Loop, Loops};
use crate::jit::plan::Plan;
use crate::jit::trips::{Count, count};

/// How many rounds may stand one behind the other.
pub(super) const FACTORS: [usize; 3] = [8, 4, 2];
/// Instructions of a loop that goes away.
const MOST: usize = 128;
/// Instructions of a loop that is copied but stays one.
const MOST_LONG: usize = 32;

pub(super) fn run(plan: &Plan<'_>, graph: &mut Graph) {
    each_innermost(graph, |graph, loops, around| {
        if around.nodes.iter().any(|&node| graph.nodes[node].cold) {
            return false;
        }
        let Some(count) = count(plan, graph, loops, around) else { return false };
        let size = insts(plan, graph, around);
        let fits = |factor: &usize| factor * size <= MOST_LONG && *factor as u64 * 2 <= count.rounds;
        let factor = match count.rounds {
            rounds @ 1..=8 if rounds as usize * size <= MOST => Some(rounds as usize),
            _ => FACTORS.into_iter().find(fits),
        };
        let Some(factor) = factor else { return false };
        let entries: Vec<usize> = loops.entries(around).collect();
        let copies = Copies::of(graph, around, factor);
        let first = copies.of_node(0, around.head);
        copies.chain(graph, around, Some(&count), first);
        for entry in entries {
            graph.nodes[entry].end.redirect(around.head, first);
        }
        true
    });
}

/// Loops of a function that are looked at: of programs that have more, the others stay as they are.
const MOST_LOOPS: usize = 64;

/// Shows each loop that has none inside, of those that are there now; it is told whether the graph has changed.
pub(super) fn each_innermost(graph: &mut Graph, mut change: impl FnMut(&mut Graph, &Loops, &Loop) -> bool) {
    let nodes = graph.nodes.len();
    let mut loops = Loops::of(graph);
    let heads = loops.loops.iter().filter(|around| !around.is_outer).map(|around| around.head);
    for head in heads.take(MOST_LOOPS).collect::<Vec<usize>>() {
        let found = loops.loops.iter().find(|around| around.head == head && head < nodes);
        if found.is_some_and(|around| change(graph, &loops, around)) {
            loops = Loops::of(graph);
        }
    }
}

/// How many instructions a loop has.
pub(super) fn insts(plan: &Plan<'_>, graph: &Graph, around: &Loop) -> usize {
    around.nodes.iter().map(|&node| plan.insts_at(graph.nodes[node].body.clone()).count() + 1).sum()
}

/// Copies of a loop's nodes.
pub(super) struct Copies {
    first: usize,
    factor: usize,
    nodes: Vec<usize>,
}

impl Copies {
    pub(super) fn of(graph: &mut Graph, around: &Loop, factor: usize) -> Copies {
        let first = graph.nodes.len();
        for _ in 0..factor {
            graph.copy(&around.nodes);
        }
        Copies { first, factor, nodes: around.nodes.clone() }
    }

    /// The copy of a node of the loop.
    pub(super) fn of_node(&self, copy: usize, node: usize) -> usize {
        let at = self.nodes.iter().position(|&other| other == node);
        self.first + copy * self.nodes.len() + at.unwrap_or(0)
    }

    /// Makes each copy lead to the next one in place of back, and the last one to `again`. If the loop counts, nothing is
    /// asked but by the last one, after which the loop itself runs the rounds that are left.
    pub(super) fn chain(&self, graph: &mut Graph, around: &Loop, count: Option<&Count>, again: usize) {
        for copy in 0..self.factor {
            let back = self.of_node(copy, around.head);
            let is_last = copy + 1 == self.factor;
            let next = if is_last { again } else { self.of_node(copy + 1, around.head) };
            for &latch in &around.latches {
                let latch = self.of_node(copy, latch);
                graph.nodes[latch].end.redirect(back, next);
            }
            let Some(count) = count else { continue };
            graph.nodes[self.of_node(copy, count.latch)].end =
                if is_last { self.last(around, count, again) } else { End::Jump(next) };
        }
    }

    /// How the last copy ends.
    fn last(&self, around: &Loop, count: &Count, again: usize) -> End {
        let factor = self.factor as u64;
        let (whole, rest) = (count.rounds / factor, count.rounds % factor);
        let behind = if rest == 0 { count.exit } else { around.head };
        if whole == 1 {
            return End::Jump(behind);
        }
        End::Branch { test: count.before(whole * factor), taken: again, next: behind }
    }
}

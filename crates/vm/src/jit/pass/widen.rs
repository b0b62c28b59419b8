//! Loops that ask in each round whether they are still inside of something (a packet, most often) ask once for several
//! rounds, which then follow each other without asking. The loop as it was runs what is left, and runs alone where not
//! so many rounds are inside.
//!
//! Sound without any fact of the verifier: what is compared goes up by the same constant in each round, and what it is
//! compared with stays. If it does not wrap between the first and the last of some rounds (which is asked, too), the
//! last one is the largest, so that none of them leaves the loop if that one does not.
//!
//! Where the loop counts as well (`trips`), it is not asked between these rounds whether it has come to its end: they
//! are as many as divide what is left of it.

use super::unroll::{Copies, FACTORS, each_innermost, insts};
use crate::jit::affine::{Registers, Sum, change};
use crate::jit::graph::{End, Graph, Guard, Node, Runs};
use crate::jit::loops::{Loop, Loops};
use crate::jit::plan::Plan;
use crate::jit::trips::count;
use alveary_isa::{CmpOp, Wide};

/// Instructions that the rounds together may have.
const MOST: usize = 128;
/// Instructions that a loop may have that is copied once, without a check that it has.
const MOST_ONCE: usize = 160;

/// A check that some way out of the loop depends on.
pub(super) struct Check {
    pub(super) node: usize,
    /// What goes up, as registers at the loop's head, and by how much in each round.
    rises: Sum,
    change: i64,
    /// What it is compared with.
    end: Sum,
    /// Whether the loop also ends where both are equal.
    strict: bool,
    /// Where the node goes that does not leave.
    pub(super) inside: usize,
}

pub(super) fn run(plan: &Plan<'_>, graph: &mut Graph) {
    each_innermost(graph, |graph, loops, around| {
        let check = |&node: &usize| check(plan, graph, loops, around, node);
        let checks: Vec<Check> = around.nodes.iter().filter_map(check).collect();
        around.head != 0 && !checks.is_empty() && widen(plan, graph, loops, around, &checks)
    });
}

pub(super) fn check(plan: &Plan<'_>, graph: &Graph, loops: &Loops, around: &Loop, node: usize) -> Option<Check> {
    let End::Branch { test, taken, next } = graph.nodes[node].end else { return None };
    let (out, inside) = match (loops.contains(around, taken), loops.contains(around, next)) {
        (false, true) => (test, next),
        (true, false) => (test.negated()?, taken),
        _ => return None,
    };
    let [latch] = around.latches[..] else { return None };
    if test.wide != Wide::W64 || !loops.dominates(node, latch) {
        return None;
    }
    let registers = Registers::at_end(plan, graph, loops, around, node)?;
    let (left, right) = (registers.get(out.dst)?, registers.operand(out.src)?);
    let (rises, end, strict) = match out.op {
        CmpOp::Gt => (left, right, false),
        CmpOp::Ge => (left, right, true),
        CmpOp::Lt => (right, left, false),
        CmpOp::Le => (right, left, true),
        _ => return None,
    };
    let change_of = |sum| change(plan, graph, loops, around, sum);
    let (change, stays) = (change_of(&rises)?, change_of(&end)? == 0);
    let known = rises.regs.is_empty();
    // More would not fit what is added at once.
    ((1..1 << 20).contains(&change) && stays && !known).then_some(Check { node, rises, change, end, strict, inside })
}

/// Whether there is now a loop that asks once for several rounds.
fn widen(plan: &Plan<'_>, graph: &mut Graph, loops: &Loops, around: &Loop, checks: &[Check]) -> bool {
    let size = insts(plan, graph, around);
    let count = count(plan, graph, loops, around).filter(|count| checks.iter().all(|check| check.node != count.latch));
    let rounds = count.map_or(u64::MAX, |count| count.rounds);
    let factor = FACTORS.into_iter().find(|&factor| factor * size <= MOST && factor as u64 * 2 <= rounds);
    // How many rounds are asked for at once, and how many stand one behind the other.
    let (asked, factor) = match (factor, count) {
        (Some(factor), _) => (factor as u64, factor),
        (None, Some(count)) if size <= MOST_ONCE && (8..1 << 20).contains(&count.rounds) => (count.rounds, 1),
        _ => return false,
    };
    let entries: Vec<usize> = loops.entries(around).collect();
    let copies = Copies::of(graph, around, factor);
    for copy in 0..factor {
        for check in checks {
            graph.nodes[copies.of_node(copy, check.node)].end = End::Jump(copies.of_node(copy, check.inside));
        }
    }
    let first = guards(graph, around, checks, asked, copies.of_node(0, around.head));
    let again = if factor == 1 { copies.of_node(0, around.head) } else { first };
    copies.chain(graph, around, count.as_ref(), again);
    for entry in entries {
        graph.nodes[entry].end.redirect(around.head, first);
    }
    for &node in &around.nodes {
        graph.nodes[node].cold |= factor == 1;
    }
    true
}

/// Adds guards that ask for so many rounds: each leads to the next one, the last to `inside`; where one does not hold, the
/// loop is entered as it was. The first of them.
pub(super) fn guards(graph: &mut Graph, around: &Loop, checks: &[Check], asked: u64, inside: usize) -> usize {
    let first = graph.nodes.len();
    for (at, check) in checks.iter().enumerate() {
        let more = (asked - 1) * check.change as u64;
        let guard = Guard { rises: check.rises.clone(), more, end: check.end.clone(), strict: check.strict };
        let yes = if at + 1 == checks.len() { inside } else { first + at + 1 };
        let head = &graph.nodes[around.head];
        let (start, activation) = (head.body.start, head.activation);
        let end = End::Guard { guard: Box::new(guard), yes, no: around.head };
        let node = Node {
            body: start..start,
            last: start,
            end,
            activation,
            begins: false,
            cold: false,
            runs: Runs::OneByOne,
            holds: None,
        };
        graph.nodes.push(node);
    }
    first
}

//! Loops that hold two stretches of the packet against each other, until something differs, compare eight bytes at a time.
//! The loop as it was goes on from the first eight that are not all equal, or where fewer are left.
//!
//! Sound because such a round does nothing but compare: it stores nothing and calls nobody. What goes up by a constant in
//! each round goes up by so many at once; everything else that a round leaves is written again by the next one before
//! anyone reads it. A loop that asks whether it stays inside of something is asked once for all rounds; so what is read
//! before it is known that the round comes to it is still what the verifier has proven for the rounds in which all before
//! was equal. Nobody else has the packet meanwhile, so that it does not matter how many of its bytes are read at once.

use super::unroll::each_innermost;
use super::widen::{Check, check, guards};
use crate::code::Memory;
use crate::jit::affine::{Registers, Sum, change};
use crate::jit::graph::{End, Graph, Node, Runs};
use crate::jit::live::{Places, live};
use crate::jit::loops::{Loop, Loops};
use crate::jit::plan::Plan;
use crate::jit::trips::{Count, count, writes};
use alveary_isa::{CmpOp, Inst, Operand, Reg};

/// Bytes that are compared at once.
const BYTES: u64 = 8;
/// Nodes of a loop that is looked at.
const MOST: usize = 16;

/// The way of a round through a loop.
struct Round {
    /// Nodes, the head first.
    nodes: Vec<usize>,
    checks: Vec<Check>,
    /// What the stretches have in each round, as registers at its beginning, and how much of them.
    one: Sum,
    other: Sum,
    bytes: u64,
}

pub(super) fn run(plan: &Plan<'_>, graph: &mut Graph) {
    // Fuel counts rounds one by one, constants of hidden programs stand nowhere, an arena's addresses may wrap.
    if plan.rules.fuel || plan.rules.key.is_some() || plan.rules.arena.is_some() {
        return;
    }
    each_innermost(graph, |graph, loops, around| {
        let Some(count) = count(plan, graph, loops, around) else { return false };
        let Some(round) = round(plan, graph, loops, around, &count) else { return false };
        let Some(rises) = rises(plan, graph, loops, around, &count, &round) else { return false };
        let at_once = BYTES / round.bytes;
        // The last round is the loop's, which leaves what is read behind it.
        let together = (count.rounds - 1) / at_once * at_once;
        if together < 2 * at_once {
            return false;
        }
        let entries: Vec<usize> = loops.entries(around).collect();
        let first = graph.nodes.len();
        let head = &graph.nodes[around.head];
        let (start, activation) = (head.body.start, head.activation);
        let node = |end: End, runs: Runs| Node {
            body: start..start,
            last: start,
            end,
            activation,
            begins: false,
            cold: false,
            runs,
            holds: None,
        };
        let Round { one, other, checks, .. } = round;
        let same = End::Same { stretches: Box::new([one, other]), yes: first + 1, no: around.head };
        let again = End::Branch { test: count.before(together), taken: first, next: around.head };
        let risen = rises.into_iter().map(|(reg, by)| (reg, by * at_once as i64)).collect();
        let (same, again) = (node(same, Runs::OneByOne), node(again, Runs::Rise(risen)));
        graph.nodes.extend([same, again]);
        let ahead = if checks.is_empty() { first } else { guards(graph, around, &checks, together + 1, first) };
        for entry in entries {
            graph.nodes[entry].end.redirect(around.head, ahead);
        }
        true
    });
}

/// How a round goes, if it is one way that is left by checks, by its end, and by one comparison of what it loads.
fn round(plan: &Plan<'_>, graph: &Graph, loops: &Loops, around: &Loop, count: &Count) -> Option<Round> {
    if around.nodes.len() > MOST {
        return None;
    }
    let (mut nodes, mut checks, mut compared) = (Vec::new(), Vec::new(), None);
    let mut at = around.head;
    loop {
        let node = &graph.nodes[at];
        let same = node.activation == graph.nodes[around.head].activation && !node.begins;
        if !same || !matches!(node.runs, Runs::OneByOne) || !plan.insts_at(node.body.clone()).all(only_computes) {
            return None;
        }
        nodes.push(at);
        if at == count.latch {
            break;
        }
        at = match node.end {
            End::Jump(to) => to,
            End::Branch { .. } if let Some(check) = check(plan, graph, loops, around, at) => {
                let inside = check.inside;
                checks.push(check);
                inside
            }
            End::Branch { test, taken, next } if compared.is_none() => {
                let (out, inside) = if loops.contains(around, taken) { (next, taken) } else { (taken, next) };
                let leaves = if out == taken { CmpOp::Ne } else { CmpOp::Eq };
                let Operand::Reg(src) = test.src else { return None };
                if test.op != leaves || loops.contains(around, out) {
                    return None;
                }
                compared = Some((at, [test.dst, src]));
                inside
            }
            _ => return None,
        };
        if nodes.len() > around.nodes.len() {
            return None;
        }
    }
    let (compares, registers) = compared?;
    let [one, other] = registers.map(|reg| loaded(plan, graph, loops, around, &nodes, compares, reg));
    let ((one, bytes), (other, more)) = (one?, other?);
    let goes_up = |sum| change(plan, graph, loops, around, sum) == Some(bytes as i64);
    let fits = nodes.len() == around.nodes.len() && bytes == more && bytes < BYTES && goes_up(&one) && goes_up(&other);
    fits.then_some(Round { nodes, checks, one, other, bytes })
}

/// Whether an instruction does nothing but compute, or load.
fn only_computes((_, inst): (u32, Inst)) -> bool {
    matches!(
        inst,
        Inst::Alu { .. }
            | Inst::Neg { .. }
            | Inst::Swap { .. }
            | Inst::MovSx { .. }
            | Inst::LoadImm64 { .. }
            | Inst::Load { .. }
    )
}

/// From where a register was loaded that a node compares, and how many bytes.
fn loaded(
    plan: &Plan<'_>,
    graph: &Graph,
    loops: &Loops,
    around: &Loop,
    nodes: &[usize],
    compares: usize,
    reg: Reg,
) -> Option<(Sum, u64)> {
    let upto = nodes.iter().position(|&node| node == compares)?;
    let activation = graph.nodes[compares].activation;
    let last = |&node: &usize| Some((node, writes(plan, graph, node, reg, activation).next_back()?));
    let (node, (slot, inst)) = nodes[..=upto].iter().rev().find_map(last)?;
    let Inst::Load { width, signed: false, src, off, .. } = inst else { return None };
    if plan.known(slot).memory != Memory::Packet {
        return None;
    }
    let mut from = Registers::before(plan, graph, loops, around, node, slot)?.get(src)?;
    from.off = from.off.checked_add(off.into())?;
    (!from.regs.is_empty()).then_some((from, width.bytes() as u64))
}

/// What goes up in each round, if everything else is written before it is read.
fn rises(
    plan: &Plan<'_>,
    graph: &Graph,
    loops: &Loops,
    around: &Loop,
    count: &Count,
    round: &Round,
) -> Option<Vec<(Reg, i64)>> {
    let activation = graph.nodes[around.head].activation;
    let written = |nodes: &[usize], reg: Reg| {
        nodes.iter().any(|&node| writes(plan, graph, node, reg, activation).next().is_some())
    };
    let live = live(plan, graph, &loops.order);
    let mut rises = Vec::new();
    for reg in (0..=Reg::ENV.0).map(Reg).filter(|&reg| written(&round.nodes, reg)) {
        let only = Sum { regs: vec![reg], off: 0 };
        if reg == count.reg {
            rises.push((reg, count.step));
        } else if let Some(by) = change(plan, graph, loops, around, &only) {
            rises.push((reg, by));
        } else if live[around.head].has(Places::of(reg)) {
            // So is what a way out of the round reads that nothing before it writes.
            return None;
        }
    }
    Some(rises)
}

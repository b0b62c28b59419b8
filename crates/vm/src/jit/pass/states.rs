//! Loops in which a register holds one of a few constants, and that ask which one it is, stand once for each of them:
//! machines of states, whose rounds then lead from one state's code to the next one's, and loops that count a few rounds
//! and ask in their middle whether it was the last.
//!
//! Sound because a copy is only come to where the register holds its constant: every way there has written it, or has
//! computed it of the constant that the copy it began in stands for. So comparisons with constants are made here. Where
//! nobody reads the register any more before it is written, no copy is made for what it holds.

use super::unroll::{each_innermost, insts};
use crate::arith::{alu32, alu64, cmp32, cmp64};
use crate::jit::graph::{End, Graph, Runs};
use crate::jit::live::{Places, live};
use crate::jit::loops::{Loop, Loops};
use crate::jit::plan::Plan;
use crate::jit::trips::{constant_after, count, is_own, writes};
use alveary_isa::{AluOp, Inst, Operand, Reg, Wide};
use alveary_sort::Sort;
use std::collections::HashMap;

/// Instructions of a loop that is looked at.
const MOST_ONCE: usize = 160;
/// Instructions of all its copies.
const MOST: usize = 384;
/// Instructions of all copies of all loops of a function.
const GROWTH: usize = 4_096;
/// What the register may hold.
const MOST_NUMBERS: usize = 12;

/// A register of an activation.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    reg: Reg,
    activation: usize,
}

/// A node of the loop, and what the register holds where it begins; nothing, if that is not known or nobody asks.
type Part = (usize, Option<u64>);

/// The loop as it is to be.
#[derive(Default)]
struct Apart {
    /// Its nodes, and what each of them ends with: ways lead to nodes as they were.
    parts: Vec<(Part, End)>,
    /// What the register holds behind each of them.
    behind: Vec<Option<u64>>,
    numbers: HashMap<Part, usize>,
    /// Instructions of all of them.
    size: usize,
}

pub(super) fn run(plan: &Plan<'_>, graph: &mut Graph) {
    // What is live, of the graph when it had so many nodes: passes only add some.
    let mut found: (usize, Vec<Places>) = (0, Vec::new());
    let mut room = GROWTH;
    each_innermost(graph, |graph, loops, around| {
        let runs = |&node: &usize| !graph.nodes[node].cold && matches!(graph.nodes[node].runs, Runs::OneByOne);
        if around.head == 0 || !around.nodes.iter().all(runs) || insts(plan, graph, around) > MOST_ONCE {
            return false;
        }
        let mut states = asked(plan, graph, loops, around);
        // Where `unroll` knows how often a loop runs, it has decided.
        if !states.is_empty()
            && let Some(count) = count(plan, graph, loops, around)
        {
            states.retain(|state| state.reg != count.reg);
        }
        if states.is_empty() {
            return false;
        }
        if found.0 != graph.nodes.len() {
            found = (graph.nodes.len(), live(plan, graph, &loops.order));
        }
        let live = &found.1;
        let apart = states.into_iter().find_map(|state| Some((state, apart(plan, graph, loops, around, live, state)?)));
        apart.filter(|(_, apart)| apart.size <= room).is_some_and(|(state, apart)| {
            room -= apart.size;
            put(plan, graph, loops, around, live, state, apart);
            true
        })
    });
}

/// Registers that the loop compares with constants, and that it writes constants to or adds to, the one first that it
/// asks most often.
fn asked(plan: &Plan<'_>, graph: &Graph, loops: &Loops, around: &Loop) -> Vec<State> {
    let mut states: Vec<(State, usize)> = Vec::new();
    for &node in &around.nodes {
        let End::Branch { test, .. } = graph.nodes[node].end else { continue };
        if matches!(test.src, Operand::Imm(_)) {
            let state = State { reg: test.dst, activation: graph.nodes[node].activation };
            match states.iter_mut().find(|(other, _)| *other == state) {
                Some((_, times)) => *times += 1,
                None => states.push((state, 1)),
            }
        }
    }
    let begins = |state: &State| {
        loops
            .entries(around)
            .any(|entry| constant_after(plan, graph, loops, entry, state.reg, state.activation, 8).is_some())
    };
    let changes = |state: &State| {
        let all = around.nodes.iter().flat_map(|&node| writes(plan, graph, node, state.reg, state.activation));
        all.map(|(_, inst)| step(Some(0), inst)).any(|number| number.is_some())
    };
    states.retain(|(state, _)| changes(state) && begins(state));
    states.order_by_key(|(_, times)| std::cmp::Reverse(*times));
    states.into_iter().map(|(state, _)| state).collect()
}

/// What the register holds behind an instruction that writes it.
fn step(number: Option<u64>, inst: Inst) -> Option<u64> {
    let Inst::Alu { op, wide, src: Operand::Imm(imm), .. } = inst else { return None };
    let number = if op == AluOp::Mov { 0 } else { number? };
    let imm = i64::from(imm) as u64;
    Some(if wide == Wide::W32 { alu32(op, number, imm) } else { alu64(op, number, imm) })
}

/// The loop as it is to be, if that is worth it.
fn apart(plan: &Plan<'_>, graph: &Graph, loops: &Loops, around: &Loop, live: &[Places], state: State) -> Option<Apart> {
    let mut apart = Apart::default();
    let mut numbers: Vec<u64> = Vec::new();
    let mut answered = 0;
    let mut todo: Vec<Part> = entries(plan, graph, loops, around, live, state).map(|(_, part)| part).collect();
    while let Some(part) = todo.pop() {
        if apart.numbers.contains_key(&part) {
            continue;
        }
        let (node, begin) = part;
        if let Some(begin) = begin
            && !numbers.contains(&begin)
        {
            numbers.push(begin);
        }
        let written = writes(plan, graph, node, state.reg, state.activation);
        let behind = written.fold(begin, |number, (_, inst)| step(number, inst));
        apart.size += plan.insts_at(graph.nodes[node].body.clone()).count() + 1;
        if apart.size > MOST || numbers.len() > MOST_NUMBERS {
            return None;
        }
        let mut end = graph.nodes[node].end.clone();
        if let (End::Branch { test, taken, next }, Some(number)) = (&end, behind)
            && let Operand::Imm(imm) = test.src
            && is(graph, node, test.dst, state)
        {
            let compare = if test.wide == Wide::W32 { cmp32 } else { cmp64 };
            end = End::Jump(if compare(test.op, number, i64::from(imm) as u64) { *taken } else { *next });
            answered += 1;
        }
        apart.numbers.insert(part, apart.parts.len());
        todo.extend(end.ways().filter(|&to| loops.contains(around, to)).map(|to| (to, asks(live, state, to, behind))));
        apart.parts.push((part, end));
        apart.behind.push(behind);
    }
    // One copy, or copies that ask what they asked before, are no gain.
    (numbers.len() > 1 && answered >= numbers.len()).then_some(apart)
}

/// What is to be known of the register where a node begins.
fn asks(live: &[Places], state: State, node: usize, number: Option<u64>) -> Option<u64> {
    number.filter(|_| live[node].has(Places::of(state.reg)))
}

/// Whether a register is the one, in a node. The activations share the first ones.
fn is(graph: &Graph, node: usize, reg: Reg, state: State) -> bool {
    reg == state.reg && (graph.nodes[node].activation == state.activation || !is_own(reg))
}

/// From where the loop is entered, and where it then begins.
fn entries<'a>(
    plan: &'a Plan<'_>,
    graph: &'a Graph,
    loops: &'a Loops,
    around: &'a Loop,
    live: &'a [Places],
    State { reg, activation }: State,
) -> impl Iterator<Item = (usize, Part)> + 'a {
    loops.entries(around).map(move |entry| {
        let number = constant_after(plan, graph, loops, entry, reg, activation, 8).map(|number| number as u64);
        (entry, (around.head, asks(live, State { reg, activation }, around.head, number)))
    })
}

/// Puts the loop into the graph in place of what it was.
fn put(plan: &Plan<'_>, graph: &mut Graph, loops: &Loops, around: &Loop, live: &[Places], state: State, apart: Apart) {
    let entries: Vec<(usize, Part)> = entries(plan, graph, loops, around, live, state).collect();
    let first = graph.nodes.len();
    for (((node, begin), mut end), behind) in apart.parts.into_iter().zip(apart.behind) {
        end.each_way(|to| {
            if let Some(number) = apart.numbers.get(&(*to, asks(live, state, *to, behind))) {
                *to = first + number;
            }
        });
        let mut copy = graph.nodes[node].clone();
        copy.end = end;
        // Constants of hidden programs stand nowhere, also those that are computed of them.
        let is_said = graph.nodes[node].activation == state.activation && plan.rules.key.is_none();
        copy.holds = begin.filter(|_| is_said).map(|number| (state.reg, number));
        graph.nodes.push(copy);
    }
    for (entry, part) in entries {
        graph.nodes[entry].end.redirect(around.head, first + apart.numbers[&part]);
    }
}

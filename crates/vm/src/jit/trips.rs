//! Loops that count: a register begins as one constant, and changes by another in each round, until a test says that it
//! has come to a third. So it is known how often the loop runs at most, and what the register is then.

use super::graph::{Graph, Runs, Test};
use super::loops::{Loop, Loops};
use super::plan::Plan;
use super::round::{Place, rises};
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Reg, Wide};

/// How a loop counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) reg: Reg,
    /// What it is when the loop is entered.
    pub(super) first: i64,
    /// What is added in each round, once, whatever else happens in it.
    pub(super) step: i64,
    /// The number of rounds, unless something else ends them before.
    pub(super) rounds: u64,
    /// The node whose test ends it, the last of each round.
    pub(super) latch: usize,
    /// As long as this holds there, it goes on.
    pub(super) test: Test,
    /// Where it goes then.
    pub(super) exit: usize,
}

impl Count {
    /// What holds as long as fewer than so many rounds have run, which must not be more than there are.
    pub(super) fn before(&self, rounds: u64) -> Test {
        // As large as the register gets, or less: it is between `first` and what it ends with, which both fit.
        let bound = self.first + self.step * rounds as i64;
        Test { op: self.goes_on(), dst: self.reg, src: Operand::Imm(bound as i32), ..self.test }
    }

    /// How the register is to a number that it comes to in later rounds.
    pub(super) fn goes_on(&self) -> CmpOp {
        match (self.step > 0, self.first >= 0) {
            (true, true) => CmpOp::Lt,
            (true, false) => CmpOp::SLt,
            (false, _) => CmpOp::SGt,
        }
    }
}

/// How a loop counts, if it does.
pub(super) fn count(plan: &Plan<'_>, graph: &Graph, loops: &Loops, which: &Loop) -> Option<Count> {
    let (latch, test, exit) = which.last_test(graph)?;
    let Operand::Imm(bound) = test.src else { return None };
    let (reg, activation, bound) = (test.dst, graph.nodes[latch].activation, i64::from(bound));
    let step = only_step(plan, graph, which, reg, activation);
    let (at, step) = step.or_else(|| step_of_round(plan, graph, which, reg))?;
    if !loops.dominates(at, latch) || !loops.is_once(which, at) {
        return None;
    }
    let mut first = None;
    for entry in loops.entries(which) {
        let value = constant_after(plan, graph, loops, entry, reg, activation, 8)?;
        if first.replace(value).is_some_and(|other| other != value) {
            return None;
        }
    }
    // A function may begin with anything in its registers.
    let first = first.filter(|_| which.head != 0)?;
    let rounds = rounds(test, first, step, bound)?;
    // All of these numbers are the same to 32-bit operations as to 64-bit ones, or all operations are 64 bits wide.
    let last = first.checked_add(step.checked_mul(i64::try_from(rounds).ok()?)?)?;
    let least = if test.wide == Wide::W32 || steps_narrow(plan, graph, at, reg) { 0 } else { i32::MIN };
    let fits = |number: i64| (i64::from(least)..=i32::MAX.into()).contains(&number);
    [first, last, bound].into_iter().all(fits).then_some(Count { reg, first, step, rounds, latch, test, exit })
}

/// The smallest number of rounds after which the test fails.
fn rounds(test: Test, first: i64, step: i64, bound: i64) -> Option<u64> {
    let to_go = bound.checked_sub(first)?;
    let rounded_up = |distance: i64| {
        let rounds = if distance <= 0 { 1 } else { distance.checked_add(step - 1)? / step };
        u64::try_from(rounds).ok()
    };
    match test.op {
        CmpOp::Ne if to_go % step == 0 && to_go / step > 0 => u64::try_from(to_go / step).ok(),
        // Where all numbers are small, the sign does not matter.
        CmpOp::SLt if step > 0 => rounded_up(to_go),
        CmpOp::SLe if step > 0 => rounded_up(to_go.checked_add(1)?),
        CmpOp::Lt if step > 0 && first >= 0 && bound >= 0 => rounded_up(to_go),
        CmpOp::Le if step > 0 && first >= 0 && bound >= 0 => rounded_up(to_go.checked_add(1)?),
        _ => None,
    }
}

/// The node in which a loop adds a constant to a register, and the constant, if nothing else in the loop writes it.
pub(super) fn only_step(
    plan: &Plan<'_>,
    graph: &Graph,
    which: &Loop,
    reg: Reg,
    activation: usize,
) -> Option<(usize, i64)> {
    let mut found = None;
    for &node in &which.nodes {
        if !matches!(graph.nodes[node].runs, Runs::OneByOne) {
            return None;
        }
        for (_, inst) in writes(plan, graph, node, reg, activation) {
            let step = match inst {
                Inst::Alu { op: AluOp::Add, src: Operand::Imm(step), .. } => i64::from(step),
                Inst::Alu { op: AluOp::Sub, src: Operand::Imm(step), .. } => -i64::from(step),
                _ => return None,
            };
            if step == 0 || found.replace((node, step)).is_some() {
                return None;
            }
        }
    }
    found
}

/// The same of a loop that is one node, where the register may also hold something else meanwhile.
fn step_of_round(plan: &Plan<'_>, graph: &Graph, which: &Loop, reg: Reg) -> Option<(usize, i64)> {
    let [node] = which.nodes[..] else { return None };
    let runs = matches!(graph.nodes[node].runs, Runs::OneByOne);
    let at = &graph.nodes[node];
    let rises = if runs { rises(plan, graph, at.activation, at.body.clone(), None) } else { Vec::new() };
    rises.into_iter().find_map(|(place, by)| (place == Place::Register(reg)).then_some((node, by)))
}

fn steps_narrow(plan: &Plan<'_>, graph: &Graph, node: usize, reg: Reg) -> bool {
    let activation = graph.nodes[node].activation;
    writes(plan, graph, node, reg, activation).any(|(_, inst)| matches!(inst, Inst::Alu { wide: Wide::W32, .. }))
}

/// The instructions of a node that write a register of an activation.
pub(super) fn writes<'a>(
    plan: &'a Plan<'_>,
    graph: &'a Graph,
    node: usize,
    reg: Reg,
    activation: usize,
) -> impl DoubleEndedIterator<Item = (u32, Inst)> + 'a {
    let at = &graph.nodes[node];
    let is_same = at.activation == activation || !is_own(reg);
    let insts = plan.insts_at(at.body.clone()).filter(move |_| is_same);
    insts.filter(move |(slot, inst)| plan.registers(*slot, inst).1 & 1 << reg.0 != 0)
}

/// Whether each activation has a register of that name; the others are one for all.
pub(super) fn is_own(reg: Reg) -> bool {
    (6..=9).contains(&reg.0)
}

/// What a register is behind a node, if that is a constant by every way there.
pub(super) fn constant_after(
    plan: &Plan<'_>,
    graph: &Graph,
    loops: &Loops,
    mut node: usize,
    reg: Reg,
    activation: usize,
    most: usize,
) -> Option<i64> {
    for _ in 0..most {
        if !matches!(graph.nodes[node].runs, Runs::OneByOne) {
            return None;
        }
        match writes(plan, graph, node, reg, activation).next_back() {
            Some((_, Inst::Alu { op: AluOp::Mov, src: Operand::Imm(number), wide, .. })) => {
                return Some(if wide == Wide::W32 { i64::from(number as u32) } else { number.into() });
            }
            Some(_) => return None,
            None => {}
        }
        match (&loops.before[node][..], node) {
            ([before], 1..) => node = *before,
            _ => return None,
        }
    }
    None
}

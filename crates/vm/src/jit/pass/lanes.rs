//! Loops that count run four rounds at once: what is different in each round is computed in four lanes of a vector, of 32
//! bits each, what is the same in all of them once, and what is the same in all rounds of the loop is loaded in front of
//! it. The loop as it was runs the rounds that are left.
//!
//! Sound because the loop is one straight piece that runs a known number of rounds ([`crate::jit::trips`]), and because no
//! round needs what another one leaves: every register is the same in all rounds, or goes up by a constant, or is written
//! before it is read. Loads are of the packet, which belongs to this run alone; stores are to memory that is different
//! from what is loaded and from each other's, as the verifier knows ([`Memory`]). Each goes on by its own width from round
//! to round, so that four rounds access what stands side by side, each byte once. Lanes hold 32 bits without sign: only
//! what needs no more is computed in them, by the instruction or by the range that the verifier found.

use super::unroll::each_innermost;
use super::widen::{Check, check, guards};
use crate::code::Memory;
use crate::jit::graph::{End, Graph, Node, Runs};
use crate::jit::live::{Places, live, touched};
use crate::jit::loops::{Loop, Loops};
use crate::jit::plan::Plan;
use crate::jit::round::{Place, rises, word_of};
use crate::jit::trips::{Count, count};
use alveary_isa::{AluOp, Inst, Operand, Reg, Wide, Width};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

/// Rounds that run at once.
pub(in crate::jit) const LANES: u64 = 4;
/// Instructions of a loop that is looked at.
const MOST: usize = 256;

/// What a place holds in the rounds that run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jit) enum Value {
    /// The same in each of them.
    Same,
    /// So much more in each than in the one before; it is known that it has 32 bits, or not.
    Steps { by: i64, small: bool },
    /// Anything of 32 bits.
    Lanes,
    /// A part of a sum that nothing else looks at: it is known behind the rounds.
    Sum,
}

/// How the instructions of a loop run at once.
#[derive(Debug)]
pub(in crate::jit) struct Round {
    /// For each instruction by its slot what it leaves, or for a store what it stores.
    pub(in crate::jit) results: BTreeMap<u32, Value>,
    /// Loads in front of the loop.
    pub(in crate::jit) loads: Vec<u32>,
    /// What goes up, and by how much in each round.
    pub(in crate::jit) rises: Vec<(Place, i64)>,
    /// Where something is added to a sum, the sum, and how.
    pub(in crate::jit) sums: Vec<(u32, Reg, AluOp)>,
}

pub(super) fn run(plan: &Plan<'_>, graph: &mut Graph) {
    make(plan, graph, false);
}

/// Pass `sum`: the same of loops that add up what they compute, or join it by `^` or `|`, in a register of which they make
/// nothing else: each lane has a sum of its own, and all are added up behind the loop. Such a loop may also ask in each round
/// whether it is still inside of something: that is asked once, for all rounds that run in lanes and one that does not, as pass `widen` does.
///
/// Sound because sums may be made in any order, modulo 2³²: the register has 32 bits, by the instruction or as the verifier
/// knows of each of its sums.
pub(super) fn run_sums(plan: &Plan<'_>, graph: &mut Graph) {
    make(plan, graph, true);
}

fn make(plan: &Plan<'_>, graph: &mut Graph, sums: bool) {
    // Fuel counts rounds one by one, constants of hidden programs stand nowhere, an arena's addresses may wrap.
    if plan.rules.fuel || plan.rules.key.is_some() || plan.rules.arena.is_some() {
        return;
    }
    each_innermost(graph, |graph, loops, around| {
        let Some(count) = count(plan, graph, loops, around) else { return false };
        let Some((body, checks)) = straight(plan, graph, loops, around, sums) else { return false };
        let Some(round) = round(plan, graph, around, &count, body.clone(), sums) else { return false };
        let left = if leaves_nothing(plan, graph, loops, around, &count, &body, &round) { 0 } else { 1 };
        let together = count.rounds.saturating_sub(left) / LANES * LANES;
        if together < 2 * LANES {
            return false;
        }
        let entries: Vec<usize> = loops.entries(around).collect();
        let (ahead, first) = (graph.nodes.len(), graph.nodes.len() + 1);
        let latch = graph.nodes[count.latch].clone();
        let round = Rc::new(round);
        let start = body.start..body.start;
        let front = Runs::InFront(body.clone(), round.clone());
        graph.nodes.push(Node { body: start.clone(), end: End::Jump(first), runs: front, ..latch.clone() });
        let exit = if together == count.rounds { count.exit } else { around.head };
        let behind = if sums { first + 1 } else { exit };
        let end = End::Branch { test: count.before(together), taken: first, next: behind };
        graph.nodes.push(Node { body, end, runs: Runs::AtOnce(round.clone()), ..latch.clone() });
        if sums {
            graph.nodes.push(Node { body: start, end: End::Jump(exit), runs: Runs::Behind(round), ..latch });
        }
        // What is left has one whole round at least, which leaves what those in lanes do not.
        let asked = count.rounds.min(together + 1);
        let ahead = if checks.is_empty() { ahead } else { guards(graph, around, &checks, asked, ahead) };
        for entry in entries {
            graph.nodes[entry].end.redirect(around.head, ahead);
        }
        true
    });
}

/// The instructions of a loop whose nodes stand one behind the other in the program, and its checks; without `checked`, of
/// one that is one node.
fn straight(
    plan: &Plan<'_>,
    graph: &Graph,
    loops: &Loops,
    around: &Loop,
    checked: bool,
) -> Option<(Range<u32>, Vec<Check>)> {
    let [latch] = around.latches[..] else { return None };
    let (mut at, mut checks) = (around.head, Vec::new());
    for _ in 0..around.nodes.len() {
        let node = &graph.nodes[at];
        let runs = matches!(node.runs, Runs::OneByOne) && node.holds.is_none() && !node.begins;
        if !runs || node.activation != graph.nodes[around.head].activation {
            return None;
        }
        if at == latch {
            // All nodes were on the way.
            let all = checks.len() + 1 == around.nodes.len();
            return all.then(|| (graph.nodes[around.head].body.start..node.body.end, checks));
        }
        let check = if checked { check(plan, graph, loops, around, at)? } else { return None };
        if graph.nodes[check.inside].body.start != node.last + 1 || node.body.end != node.last {
            return None;
        }
        at = check.inside;
        checks.push(check);
    }
    None
}

/// Whether what rounds compute for themselves is not read behind the loop.
fn leaves_nothing(
    plan: &Plan<'_>,
    graph: &Graph,
    loops: &Loops,
    around: &Loop,
    count: &Count,
    body: &Range<u32>,
    round: &Round,
) -> bool {
    let exit = count.exit;
    let head = &graph.nodes[around.head];
    if graph.nodes[exit].activation != head.activation {
        return false;
    }
    // What is the same in all rounds is so behind them, too.
    let insts = plan.insts_at(body.clone());
    let mut written = insts.fold(Places::default(), |all, (slot, inst)| {
        let places = touched(plan, graph, head.activation, slot, &inst).1;
        if matches!(round.results.get(&slot), Some(Value::Same | Value::Sum)) {
            all.without(places)
        } else {
            all.with(places)
        }
    });
    for (place, _) in &round.rises {
        written = written.without(match place {
            Place::Register(reg) => Places::of(*reg),
            Place::Word(number) => Places::of_word(*number),
        });
    }
    !live(plan, graph, &loops.order)[exit].has(written)
}

/// How a loop's rounds run at once, if they can.
fn round(plan: &Plan<'_>, graph: &Graph, around: &Loop, count: &Count, body: Range<u32>, sums: bool) -> Option<Round> {
    let node = &graph.nodes[around.head];
    // Jumps among them are checks, which are decided.
    let is_check = |inst: &Inst| matches!(inst, Inst::Jmp { .. });
    let insts: Vec<(u32, Inst)> = plan.insts_at(body.clone()).filter(|(_, inst)| !is_check(inst)).collect();
    if insts.len() > MOST {
        return None;
    }
    let asks_sums = sums;
    let sums = if sums { summed(plan, graph, count, &body) } else { Vec::new() };
    let word = |inst: &Inst| word_of(plan, graph, node.activation, inst);
    let last = count.first + count.step * count.rounds as i64;
    let is_small = count.first >= 0 && count.step > 0 && last + count.step * MOST as i64 <= u32::MAX.into();
    let rises = rises(plan, graph, node.activation, body, is_small.then_some(count.reg));
    let mut state =
        State { plan, count, is_small, values: BTreeMap::new(), loads: Vec::new(), stored: Vec::new(), loaded: false };
    for (slot, inst) in &insts {
        let written = plan.registers(*slot, inst).1;
        (0..=12).filter(|reg| written & 1 << reg != 0).for_each(|reg| {
            state.values.insert(Place::Register(Reg(reg)), None);
        });
        if let (Inst::Store { .. }, Some(word)) = (inst, word(inst)) {
            state.values.insert(word, None);
        }
    }
    for &(place, by) in &rises {
        let small = is_small && place == Place::Register(count.reg);
        state.values.insert(place, Some(Value::Steps { by, small }));
    }
    let mut results = BTreeMap::new();
    for (slot, inst) in insts {
        let value = match sums.iter().any(|(sum, ..)| *sum == slot) {
            true => state.sum(inst)?,
            false => state.step(slot, inst, word(&inst))?,
        };
        results.insert(slot, value);
    }
    let lanes = results.values().any(|value| *value == Value::Lanes);
    let anything = lanes || !state.stored.is_empty() && sums.is_empty();
    let apart = !state.loaded || !state.stored.contains(&Memory::Packet);
    (anything && apart && asks_sums != sums.is_empty()).then_some(Round { results, loads: state.loads, rises, sums })
}

/// Where a loop adds something to a register that it does not look at otherwise.
fn summed(plan: &Plan<'_>, graph: &Graph, count: &Count, body: &Range<u32>) -> Vec<(u32, Reg, AluOp)> {
    let test = Inst::Jmp { wide: count.test.wide, op: count.test.op, dst: count.test.dst, src: count.test.src, off: 0 };
    let latch = (graph.nodes[count.latch].last, test);
    let touches = |reg: Reg, (slot, inst): &(u32, Inst)| {
        let (reads, writes) = plan.registers(*slot, inst);
        (reads | writes) & 1 << reg.0 != 0
    };
    let sum = |(slot, inst): (u32, Inst)| {
        let Inst::Alu { wide, op: op @ (AluOp::Add | AluOp::Xor | AluOp::Or), dst, src } = inst else { return None };
        let has_32_bits = wide == Wide::W32 || plan.known(slot).fits32();
        let only = plan.insts_at(body.clone()).chain([latch]).filter(|at| touches(dst, at)).count() == 1;
        (has_32_bits && only && src != Operand::Reg(dst) && matches!(src, Operand::Reg(_))).then_some((slot, dst, op))
    };
    plan.insts_at(body.clone()).filter_map(sum).collect()
}

/// What places hold in the middle of a round.
struct State<'a> {
    plan: &'a Plan<'a>,
    count: &'a Count,
    /// The register that the loop counts by has 32 bits, without sign, also a few steps behind its end.
    is_small: bool,
    /// Places that the loop writes; nothing is known of some. All others are the same in every round.
    values: BTreeMap<Place, Option<Value>>,
    loads: Vec<u32>,
    /// What is stored to.
    stored: Vec<Memory>,
    /// Whether anything is loaded.
    loaded: bool,
}

impl State<'_> {
    fn get(&self, place: Place) -> Option<Value> {
        self.values.get(&place).copied().unwrap_or(Some(Value::Same))
    }

    fn operand(&self, src: Operand) -> Option<Value> {
        match src {
            Operand::Reg(reg) => self.get(Place::Register(reg)),
            Operand::Imm(_) => Some(Value::Same),
        }
    }

    /// What an instruction leaves, or stores; nothing if it is not for several rounds at once.
    fn step(&mut self, slot: u32, inst: Inst, word: Option<Place>) -> Option<Value> {
        let (to, value) = match inst {
            Inst::Alu { wide, op, dst, src } => (Place::Register(dst), self.alu(slot, wide, op, dst, src)?),
            Inst::Neg { dst, .. } | Inst::Swap { dst, .. } => (Place::Register(dst), self.same(Place::Register(dst))?),
            Inst::MovSx { dst, src, .. } => (Place::Register(dst), self.same(Place::Register(src))?),
            Inst::LoadImm64 { dst, .. } | Inst::MapValueFd { dst, .. } | Inst::MapValueIdx { dst, .. } => {
                (Place::Register(dst), Value::Same)
            }
            Inst::Load { width, signed, dst, src, .. } => {
                let value = match word {
                    Some(word) => self.of_word(word, width, signed)?,
                    None => self.load(slot, width, signed, src)?,
                };
                (Place::Register(dst), value)
            }
            Inst::Store { width, dst, src, .. } => {
                let value = self.operand(src)?;
                match word {
                    Some(word) => (word, self.stored_word(value, width)?),
                    None => {
                        self.store(slot, width, dst, value)?;
                        return Some(value);
                    }
                }
            }
            _ => return None,
        };
        self.values.insert(to, Some(value));
        Some(value)
    }

    /// A part of a sum, of anything.
    fn sum(&self, inst: Inst) -> Option<Value> {
        let Inst::Alu { src, .. } = inst else { return None };
        self.operand(src).map(|_| Value::Sum)
    }

    fn same(&self, place: Place) -> Option<Value> {
        self.get(place).filter(|value| *value == Value::Same)
    }

    fn alu(&self, slot: u32, wide: Wide, op: AluOp, dst: Reg, src: Operand) -> Option<Value> {
        use Value::{Lanes, Same, Steps};
        let right = self.operand(src)?;
        let left = if op == AluOp::Mov { right } else { self.get(Place::Register(dst))? };
        if (left, right) == (Same, Same) {
            return Some(Same);
        }
        let amount = if let Operand::Imm(imm) = src { Some(i64::from(imm)) } else { None };
        match (wide, op, left, right) {
            (Wide::W64, AluOp::Mov, _, value) => return Some(value),
            (Wide::W32, AluOp::Mov, _, value @ (Lanes | Steps { small: true, .. })) => return Some(value),
            (_, AluOp::Add | AluOp::Sub, Steps { small: true, .. }, Same) if self.counts(op, dst, amount) => {
                return Some(left);
            }
            (Wide::W64, AluOp::Add, Steps { by, .. }, Same) | (Wide::W64, AluOp::Add, Same, Steps { by, .. }) => {
                return Some(Steps { by, small: false });
            }
            (Wide::W64, AluOp::Add, Steps { by, .. }, Steps { by: more, .. }) => {
                return Some(Steps { by: by.checked_add(more)?, small: false });
            }
            (Wide::W64, AluOp::Sub, Steps { by, .. }, Same) => {
                return Some(Steps { by, small: false });
            }
            (Wide::W64, AluOp::Lsh, Steps { by, .. }, Same)
                if amount.is_some_and(|amount| (0..16).contains(&amount)) =>
            {
                return Some(Steps { by: by.checked_mul(1 << amount?)?, small: false });
            }
            _ => {}
        }
        // In lanes: the lower half of the result has to be all of it, and to need no more than those of the operands.
        let shift = amount.is_some_and(|amount| (0..32).contains(&amount));
        let by_lower_halves = match op {
            AluOp::Add | AluOp::Sub | AluOp::Mul | AluOp::And | AluOp::Or | AluOp::Xor | AluOp::Mov => true,
            AluOp::Lsh => shift,
            AluOp::Rsh => shift && (wide == Wide::W32 || left == Lanes),
            AluOp::Arsh => shift && wide == Wide::W32,
            _ => false,
        };
        let has_32_bits = wide == Wide::W32
            || self.plan.known(slot).fits32()
            || op == AluOp::Rsh
            || op == AluOp::And && (left == Lanes || right == Lanes || amount.is_some_and(|mask| mask >= 0))
            || matches!(op, AluOp::Or | AluOp::Xor) && (left, right) == (Lanes, Lanes);
        (by_lower_halves && has_32_bits).then_some(Lanes)
    }

    /// Whether an instruction is the step of the register that the loop counts by, and leaves no more than 32 bits.
    fn counts(&self, op: AluOp, dst: Reg, amount: Option<i64>) -> bool {
        let step = if op == AluOp::Sub { amount.map(|amount| -amount) } else { amount };
        self.is_small && dst == self.count.reg && step == Some(self.count.step)
    }

    /// What a load gives of a stack word.
    fn of_word(&self, word: Place, width: Width, signed: bool) -> Option<Value> {
        match self.get(word)? {
            Value::Same => Some(Value::Same),
            Value::Lanes if !signed && matches!(width, Width::B4 | Width::B8) => Some(Value::Lanes),
            value @ Value::Steps { small, .. } if width == Width::B8 || small && width == Width::B4 && !signed => {
                Some(value)
            }
            _ => None,
        }
    }

    /// What a stack word holds then.
    fn stored_word(&self, value: Value, width: Width) -> Option<Value> {
        match (value, width) {
            (Value::Same, _) | (_, Width::B8) | (Value::Lanes | Value::Steps { small: true, .. }, Width::B4) => {
                Some(value)
            }
            _ => None,
        }
    }

    fn load(&mut self, slot: u32, width: Width, signed: bool, base: Reg) -> Option<Value> {
        if self.plan.known(slot).memory != Memory::Packet {
            return None;
        }
        self.loaded = true;
        match self.get(Place::Register(base))? {
            Value::Same => {
                self.loads.push(slot);
                Some(Value::Same)
            }
            Value::Steps { by, .. } if by == width.bytes() as i64 && by < 8 && !signed => Some(Value::Lanes),
            _ => None,
        }
    }

    fn store(&mut self, slot: u32, width: Width, base: Reg, value: Value) -> Option<()> {
        let memory = self.plan.known(slot).memory;
        let Value::Steps { by, .. } = self.get(Place::Register(base))? else { return None };
        let apart = matches!(memory, Memory::Packet | Memory::Value(_)) && !self.stored.contains(&memory);
        let fits = value == Value::Same || width == Width::B4;
        self.stored.push(memory);
        (apart && fits && by == width.bytes() as i64).then_some(())
    }
}

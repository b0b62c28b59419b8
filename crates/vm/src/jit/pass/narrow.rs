//! Values that have no more than 32 bits are not extended to 64 bits once more: moves of 32 bits are then copies, which
//! cost nothing, and what is read of a stack word that is a register is what was put there.
//!
//! Sound because at the beginning of each node it is known how many bits a register can have: the most by any way there,
//! by what instructions do, and by the ranges that the verifier found. This is gone round until nothing changes;
//! [`Widths::step`] is what one instruction does, for that and for lifting alike.

use crate::jit::frame::{Frame, access};
use crate::jit::graph::{Graph, Runs};
use crate::jit::plan::Plan;
use alveary_isa::{AluOp, Inst, Operand, Reg, Swap, Wide, Width};

/// How many bits of each register and stack word of a function can be set: 8, 16, 32 or 64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::jit) struct Widths(Vec<u8>);

/// Registers that activations share come first, then those of each activation, then its words.
#[derive(Debug, Default)]
pub(in crate::jit) struct Places {
    /// Where the activations' own begin.
    own: Vec<usize>,
    count: usize,
}

/// r0–r12 have places, though of r6–r9 each activation has its own.
const SHARED: usize = 13;

/// More than this, registers times nodes, is not looked at.
const MOST: usize = 1 << 22;

/// What is known where each node begins; nothing of graphs that are too large.
pub(in crate::jit) fn find(plan: &Plan<'_>, graph: &Graph, order: &[usize]) -> (Places, Vec<Widths>) {
    let places = Places::of(plan, graph);
    if places.count * graph.nodes.len() > MOST {
        return (places, Vec::new());
    }
    let mut begin = vec![Widths::default(); graph.nodes.len()];
    // Registers may come with anything; words of the frame are zero.
    let mut first = Widths(vec![8; places.count]);
    first.0[..SHARED].fill(64);
    places.own.iter().for_each(|&own| first.0[own..own + 4].fill(64));
    begin[0] = first;
    let mut again = vec![false; graph.nodes.len()];
    again[0] = true;
    while order.iter().any(|&node| again[node]) {
        for &node in order {
            if !std::mem::take(&mut again[node]) {
                continue;
            }
            let mut widths = begin[node].clone();
            let at = &graph.nodes[node];
            if at.begins {
                widths.clear_words(&places, at.activation);
            }
            for (slot, inst) in plan.insts_at(at.body.clone()) {
                widths.step(plan, graph, &places, at.activation, slot, inst);
            }
            if let Runs::Rise(rises) = &at.runs {
                rises.iter().for_each(|(reg, _)| widths.forget(&places, at.activation, *reg));
            }
            for to in at.end.ways() {
                again[to] |= begin[to].join(&widths);
            }
        }
    }
    (places, begin)
}

impl Places {
    fn of(plan: &Plan<'_>, graph: &Graph) -> Places {
        let mut places = Places { own: Vec::new(), count: SHARED };
        for &function in &graph.activations {
            places.own.push(places.count);
            let words = match &plan.functions[function].frame {
                Frame::Own { registers, .. } => registers.len(),
                Frame::Shared { .. } => 0,
            };
            places.count += 4 + words;
        }
        places
    }

    fn register(&self, activation: usize, reg: Reg) -> usize {
        match reg.0 {
            6..=9 => self.own[activation] + usize::from(reg.0) - 6,
            _ => usize::from(reg.0),
        }
    }

    fn word(&self, activation: usize, number: usize) -> usize {
        self.own[activation] + 4 + number
    }

    /// Where the words of an activation end.
    fn end(&self, activation: usize) -> usize {
        self.own.get(activation + 1).copied().unwrap_or(self.count)
    }
}

impl Widths {
    /// Whether anything was looked at.
    pub(in crate::jit) fn is_known(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether no more bits of a register are set than a value of this width has.
    pub(in crate::jit) fn fits(&self, places: &Places, activation: usize, reg: Reg, width: Width) -> bool {
        self.is_known() && self.of(places, activation, reg) <= bits(width)
    }

    /// The same of a stack word.
    pub(in crate::jit) fn word_fits(&self, places: &Places, activation: usize, number: usize, width: Width) -> bool {
        self.is_known() && self.0[places.word(activation, number)] <= bits(width)
    }

    /// The words of an activation are zero.
    pub(in crate::jit) fn clear_words(&mut self, places: &Places, activation: usize) {
        if self.is_known() {
            self.0[places.word(activation, 0)..places.end(activation)].fill(8);
        }
    }

    /// Nothing is known of a register any more.
    fn forget(&mut self, places: &Places, activation: usize, reg: Reg) {
        if let Some(width) = self.0.get_mut(places.register(activation, reg)) {
            *width = 64;
        }
    }

    /// What holds behind an instruction, if this holds before it.
    pub(in crate::jit) fn step(
        &mut self,
        plan: &Plan<'_>,
        graph: &Graph,
        places: &Places,
        activation: usize,
        slot: u32,
        inst: Inst,
    ) {
        if self.0.is_empty() {
            return;
        }
        let word = || match &plan.functions[graph.activations[activation]].frame {
            Frame::Own { registers, .. } => registers.get(&access(&inst)?.0).map(|&at| places.word(activation, at)),
            Frame::Shared { .. } => None,
        };
        if let (Inst::Store { width, src, .. }, Some(word)) = (inst, word()) {
            self.0[word] = self.operand(places, activation, src).min(bits(width));
            return;
        }
        let written = plan.registers(slot, &inst).1;
        if written == 0 {
            return;
        }
        let result = match inst {
            Inst::Alu { wide, op, dst, src } => {
                let most = if wide == Wide::W32 { 32 } else { 64 };
                let (left, right) = (self.of(places, activation, dst), self.operand(places, activation, src));
                let amount = if let Operand::Imm(amount) = src { Some(amount as u8 & (most - 1)) } else { None };
                level(alu(op, left.min(most), right.min(most), amount).min(most))
            }
            Inst::Load { width, signed: false, .. } | Inst::LoadAcquire { width, .. } => {
                word().map_or(64, |word| self.0[word]).min(bits(width))
            }
            Inst::Atomic { width, .. } => bits(width),
            Inst::Swap { bits, kind: Swap::ToLe | Swap::ToBe | Swap::Bswap, .. } => bits,
            Inst::Neg { wide: Wide::W32, .. } | Inst::MovSx { wide: Wide::W32, .. } => 32,
            _ => 64,
        };
        let known = u64::BITS - plan.known(slot).range.1.leading_zeros();
        let result = result.min(level(known as u8));
        for reg in (0..SHARED as u8).filter(|reg| written & 1 << reg != 0) {
            self.0[places.register(activation, Reg(reg))] = result;
        }
    }

    fn of(&self, places: &Places, activation: usize, reg: Reg) -> u8 {
        self.0.get(places.register(activation, reg)).copied().unwrap_or(64)
    }

    fn operand(&self, places: &Places, activation: usize, src: Operand) -> u8 {
        match src {
            Operand::Reg(reg) => self.of(places, activation, reg),
            Operand::Imm(imm) => level((u64::BITS - i64::from(imm).leading_zeros()) as u8),
        }
    }

    /// Adds a way here; whether less is known now.
    fn join(&mut self, other: &Widths) -> bool {
        if self.0.is_empty() {
            self.0.clone_from(&other.0);
            return true;
        }
        let mut less = false;
        for (width, &other) in self.0.iter_mut().zip(&other.0) {
            less |= other > *width;
            *width = other.max(*width);
        }
        less
    }
}

/// The bits of a result, by those of its operands; of shifts, also by the amount, if that is known.
fn alu(op: AluOp, left: u8, right: u8, amount: Option<u8>) -> u8 {
    match op {
        AluOp::Mov => right,
        AluOp::And => left.min(right),
        AluOp::Or | AluOp::Xor => left.max(right),
        AluOp::Add if left.max(right) < 64 => left.max(right) + 1,
        AluOp::Mul => left.saturating_add(right).min(64),
        AluOp::Lsh => amount.map_or(64, |amount| (left + amount).min(64)),
        AluOp::Rsh => amount.map_or(left, |amount| left.saturating_sub(amount)),
        // By zero, a quotient is zero, and a remainder is what was divided.
        AluOp::Div | AluOp::Mod => left,
        _ => 64,
    }
}

fn level(bits: u8) -> u8 {
    bits.next_power_of_two().clamp(8, 64)
}

fn bits(width: Width) -> u8 {
    width.bytes() as u8 * 8
}

//! What one round of a loop does that is one straight piece: which registers and stack words go up by a constant, though
//! they may be put elsewhere meanwhile. Knows nothing of Cranelift.

use super::frame::{Frame, access};
use super::graph::Graph;
use super::plan::Plan;
use alveary_isa::{AluOp, Inst, Operand, Reg, Wide, Width};
use std::collections::BTreeMap;
use std::ops::Range;

/// A register, or a stack word that is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    Register(Reg),
    Word(usize),
}

/// What a place holds: what another one held before, and a constant; nothing if it is anything else.
type Sum = Option<(Place, i64)>;

/// The word that an instruction of an activation accesses.
pub(super) fn word_of(plan: &Plan<'_>, graph: &Graph, activation: usize, inst: &Inst) -> Option<Place> {
    match &plan.functions[graph.activations[activation]].frame {
        Frame::Own { registers, .. } => registers.get(&access(inst)?.0).map(|&number| Place::Word(number)),
        Frame::Shared { .. } => None,
    }
}

/// What is, behind a piece of the program, what it was before, and a constant that is not zero. `small` is a register whose lower half is
/// all of it, also after any step in it.
pub(super) fn rises(
    plan: &Plan<'_>,
    graph: &Graph,
    activation: usize,
    body: Range<u32>,
    small: Option<Reg>,
) -> Vec<(Place, i64)> {
    let mut sums: BTreeMap<Place, Sum> = BTreeMap::new();
    for (slot, inst) in plan.insts_at(body) {
        let word = word_of(plan, graph, activation, &inst);
        let of = |place: Place| sums.get(&place).copied().unwrap_or(Some((place, 0)));
        let (to, sum) = match (inst, word) {
            (Inst::Store { width, src, .. }, Some(word)) => {
                let whole = if let (Operand::Reg(src), Width::B8) = (src, width) { Some(src) } else { None };
                (word, whole.and_then(|src| of(Place::Register(src))))
            }
            (Inst::Load { width: Width::B8, dst, .. }, Some(word)) => (Place::Register(dst), of(word)),
            (Inst::Alu { wide, op, dst, src }, _) => {
                let place = Place::Register(dst);
                (place, alu(of, wide, op, place, src, small))
            }
            _ => {
                let written = plan.registers(slot, &inst).1;
                let places =
                    (0..=Reg::ENV.0).filter(|reg| written & 1 << reg != 0).map(|reg| Place::Register(Reg(reg)));
                sums.extend(places.map(|place| (place, None)));
                continue;
            }
        };
        sums.insert(to, sum);
    }
    let risen =
        |(place, sum): (Place, Sum)| sum.filter(|(root, off)| *root == place && *off != 0).map(|sum| (place, sum.1));
    sums.into_iter().filter_map(risen).collect()
}

fn alu(of: impl Fn(Place) -> Sum, wide: Wide, op: AluOp, dst: Place, src: Operand, small: Option<Reg>) -> Sum {
    let add = |by: i64| {
        let (root, off) = of(dst)?;
        let is_small = small.is_some_and(|reg| root == Place::Register(reg) && dst == root);
        (wide == Wide::W64 || is_small).then_some((root, off.checked_add(by)?))
    };
    match (op, src) {
        (AluOp::Mov, Operand::Reg(src)) if wide == Wide::W64 => of(Place::Register(src)),
        (AluOp::Add, Operand::Imm(by)) => add(by.into()),
        (AluOp::Sub, Operand::Imm(by)) => add(-i64::from(by)),
        _ => None,
    }
}

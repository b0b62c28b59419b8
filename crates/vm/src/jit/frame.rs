//! Where a function's stack frame is: nowhere, in registers and on the native stack if only the function itself can see
//! it, or among the frames of the [`crate::Env`]. Knows nothing of Cranelift.

use super::budget::Budget;
use super::pass::Pass;
use super::plan::Plan;
use crate::frame::{FrameUse, frame_use, in_frame};
use crate::stack::FRAME;
use alveary_isa::{Inst, Operand, Reg, Width};
use std::collections::BTreeMap;

/// The frame of a function.
pub(super) enum Frame {
    /// All accesses are the function's own, at fixed places: (bytes from the frame's end, bytes) are registers, the rest
    /// is on the native stack.
    Own { registers: BTreeMap<Place, usize>, size: usize, unwritten: Vec<bool> },
    /// Its address is known to others. These words hold something before they are written, which must be zero.
    Shared { unwritten: Vec<bool> },
}

/// What a function accesses of its frame: where it begins, from the frame's end, and how much.
type Place = (i16, Width);

/// Places of a frame beyond which nobody looks what is read of those that overlap.
const MOST: usize = 64;

/// Bytes of a frame, from its end: the byte at `r10 - 1` is the first.
type Bytes = Box<[bool; FRAME]>;

impl Frame {
    /// The frame of a function of these blocks, of whose upper `stack` bytes some may be read before they are written.
    pub(super) fn of(plan: &Plan<'_>, blocks: &[u32], stack: u16) -> Frame {
        let insts = || blocks.iter().flat_map(|&block| plan.insts_of_block(block)).map(|(_, inst)| inst);
        let escapes = |inst: &Inst| frame_use(inst) == FrameUse::Any || compares(inst);
        let mut unwritten = unwritten(plan, blocks[0], stack.into());
        if insts().any(|inst| escapes(&inst)) {
            return Frame::Shared { unwritten: words(&unwritten) };
        }
        let mut registers = BTreeMap::new();
        let mut owners: Vec<Option<Place>> = vec![None; FRAME];
        let mut mixed = false;
        let mut read = [false; FRAME];
        for inst in insts() {
            let Some((place, reads)) = access(&inst) else { continue };
            registers.insert(place, 0);
            for byte in bytes_of(place) {
                read[byte] |= reads;
                match owners[byte] {
                    Some(other) => mixed |= other != place,
                    _ => owners[byte] = Some(place),
                }
            }
        }
        if mixed {
            let mixed = unlike(plan, blocks, &registers.keys().copied().collect::<Vec<Place>>());
            registers.retain(|place, _| !mixed.contains(place));
        }
        // Pass `words`: sound because the address of the frame goes nowhere, so that these are all accesses to it.
        registers.retain(|_, _| plan.rules.passes.has(Pass::Words));
        for (number, register) in registers.values_mut().enumerate() {
            *register = number;
        }
        let on_stack = |byte: &usize| owners[*byte].is_some_and(|place| !registers.contains_key(&place));
        let size = (0..FRAME).filter(on_stack).max().map_or(0, |byte| byte + 1).next_multiple_of(8);
        for byte in 0..FRAME {
            unwritten[byte] &= read[byte] && on_stack(&byte);
        }
        Frame::Own { registers, size, unwritten: words(&unwritten) }
    }

    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Frame::Shared { .. })
    }
}

/// Places that overlap with others, unless each load there reads what was stored at just that place: compilers keep one value
/// after the other in the same bytes, as wide as each is. Such places are registers of their own, each of which is out of
/// date while another one is in use, and not read.
fn unlike(plan: &Plan<'_>, blocks: &[u32], places: &[Place]) -> Vec<Place> {
    let overlap = |one: Place, other: Place| {
        let (one, other) = (bytes_of(one), bytes_of(other));
        one.start < other.end && other.start < one.end
    };
    let number = |place: Place| places.iter().position(|&other| other == place).unwrap_or(0);
    let overlaps = |at: usize| (0..places.len()).any(|other| other != at && overlap(places[at], places[other]));
    let all = || (0..places.len()).filter(|&at| overlaps(at)).map(|at| places[at]).collect();
    if places.len() > MOST {
        return all();
    }
    let mut budget = Budget::of(blocks.len());
    let mut unlike = vec![false; places.len()];
    // Which places are up to date where blocks begin, of those that were come to; at first all are zero.
    let mut begin: BTreeMap<u32, Vec<bool>> = BTreeMap::from([(blocks[0], vec![true; places.len()])]);
    let mut changed = true;
    while changed {
        changed = false;
        for &block in blocks {
            let Some(mut now) = begin.get(&block).cloned() else { continue };
            if !budget.take(1 + plan.insts_of_block(block).count()) {
                return all();
            }
            for (_, inst) in plan.insts_of_block(block) {
                let Some((place, reads)) = access(&inst) else { continue };
                if reads {
                    unlike[number(place)] |= !now[number(place)];
                } else {
                    let others = places.iter().zip(&mut now);
                    others.filter(|(other, _)| overlap(**other, place)).for_each(|(other, now)| *now = *other == place);
                }
            }
            for to in plan.successors(block) {
                let before = begin.entry(to).or_insert_with(|| {
                    changed = true;
                    now.clone()
                });
                for (before, now) in before.iter_mut().zip(&now) {
                    changed |= *before && !now;
                    *before &= now;
                }
            }
        }
    }
    // What overlaps with one that is not, is in memory as well.
    let mut changed = true;
    while changed {
        changed = false;
        for at in 0..places.len() {
            if !unlike[at] && (0..places.len()).any(|other| unlike[other] && overlap(places[at], places[other])) {
                unlike[at] = true;
                changed = true;
            }
        }
    }
    places.iter().zip(unlike).filter_map(|(&place, unlike)| unlike.then_some(place)).collect()
}

/// Whether the address itself is looked at.
fn compares(inst: &Inst) -> bool {
    matches!(inst, Inst::Jmp { dst: Reg::FP, .. })
}

/// What a direct access is to, and whether it reads.
pub(super) fn access(inst: &Inst) -> Option<(Place, bool)> {
    match *inst {
        Inst::Load { width, src: Reg::FP, off, .. } if in_frame(off, width) => Some(((off, width), true)),
        Inst::Store { width, dst: Reg::FP, off, .. } if in_frame(off, width) => Some(((off, width), false)),
        _ => None,
    }
}

fn bytes_of((off, width): Place) -> std::ops::Range<usize> {
    let end = usize::from(off.unsigned_abs());
    end - width.bytes()..end
}

/// The bytes that are not sure to be written by the first block before anyone can read them.
fn unwritten(plan: &Plan<'_>, first: u32, stack: usize) -> Bytes {
    let mut unwritten = Box::new(std::array::from_fn(|byte| byte < stack));
    let mut known = false;
    for (_, inst) in plan.insts_of_block(first) {
        match inst {
            Inst::Store { dst: Reg::FP, src, .. } if src != Operand::Reg(Reg::FP) => {
                if let Some((place, _)) = access(&inst) {
                    bytes_of(place).for_each(|byte| unwritten[byte] = false);
                }
            }
            Inst::CallHelper { .. } | Inst::CallLocal { .. } | Inst::CallX { .. } => break,
            Inst::Load { src: Reg::FP, .. } | Inst::LoadAcquire { .. } | Inst::Atomic { .. } => break,
            Inst::Load { .. } if known => break,
            _ => known |= frame_use(&inst) == FrameUse::Any,
        }
    }
    unwritten
}

/// Which words have such bytes.
fn words(bytes: &Bytes) -> Vec<bool> {
    bytes.chunks(8).map(|word| word.contains(&true)).collect()
}

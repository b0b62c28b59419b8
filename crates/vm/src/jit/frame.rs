//! Where a function's stack frame is: nowhere, in registers and on the native stack if only the function itself can see
//! it, or among the frames of the [`crate::Env`]. Knows nothing of Cranelift.

use super::plan::Plan;
use crate::frame::{FrameUse, frame_use, in_frame};
use crate::stack::FRAME;
use alveary_isa::{Inst, Operand, Reg, Width};
use std::collections::BTreeMap;

/// The frame of a function.
pub(super) enum Frame {
    /// All accesses are the function's own, at fixed places: (bytes from the frame's end, bytes) are registers, the rest
    /// is on the native stack.
    Own { registers: BTreeMap<(i16, Width), usize>, size: usize, unwritten: Vec<bool> },
    /// Its address is known to others. These words hold something before they are written, which must be zero.
    Shared { unwritten: Vec<bool> },
}

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
        let mut owners: Vec<Option<(i16, Width)>> = vec![None; FRAME];
        let mut mixed = Vec::new();
        let mut read = [false; FRAME];
        for inst in insts() {
            let Some((place, reads)) = access(&inst) else { continue };
            registers.insert(place, 0);
            for byte in bytes_of(place) {
                read[byte] |= reads;
                match owners[byte] {
                    Some(other) if other != place => mixed.extend([other, place]),
                    _ => owners[byte] = Some(place),
                }
            }
        }
        // What overlaps with something mixed is mixed, too: all that came first there was named above.
        registers.retain(|place, _| !mixed.contains(place));
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

/// Whether the address itself is looked at.
fn compares(inst: &Inst) -> bool {
    matches!(inst, Inst::Jmp { dst: Reg::FP, .. })
}

/// What a direct access is to, and whether it reads.
pub(super) fn access(inst: &Inst) -> Option<((i16, Width), bool)> {
    match *inst {
        Inst::Load { width, src: Reg::FP, off, .. } if in_frame(off, width) => Some(((off, width), true)),
        Inst::Store { width, dst: Reg::FP, off, .. } if in_frame(off, width) => Some(((off, width), false)),
        _ => None,
    }
}

fn bytes_of((off, width): (i16, Width)) -> std::ops::Range<usize> {
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

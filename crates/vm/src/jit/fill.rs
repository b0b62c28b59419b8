//! Pass `fill`: stores of one value side by side become stores of 16 bytes, as a native compiler makes them of an array
//! that is set.
//!
//! Sound because nothing stands between these stores: all of them take the same value to places by the same register, no
//! byte is written twice, and none is written that the program does not write. To other CPUs they are plain stores, whose
//! order is not promised.

use super::frame::Frame;
use super::lift::{Lifter, PLAIN, WITHOUT_VECTORS};
use super::pass::Pass;
use alveary_isa::{Inst, Reg, Wide, Width};
use cranelift_codegen::ir::InstBuilder;

/// Bytes that are stored at once.
const BYTES: usize = 16;

impl Lifter<'_> {
    /// Lifts the stores that `insts` begin with, if there are some side by side: how many these are.
    pub(super) fn fill(&mut self, insts: &[(u32, Inst)]) -> Option<usize> {
        let (_, Inst::Store { width, dst, src, .. }) = *insts.first()? else { return None };
        let own = dst == Reg::FP && matches!(self.frame(), Frame::Own { .. });
        if self.isa.name() == WITHOUT_VECTORS || own || !self.plan.rules.passes.has(Pass::Fill) {
            return None;
        }
        let per_store = BYTES / width.bytes();
        // As many as fill whole pieces: the rest are stores of their own.
        let count = side_by_side(insts) / per_store * per_store;
        if count == 0 {
            return None;
        }
        let least = insts[..count].iter().filter_map(|(_, inst)| offset(inst)).min()?;
        let value = self.operand(Wide::W64, src);
        let part = super::arith::integer(width.bytes() as u8 * 8);
        let part_value = if width == Width::B8 { value } else { self.to.ins().ireduce(part, value) };
        let lanes = part.by(per_store as u32)?;
        let all = self.to.ins().splat(lanes, part_value);
        for piece in 0..count / per_store {
            // As far as stores of the program are, which may be further apart than a number of 16 bits.
            let off = i32::from(least) + (piece * BYTES) as i32;
            let (base, off) = self.place(&insts[0].1, dst, off as i16);
            self.to.ins().store(PLAIN, all, base, off);
        }
        Some(count)
    }
}

/// How many stores `insts` begin with of which each is beside the one before, always on the same side.
fn side_by_side(insts: &[(u32, Inst)]) -> usize {
    let mut count = 1;
    let mut step = None;
    for pair in insts.windows(2) {
        let [(_, Inst::Store { width, dst, src, off }), (_, Inst::Store { width: w, dst: d, src: s, off: o })] = pair
        else {
            break;
        };
        let bytes = width.bytes() as i32;
        let by = i32::from(*o) - i32::from(*off);
        let same = (width, dst, src) == (w, d, s) && by.abs() == bytes;
        if !same || *step.get_or_insert(by) != by {
            break;
        }
        count += 1;
    }
    count
}

fn offset(inst: &Inst) -> Option<i16> {
    if let Inst::Store { off, .. } = inst { Some(*off) } else { None }
}

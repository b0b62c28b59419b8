//! How instructions use the stack frame of their function. Knows no engine.

use crate::stack::FRAME;
use alveary_isa::{Inst, Operand, Reg, Width};

/// What an instruction may do with bytes of a stack frame that were not written.
#[derive(PartialEq)]
pub(crate) enum FrameUse {
    None,
    /// Reads no more of its function's frame than this many bytes from its end.
    Reads(usize),
    /// The frame pointer goes elsewhere, and may come back in any function.
    Any,
}

/// What `inst` does with its function's frame.
pub(crate) fn frame_use(inst: &Inst) -> FrameUse {
    match *inst {
        Inst::Load { width, src: Reg::FP, off, .. } if in_frame(off, width) => {
            FrameUse::Reads(-isize::from(off) as usize)
        }
        Inst::Store { width, dst: Reg::FP, off, src } if src != Operand::Reg(Reg::FP) && in_frame(off, width) => {
            FrameUse::None
        }
        Inst::Alu { src, .. } | Inst::Jmp { src, .. } if src != Operand::Reg(Reg::FP) => FrameUse::None,
        Inst::Load { src, .. } if src != Reg::FP => FrameUse::None,
        Inst::Store { dst, src, .. } if dst != Reg::FP && src != Operand::Reg(Reg::FP) => FrameUse::None,
        Inst::Atomic { dst, src, .. } | Inst::StoreRelease { dst, src, .. } if dst != Reg::FP && src != Reg::FP => {
            FrameUse::None
        }
        Inst::LoadAcquire { src, .. } | Inst::MovSx { src, .. } if src != Reg::FP => FrameUse::None,
        Inst::CallX { dst: Reg::FP, .. } => FrameUse::Any,
        Inst::Alu { .. }
        | Inst::Jmp { .. }
        | Inst::Load { .. }
        | Inst::Store { .. }
        | Inst::Atomic { .. }
        | Inst::StoreRelease { .. }
        | Inst::LoadAcquire { .. }
        | Inst::MovSx { .. } => FrameUse::Any,
        _ => FrameUse::None,
    }
}

/// Whether an access at `off` from the frame pointer stays in the frame.
pub(crate) fn in_frame(off: i16, width: Width) -> bool {
    let from = isize::from(off);
    from >= -(FRAME as isize) && from + width.bytes() as isize <= 0
}

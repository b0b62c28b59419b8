//! Where a pointer came from, as remarks: what gave it, what moved it, who was handed it.

use super::{
    Story,
    draft::Draft,
    history::{Event, How, read},
    number, words,
};
use crate::{
    state::{Kind, Reg},
    walk::{self, Found},
};
use alveary_isa::Inst;

/// Moves that are told of at most.
const MOVES: usize = 2;

/// Labels how the pointer in a register came to be what it is.
pub(super) fn label(story: &Story<'_>, draft: &mut Draft, n: u8) {
    let mut moves = 0;
    let mut copied = None;
    let before = draft.remarks();
    for event in story.history(n) {
        let insn = story.moments[event.step].insn;
        let after = story.moments.get(event.step + 1).and_then(|next| read(&next.state, event.after));
        let Some(after) = after.filter(|reg| !reg.is_scalar() && reg.ty.kind != Kind::Uninit) else { continue };
        match event.how {
            How::Computed(_) if moves < MOVES => {
                moves += 1;
                draft.label(insn, format!("points to {} from here on", words::describe(story, &after)));
            }
            How::Copied if copied.is_none() => copied = Some((insn, after)),
            How::Passed => {
                if let Some(callee) = story.callee(insn) {
                    draft.label(insn, format!("is passed to `{callee}` here"));
                }
            }
            how if how.begins() => {
                if let Some(text) = begun(story, &event, &after) {
                    draft.label(insn, text);
                }
            }
            _ => {}
        }
    }
    if let Some((insn, reg)) = copied.filter(|_| draft.remarks() == before) {
        draft.label(insn, format!("is a copy of {} from here on", words::kind(story, &reg)));
    }
}

/// What gave a pointer.
fn begun(story: &Story<'_>, event: &Event, reg: &Reg) -> Option<String> {
    let insn = story.moments[event.step].insn;
    match event.how {
        How::Result => story.callee(insn).map(|callee| format!("`{callee}` gives {}", words::kind(story, reg))),
        How::Loaded(_) => {
            let whose = match number::context_field(story, event.step) {
                Some(field) => format!("`{field}` of the context"),
                None => object_field(story, event.step)?,
            };
            Some(format!("{whose} is loaded here: {}", words::kind(story, reg)))
        }
        How::Constant if reg.ty.kind == Kind::MapValue => {
            Some(format!("the address of {} is taken here", words::describe(story, reg)))
        }
        _ => None,
    }
}

/// The field of an object of the kernel that is loaded at a step, and whose it is.
fn object_field(story: &Story<'_>, step: usize) -> Option<String> {
    let Some(Inst::Load { src, off, .. }) = story.inst(step) else { return None };
    let from = story.reg_at(step, src.0);
    let off = u32::try_from(from.off.checked_add(off.into())?).ok()?;
    match walk::load(story.v.env.kernel.btf.as_ref()?, from.object_type()?, off, 8) {
        Ok(Found::Object { member, .. }) => Some(format!("`{member}` of {}", words::kind(story, from))),
        _ => None,
    }
}

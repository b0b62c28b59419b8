//! Alignment.

use crate::{
    explain::{draft::Draft, origin, story::Story, words},
    state::Kind,
};

pub(super) fn explain(story: &Story<'_>, draft: &mut Draft) {
    let size = story.number(" size ").unwrap_or_default();
    let place =
        story.message.strip_prefix("misaligned ").and_then(|rest| rest.split(" off ").next()).unwrap_or("access");
    draft.say(format!("a misaligned {place}: {} have to be at a multiple of {size}", words::bytes(size)));
    let base = story.access().map(|access| (access.base, access.off));
    let Some((n, off)) =
        base.or_else(|| (1..6).find(|n| story.reg(*n).is_some_and(|reg| !reg.is_scalar())).map(|n| (n, 0)))
    else {
        return;
    };
    let Some(reg) = story.reg(n).copied() else { return };
    draft.know(n);
    origin::label(story, draft, n);
    match reg.val.value() {
        Some(value) => {
            let at = i64::from(reg.off) + value as i64 + off;
            let at = if reg.ty.kind == Kind::Stack { words::frame_offset(at) } else { format!("offset {at}") };
            draft.here(format!("{} at {at}", words::bytes(size)));
        }
        None => draft.here(format!("r{n} is {} here", words::describe(story, &reg))),
    }
    if reg.ty.kind == Kind::Stack {
        draft.help("the stack is always accessed aligned: see casts to larger types, and packed structures that live on the stack");
    } else if story.v.strict_alignment {
        draft.help("the program is loaded with BPF_F_STRICT_ALIGNMENT: access it in smaller parts, or load it without");
    } else {
        draft.help("atomic operations and some helpers take aligned addresses only");
    }
}

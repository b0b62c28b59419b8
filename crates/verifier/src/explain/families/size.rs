//! Sizes that helpers are given.

use crate::explain::{draft::Draft, number::Number, story::Story, words};

pub(super) fn explain(story: &Story<'_>, draft: &mut Draft) {
    let Some((n, reg)) = story.named_reg().and_then(|n| Some((n, *story.reg(n)?))) else { return };
    draft.know(n);
    draft.know(n.saturating_sub(1));
    let callee = story.insn.and_then(|insn| story.callee(insn)).unwrap_or_default();
    let size = format!("the size that `{callee}` is given");
    let zero = story.message.contains("zero-sized");
    let constant = story.message.contains("known constant");
    if constant {
        draft.say(format!("{size} has to be a constant"));
    } else if zero {
        draft.say(format!("{size} may be 0, which this helper does not take"));
    } else if story.message.contains("negative") {
        draft.say(format!("{size} may be negative"));
    } else {
        draft.say(format!("{size} has no bound"));
    }
    draft.here(format!("argument {n} is {} here", words::number(&reg.val)));
    let mut signed = false;
    if let (Some(cell), Some(last)) = (story.cell(n), story.last())
        && let Some(number) = Number::of(story, cell, last)
    {
        number.label(story, draft);
        // It has a most, and what is below 0 was let by.
        let (wide, half) = (reg.val.wide, reg.val.half);
        let bounded = half.smin < 0 && half.smax < 1 << 29 || wide.smin < 0 && wide.smax < 1 << 29;
        signed = bounded && number.compared_signed(story);
    }
    if constant && callee == "bpf_ringbuf_reserve" {
        draft.help("reserve the largest size that there is, as a constant, or fill a buffer of the program's own and pass it with its real size to `bpf_ringbuf_output`");
    } else if constant {
        draft.help("use `sizeof` or a number; in a loop or a function that is not inlined clang may make a variable of a constant");
    } else if signed {
        draft.help("the check compares signed numbers, which lets negative ones by: `if (size <= 0) return 0;` before it leaves 1 and more");
        draft.help("or let the size be unsigned (`__u32`), and check for 0 and for the most");
    } else if zero {
        draft.help("check before: `if (size == 0) return 0;`");
        draft.help("where clang removes the check: keep the size unsigned, and compare it right before the call");
    } else {
        draft.help("before the call: `if (size > sizeof(buffer)) return 0;`, with an unsigned `size`");
        draft.help("or mask it, where the buffer's size is a power of two: `size &= sizeof(buffer) - 1`");
    }
}

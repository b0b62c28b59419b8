//! Operations that are wrong whatever the values are, and registers that are not to be written.

use crate::explain::{draft::Draft, story::Story};

pub(super) fn divide(_: &Story<'_>, draft: &mut Draft) {
    draft.say("this divides by the constant 0");
    draft.here("division by 0");
    draft.help(
        "a division by a variable that may be 0 is allowed, and gives 0; a constant 0 is a mistake in the source",
    );
}

pub(super) fn shift(story: &Story<'_>, draft: &mut Draft) {
    let by = story.number("invalid shift ").unwrap_or_default();
    draft.say(format!("this shifts by {by} bits, more than the register has"));
    draft.here("shifts are by 0 to 63 bits, and by 0 to 31 in 32-bit operations");
    draft.help("a shift by a variable is allowed: only its low bits count then");
}

pub(super) fn frame_pointer(_: &Story<'_>, draft: &mut Draft) {
    draft.say("r10 cannot be written: it is the frame pointer");
    draft.here("writes r10");
    draft.help("copy it to another register, and change that");
}

pub(super) fn no_register(story: &Story<'_>, draft: &mut Draft) {
    let n = story.named_reg().map_or_else(String::new, |n| format!("r{n} "));
    draft.say(format!("{n}is no register that programs have"));
    draft.here("programs have r0 to r10");
}

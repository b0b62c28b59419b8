//! Values that programs and callbacks return.

use crate::explain::{draft::Draft, history::How, number::Number, origin, story::Story, words};

/// What a function of type `int` returns: a negative number is one of 32 bits.
fn as_int(value: u64) -> String {
    match u32::try_from(value).map(u32::cast_signed) {
        Ok(negative) if negative < 0 => format!("{negative} (in 64 bits {value})"),
        _ => words::constant(value),
    }
}

pub(super) fn explain(story: &Story<'_>, draft: &mut Draft) {
    let Some(reg) = story.reg(0).copied() else { return };
    let callback = story.message.contains("callback");
    let who = if callback { "the callback".to_owned() } else { "the program".to_owned() };
    let range = story.message.split("should have been in [").nth(1).and_then(|rest| rest.split(']').next());
    let allowed = range.map(|range| {
        let (min, max) = range.split_once(", ").unwrap_or((range, range));
        if min == max { min.to_owned() } else { format!("{min} to {max}") }
    });
    draft.know(0);
    if !reg.is_scalar() {
        draft.say(format!("{who} returns {}, not a number", words::kind(story, &reg)));
        draft.here("r0 is returned");
        origin::label(story, draft, 0);
        draft.help("return a number; a pointer that may be NULL is compared first");
    } else {
        let row = story.v.profile.prog_type(story.program().program.ty);
        let name = row.filter(|_| !callback).map_or_else(String::new, |row| format!(" of type {}", row.name));
        let allowed = allowed.clone().unwrap_or_default();
        let others = if callback { "callbacks".to_owned() } else { format!("programs{name}") };
        match reg.val.value() {
            Some(value) => draft.say(format!("{who} returns {}, which {others} may not", as_int(value))),
            None => draft.say(format!("{who} may return values that {others} may not")),
        }
        let returned = reg.val.value().map_or_else(|| words::number(&reg.val), as_int);
        draft.here(format!("returns {returned}; allowed is {allowed}"));
    }
    if let (Some(cell), Some(last)) = (story.cell(0), story.last())
        && let Some(number) = Number::of(story, cell, last)
    {
        let passed = number.events.iter().find(|event| event.how == How::Returned);
        if let Some(passed) = passed {
            draft.label(story.moments[passed.step].insn, "the value is returned by a function here");
        }
        number.label(story, draft);
    }
    if reg.is_scalar()
        && let Some(allowed) = allowed
    {
        if reg.val.value().is_some() {
            draft.help(format!("return {allowed}"));
        } else {
            draft
                .help(format!("the verifier has to see that the value is {allowed}: compare it, and return constants"));
        }
    }
}

//! The stack: accesses outside of it, and bytes that nothing was written to.

use crate::{
    explain::{
        draft::Draft,
        history::{Cell, How, history},
        number::{self, Number},
        origin,
        story::Story,
        words,
    },
    limits::MAX_STACK,
    state::{Byte, Kind},
};
use alveary_abi::{Arg, Rule};

pub(super) fn outside(story: &Story<'_>, draft: &mut Draft) {
    let n = story.named_reg().unwrap_or(10);
    let Some(reg) = story.reg(n).copied() else { return };
    draft.know(n);
    let writes = story.message.contains(" write to");
    let (bare, verb) = if writes { ("write", "writes") } else { ("read", "reads") };
    let size = story.number("size=").unwrap_or(1);
    let off = i64::from(reg.off) + story.access().map_or(0, |access| access.off);
    match reg.val.value() {
        Some(value) if !writes && (-MAX_STACK..=-size).contains(&(off + value as i64)) => {
            draft.code = "stack-unwritten";
            draft.say(format!("{} reads bytes of the stack that nothing was written to", subject(story)));
            let at = words::frame_offset(off + value as i64);
            draft.here(format!("reads {} at {at}, below all that was written", words::bytes(size)));
            draft.help("give every byte a value first; only those who have CAP_PERFMON may read what was not written");
        }
        Some(value) => {
            let at = off + value as i64;
            let side = if at < -MAX_STACK { "below the stack's 512 bytes" } else { "above the function's stack" };
            draft.say(format!("{} {verb} {side}", subject(story)));
            draft.here(format!("{verb} {} at {}", words::bytes(size), words::frame_offset(at)));
            origin::label(story, draft, n);
            number::label_size(story, draft, n);
            if let Some((part, name, whole)) = part_of_map(story, n) {
                let given = words::bytes((-at).max(0));
                draft.note(format!(
                    "map `{name}` has {part}s of {}; from where the argument points, {given} of the stack are left",
                    words::bytes(whole)
                ));
                draft.help(format!("pass the address of a variable that is as large as the map's {part}"));
            } else if at >= -MAX_STACK {
                draft.help(format!(
                    "{} would have to begin at {} or below: see whether the size is that of the variable",
                    words::bytes(size),
                    words::frame_offset(-size)
                ));
            } else {
                draft.help(
                    "a function has 512 bytes of stack: keep larger data in a map (a per-CPU array of one entry)",
                );
            }
        }
        None => {
            draft.say(format!("{} may {bare} outside of the stack", subject(story)));
            draft.here(format!("{verb} {} at r10{}", words::bytes(size), words::offset(&reg)));
            for (step, cell) in number::added(story, &story.history(n)).iter().take(2) {
                let Some(number) = Number::of(story, *cell, *step) else { continue };
                draft.label(
                    story.moments[*step].insn,
                    format!("adds {} to the pointer", words::number(&number.reg.val)),
                );
                number.label(story, draft);
            }
            draft.help("check the index against the array's size before it is used, and let it be unsigned");
        }
    }
}

/// Whether a helper's argument is a map's key or value: which of the two, the map's name, and the size.
fn part_of_map(story: &Story<'_>, n: u8) -> Option<(&'static str, String, i64)> {
    let (_, proto) = story.helper()?;
    let arg = *proto?.args.get(n.checked_sub(1)? as usize)?;
    let map = (1..6).filter_map(|n| story.reg(n)).find(|reg| reg.ty.kind == Kind::MapPtr)?;
    let known = story.program().maps.get(map.extra as usize)?;
    let name = story.map_name(map)?.to_owned();
    match arg {
        Arg::MapKey => Some(("key", name, known.key_size.into())),
        Arg::MapValue { .. } => Some(("value", name, known.value_size.into())),
        _ => None,
    }
}

fn subject(story: &Story<'_>) -> String {
    story.subject()
}

pub(super) fn unwritten(story: &Story<'_>, draft: &mut Draft) {
    let n = story.named_reg().unwrap_or(10);
    draft.know(n);
    let size = story.number("size ").unwrap_or(1);
    draft.say(format!("{} reads bytes of the stack that nothing was written to", subject(story)));
    let (Some(last), Some(off)) = (story.last(), story.number(" off ")) else { return };
    let frame =
        story.reg(n).filter(|reg| reg.ty.kind == Kind::Stack).map_or(story.state(last).depth, |reg| reg.frame as usize);
    let slots = &story.state(last).frame(frame).stack;
    let missing: Vec<i64> = (off..off + size)
        .filter(|at| {
            let behind = (-at - 1).max(0) as usize;
            slots.get(behind / 8).is_none_or(|slot| slot.bytes[behind % 8] == Byte::Invalid)
        })
        .collect();
    let (Some(first), Some(end)) = (missing.first(), missing.last()) else {
        draft.here(format!("reads {} at {}, where a pointer is kept", words::bytes(size), words::frame_offset(off)));
        return;
    };
    draft.here(format!(
        "reads {} at {}; {} of them, from {} to {}, hold nothing",
        words::bytes(size),
        words::frame_offset(off),
        missing.len(),
        words::frame_offset(*first),
        words::frame_offset(*end)
    ));
    for slot in ((-off - 1).max(0) as usize / 8 + 1).saturating_sub((size as usize).div_ceil(8) + 1)
        ..=(-off - 1).max(0) as usize / 8
    {
        let written = history(story, Cell::Slot(frame, slot), last).into_iter().next();
        if let Some(event) = written.filter(|event| matches!(event.how, How::Stored | How::Spilled | How::Constant)) {
            draft.label(story.moments[event.step].insn, "writes a part of it");
        }
    }
    if story.v.env.caps.perfmon {
        draft.later(story, Rule::UnwrittenStack);
    }
    draft.help("give every byte a value: `struct key key = {};`, and `__builtin_memset(&key, 0, sizeof(key))` where it has padding");
}

pub(super) fn variable(story: &Story<'_>, draft: &mut Draft) {
    let n = story.access().map_or(10, |access| access.base);
    draft.know(n);
    draft.say(format!("{} goes to the stack at an offset that is not known", subject(story)));
    draft.here("the kernel has to know which bytes of the stack these are");
    draft.later(story, Rule::VariableStack);
    draft.help("keep what is indexed in a map (a per-CPU array of one entry), or unroll the loop");
}

pub(super) fn spill(story: &Story<'_>, draft: &mut Draft) {
    let fills = story.message.contains("fill");
    let what = if fills { "loads" } else { "stores" };
    draft.say(format!("{} {what} a part of a pointer", subject(story)));
    draft.here("pointers go to the stack and back in 8 bytes, at an offset that is a multiple of 8");
    if let (true, Some(access), Some(last)) = (fills, story.access(), story.last()) {
        let reg = story.state(last).reg(access.base);
        let at = access.off + i64::from(reg.off) + reg.val.value().unwrap_or_default() as i64;
        let slot = Cell::Slot(reg.frame as usize, (-at - 1).max(0) as usize / 8);
        if let Some(event) = history(story, slot, last).into_iter().find(|event| event.how == How::Spilled) {
            draft.label(story.moments[event.step].insn, "the pointer is stored here");
        }
    }
    draft.help("copy structures that hold pointers member by member, not by `memcpy` of fewer bytes");
}

pub(super) fn callers(story: &Story<'_>, draft: &mut Draft) {
    draft.say(format!("{} puts a pointer to this function's stack into the caller's", subject(story)));
    draft.here("it would still be there when this function has returned");
    draft.help("return a number, or let the caller hand in the memory");
}

pub(super) fn returned(_: &Story<'_>, draft: &mut Draft) {
    draft.say("the function returns a pointer to its own stack");
    draft.here("r0 points to the stack, which is gone behind the return");
    draft.help("let the caller hand in the memory");
}

//! Registers that are read before anything was written to them.

use crate::explain::{
    draft::Draft,
    history::{Cell, How},
    story::Story,
};
use alveary_isa::Inst;

pub(super) fn explain(story: &Story<'_>, draft: &mut Draft) {
    let Some(n) = story.named_reg() else { return };
    let exit = matches!(story.rejected(), Some(Inst::Exit));
    let depth = story.last().map_or(0, |last| story.state(last).depth);
    let argument = story.helper().and_then(|(row, proto)| {
        let takes =
            proto.is_some_and(|proto| (1..6).contains(&n) && proto.args[n as usize - 1] != alveary_abi::Arg::None);
        takes.then(|| format!("argument {n} of `bpf_{}`", row.name))
    });
    if exit && n == 0 {
        draft.say("the program ends without a return value on this path");
        draft.here("r0 is returned, and nothing was written to it");
    } else if let Some(argument) = &argument {
        draft.say(format!("{argument} is never set on this path"));
        draft.here(format!("r{n} is passed, and nothing was written to it"));
    } else {
        draft.say(format!("r{n} is read, but nothing was written to it on this path"));
        draft.here(format!("reads r{n}"));
    }
    let events = story.history(n);
    let Some(last) = events.iter().find(|event| event.how.begins()) else { return };
    let insn = story.moments[last.step].insn;
    match last.how {
        How::Lost => {
            let callee = story.callee(insn).unwrap_or_else(|| "the call".to_owned());
            draft.label(insn, format!("calls keep r6 to r9 only: what was in r{n} is lost in `{callee}`"));
            draft.help(format!("keep the value in one of r6 to r9, or on the stack, over the call of `{callee}`"));
            draft.help("in C: a variable without a value, or a function that is declared with other arguments than it is called with");
        }
        How::Result => {
            let callee = story.callee(insn).unwrap_or_else(|| "the call".to_owned());
            draft.label(insn, format!("`{callee}` gives nothing back"));
        }
        How::Entered if matches!(last.after, Cell::Reg(..)) => {
            if exit && n == 0 {
                draft.help("set r0 on every path; in C every path of the function needs a `return` with a value");
            } else if n == 1 || depth > 0 && (1..6).contains(&n) {
                draft.help("pass this argument where the function is called");
            } else {
                draft.help("give the variable a value when it is declared; a program starts with the context in r1, and nothing else");
            }
        }
        _ => {}
    }
}

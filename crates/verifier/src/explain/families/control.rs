//! The shape of the code: jumps, ends, instructions that cannot be reached or are none.

use crate::explain::{draft::Draft, story::Story};
use alveary_isa::Inst;

/// The number behind `key` in the message, as an instruction.
fn insn(story: &Story<'_>, key: &str) -> Option<u32> {
    u32::try_from(story.number(key)?).ok().filter(|insn| *insn < story.program().len())
}

pub(super) fn unreachable(story: &Story<'_>, draft: &mut Draft) {
    draft.say("this instruction can never be reached");
    let Some(at) = insn(story, "unreachable insn ") else { return };
    draft.at(at);
    draft.here("no path comes here");
    if let Some(before) = at.checked_sub(1) {
        match story.program().inst(before) {
            Some(Inst::Exit) => draft.label(before, "the path before it ends here, and nothing jumps behind it"),
            Some(Inst::Ja { .. }) => draft.label(before, "always jumps away, and nothing jumps behind it"),
            _ => {}
        }
    }
    draft.help(
        "remove the code, or jump to it; compilers leave none, so look at assembly and at rewritten instructions",
    );
}

pub(super) fn out_of_range(story: &Story<'_>, draft: &mut Draft) {
    draft.say("this jump leaves its function");
    let Some(at) = insn(story, "from insn ") else { return };
    draft.at(at);
    let to = story.number(&format!("from insn {at} to ")).unwrap_or_default();
    let subprog = &story.program().subprogs[story.program().subprog_of(at) as usize];
    draft.here(format!(
        "jumps to {to}; the function has the instructions {} to {}",
        subprog.start,
        subprog.end.saturating_sub(1)
    ));
    draft.help("jumps stay inside of a function: call the other one instead");
}

pub(super) fn falls_off(story: &Story<'_>, draft: &mut Draft) {
    draft.say("a function runs out of its end");
    let program = story.program();
    let open = program.subprogs.iter().find(|subprog| {
        subprog.end > 0 && !matches!(program.inst(subprog.end - 1), Some(Inst::Exit | Inst::Ja { .. }))
    });
    if let Some(open) = open {
        draft.at(open.end - 1);
        let name = if open.name.is_empty() { "the program" } else { &open.name };
        draft.here(format!("the last instruction of `{name}` is neither `exit` nor a jump"));
    }
    draft.help("end every function with `exit`; in C the end is missing behind an endless loop, `__builtin_unreachable()`, or a call of a function that does not return");
}

pub(super) fn into_constant(story: &Story<'_>, draft: &mut Draft) {
    draft.say("a jump goes into the middle of an instruction of two slots");
    if let Some(at) = insn(story, "ldimm64 insn ") {
        draft.at(at);
        draft.here("takes two slots");
        let program = story.program();
        let jumps = (0..program.len()).find(|from| program.successors(*from).any(|to| to == at + 1));
        if let Some(from) = jumps.filter(|from| *from != at) {
            draft.label(from, "jumps to the second one");
        }
    }
    draft.help("loads of 64-bit constants count as two slots: correct the jump's offset");
}

pub(super) fn variable(_: &Story<'_>, draft: &mut Draft) {
    draft.say(
        "this asks for the address of what the kernel's types do not have as a variable or function of known size",
    );
    draft.help("declare it as `vmlinux.h` does, `extern const … __ksym`, and let the loader look it up");
}

pub(super) fn no_instruction(story: &Story<'_>, draft: &mut Draft) {
    let program = story.program();
    draft.say("this is no instruction that the kernel knows");
    draft.here("its operation code, or a field that has to be zero, is not known");
    let code = story.message.split("unknown opcode ").nth(1).and_then(|hex| u8::from_str_radix(hex.trim(), 16).ok());
    // Without an operation code it is the first that is none.
    let names = |at: u32| code.is_none_or(|code| program.slot(at).op == code) && program.is_undefined(at);
    let Some(at) = story.insn.or_else(|| (0..program.len()).find(|at| names(*at))) else { return };
    draft.at(at);
    if let Some(rule) = program.needs(at) {
        draft.here("only later kernels have it");
        draft.later(story, rule);
    }
    draft.help("compile for an older instruction set (clang: `-mcpu=v3`), or see whether the object is damaged");
}

pub(super) fn bad_call(story: &Story<'_>, draft: &mut Draft) {
    draft.say("a call goes to what is no function of the program");
    let program = story.program();
    let wrong =
        (0..program.len()).find(|at| program.callee(*at).is_some_and(|to| to < 0 || to >= i64::from(program.len())));
    if let Some(at) = wrong {
        draft.at(at);
        draft.here("goes outside of the program");
    }
}

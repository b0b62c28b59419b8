//! Pointers that may be NULL.

use crate::{
    explain::{
        draft::Draft,
        history::{How, history, read},
        number, source,
        story::Story,
        words,
    },
    state::{Kind, Reg},
};
use alveary_isa::{CmpOp, Operand};

pub(super) fn explain(story: &Story<'_>, draft: &mut Draft) {
    let named = story.named_reg().or_else(|| story.number("arg#").map(|n| n as u8 + 1));
    let Some((n, reg)) = named.and_then(|n| Some((n, *story.reg(n)?))) else { return };
    draft.know(n);
    let what = words::kind(story, &reg);
    let what = what.trim_end_matches(" or NULL");
    draft.say(format!("{} uses a pointer that may be NULL ({what})", story.subject()));
    draft.here(format!("r{n} may be NULL here"));
    tell(story, draft, n, &reg);
}

/// Where the pointer comes from, and which checks were made of another one.
pub(super) fn tell(story: &Story<'_>, draft: &mut Draft, n: u8, reg: &Reg) {
    let events = story.history(n);
    if let Some(event) = events.iter().find(|event| event.how.begins()) {
        let insn = story.moments[event.step].insn;
        match (event.how, story.callee(insn)) {
            (How::Result, Some(callee)) => draft.label(insn, format!("`{callee}` {}", may_give_null(reg))),
            (How::Loaded(_), _) => match number::context_field(story, event.step) {
                Some(field) => draft.label(insn, format!("`{field}` of the context may be NULL")),
                None => draft.label(insn, "loaded here, it may be NULL"),
            },
            _ => {}
        }
    }
    for (step, dst, src) in story.jumps().filter(|(.., src)| matches!(src, Operand::Imm(0))) {
        let checked = *story.reg_at(step, dst);
        let decides = matches!(story.inst(step), Some(alveary_isa::Inst::Jmp { op: CmpOp::Eq | CmpOp::Ne, .. }));
        if !decides || !matches!(src, Operand::Imm(0)) || checked.ty != reg.ty || checked.id == reg.id {
            continue;
        }
        let cell = crate::explain::history::Cell::Reg(story.state(step).depth, dst);
        let origin = history(story, cell, step).into_iter().find(|event| event.how == How::Result);
        let other = origin.and_then(|event| story.callee(story.moments[event.step].insn));
        if read(story.state(step + 1), cell).is_some() && other.is_some() {
            draft.label(story.moments[step].insn, "this checks the result of another call");
        }
    }
    let name = story.insn.and_then(|insn| source::pointer_at(story, insn)).unwrap_or_else(|| "pointer".to_owned());
    draft.help(format!("check it before: `if (!{name}) {}`", source::way_out(story)));
}

fn may_give_null(reg: &Reg) -> &'static str {
    match reg.ty.kind {
        Kind::MapValue => "gives NULL if there is nothing under the key",
        Kind::Mem => "gives NULL if there is no room",
        Kind::Socket | Kind::SockCommon | Kind::TcpSock => "gives NULL if there is no such socket",
        _ => "may give NULL",
    }
}

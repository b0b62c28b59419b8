//! Memory accesses through what is only a number.

use super::packet::loaded;
use crate::{
    explain::{
        draft::Draft,
        history::{Cell, Event, How, history, moves_packet, read, slot_of},
        number::from,
        origin,
        story::{AccessKind, Story},
        words,
    },
    state::{Kind, Reg},
};
use alveary_abi::{HelperId, ProgSet, ProgType as P};
use alveary_isa::{AluOp, Inst, Operand, Wide};

/// Program types that look at the kernel's own memory.
const TRACING: ProgSet =
    ProgSet::of(&[P::KPROBE, P::TRACEPOINT, P::PERF_EVENT, P::RAW_TRACEPOINT, P::RAW_TRACEPOINT_WRITABLE, P::TRACING]);

/// The family: others ask for no more than what happened to a value.
pub(super) const CODE: &str = "not-a-pointer";

const PROBED: &str = "an address in the kernel or in a process is read with `bpf_probe_read_kernel` or `bpf_probe_read_user` (in C: `BPF_CORE_READ`), not by a load";

pub(super) fn explain(story: &Story<'_>, draft: &mut Draft) {
    let Some(n) = story.named_reg() else { return };
    draft.know(n);
    let verb = match story.access().map(|access| access.kind) {
        Some(AccessKind::Load) => "reads through",
        Some(AccessKind::Store) => "writes through",
        _ => "goes through",
    };
    if let Some(reg) = story.reg(n).filter(|reg| !reg.is_scalar()) {
        let what = words::kind(story, reg);
        draft.say(format!("{} {verb} r{n}, which is {what} here: there is nothing to access", story.subject()));
        draft.here(format!("r{n} is {what}"));
        origin::label(story, draft, n);
        return;
    }
    draft.say(format!("{} {verb} r{n}, which is a number here, not a pointer", story.subject()));
    draft.here(format!("r{n} is no pointer that the verifier knows"));
    why(story, draft, n);
}

/// What made a number of the value in a register. Used for arguments, too.
pub(super) fn why(story: &Story<'_>, draft: &mut Draft, n: u8) {
    let events = story.history(n);
    let mut later = story.last().unwrap_or_default();
    for event in &events {
        // What is still a pointer behind an event was taken away by something after it, whatever that was.
        if let Some(step) = lost(story, event, later) {
            let before = read(story.state(step), event.after);
            return changed(story, draft, &events, &Event { step, before: event.after, ..*event }, before);
        }
        later = event.step;
        let insn = story.moments[event.step].insn;
        let before = read(story.state(event.step), event.before);
        let was_pointer = before.is_some_and(|reg| !reg.is_scalar() && reg.ty.kind != Kind::Uninit);
        match event.how {
            _ if event.how.begins() => return begun(story, draft, n, event),
            _ if !was_pointer => {}
            How::Changed => return changed(story, draft, &events, event, before),
            How::Learnt if read(story.state(event.step + 1), event.after).is_some_and(|reg| reg.is_null()) => {
                draft.label(insn, "on this side of the check it is NULL");
                if draft.code == CODE {
                    draft.say(format!("{} goes through a pointer that is NULL on this path", story.subject()));
                }
                draft.help("use the pointer on the other side of the check");
                return;
            }
            How::Computed(op) => {
                draft.label(insn, computed(story, event, op));
                draft.help("numbers are no addresses: add the number to a pointer, and go through that");
                return;
            }
            How::Narrowed => {
                draft.label(insn, "copies 32 bits of a pointer: that is a number, no pointer any more");
                draft.help("keep addresses in 64 bits: `void *` or `long`, never `int` or `__u32`");
                return;
            }
            _ => {}
        }
    }
}

/// The step between an event and the next one, at which a pointer became something else.
fn lost(story: &Story<'_>, event: &Event, later: usize) -> Option<usize> {
    let pointer =
        |step: usize| read(story.state(step), event.after).map(|reg| !reg.is_scalar() && reg.ty.kind != Kind::Uninit);
    let first = event.step + 1;
    (pointer(first.min(later)) == Some(true)).then_some(())?;
    (first..later).find(|step| pointer(step + 1) == Some(false))
}

/// A call took the pointer away.
fn changed(story: &Story<'_>, draft: &mut Draft, events: &[Event], event: &Event, before: Option<Reg>) {
    let insn = story.moments[event.step].insn;
    let mut callee = story.callee(insn).unwrap_or_else(|| "this call".to_owned());
    let packet = before.is_some_and(|reg| reg.ty.is_packet_or_end());
    if packet && moves_packet(story, insn) {
        const GONE: &str = "pointers into it from before are no longer good";
        match call_of_holder(story, event) {
            // The function that holds the pointer calls another one, and that the helper.
            Some((call, outer)) => {
                let tail = story.helper_at(insn).is_some_and(|(row, _)| row.id == HelperId::TAIL_CALL);
                let does = if tail { "makes a tail call" } else { "calls it" };
                draft.label(insn, format!("`{callee}` may move the packet"));
                draft.label(call, format!("`{outer}` {does}: the packet may be moved, and {GONE}"));
                callee = outer;
            }
            None => draft.label(insn, format!("`{callee}` may move the packet: {GONE}")),
        }
        let begun = events.iter().find(|event| event.how.begins());
        if let Some((begun, text)) = begun.and_then(|begun| Some((begun, loaded(story, begun)?))) {
            draft.label(story.moments[begun.step].insn, text);
        }
        if draft.code == CODE {
            draft.say(format!("{} uses a pointer into the packet from before `{callee}`", story.subject()));
        }
        draft.help("behind the call load `data` and `data_end` from the context again, and check again");
    } else if before.is_some_and(|reg| reg.ref_id != 0) {
        draft.label(insn, format!("`{callee}` gives it back: it must not be used from here on"));
        if draft.code == CODE {
            draft.say(format!("{} uses what `{callee}` has given back", story.subject()));
        }
        draft.help("use it before it is given back");
    } else {
        draft.label(insn, format!("behind `{callee}` it is no longer known"));
    }
}

/// The call in the function that holds the pointer, and what is called there, if the event is in another function.
fn call_of_holder(story: &Story<'_>, event: &Event) -> Option<(u32, String)> {
    let state = story.state(event.step);
    let (Cell::Reg(holder, _) | Cell::Slot(holder, _)) = event.before;
    let call = (holder < state.depth).then(|| state.frame(holder + 1).callsite)?;
    Some((call, story.callee(call)?))
}

fn computed(story: &Story<'_>, event: &Event, op: Option<AluOp>) -> &'static str {
    let pointers = |src: Operand, dst: u8| match src {
        Operand::Reg(src) => !story.reg_at(event.step, src.0).is_scalar() && !story.reg_at(event.step, dst).is_scalar(),
        Operand::Imm(_) => false,
    };
    match (op, story.inst(event.step)) {
        (Some(AluOp::Sub), Some(Inst::Alu { dst, src, .. })) if pointers(src, dst.0) => {
            "the difference of two pointers is a number"
        }
        (_, Some(Inst::Alu { wide: Wide::W32, .. })) => "an operation on 32 bits of a pointer gives a number",
        (None, _) => "a pointer whose bytes are swapped, or that is negated, is a number",
        _ => "this makes a number of the pointer",
    }
}

/// It never was a pointer.
fn begun(story: &Story<'_>, draft: &mut Draft, n: u8, event: &Event) {
    let insn = story.moments[event.step].insn;
    let value = story.moments.get(event.step + 1).and_then(|next| read(&next.state, event.after));
    match event.how {
        How::Constant if value.is_some_and(|reg| reg.is_null()) => {
            draft.label(insn, "it is NULL from here on");
            if draft.code == CODE {
                draft.say(format!("{} goes through a pointer that is NULL on this path", story.subject()));
            }
            draft.help("the pointer is NULL on this path: leave before the access, or set it");
        }
        How::Constant => {
            draft.label(
                insn,
                format!("it is {} from here on", value.map_or_else(String::new, |reg| words::number(&reg.val))),
            );
            draft.help("addresses that are written as numbers cannot be used: pointers come from the context, maps, helpers, the stack");
        }
        How::Loaded(base) => loaded_number(story, draft, event, base),
        How::Result => {
            let callee = story.callee(insn).unwrap_or_else(|| "the call".to_owned());
            draft.label(insn, format!("`{callee}` gives a number, no pointer"));
            if draft.code == CODE && TRACING.has(story.program().program.ty) {
                draft.help(PROBED);
                if callee == "bpf_get_current_task" {
                    draft.help("or call `bpf_get_current_task_btf`, where the kernel has it: what that gives can be read directly");
                }
            }
        }
        How::Entered if story.moments[event.step].state.depth == 0 && matches!(event.after, Cell::Reg(0, 1..6)) => {
            draft.label(insn, format!("r{n} is an argument of the function: a number, by its type"));
        }
        _ => {}
    }
}

/// The offset of the load at a step.
fn access(story: &Story<'_>, step: usize) -> Option<i64> {
    match story.inst(step) {
        Some(Inst::Load { off, .. } | Inst::LoadAcquire { off, .. }) => Some(off.into()),
        _ => None,
    }
}

fn loaded_number(story: &Story<'_>, draft: &mut Draft, event: &Event, base: u8) {
    let insn = story.moments[event.step].insn;
    let reg = story.reg_at(event.step, base);
    let size = match story.inst(event.step) {
        Some(Inst::Load { width, .. }) => width.bytes(),
        _ => 8,
    };
    let place = from(story, event.step, base);
    draft.label(
        insn,
        format!(
            "{} loaded{place}: to the verifier they are a number",
            if size == 1 { "1 byte is" } else { "bytes are" }
        ),
    );
    let ty = story.program().program.ty;
    if reg.ty.kind == Kind::Stack {
        let slot = access(story, event.step).and_then(|off| slot_of(reg, off));
        let written = slot.and_then(|slot| history(story, slot, event.step).into_iter().next());
        if let Some(written) =
            written.filter(|written| matches!(written.how, How::Stored | How::Spilled | How::Constant))
        {
            let insn = story.moments[written.step].insn;
            let who = story.callee(insn).map_or_else(|| "this".to_owned(), |callee| format!("`{callee}`"));
            draft.label(insn, format!("{who} writes these bytes of the stack"));
        }
        draft.help("pointers come back from the stack only as they were stored: all 8 bytes, at an offset that is a multiple of 8, and not written to in between");
    } else if TRACING.has(ty) {
        draft.help(PROBED);
    } else if reg.ty.kind == Kind::MapValue {
        draft.help("pointers that were stored in a map are numbers when they are loaded: keep keys or offsets there, and look up again");
    } else if draft.code == CODE && (reg.ty.kind == Kind::Packet || reg.ty.kind == Kind::Ctx && packet_is_seen(story)) {
        draft.help(
            "what is to be used as an offset is added to a pointer: `data + offset`, and checked against `data_end`",
        );
    }
}

/// Whether the path has a pointer into the packet: what is used as an offset is meant to go there then.
fn packet_is_seen(story: &Story<'_>) -> bool {
    story.moments.iter().any(|moment| moment.state.top().regs.iter().any(Story::is_packet))
}

//! Packet accesses that no check covers.

use crate::{
    engine::Moment,
    explain::{
        draft::Draft,
        history::{Cell, Event, How, history, read},
        number::{self, Number, beginning},
        source,
        story::{AccessKind, Story, number_after},
        way::line_of,
        words,
    },
    limits::MAX_PACKET_OFF,
    state::{Kind, Reg},
};
use alveary_isa::{AluOp, CmpOp, Inst, Operand};

pub(super) fn explain(story: &Story<'_>, draft: &mut Draft) {
    let Some((n, reg)) = story.named_reg().and_then(|n| Some((n, *story.reg(n)?))) else { return };
    draft.know(n);
    let access = story.access();
    let verb = match access.map(|access| access.kind) {
        Some(AccessKind::Load) => "reads",
        Some(_) => "writes",
        None => "accesses",
    };
    let off = access.map_or(0, |access| access.off) + i64::from(reg.off);
    let size = access.map(|access| access.size).or_else(|| number_after(story.message, "size=")).unwrap_or(1);
    let one = if size == 1 { "a byte" } else { "bytes" };
    draft.say(format!("{} {verb} {one} of the packet that no check has proven to be there", story.subject()));
    if reg.range() < 0 {
        return beyond(story, draft, n);
    }
    let checks = checks(story, &reg);
    let moved = number::added(story, &story.history(n)).first().copied();
    let to = if reg.id == 0 { "of the packet" } else { "behind the place that the pointer was moved to" };
    let (low, high) = (off + reg.val.wide.smin.max(0), off.saturating_add_unsigned(reg.val.wide.umax));
    let place = if low == high || reg.id != 0 { format!("offset {off}") } else { format!("offsets {low} to {high}") };
    let known = match reg.range() {
        0 => "nothing is proven".to_owned(),
        1 => "1 byte is proven".to_owned(),
        range => format!("{range} bytes are proven"),
    };
    draft.here(format!("{verb} {} at {place} {to}, where {known}", words::bytes(size)));
    for check in checks.iter().filter(|check| check.proven > 0 && check.id == reg.id && check.kind == reg.ty.kind) {
        let from = if reg.id == 0 { "the start of the packet" } else { "where the pointer was moved to" };
        draft
            .label(story.moments[check.step].insn, format!("proves {} from {from}", words::bytes(check.proven.into())));
    }
    let events = story.history(n);
    let computed = events.iter().find(|event| matches!(event.how, How::Computed(_)));
    if let Some(event) = computed {
        let at = read(story.state(event.step + 1), event.after).filter(|at| at.id == reg.id && at.off > 0);
        if let Some(at) = at.filter(|_| moved.is_none_or(|(step, _)| step != event.step)) {
            let just = if at.off == reg.range() && reg.range() > 0 { ", just behind what is proven" } else { "" };
            let behind = if reg.id == 0 { "into the packet" } else { "further" };
            draft.label(
                story.moments[event.step].insn,
                format!("points {} {behind}{just}", words::bytes(at.off.into())),
            );
        }
    }
    // What the source adds may stand in the access itself: then nothing else moves the pointer.
    if let (None, Some(access), true) = (computed, access.filter(|access| access.off > 0), reg.range() > 0)
        && let Some(begun) = events.iter().find(|event| event.how.begins())
    {
        let name = story.insn.and_then(|insn| story.source_name(insn));
        let what = name.map_or_else(|| "the access counts".to_owned(), |name| format!("`{name}` is reached"));
        let adds = format!("{what} from this pointer: {} adds {} to it", story.subject(), words::bytes(access.off));
        draft.label(story.moments[begun.step].insn, adds);
    }
    if let Some((step, cell)) = moved {
        let Some(added) = Number::of(story, cell, step) else { return };
        draft.label(
            story.moments[step].insn,
            format!(
                "moves the pointer by {}: what was proven of the packet before does not count from here on",
                words::number(&added.reg.val)
            ),
        );
        let useless = checks.iter().find(|check| check.id == reg.id && check.proven == 0);
        if let Some(check) = useless.filter(|check| check.umax > MAX_PACKET_OFF) {
            draft.label(
                story.moments[check.step].insn,
                format!(
                    "proves nothing: the pointer may be {} bytes in, and packets end before {MAX_PACKET_OFF}",
                    words::constant(check.umax)
                ),
            );
            added.label(story, draft);
            draft.help(format!(
                "bound the number before it is added, to {MAX_PACKET_OFF} at most: `if (n > 1500) {}`",
                source::way_out(story)
            ));
            return;
        }
    } else if checks.iter().all(|check| check.proven == 0)
        && let Some(begun) = events.iter().find(|event| event.how.begins())
    {
        draft.label(story.moments[begun.step].insn, "the pointer comes from here: nothing is proven of the packet yet");
    }
    if let Some(check) =
        checks.iter().find(|check| check.id == reg.id && check.proven == 0 && check.umax <= MAX_PACKET_OFF)
    {
        if before_end(story, check.step) {
            draft.label(
                story.moments[check.step].insn,
                "the pointer itself is before the packet's end on this side: that proves no byte behind it, since nothing is added to it",
            );
            help(story, draft, &reg, off + size, moved);
            let names = source::packet_names(story.program());
            let behind = story.insn.and_then(|insn| source::end_at(story, insn, Some(size)));
            if let (Some(end), Some(behind)) = (names.data_end, behind) {
                draft.help(format!("or let this condition ask for all of them: `{behind} <= {end}`"));
            }
            return;
        }
        draft.label(
            story.moments[check.step].insn,
            "compares with the packet's end, but on this side of the jump the packet may be too short",
        );
        if reg.range() == 0 {
            draft.help("turn the comparison round, or move the access to its other side");
            return;
        }
    }
    label_others(story, draft, &reg, &checks);
    label_difference(story, draft, &reg);
    help(story, draft, &reg, off + size, moved);
}

/// A check that proved something, but of another pointer: of the start of the packet, or of one that was moved elsewhere.
fn label_others(story: &Story<'_>, draft: &mut Draft, reg: &Reg, checks: &[Check]) {
    if reg.range() != 0 || checks.iter().any(|check| check.id == reg.id && check.kind == reg.ty.kind) {
        return;
    }
    let Some(other) = checks.iter().find(|check| check.proven > 0 && check.kind == reg.ty.kind) else { return };
    let from = if other.id == 0 { "the start of the packet" } else { "where another pointer was moved to" };
    draft.label(
        story.moments[other.step].insn,
        format!("proves {} from {from}: nothing of the pointer that is used here", words::bytes(other.proven.into())),
    );
}

/// A comparison of the difference of two pointers, by which the packet's length was meant to be checked.
fn label_difference(story: &Story<'_>, draft: &mut Draft, reg: &Reg) {
    if reg.range() != 0 {
        return;
    }
    let difference = |step: usize, n: u8| {
        let cell = Cell::Reg(story.state(step).depth, n);
        history(story, cell, step).into_iter().find_map(|event| match story.inst(event.step) {
            Some(Inst::Alu { op: AluOp::Sub, dst, src: Operand::Reg(src), .. }) => {
                let packet = |n: u8| story.reg_at(event.step, n).ty.is_packet_or_end();
                (packet(dst.0) && packet(src.0)).then_some(event.step)
            }
            _ => None,
        })
    };
    let found = story.jumps().find_map(|(step, dst, src)| {
        let src = if let Operand::Reg(src) = src { Some(src.0) } else { None };
        [Some(dst), src].into_iter().flatten().find_map(|n| difference(step, n)).map(|made| (step, made))
    });
    if let Some((step, made)) = found {
        draft.label(story.moments[made].insn, "the difference of two pointers is a number");
        draft.label(
            story.moments[step].insn,
            "compares that number: this proves nothing of the packet, only comparisons of pointers do",
        );
    }
}

/// Whether the pointer into the packet that is compared at a step is before the packet's end on the path's side.
fn before_end(story: &Story<'_>, step: usize) -> bool {
    let Some(Inst::Jmp { op, dst, .. }) = story.inst(step) else { return false };
    let less = match op {
        CmpOp::Lt | CmpOp::Le => true,
        CmpOp::Gt | CmpOp::Ge => false,
        _ => return false,
    };
    let first = Story::is_packet(story.reg_at(step, dst.0));
    (less == first) == (story.taken(step) == Some(true))
}

/// The pointer itself is known to be behind the packet's end.
fn beyond(story: &Story<'_>, draft: &mut Draft, n: u8) {
    let learnt = story.history(n).into_iter().find(|event: &Event| {
        let range = |step: usize| read(story.state(step), event.after).map(|reg| reg.range());
        event.how == How::Learnt && range(event.step) != range(event.step + 1)
    });
    draft.here("the pointer is behind the packet's end here");
    if let Some(event) = learnt {
        let side = if story.taken(event.step) == Some(true) { "jumps" } else { "goes on" };
        draft.label(
            story.moments[event.step].insn,
            format!("{side} to here if the packet is too short: the access is on the wrong side"),
        );
    }
    draft.help("turn the comparison round, or move the access to its other side");
}

fn help(story: &Story<'_>, draft: &mut Draft, reg: &Reg, end: i64, moved: Option<(usize, Cell)>) {
    let names = source::packet_names(story.program());
    let (data, data_end) = (&names.data, names.data_end.as_deref().unwrap_or("data_end"));
    let out = source::way_out(story);
    let size = story.access().map(|access| access.size);
    let behind = story.insn.and_then(|insn| source::end_at(story, insn, size));
    let wanted = match behind {
        _ if reg.ty.kind == Kind::PacketMeta => format!("if (data_meta + {end} > {data}) {out}"),
        Some(behind) => format!("if ({behind} > {data_end}) {out}"),
        None if reg.id == 0 && reg.val.value().is_some() => format!("if ({data} + {end} > {data_end}) {out}"),
        None => {
            let place = moved.and_then(|(step, _)| line_of(story, story.moments[step].insn));
            let place = place.filter(|line| line.line > 0).map(|line| format!(" in line {}", line.line));
            let wanted = format!("if ((void *)base + {end} > {data_end}) {out}");
            draft.help(format!(
                "before the access: `{wanted}`, where `base` is the pointer as it was moved{}",
                place.unwrap_or_default()
            ));
            return;
        }
    };
    draft.help(format!("before the access: `{wanted}`"));
    // Only where the source sets the start of the packet, and nothing on the path holds its end.
    let ended = |moment: &Moment| moment.state.top().regs.iter().any(|reg| reg.ty.kind == Kind::PacketEnd);
    if let Some(context) = names.context
        && reg.ty.kind == Kind::Packet
        && names.data_end.is_none()
        && !story.moments.iter().any(ended)
    {
        draft.help(format!("with the packet's end: `void *data_end = (void *)(long){context}->data_end;`"));
    }
}

/// A comparison of a packet pointer with the packet's end.
struct Check {
    step: usize,
    kind: Kind,
    /// The pointer's id, and how far it may be behind its base.
    id: u32,
    umax: u64,
    /// How much is proven of that id since, and was not before.
    proven: i32,
}

/// The comparisons on the path, the last one first. Of several that prove something of the same pointer, those that a
/// later one outdid are left out.
fn checks(story: &Story<'_>, reg: &Reg) -> Vec<Check> {
    let mut found: Vec<Check> = story
        .jumps()
        .filter_map(|(step, dst, src)| {
            let Operand::Reg(src) = src else { return None };
            let (a, b) = (*story.reg_at(step, dst), *story.reg_at(step, src.0));
            let pointer = if Story::is_packet(&a) && b.ty.kind != a.ty.kind { a } else { b };
            if !Story::is_packet(&pointer) || !b.ty.is_packet_or_end() || !a.ty.is_packet_or_end() {
                return None;
            }
            let best = |step: usize| {
                let state = story.state(step);
                let regs = (0..=state.depth).flat_map(|n| state.frame(n).all_regs());
                regs.filter(|r| r.ty == pointer.ty && r.id == pointer.id).map(Reg::range).max().unwrap_or(0)
            };
            let (before, after) = (best(step), best(step + 1));
            let proven = if after > before { after } else { 0 };
            let umax = pointer.val.wide.umax.saturating_add_signed(pointer.off.into());
            Some(Check { step, kind: pointer.ty.kind, id: pointer.id, umax, proven })
        })
        .collect();
    found.reverse();
    let enough = found.iter().position(|check| check.proven == reg.range() && check.id == reg.id);
    if let Some(enough) = enough.filter(|_| reg.range() > 0) {
        let mut n = 0;
        found.retain(|check| {
            n += 1;
            n - 1 <= enough || check.id != reg.id
        });
    }
    found
}

/// Where a packet pointer was loaded, in words.
pub(super) fn loaded(story: &Story<'_>, event: &Event) -> Option<String> {
    let How::Loaded(_) = event.how else { return beginning(story, event) };
    let field = number::context_field(story, event.step)?;
    Some(format!("`{field}` of the context is loaded here"))
}

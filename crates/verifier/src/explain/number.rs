//! How a number came to have its range: where it began, the checks that made it smaller, the checks that were made on
//! something else.

use super::{
    Story,
    draft::Draft,
    history::{Cell, Event, How, history, read},
    way::line_of,
    words,
};
use crate::state::{Kind, Reg};
use alveary_abi::Arg;
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Wide};

/// Checks that are told of at most.
const CHECKS: usize = 3;

/// What was found of a number.
pub(super) struct Number {
    /// What is known of it.
    pub(super) reg: Reg,
    pub(super) events: Vec<Event>,
}

impl Number {
    /// The number that `cell` holds before step `until`.
    pub(super) fn of(story: &Story<'_>, cell: Cell, until: usize) -> Option<Number> {
        let reg = read(story.state(until), cell)?;
        Some(Number { reg, events: history(story, cell, until) })
    }

    /// Labels where the number came from, and what bounds it.
    pub(super) fn label(&self, story: &Story<'_>, draft: &mut Draft) {
        let mut checks = 0;
        for event in &self.events {
            let insn = story.moments[event.step].insn;
            match event.how {
                How::Learnt if checks < CHECKS && !event.how.begins() => {
                    let Some(after) = read(story.state(event.step + 1), event.after).filter(Reg::is_scalar) else {
                        continue;
                    };
                    checks += 1;
                    let before = read(story.state(event.step), event.before);
                    draft.label(insn, format!("{}{}", condition(story, insn), learnt(before.as_ref(), &after)));
                }
                How::Computed(op) => {
                    let after = read(story.state(event.step + 1), event.after);
                    let extended = extension(story, event);
                    if let Some(text) =
                        after.filter(Reg::is_scalar).and_then(|reg| extended.unwrap_or_else(|| computed(op, &reg)))
                    {
                        draft.label(insn, text);
                    }
                }
                how if how.begins() => self.label_start(story, draft, event),
                _ => {}
            }
        }
        if checks == 0 {
            self.label_lost_check(story, draft);
        }
        let halved = self.events.iter().filter(|event| event.how == How::Learnt).any(|event| {
            let after = read(story.state(event.step + 1), event.after);
            let unbounded = self.reg.val.wide.smax > i64::from(u32::MAX);
            unbounded
                && after.is_some_and(|after| only_half(read(story.state(event.step), event.before).as_ref(), &after))
        });
        if halved {
            draft.help(
                "the check looks at 32 bits, what is used has 64: let the variable have 64 bits (`__u64`), or mask it",
            );
        }
    }

    /// Whether a check of the number, or of what it was made of, compared signed numbers.
    pub(super) fn compared_signed(&self, story: &Story<'_>) -> bool {
        self.events.iter().filter(|event| event.how == How::Learnt).any(|event| {
            let op = match story.inst(event.step) {
                Some(Inst::Jmp { op, .. }) => op,
                _ => return false,
            };
            matches!(op, CmpOp::SGt | CmpOp::SGe | CmpOp::SLt | CmpOp::SLe)
        })
    }

    /// What the number was multiplied by at the end, by constants.
    pub(super) fn scale(&self, story: &Story<'_>) -> i64 {
        let mut scale = 1_i64;
        // How far it was shifted back already, by an extension's second shift.
        let mut back = 0_i64;
        for event in &self.events {
            let by = match story.inst(event.step) {
                Some(Inst::Alu { src: Operand::Imm(by), .. }) => i64::from(by),
                _ => 0,
            };
            match event.how {
                How::Copied
                | How::Narrowed
                | How::Spilled
                | How::Filled
                | How::Passed
                | How::Returned
                | How::Learnt => {}
                How::Computed(Some(AluOp::Lsh)) if (back..64).contains(&by) => {
                    scale = scale.saturating_mul(1_i64.checked_shl((by - back) as u32).unwrap_or(1));
                    back = 0;
                }
                How::Computed(Some(AluOp::Rsh | AluOp::Arsh)) if back == 0 && (1..64).contains(&by) => back = by,
                How::Computed(Some(AluOp::Mul)) if back == 0 && by > 0 => scale = scale.saturating_mul(by),
                _ => break,
            }
        }
        if scale > 1 << 30 { 1 } else { scale.max(1) }
    }

    /// Labels where the number came from, and nothing else.
    pub(super) fn label_beginning(&self, story: &Story<'_>, draft: &mut Draft) {
        if let Some(event) = self.events.last().filter(|event| event.how.begins()) {
            self.label_start(story, draft, event);
        }
    }

    fn label_start(&self, story: &Story<'_>, draft: &mut Draft, event: &Event) {
        if let Some(text) = beginning(story, event) {
            draft.label(story.moments[event.step].insn, text);
        }
    }

    /// A check that bounds another register that the same value was in, but not this one.
    fn label_lost_check(&self, story: &Story<'_>, draft: &mut Draft) {
        let Some(first) = self.events.last().map(|event| event.step) else { return };
        for (n, dst, src) in story.jumps().filter(|(n, ..)| *n > first) {
            let depth = story.state(n).depth;
            let operands = [Some(dst), if let Operand::Reg(src) = src { Some(src.0) } else { None }];
            for reg in operands.into_iter().flatten() {
                let cell = Cell::Reg(depth, reg);
                let (was, is) = (read(story.state(n), cell), read(story.state(n + 1), cell));
                let (Some(was), Some(is)) = (was, is) else { continue };
                if !was.is_scalar() || was.val == is.val {
                    continue;
                }
                let checked = history(story, cell, n);
                let shared = |theirs: &Event| {
                    self.events.iter().any(|ours| (ours.step, ours.after) == (theirs.step, theirs.after))
                };
                if !checked.iter().any(shared) {
                    continue;
                }
                let text = format!(
                    "bounds r{reg}, which was made from the same value: the number that is used here learns nothing from it"
                );
                draft.label(story.moments[n].insn, text);
                return;
            }
        }
    }
}

/// The comparison that the program makes, where a source line hides it: compilers join conditions.
fn condition(story: &Story<'_>, insn: u32) -> String {
    match (line_of(story, insn), story.program().inst(insn)) {
        (Some(_), Some(inst @ Inst::Jmp { .. })) => {
            let text = inst.to_string();
            let end = text.find(" goto").unwrap_or(text.len());
            format!("`{}` ", &text[..end])
        }
        _ => String::new(),
    }
}

/// What a check taught of a number.
fn learnt(before: Option<&Reg>, after: &Reg) -> String {
    let half = after.val.half;
    if only_half(before, after) {
        let range = if half.smin < 0 || half.umax > i32::MAX as u64 {
            format!("signed {} to {}", half.smin, half.smax)
        } else {
            format!("{} to {}", half.umin, half.umax)
        };
        return format!("bounds the lower 32 bits ({range}), not the whole, which is {}", words::number(&after.val));
    }
    format!("leaves {}", words::number(&after.val))
}

/// Whether a check taught something of the lower 32 bits, and next to nothing of the whole.
fn only_half(before: Option<&Reg>, after: &Reg) -> bool {
    before.is_some_and(|before| {
        let same = before.val.wide == after.val.wide || words::any(&after.val);
        same && before.val.half != after.val.half
    })
}

/// Two shifts by the same distance, to the left and back, extend a part of a number: the remark on either of them.
fn extension(story: &Story<'_>, event: &Event) -> Option<Option<String>> {
    let shift = |step: usize| match story.inst(step) {
        Some(Inst::Alu { op: op @ (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh), dst, src: Operand::Imm(by), .. }) => {
            Some((op, dst, by))
        }
        _ => None,
    };
    let (op, dst, by) = shift(event.step)?;
    if op == AluOp::Lsh {
        let (_, next, back) = shift(event.step + 1).filter(|(op, ..)| *op != AluOp::Lsh)?;
        return (next == dst && back == by).then_some(None);
    }
    let (_, before, forth) = shift(event.step.checked_sub(1)?).filter(|(op, ..)| *op == AluOp::Lsh)?;
    let after = read(story.state(event.step + 1), event.after)?;
    let how = if op == AluOp::Arsh { "with its sign" } else { "with zeros" };
    let known = words::number(&after.val);
    (before == dst && forth == by).then(|| Some(format!("extended {how} from {} bits, it is {known}", 64 - by)))
}

/// What an operation made of a number, if that is worth a word.
fn computed(op: Option<AluOp>, after: &Reg) -> Option<String> {
    let known = words::number(&after.val);
    Some(match op {
        Some(AluOp::And) => format!("the mask leaves {known}"),
        Some(AluOp::Sub) if after.val.wide.smin < 0 => format!("after the subtraction it is {known}"),
        Some(AluOp::Add) if after.val.wide.smin < 0 => format!("after the addition it is {known}"),
        Some(AluOp::Lsh | AluOp::Mul) => format!("shifted or multiplied, it is {known}"),
        Some(AluOp::Div | AluOp::Mod) if words::any(&after.val) => {
            "the verifier does not follow divisions: this gives any number".to_owned()
        }
        Some(AluOp::Rsh | AluOp::Arsh | AluOp::Div | AluOp::Mod) => format!("this leaves {known}"),
        None => format!("swapped or negated, it is {known}"),
        _ => return None,
    })
}

/// Where a value began, in words.
pub(super) fn beginning(story: &Story<'_>, event: &Event) -> Option<String> {
    let insn = story.moments.get(event.step)?.insn;
    let value = story.moments.get(event.step + 1).and_then(|next| read(&next.state, event.after));
    let known = value.filter(Reg::is_scalar).map(|reg| words::number(&reg.val));
    Some(match event.how {
        How::Constant => format!("it is {} here", known?),
        How::Loaded(base) => format!("{} is loaded here{}", known?, from(story, event.step, base)),
        How::Result => {
            let callee = story.callee(insn)?;
            match known {
                Some(known) => format!("`{callee}` gives {known}"),
                None => format!("it comes from `{callee}`"),
            }
        }
        _ => return None,
    })
}

/// What a load loads from: ` from the context's field `mark``.
pub(super) fn from(story: &Story<'_>, step: usize, base: u8) -> String {
    let reg = story.reg_at(step, base);
    if reg.ty.kind == Kind::Ctx
        && let Some(field) = context_field(story, step)
    {
        return format!(" from `{field}` of the context");
    }
    match reg.ty.kind {
        Kind::Packet | Kind::PacketMeta => " from the packet".to_owned(),
        Kind::MapValue => match story.map_name(reg) {
            Some(name) => format!(" from map `{name}`"),
            None => " from a map".to_owned(),
        },
        Kind::Ctx => " from the context".to_owned(),
        Kind::Stack => " from the stack".to_owned(),
        _ => format!(" from {}", words::kind(story, reg)),
    }
}

/// The name of the context's field that a load at a step reads.
pub(super) fn context_field(story: &Story<'_>, step: usize) -> Option<&'static str> {
    let Some(Inst::Load { src, off, .. }) = story.inst(step) else { return None };
    if story.reg_at(step, src.0).ty.kind != Kind::Ctx {
        return None;
    }
    let row = story.v.profile.prog_type(story.program().program.ty)?;
    Some(row.ctx?.at(u16::try_from(off).ok()?)?.name)
}

/// Labels how the size came to be that a helper is given with the memory in register `n`.
pub(super) fn label_size(story: &Story<'_>, draft: &mut Draft, n: u8) {
    let Some((_, Some(proto))) = story.helper() else { return };
    if !matches!(proto.args.get(n as usize), Some(Arg::Size { .. })) {
        return;
    }
    draft.know(n + 1);
    if let (Some(cell), Some(last)) = (story.cell(n + 1), story.last())
        && let Some(size) = Number::of(story, cell, last)
    {
        size.label(story, draft);
    }
}

/// The numbers that were added to a pointer and are not known, newest first: the step that added each, and the number's
/// cell before it.
pub(super) fn added(story: &Story<'_>, events: &[Event]) -> Vec<(usize, Cell)> {
    events
        .iter()
        .filter_map(|event| {
            let Some(Inst::Alu { wide: Wide::W64, op: AluOp::Add | AluOp::Sub, dst, src: Operand::Reg(src) }) =
                story.inst(event.step)
            else {
                return None;
            };
            if !matches!(event.how, How::Computed(_)) {
                return None;
            }
            let state = story.state(event.step);
            let number = if event.before == Cell::Reg(state.depth, dst.0) { src.0 } else { dst.0 };
            let reg = state.reg(number);
            (reg.is_scalar() && reg.val.value().is_none()).then_some((event.step, Cell::Reg(state.depth, number)))
        })
        .collect()
}

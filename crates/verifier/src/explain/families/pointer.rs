//! Arithmetic on pointers, and what would show addresses.

use crate::{
    explain::{
        draft::Draft,
        history::{Cell, How, history},
        number::Number,
        origin,
        story::Story,
        words,
    },
    limits::MAX_VAR_OFF,
    state::Kind,
};
use alveary_isa::{Inst, Operand};

/// Operations that pointers do not take.
pub(super) fn arithmetic(story: &Story<'_>, draft: &mut Draft) {
    let message = story.message;
    let operands = match story.rejected() {
        Some(Inst::Alu { dst, src, .. }) => [Some(dst.0), if let Operand::Reg(src) = src { Some(src.0) } else { None }],
        Some(Inst::Neg { dst, .. } | Inst::Swap { dst, .. }) => [Some(dst.0), None],
        _ => [None, None],
    };
    let pointer = operands.into_iter().flatten().find(|n| story.reg(*n).is_some_and(|reg| !reg.is_scalar()));
    let Some((n, reg)) = pointer.and_then(|n| Some((n, *story.reg(n)?))) else { return };
    let what = words::kind(story, &reg);
    draft.here(format!("r{n} is {} here", words::describe(story, &reg)));
    let both =
        operands.into_iter().flatten().filter(|n| story.reg(*n).is_some_and(|reg| !reg.is_scalar())).count() == 2;
    if both {
        draft.say("two pointers cannot be combined like this");
        draft.help("of two pointers only the difference can be taken; add numbers to pointers");
    } else if message.contains("32-bit pointer arithmetic") {
        draft.say(format!("a 32-bit operation on {what}"));
        draft.help("compute with pointers in 64 bits: `void *` or `long`, never `int` or `__u32`");
    } else if message.contains("subtract pointer from scalar") {
        draft.say(format!("{what} is subtracted from a number"));
        draft.help("subtract the number from the pointer");
    } else if message.contains("subtraction from stack pointer") {
        draft.say("a number that is not constant is subtracted from a pointer to the stack");
        draft.help("add a negative number, or index an array upwards");
    } else if message.contains("bitwise operator") {
        draft.say(format!("{what} cannot be computed with bit by bit"));
        draft.help("mask the number before it is added to the pointer: clang may join the two where a number and a pointer share a variable");
    } else if message.contains(" operator prohibited") || message.contains("with ") {
        draft.say(format!("only additions and subtractions are made with {what}"));
        draft.help("compute the number first, then add it to the pointer");
    } else {
        draft.say(format!("{what} cannot be moved"));
        let help = match reg.ty.kind {
            Kind::PacketEnd => "`data_end` is only compared with: move the other pointer, `data + length > data_end`",
            Kind::MapPtr => "a map is passed to helpers as it is: look the value up, and move that pointer",
            Kind::Socket | Kind::SockCommon | Kind::TcpSock | Kind::XdpSock => {
                "fields of sockets are accessed at constant offsets, by their names"
            }
            _ => "access it at constant offsets from where it is",
        };
        draft.help(help);
    }
    origin::label(story, draft, n);
}

/// Offsets that no memory has.
pub(super) fn far(story: &Story<'_>, draft: &mut Draft) {
    draft.say("this may move the pointer further than any memory reaches");
    let Some(Inst::Alu { dst, src, .. }) = story.rejected() else { return };
    let regs = [Some(dst.0), if let Operand::Reg(src) = src { Some(src.0) } else { None }];
    let (mut pointer, mut number) = (None, None);
    for n in regs.into_iter().flatten() {
        match story.reg(n) {
            Some(reg) if reg.is_scalar() => number = Some(n),
            Some(_) => pointer = Some(n),
            None => {}
        }
    }
    let Some(pointer) = pointer.and_then(|n| story.reg(n)) else { return };
    let by = match (number.and_then(|n| story.reg(n)), src) {
        (Some(reg), _) => words::number(&reg.val),
        (None, Operand::Imm(imm)) => format!("the number {imm}"),
        _ => return,
    };
    draft.here(format!("moves {} by {by}", words::describe(story, pointer)));
    if let (Some(cell), Some(last)) = (number.and_then(|n| story.cell(n)), story.last())
        && let Some(number) = Number::of(story, cell, last)
    {
        number.label(story, draft);
    }
    let constant = number.and_then(|n| story.reg(n)).is_none_or(|reg| reg.val.value().is_some());
    if constant {
        draft.help("offsets stay below 2^29 in either direction: see whether the constant is meant");
        return;
    }
    if number.and_then(|n| story.reg(n)).is_some_and(|reg| reg.val.wide.smin < 0 && reg.val.wide.smax < MAX_VAR_OFF) {
        draft.help("let the number be unsigned (`__u32`), or check that it is not negative, too: comparisons of signed numbers leave the negative ones");
        return;
    }
    if let (Some(n), Some(cell), Some(last)) = (number, number.and_then(|n| story.cell(n)), story.last()) {
        // A callback's first argument: helpers that count hand in the round.
        let events = history(story, cell, last);
        let begun = events
            .last()
            .filter(|event| event.how == How::Entered && event.after == Cell::Reg(story.state(last).depth, 1));
        let called_back = story.state(last).depth > 0 && story.state(last).top().in_callback;
        if begun.is_some() && called_back {
            draft.note(format!("r{n} is the callback's first argument: the verifier does not know that it is below the number of rounds"));
            draft.help("check it in the callback, before it is added: `if (i >= 16) return 1;`, with the array's size");
            return;
        }
    }
    draft.help("bound the number before it is added, from below and from above: with an unsigned variable one comparison does both");
}

/// Addresses that a program without rights would learn.
pub(super) fn leak(story: &Story<'_>, draft: &mut Draft) {
    let named = story.named_reg();
    let what = named.and_then(|n| story.reg(n)).map_or_else(|| "a pointer".to_owned(), |reg| words::kind(story, reg));
    draft.say(format!("{} would show {what} to a program that may not learn addresses", story.subject()));
    if let Some(n) = named {
        draft.know(n);
        draft.here(format!("r{n} is {what}"));
    }
    draft.help("without CAP_PERFMON addresses must not be stored, compared, returned, or computed with; store numbers only, or load the program with CAP_PERFMON");
}

/// What only those may load who have rights.
pub(super) fn privilege(story: &Story<'_>, draft: &mut Draft) {
    let message = story.message;
    if message.contains("back-edge") {
        draft.say("only those may load a loop who have CAP_BPF");
        if let Some(at) = story.number("from insn ").and_then(|at| u32::try_from(at).ok()) {
            draft.at(at);
            draft.here("jumps back");
        }
        draft.help("without CAP_BPF programs have no loops: unroll them (`#pragma unroll`)");
    } else if message.contains("bpf or kernel functions") {
        draft.say("only those may load a program of several functions who have CAP_BPF");
        let program = story.program();
        if let Some(at) = (0..program.len()).find(|at| program.callee(*at).is_some()) {
            draft.at(at);
            draft.here("calls a function");
        }
        draft.help("without CAP_BPF a program is one function: let the others be inlined (`static __always_inline`)");
    } else {
        draft.say("only those may load this who have CAP_BPF and CAP_PERFMON");
        draft.here("not without privilege");
        draft.help("without these rights addresses must stay hidden, and be computed with by bounded numbers and constants only: load the program with CAP_BPF and CAP_PERFMON");
    }
}

//! The context, and sockets: fields that may be accessed, and how.

use crate::{
    explain::{
        draft::Draft,
        history::How,
        number::{self, Number},
        origin,
        story::{AccessKind, Story},
        words,
    },
    state::{Kind, Reg},
};
use alveary_abi::{CtxLayout, Field, Sizes, contexts};

/// `invalid bpf_context access off=76 size=4`.
pub(super) fn field(story: &Story<'_>, draft: &mut Draft) {
    let row = story.v.profile.prog_type(story.program().program.ty);
    let Some((row, layout)) = row.and_then(|row| Some((row, row.ctx?))) else { return };
    let (off, size) = (story.number("off=").unwrap_or_default(), story.number("size=").unwrap_or_default());
    let store = story.access().is_some_and(|access| access.kind != AccessKind::Load);
    let verb = if store { "writes" } else { "reads" };
    draft.say(format!(
        "{} {verb} what programs of type {} may not {} of their context",
        story.subject(),
        row.name,
        verb.trim_end_matches('s')
    ));
    let Some(field) = u16::try_from(off).ok().and_then(|off| layout.at(off)) else {
        draft.here(format!("`struct {}` has no field at offset {off}", layout.name));
        draft.help(format!(
            "`struct {}` has {}: see whether the program's section says the type that was meant",
            layout.name,
            words::bytes(layout.size.into())
        ));
        return;
    };
    let name = format!("`{}`", field.name);
    let program = story.program();
    let access = field.access(program.program.ty, program.expected, story.v.profile.version);
    let kernel = story.v.profile.version;
    if field.since > kernel {
        draft.here(format!("{name} came with Linux {}; this is checked for {kernel}", field.since));
        draft.help("ask `bpf_core_field_exists` first, so that older kernels never see the access");
    } else if access.is_none_or(|access| !access.reads() && !access.writes()) {
        draft.here(format!("{name} of `struct {}` is not for programs of this type", layout.name));
        draft.help("another program type has this field; or another field, or a helper, says the same");
    } else if store && access.is_some_and(|access| !access.writes()) {
        draft.here(format!("{name} can only be read"));
        draft.help("change it by a helper, if there is one for it");
    } else if !store && access.is_some_and(|access| !access.reads()) {
        draft.here(format!("{name} can only be written"));
        draft.help("keep what was written in a variable of the program");
    } else {
        draft.here(size_words(field, &name, off, size));
        draft.help(format!(
            "{} {name} as a whole, with its own type, into a variable, and take the part from there",
            if store { "write" } else { "read" }
        ));
    }
}

fn size_words(field: &Field, name: &str, off: i64, size: i64) -> String {
    let whole = words::bytes(i64::from(field.size()));
    let inside = off - i64::from(field.off);
    let exact = if matches!(field.sizes, Sizes::Exact) { ", as a whole only" } else { "" };
    format!("{} at offset {inside} of {name}, which has {whole}{exact}", words::bytes(size))
}

/// `dereference of modified ctx ptr`, `variable ctx access`, `negative offset ctx ptr`.
pub(super) fn moved(story: &Story<'_>, draft: &mut Draft) {
    let passed = || (1..6).find(|n| story.reg(*n).is_some_and(|reg| reg.ty.kind == Kind::Ctx && !at_start(reg)));
    let named = story.named_reg().or_else(|| story.access().map(|access| access.base)).or_else(passed);
    let Some((n, reg)) = named.and_then(|n| Some((n, *story.reg(n)?))) else { return };
    draft.know(n);
    let what = words::kind(story, &reg);
    draft.say(format!("{} goes through a pointer to {what} that was moved", story.subject()));
    draft.here(format!("r{n} is {} here", words::describe(story, &reg)));
    let events = story.history(n);
    if let Some(event) = events.iter().find(|event| matches!(event.how, How::Computed(_))) {
        draft.label(story.moments[event.step].insn, "moves the pointer");
    }
    for (step, cell) in number::added(story, &events).iter().take(1) {
        if let Some(number) = Number::of(story, *cell, *step) {
            number.label(story, draft);
        }
    }
    if reg.ty.kind == Kind::Ctx {
        draft.help("fields of the context are accessed at constant offsets from r1 as it came: in C `ctx->field`, not through an address of a field, or an index into an array of it");
        draft.help("where clang joined two accesses to one address: `volatile`, or `barrier_var(ctx)` between them");
    } else {
        draft.help("pass the pointer as it was given");
    }
}

fn at_start(reg: &Reg) -> bool {
    reg.off == 0 && reg.val.value() == Some(0)
}

/// `R1 invalid sock access off=50 size=2`.
pub(super) fn socket(story: &Story<'_>, draft: &mut Draft) {
    let Some((n, reg)) = story.named_reg().and_then(|n| Some((n, *story.reg(n)?))) else { return };
    draft.know(n);
    let layout = socket_layout(&reg);
    let (off, size) = (story.number("off=").unwrap_or_default(), story.number("size=").unwrap_or_default());
    draft.say(format!("{} reads what `struct {}` does not give", story.subject(), layout.name));
    match u16::try_from(off).ok().and_then(|off| layout.at(off)) {
        Some(field) => draft.here(size_words(field, &format!("`{}`", field.name), off, size)),
        None => draft.here(format!("`struct {}` has no field at offset {off}", layout.name)),
    }
    origin::label(story, draft, n);
    if reg.ty.kind != Kind::SockCommon {
        draft.help("access the field as a whole, with its own type, and take the part from there");
    } else {
        draft.help("`bpf_sk_fullsock` or `bpf_tcp_sock` give the socket with all its fields");
    }
}

fn socket_layout(reg: &Reg) -> &'static CtxLayout {
    match reg.ty.kind {
        Kind::TcpSock => &contexts::TCP_SOCK,
        Kind::XdpSock => &contexts::XDP_SOCK,
        Kind::SockCommon => &contexts::SOCK_COMMON,
        _ => &contexts::SOCK,
    }
}

/// `R6 invalid variable buffer offset`.
pub(super) fn buffer(story: &Story<'_>, draft: &mut Draft) {
    let Some((n, reg)) = story.named_reg().and_then(|n| Some((n, *story.reg(n)?))) else { return };
    draft.know(n);
    draft.say(format!("{} goes to a place in the buffer that is not known, or before its start", story.subject()));
    draft.here(format!("r{n} is {} here", words::describe(story, &reg)));
    for (step, cell) in number::added(story, &story.history(n)).iter().take(1) {
        if let Some(number) = Number::of(story, *cell, *step) {
            draft.label(story.moments[*step].insn, "moves the pointer");
            number.label(story, draft);
        }
    }
    draft.help("this buffer is accessed at constant offsets");
}

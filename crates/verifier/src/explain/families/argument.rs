//! Arguments of helpers that are not what the helper takes.

use super::{null, scalar};
use crate::{
    explain::{draft::Draft, origin, story::Story, words},
    state::Kind,
};
use alveary_abi::Arg;

/// `R2 type=scalar expected=fp, pkt, …`.
pub(super) fn kind(story: &Story<'_>, draft: &mut Draft) {
    let Some((n, reg)) = story.named_reg().and_then(|n| Some((n, *story.reg(n)?))) else { return };
    draft.know(n);
    let callee = story.insn.and_then(|insn| story.callee(insn)).unwrap_or_default();
    let proto = story.helper().and_then(|(_, proto)| proto);
    let arg = proto.and_then(|proto| proto.args.get(n.checked_sub(1)? as usize)).copied();
    let wanted = arg.map_or("something else", wanted);
    let found = words::kind(story, &reg);
    draft.say(format!("argument {n} of `{callee}` has to be {wanted}"));
    draft.here(format!("r{n} is {found} here"));
    if reg.ty.maybe_null() {
        null::tell(story, draft, n, &reg);
        return;
    }
    if reg.is_scalar() && !matches!(arg, Some(Arg::Size { .. } | Arg::AllocSize)) {
        scalar::why(story, draft, n);
    } else {
        origin::label(story, draft, n);
    }
    match (arg, reg.ty.kind) {
        (Some(Arg::MapKey | Arg::MapValue { .. } | Arg::Mem { .. }), Kind::Scalar) => {
            draft.help("pass an address: `&key` of a variable on the stack, not its value");
        }
        (Some(Arg::MapKey | Arg::MapValue { .. } | Arg::Mem { .. }), Kind::Ctx) => {
            draft.help("the context cannot be passed as memory: copy the fields to a variable on the stack, and pass that");
        }
        (Some(Arg::Ctx { .. }), _) => draft.help("pass `ctx` as the program got it"),
        (Some(Arg::Map), _) => draft.help("pass `&map` of a map that the object defines; of maps in maps, what the lookup gave, once it is known not to be NULL"),
        (Some(Arg::ConstStr), _) => {
            draft.help("use a string literal, or `static const char text[] = \"…\";`: what is in `.rodata` never changes");
        }
        (Some(Arg::AllocMem), _) => draft.help("pass what `bpf_ringbuf_reserve` gave, once it is known not to be NULL"),
        (Some(Arg::Dynptr { .. }), _) => draft.help("a dynptr is a variable of the function: `struct bpf_dynptr ptr;`"),
        (Some(Arg::Btf { .. }), _) => draft.help("pass what another helper, a `__ksym` variable or the context gave"),
        (Some(Arg::MapKey | Arg::MapValue { .. } | Arg::Mem { .. }), _) => {
            draft.help("memory is on the stack, in the packet, in a map's value, or reserved by a helper");
        }
        _ => {}
    }
}

/// What an argument has to be.
fn wanted(arg: Arg) -> &'static str {
    match arg {
        Arg::None | Arg::Any => "something else",
        Arg::Ctx { .. } => "the program's context",
        Arg::Map => "a map",
        Arg::MapKey => "a pointer to memory that holds the key",
        Arg::MapValue { .. } => "a pointer to memory for the value",
        Arg::Mem { .. } => "a pointer to memory",
        Arg::Size { .. } | Arg::AllocSize => "a number",
        Arg::AllocMem => "memory that was reserved by a helper",
        Arg::Callback { .. } => "a function of the program",
        Arg::CallbackCtx => "a pointer to the stack, or NULL",
        Arg::ConstStr => "a string in constant data",
        Arg::SpinLock => "a `struct bpf_spin_lock` in a map's value",
        Arg::Timer => "a `struct bpf_timer` in a map's value",
        Arg::SockCommon { .. } => "a socket",
        Arg::Socket { .. } => "a full socket",
        Arg::Dynptr { .. } => "a `struct bpf_dynptr` on the stack",
        _ => "a kernel object",
    }
}

pub(super) fn lent(story: &Story<'_>, draft: &mut Draft) {
    let callee = story.insn.and_then(|insn| story.callee(insn)).unwrap_or_default();
    draft.say(format!("`{callee}` would change a dynptr that the callback was only lent"));
    if let Some(n) = (1..6).find(|n| story.reg(*n).is_some_and(|reg| reg.ty.kind == Kind::Dynptr)) {
        draft.know(n);
        draft.here(format!("r{n} is a record's dynptr: it can be read, not filled or given back"));
    }
    draft.help("read it with `bpf_dynptr_read` or `bpf_dynptr_data`; the helper that calls back gives it back itself");
}

/// `helper access to the packet is not allowed`.
pub(super) fn packet(story: &Story<'_>, draft: &mut Draft) {
    let callee = story.insn.and_then(|insn| story.callee(insn)).unwrap_or_default();
    draft.say(format!("`{callee}` cannot be given memory in the packet"));
    let found = (1..6).find(|n| story.reg(*n).is_some_and(Story::is_packet));
    if let Some(n) = found {
        draft.know(n);
        draft.here(format!("r{n} points into the packet"));
        origin::label(story, draft, n);
    }
    draft.help("copy the bytes to a variable on the stack, and pass its address");
}

/// `R1 cannot write into rdonly_mem`.
pub(super) fn read_only(story: &Story<'_>, draft: &mut Draft) {
    let Some((n, reg)) = story.named_reg().and_then(|n| Some((n, *story.reg(n)?))) else { return };
    draft.know(n);
    let what = if reg.ty.kind == Kind::MapKey { "a map's key" } else { "memory that can only be read" };
    draft.say(format!("{} writes to {what}", story.subject()));
    draft.here(format!("r{n} is {} here", words::describe(story, &reg)));
    origin::label(story, draft, n);
    draft.help("copy it to a variable on the stack, and change that");
}

/// `R3 does not point to a readonly map'`, `Invalid format string` …
pub(super) fn string(story: &Story<'_>, draft: &mut Draft) {
    let callee = story.insn.and_then(|insn| story.callee(insn)).unwrap_or_default();
    if story.message.contains("Invalid format string") {
        draft.say(format!("the format of `{callee}` is none that it knows, or takes more values than it is given"));
        draft.here("formats know %d %i %u %x %X %s %c, %l and %ll of these, %p, %pK, %px, %ps, %pS, %pks, %pus, %pB, %pi4, %pI4, %pi6, %pI6");
        return;
    }
    let n = story.named_reg();
    draft.say(format!("the string that `{callee}` is given has to be a constant"));
    if let Some((n, reg)) = n.and_then(|n| Some((n, *story.reg(n)?))) {
        draft.know(n);
        draft.here(format!("r{n} is {} here", words::describe(story, &reg)));
    }
    draft.help("use a string literal, or `static const char text[] = \"…\";`: what is in `.rodata` never changes");
}

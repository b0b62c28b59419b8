//! Objects of the kernel: what cannot be read of them, or done with them.

use crate::{
    explain::{draft::Draft, origin, story::Story, words},
    state::{Flags, Kind},
};

/// `access beyond struct file at off 900 size 8`, `cannot access ptr member mm with moff 1200 in struct task_struct …`.
pub(super) fn field(story: &Story<'_>, draft: &mut Draft) {
    let Some((n, reg)) = story.access().and_then(|access| Some((access.base, *story.reg(access.base)?))) else {
        return;
    };
    draft.know(n);
    let what = if reg.ty.kind == Kind::MapPtr { "the map itself".to_owned() } else { words::kind(story, &reg) };
    let message = story.message;
    draft.say(format!("{} reads what is no field of {what}", story.subject()));
    draft.here(if message.contains("cannot access ptr member") {
        "reads a part of a pointer: it is loaded as a whole, 8 bytes"
    } else if message.contains("beyond struct") {
        "reads behind the struct's end"
    } else if message.contains("beyond the end of member") {
        "reads over the end of a field"
    } else {
        "there is no field at this offset"
    });
    origin::label(story, draft, n);
    draft.help("let the object be built with CO-RE (`vmlinux.h`, `preserve_access_index`), so that offsets and sizes are those of the kernel that it is loaded into");
}

/// What is done with an object besides reading its fields.
pub(super) fn explain(story: &Story<'_>, draft: &mut Draft) {
    let message = story.message;
    let through = story.access().map(|access| access.base);
    let Some((n, reg)) = story.named_reg().or(through).and_then(|n| Some((n, *story.reg(n)?))) else { return };
    draft.know(n);
    let what = words::kind(story, &reg);
    draft.here(format!("r{n} is {} here", words::describe(story, &reg)));
    origin::label(story, draft, n);
    if message.contains("only read is supported") {
        draft.say(format!("{} writes to {what}", story.subject()));
        draft.help("objects of the kernel are changed by helpers alone");
    } else if message.contains("non-GPL") {
        draft.say(format!("only programs under the GPL may read {what}"));
        draft.help("`char LICENSE[] SEC(\"license\") = \"GPL\";`, if that is the program's licence");
    } else if message.contains("may write into memory") {
        draft.say(format!("{} would write to {what}", story.subject()));
        draft.help("pass memory of the program: a variable on the stack, a map's value");
    } else if message.contains(" but ") {
        draft.say(format!("{} takes another object than {what}", story.subject()));
        draft.help("pass what a helper, a `__ksym` variable or a field of that type gave");
    } else if reg.ty.flags.has(Flags::USER) {
        draft.say(format!("{} reads memory of a process through an address that the kernel keeps", story.subject()));
        draft.help("`bpf_probe_read_user` reads it");
    } else if reg.ty.flags.has(Flags::PER_CPU) {
        draft.say(format!("{} reads a variable of which each CPU has its own", story.subject()));
        draft.help("`bpf_this_cpu_ptr` and `bpf_per_cpu_ptr` give the one of a CPU");
    } else {
        draft.say(format!("{} goes to a place in {what} that is not known, or before its start", story.subject()));
        draft.help("fields are read at constant offsets, by their names; arrays by `bpf_probe_read_kernel`, or element by element");
    }
}

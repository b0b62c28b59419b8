//! Helpers that this program may not call.

use crate::explain::{draft::Draft, story::Story};
use alveary_abi::{ProgSet, Proto};

/// `program of this type cannot use helper bpf_x#1`, `invalid func unknown#1`.
pub(super) fn not_allowed(story: &Story<'_>, draft: &mut Draft) {
    let ty = story.v.profile.prog_type(story.program().program.ty).map_or("this type", |row| row.name);
    let kernel = story.v.profile.version;
    if let Some(why) = story.insn.and_then(|insn| story.program().program.poison(insn)) {
        draft.code = "not-in-kernel";
        draft.say(format!("the program comes to an instruction that this kernel cannot run: {}", why.message));
        draft.here("needs what the kernel does not have");
        draft.note("such an instruction becomes a call of a helper that does not exist, so that only programs that reach it are rejected");
        draft.help("ask before: `bpf_core_field_exists`, `bpf_core_type_exists`, `bpf_core_enum_value_exists`");
        return;
    }
    let Some((row, _)) = story.helper() else {
        let callee = story.insn.and_then(|insn| story.callee(insn)).unwrap_or_default();
        draft.say(format!("Linux {kernel} has no such helper"));
        draft.here(format!("{callee} is unknown"));
        draft.help("see whether the helper is newer than the kernel that is asked for, and whether the function was meant to be one of the program's own");
        return;
    };
    draft.say(format!("programs of type {ty} cannot call `bpf_{}`", row.name));
    let program = story.program();
    let fits = |proto: &&Proto| proto.scope.progs.has(program.program.ty);
    if row.since > kernel {
        draft.here(format!("`bpf_{}` came with Linux {}; this is checked for {kernel}", row.name, row.since));
        draft.help(format!("ask first, so that older kernels never see the call: `if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_{}))`", row.name));
    } else if let Some(proto) = row.protos.iter().find(fits) {
        if proto.scope.since > kernel {
            draft.here(format!(
                "programs of type {ty} may call it from Linux {} on; this is checked for {kernel}",
                proto.scope.since
            ));
        } else {
            draft.here("not where this program is attached");
            draft.help("the section's name says where a program is attached (`expected_attach_type`)");
        }
    } else {
        draft.here("not in the list of this program type");
        let progs = row.protos.iter().fold(ProgSet::NONE, |all, proto| all.or(proto.scope.progs));
        let names: Vec<&str> =
            story.v.profile.tables().prog_types.iter().filter(|row| progs.has(row.ty)).map(|row| row.name).collect();
        if !names.is_empty() {
            let shown = names.len().min(8);
            let more =
                if names.len() > shown { format!(" and {} more types", names.len() - shown) } else { String::new() };
            draft.note(format!("programs of type {}{more} may call it", names[..shown].join(", ")));
        }
        draft.help("take another program type, or a helper that this one has: `alveary feature probe` lists them");
    }
}

pub(super) fn gpl(story: &Story<'_>, draft: &mut Draft) {
    let callee = story.insn.and_then(|insn| story.callee(insn)).unwrap_or_default();
    draft.say(format!("`{callee}` may only be called by programs whose licence is compatible with the GPL"));
    draft.here(format!("the program's licence is \"{}\"", story.program().program.license));
    draft.help("`char _license[] SEC(\"license\") = \"GPL\";`, or \"Dual MIT/GPL\", \"Dual BSD/GPL\", if that is what it is under");
}

pub(super) fn sleepable(_: &Story<'_>, draft: &mut Draft) {
    draft.say("whether programs may sleep is settled by their type: those of this type may not, or have to");
    draft
        .help("sections whose name ends in `.s` (`uprobe.s`, `fentry.s` …) and `syscall` make programs that may sleep");
}

pub(super) fn sleeps(story: &Story<'_>, draft: &mut Draft) {
    let callee = story.insn.and_then(|insn| story.callee(insn)).unwrap_or_default();
    draft.say(format!("`{callee}` may sleep, and this program may not"));
    draft.here("called where nothing may sleep");
    draft.help("sections whose name ends in `.s` (`uprobe.s`, `fentry.s` …) make programs that may sleep, where the type allows it");
}

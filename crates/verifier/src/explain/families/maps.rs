//! What maps allow: types, flags, and the parts of values that are for helpers only.

use crate::explain::{draft::Draft, origin, story::Story, words};
use crate::state::Kind;
use alveary_abi::MapType;

/// `cannot pass map_type 3 into func bpf_map_lookup_elem#1`, `expected prog array map for tail call`.
pub(super) fn wrong_type(story: &Story<'_>, draft: &mut Draft) {
    let callee = story.insn.and_then(|insn| story.callee(insn)).unwrap_or_default();
    let named = (1..6).find_map(|n| {
        let reg = story.reg(n)?;
        (reg.ty.kind == Kind::MapPtr).then_some((n, *reg))
    });
    let name = named
        .and_then(|(_, reg)| story.map_name(&reg))
        .map_or_else(|| "the map".to_owned(), |name| format!("map `{name}`"));
    draft.say(format!("`{callee}` does not take a map of this type"));
    let sockets = story.message.contains("cannot update sockmap");
    if sockets {
        let ty = story.v.profile.prog_type(story.program().program.ty).map_or("this type", |row| row.name);
        draft.say(format!("programs of type {ty} cannot change maps of sockets by `{callee}`"));
    }
    let Some((n, reg)) = named else { return };
    draft.know(n);
    let ty = story.program().maps.get(reg.extra as usize).map_or(MapType(0), |map| map.ty);
    let shown = story.v.profile.map_type(ty).map_or("unknown", |row| row.name);
    draft.here(format!("{name} is of type {shown}"));
    if sockets {
        draft.help(
            "sock_ops programs use `bpf_sock_map_update` and `bpf_sock_hash_update`; or fill the map from user space",
        );
    } else if story.message.contains("prog array") {
        draft.help("tail calls go through maps of type BPF_MAP_TYPE_PROG_ARRAY");
    } else if let Some(row) = story.v.profile.map_type(ty) {
        let names: Vec<String> = row
            .helpers
            .iter()
            .filter_map(|id| story.v.profile.helper(*id))
            .map(|row| format!("bpf_{}", row.name))
            .collect();
        if !names.is_empty() {
            draft.help(format!("maps of type {shown} go with {}", names.join(", ")));
        }
    }
}

/// Maps that programs may only read, or only write.
pub(super) fn forbidden(story: &Story<'_>, draft: &mut Draft) {
    let writes = story.message.contains("write");
    draft.say(format!(
        "{} {} a map that programs may only {}",
        story.subject(),
        if writes { "writes to" } else { "reads" },
        if writes { "read" } else { "write" }
    ));
    let named = story
        .access()
        .map(|access| access.base)
        .or_else(|| (1..6).find(|n| story.reg(*n).is_some_and(|reg| reg.ty.has_map())));
    if let Some((n, reg)) = named.and_then(|n| Some((n, *story.reg(n)?))) {
        draft.know(n);
        origin::label(story, draft, n);
        if let Some(name) = story.map_name(&reg) {
            draft.here(format!("map `{name}`"));
            if name.contains(".rodata") {
                draft.help("constants (`const` variables) are in this map: drop the `const` of what programs write to");
                return;
            }
        }
    }
    draft.help(format!("the map is made with {}", if writes { "BPF_F_RDONLY_PROG" } else { "BPF_F_WRONLY_PROG" }));
}

/// `bpf_spin_lock cannot be accessed directly by load/store`.
pub(super) fn special(story: &Story<'_>, draft: &mut Draft) {
    let what = story.message.split_whitespace().next().unwrap_or("it");
    draft.say(format!("{} goes over a `{what}`, which only helpers may touch", story.subject()));
    draft.here(format!("these bytes of the value hold the `{what}`"));
    let base = story
        .access()
        .map(|access| access.base)
        .or_else(|| (1..6).find(|n| story.reg(*n).is_some_and(|reg| reg.ty.kind == Kind::MapValue)));
    if let Some(n) = base {
        draft.know(n);
        origin::label(story, draft, n);
    }
    draft.help("access the members around it one by one: a copy or `memset` of the whole value goes over it, too");
}

/// Where a lock or timer is not where the helper needs it.
pub(super) fn misplaced(story: &Story<'_>, draft: &mut Draft) {
    let callee = story.insn.and_then(|insn| story.callee(insn)).unwrap_or_default();
    draft.say(format!("what `{callee}` is given is not where the map's value holds such a thing"));
    draft.know(1);
    if let Some(reg) = story.reg(1) {
        draft.here(format!("r1 is {} here", words::describe(story, reg)));
    }
    if let Some(at) = story.number("that is at ") {
        draft.help(format!("it is at offset {at} of the value: pass `&value->member`"));
    } else if story.message.contains("has to have BTF") || story.message.contains("has no valid") {
        draft.help("the map's value has to be a structure with that member, named by `__type(value, struct …)`");
    } else {
        draft.help("pass `&value->member`: an offset that the verifier knows");
    }
}

/// Maps that this program type cannot use at all.
pub(super) fn unusable(story: &Story<'_>, draft: &mut Draft) {
    let ty = story.v.profile.prog_type(story.program().program.ty).map_or("this type", |row| row.name);
    let what = story.message.split("cannot use ").nth(1).and_then(|rest| rest.split(' ').next());
    match what {
        Some(what) => draft.say(format!("programs of type {ty} cannot use maps whose values hold a `{what}`")),
        None => draft.say(format!("programs of type {ty} cannot use one of these maps")),
    }
    let maps = story.program().program.maps.join("`, `");
    draft.note(format!("the program uses the maps `{maps}`"));
    draft.help("keep what this program needs in a map of its own");
}

/// Addresses in values: `no direct value access support for this map type`.
pub(super) fn direct(story: &Story<'_>, draft: &mut Draft) {
    draft.say("an address inside a map's value is taken that the program cannot have");
    let maps = story.program().program.maps.join("`, `");
    draft.note(format!("the program uses the maps `{maps}`"));
    draft.help("only arrays of one entry (global variables) have addresses that are known before the program runs: look up the value in others");
}

/// `cannot write into packet`.
pub(super) fn packet(story: &Story<'_>, draft: &mut Draft) {
    let ty = story.v.profile.prog_type(story.program().program.ty).map_or("this type", |row| row.name);
    draft.say(format!("programs of type {ty} cannot write to the packet"));
    draft.here("writes to the packet");
    draft.help("XDP, tc, sk_skb and sk_msg programs may");
}

/// `BPF_ATOMIC stores into R1 ctx is not allowed`.
pub(super) fn atomic(story: &Story<'_>, draft: &mut Draft) {
    let reg = story.named_reg().and_then(|n| story.reg(n));
    let what = reg.map_or_else(|| "this memory".to_owned(), |reg| words::kind(story, reg));
    draft.say(format!("atomic operations cannot go through {what}"));
    draft.here("atomic operations go to map values, the stack, and memory from helpers");
    draft.help("load, change and store, or count in a map");
}

/// `same insn cannot be used with different pointers`.
pub(super) fn different(story: &Story<'_>, draft: &mut Draft) {
    draft.say("one instruction accesses memory of different kinds on different paths");
    if let Some((n, reg)) = story.access().and_then(|access| Some((access.base, *story.reg(access.base)?))) {
        let before = story.insn.and_then(|insn| story.v.accessed[insn as usize]);
        let other = before.map_or_else(String::new, |ty| {
            let was = words::kind(story, &crate::state::Reg { ty, ..reg });
            format!(", on a path before it was {was}")
        });
        draft.here(format!("r{n} is {} on this path{other}", words::kind(story, &reg)));
    }
    draft.help("the kernel rewrites accesses to contexts and sockets: make the access on each side of the branch on its own; `barrier()` keeps clang from joining them");
}

pub(super) fn load_packet(_: &Story<'_>, draft: &mut Draft) {
    draft.say("this old way of loading from the packet (`BPF_LD_ABS`, `BPF_LD_IND`) is not possible here");
    draft.here("needs a socket filter or tc program, with the context in r6");
    draft.help("use `bpf_skb_load_bytes`, or `data` and `data_end`");
}

/// `only read from bpf_array is supported`.
pub(super) fn as_memory(story: &Story<'_>, draft: &mut Draft) {
    draft.say(format!("{} goes into the map itself, not into a value of it", story.subject()));
    if let Some((n, reg)) = story.access().and_then(|access| Some((access.base, *story.reg(access.base)?))) {
        draft.know(n);
        draft.here(format!("r{n} is {} here", words::describe(story, &reg)));
    }
    draft.help("`bpf_map_lookup_elem` gives a pointer to a value");
}

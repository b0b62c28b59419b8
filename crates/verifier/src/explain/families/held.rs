//! What has to be given back: references and locks.

use crate::explain::{draft::Draft, history::How, story::Story, words};
use alveary_abi::Arg;
use alveary_isa::Inst;
use std::collections::BTreeSet;

/// Helpers that give back what others gave.
const PAIRS: &[(&str, &str)] = &[
    ("bpf_ringbuf_reserve", "`bpf_ringbuf_submit` or `bpf_ringbuf_discard`"),
    ("bpf_sk_lookup_tcp", "`bpf_sk_release`"),
    ("bpf_sk_lookup_udp", "`bpf_sk_release`"),
    ("bpf_skc_lookup_tcp", "`bpf_sk_release`"),
    ("bpf_map_lookup_elem", "`bpf_sk_release`"),
];

fn given_back_by(callee: &str) -> &'static str {
    PAIRS.iter().find(|(name, _)| *name == callee).map_or("the helper that releases it", |(_, by)| by)
}

/// `Unreleased reference id=1 alloc_insn=4`.
pub(super) fn leak(story: &Story<'_>, draft: &mut Draft) {
    let taken = story.number("alloc_insn=").and_then(|insn| u32::try_from(insn).ok());
    let callee = taken.and_then(|insn| story.callee(insn)).unwrap_or_else(|| "a helper".to_owned());
    let end =
        if story.insn.and_then(|insn| story.callee(insn)).is_some() { "this call leaves" } else { "the program ends" };
    draft.say(format!("{end} without giving back what `{callee}` gave"));
    draft.here("still held here");
    if let Some(insn) = taken {
        draft.label(insn, format!("`{callee}` gives what has to be given back"));
    }
    // A check for NULL is where the ways part.
    let id = story.number("id=");
    for (step, dst, _) in story.jumps() {
        let reg = story.reg_at(step, dst);
        if reg.ty.maybe_null() && Some(i64::from(reg.ref_id)) == id && reg.ref_id != 0 {
            draft.label(story.moments[step].insn, "not NULL on this path: it is held");
        }
    }
    let by = given_back_by(&callee);
    label_way_past(story, draft, taken, by);
    draft.help(format!("call {by} on every path from there to the end"));
}

/// The last branch on the path, behind `taken`, whose other side still comes to a call of one of the helpers in `by`.
fn label_way_past(story: &Story<'_>, draft: &mut Draft, taken: Option<u32>, by: &str) {
    let program = story.program();
    let gives_back = |at: u32| {
        matches!(program.inst(at), Some(Inst::CallHelper { .. }))
            && story.callee(at).is_some_and(|callee| by.contains(&format!("`{callee}`")))
    };
    let comes_to = |from: u32| {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![from];
        while let Some(at) = waiting.pop() {
            if at < program.len() && seen.insert(at) {
                if gives_back(at) {
                    return true;
                }
                waiting.extend(program.successors(at));
            }
        }
        false
    };
    let since = (0..story.moments.len()).rev().find(|n| Some(story.moments[*n].insn) == taken).unwrap_or(0);
    let jumps: Vec<usize> = story.jumps().map(|(step, ..)| step).filter(|step| *step > since).collect();
    for step in jumps.into_iter().rev() {
        let (at, next) = (story.moments[step].insn, story.moments[step + 1].insn);
        if !comes_to(next) && program.successors(at).any(|other| other != next && comes_to(other)) {
            draft.label(at, format!("this way leaves without {by}"));
            return;
        }
    }
}

/// `bpf_spin_lock` and what may be done under it.
pub(super) fn lock(story: &Story<'_>, draft: &mut Draft) {
    let callee = story.insn.and_then(|insn| story.callee(insn));
    let message = story.message;
    let mut needs_label = true;
    let mut ends = false;
    if message.contains("Locking two") {
        draft.say("a program can hold one lock at a time");
        draft.here("a second lock is taken");
        draft.help("unlock the first one before");
    } else if message.contains("without taking a lock") {
        draft.say("a lock is given back that is not held on this path");
        draft.here("nothing is locked here");
        draft.help("call `bpf_spin_lock` on every path that comes here");
        needs_label = false;
    } else if message.contains("different lock") {
        draft.say("another lock is given back than the one that is held");
        draft.here("not the lock that was taken");
        draft.help("lock and unlock through the same pointer: what two lookups give are two values to the verifier, even under one key");
    } else if let Some(callee) = callee {
        draft.say(format!("`{callee}` cannot be called while a lock is held"));
        draft.here("called between `bpf_spin_lock` and `bpf_spin_unlock`");
        draft.help("nothing but loads, stores and arithmetic goes under a lock: call before or behind it");
    } else {
        ends = true;
        draft.say("the program ends while it holds a lock");
        draft.here("still locked here");
        draft.help("call `bpf_spin_unlock` on every path from the lock to the end");
    }
    let Some(last) = story.last().filter(|_| needs_label) else { return };
    let held = story.state(last).refs.iter().rev().find(|reference| reference.lock.is_some());
    if let Some(reference) = held {
        draft.label(reference.insn, "the lock is taken here");
    }
    if ends {
        label_way_past(story, draft, held.map(|reference| reference.insn), "`bpf_spin_unlock`");
    }
}

/// Something is released that is not held.
pub(super) fn release(story: &Story<'_>, draft: &mut Draft) {
    let callee = story.insn.and_then(|insn| story.callee(insn)).unwrap_or_default();
    let n = story.named_reg().unwrap_or(1);
    draft.know(n);
    draft.say(format!("`{callee}` is given what it cannot release"));
    let Some(reg) = story.reg(n).copied() else { return };
    let argument = story.helper().and_then(|(_, proto)| proto?.args.get(n.checked_sub(1)? as usize).copied());
    if matches!(argument, Some(Arg::Dynptr { .. })) {
        draft.here(format!("r{n} points to the stack, where no dynptr is"));
        draft.help("make it by `bpf_ringbuf_reserve_dynptr` on every path that comes here");
        return;
    }
    if story.message.contains("zero offset") {
        draft.here(format!("r{n} was moved: it is {} here", words::describe(story, &reg)));
        draft.help("pass the pointer as it was given");
        return;
    }
    draft.here(format!("r{n} is {} here: nothing that was acquired and is still held", words::kind(story, &reg)));
    let events = story.history(n);
    if let Some(event) = events.iter().find(|event| matches!(event.how, How::Changed | How::Result | How::Loaded(_))) {
        let insn = story.moments[event.step].insn;
        match (event.how, story.callee(insn)) {
            (How::Changed, Some(by)) => draft.label(insn, format!("`{by}` has given it back already")),
            (How::Result, Some(by)) => draft.label(insn, format!("`{by}` gives no reference of its own")),
            _ => draft.label(insn, "loaded here: no reference of its own"),
        }
    }
    draft.help("only what a helper like `bpf_sk_lookup_tcp` or `bpf_ringbuf_reserve` gave is released, and only once");
}

//! Programs that are too long for the verifier: loops that never end, and paths that are too many.

use crate::{
    explain::{draft::Draft, story::Story, way::line_of, words},
    state::Kind,
};
use alveary_isa::{Inst, Operand};
use std::collections::BTreeMap;

pub(super) fn endless(story: &Story<'_>, draft: &mut Draft) {
    draft.say("this loop may never end");
    draft.here("the same state comes round again: nothing that is known has changed since the round before");
    let Some(last) = story.last() else { return };
    let insn = story.moments[last].insn;
    let depth = story.state(last).depth;
    let before = (0..last).rev().find(|n| story.moments[*n].insn == insn && story.state(*n).depth == depth);
    let Some(before) = before else { return };
    let mut decided = false;
    for (step, dst, src) in story.jumps().filter(|(step, ..)| *step >= before) {
        let at = story.moments[step].insn;
        let known = |reg: u8| story.reg_at(step, reg).val.value().is_some();
        let both = known(dst)
            && match src {
                Operand::Reg(src) => known(src.0),
                Operand::Imm(_) => true,
            };
        let what = if both { "decides the same in every round" } else { "may decide the same in every round" };
        draft.label(at, format!("{what}: r{dst} is {} here", words::describe(story, story.reg_at(step, dst))));
        decided = true;
    }
    if decided {
        draft.help(
            "count the rounds in a variable that the condition compares with a constant: `for (i = 0; i < 100; i++)`",
        );
    } else if !(before..last).any(|n| matches!(story.inst(n), Some(Inst::MayGoto { .. }))) {
        draft.help("the loop has no way out: give it a condition");
    }
    draft.help("loops over more than a few thousand rounds: `bpf_loop`, or `while (can_loop && …)` from Linux 6.9 on");
}

pub(super) fn too_many(story: &Story<'_>, draft: &mut Draft) {
    let limit = story.v.profile.limits.insns;
    draft.say(format!("the paths through the program are more than {limit} instructions long, all together"));
    hottest(story, draft);
    draft.here("here the verifier gave up");
    draft.help("every round of a loop, and every combination of branches before it, is followed on its own: bound loops by smaller constants, use `bpf_loop`, or move parts into global functions (not `static`), which are verified once");
    draft.help("`alveary check --log 4 --stats` tells how much work each program is");
}

pub(super) fn too_many_jumps(story: &Story<'_>, draft: &mut Draft) {
    let waiting = story.v.profile.limits.jumps;
    draft.say(format!("one path has more than {waiting} branches whose other side waits to be followed"));
    hottest(story, draft);
    draft.here("here the verifier gave up");
    draft.help("fewer branches in a row: tables instead of chains of comparisons, loops by `bpf_loop`, parts in global functions (not `static`)");
}

/// The line that the path at the end has come through most often.
fn hottest(story: &Story<'_>, draft: &mut Draft) {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for moment in &story.moments {
        *counts.entry(moment.insn).or_default() += 1;
    }
    let Some((&insn, &count)) = counts.iter().max_by_key(|(insn, count)| (**count, u32::MAX - **insn)) else { return };
    if count < 3 {
        return;
    }
    let many = if story.cut { format!("{count} times and more") } else { format!("{count} times") };
    let what = if line_of(story, insn).is_some() { "this line" } else { "this instruction" };
    draft.label(insn, format!("the path went over {what} {many}"));
    let reads = words::read_by(story, insn);
    let changing = reads.into_iter().find(|reg| story.reg(*reg).is_some_and(|known| known.ty.kind == Kind::Scalar));
    if let Some(reg) = changing {
        draft.know(reg);
    }
}

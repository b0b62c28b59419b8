//! Programs that are too long for the verifier: loops that never end, and paths that are too many.

use crate::{
    explain::{
        draft::Draft,
        history::{Cell, read},
        number::Number,
        story::Story,
        way::line_of,
        words,
    },
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

/// `verifier bug: backtracking misuse`, which is the program's.
pub(super) fn rounds(story: &Story<'_>, draft: &mut Draft) {
    const ROUNDS: u8 = 1;
    draft.say("how many rounds `bpf_loop` makes is said by a pointer");
    if let Some(reg) = story.reg(ROUNDS) {
        draft.here(format!("r{ROUNDS} is {}, where a number is needed", words::describe(story, reg)));
    }
    draft.know(ROUNDS);
    draft.note("Linux takes this for a bug of its own, and rejects the program");
    draft.help("`bpf_loop(ROUNDS, callback, &context, 0)`: the number comes first");
}

pub(super) fn too_many(story: &Story<'_>, draft: &mut Draft) {
    let limit = story.v.profile.limits.insns;
    draft.say(format!("the paths through the program are more than {limit} instructions long, all together"));
    hottest(story, draft);
    draft.here("here the verifier gave up");
    if let Some(callee) = calls_back(story) {
        draft.help(format!("the callback of `{callee}` is verified again for every state that a round may leave behind: keep pointers that move, and numbers without a bound, out of what it is handed; count from the callback's index, and load pointers in the callback anew"));
        draft.help("`alveary check --log 4 --stats` tells how much work each program is");
        return;
    }
    exits(story, draft);
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

/// The helper whose callback the path is in at its end, or which it comes back to time and again.
fn calls_back(story: &Story<'_>) -> Option<String> {
    let aux = &story.program().aux;
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for moment in story.moments.iter().filter(|moment| aux[moment.insn as usize].calls_back) {
        *counts.entry(moment.insn).or_default() += 1;
    }
    let (insn, _) = counts.into_iter().max_by_key(|(_, count)| *count).filter(|(_, count)| *count > 3)?;
    story.callee(insn)
}

/// The condition of the loop that the path ends in, if one of its sides has no bound.
fn exits(story: &Story<'_>, draft: &mut Draft) {
    let Some(last) = story.last() else { return };
    let again = story.moments[last].insn;
    let Some(before) = (0..last).rev().find(|n| story.moments[*n].insn == again) else { return };
    let unbounded = |step: usize, n: u8| {
        let cell = Cell::Reg(story.state(step).depth, n);
        let reg = read(story.state(step), cell).filter(|reg| reg.is_scalar())?;
        let wide = reg.val.wide;
        (wide.umax.saturating_sub(wide.umin) > 1 << 20).then_some((n, cell, reg))
    };
    for (step, dst, src) in story.jumps().filter(|(step, ..)| *step >= before) {
        let src = if let Operand::Reg(src) = src { Some(src.0) } else { None };
        let found = [Some(dst), src].into_iter().flatten().find_map(|n| unbounded(step, n));
        let Some((n, cell, reg)) = found else { continue };
        draft.know(n);
        draft.label(
            story.moments[step].insn,
            format!("this condition decides over another round, and one of its sides is {}", words::number(&reg.val)),
        );
        if let Some(number) = Number::of(story, cell, step) {
            number.label_beginning(story, draft);
        }
        draft.help("bound the number of rounds by a constant as well: `for (i = 0; i < n && i < 64; i++)`");
        return;
    }
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

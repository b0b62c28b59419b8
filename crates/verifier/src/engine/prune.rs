//! Checkpoints: compared with where paths meet, made where that may help, dropped when it did not.

use super::equal::Exact;
use crate::{
    alu::is_may_goto,
    limits::MAX_STATES,
    state::{Kind, Reg, State, StateId},
    stop::{Check, Stop},
    verifier::{Verifier, Watch},
};
use alveary_abi::{Errno, Rule};

/// Whether what a path has come to was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visit {
    New,
    Known,
}

/// Checkpoints by instruction and call site, as the kernel hashes them: what it counts for an instruction depends on that.
#[derive(Debug)]
pub(crate) struct Explored {
    /// The list of each bucket, counted from 1; 0: none yet. Most instructions have no checkpoint.
    buckets: Vec<u32>,
    lists: Vec<Vec<StateId>>,
}

impl Explored {
    pub(crate) fn new(len: usize) -> Explored {
        Explored { buckets: vec![0; len.max(1)], lists: Vec::new() }
    }

    pub(super) fn bucket(&self, insn: u32, callsite: u32) -> usize {
        (insn ^ callsite) as usize % self.buckets.len()
    }

    /// Those of a bucket, the oldest first.
    pub(super) fn of(&self, bucket: usize) -> &[StateId] {
        match self.buckets[bucket] {
            0 => &[],
            list => &self.lists[list as usize - 1],
        }
    }

    fn list(&mut self, bucket: usize) -> &mut Vec<StateId> {
        if self.buckets[bucket] == 0 {
            self.lists.push(Vec::new());
            self.buckets[bucket] = self.lists.len() as u32;
        }
        &mut self.lists[self.buckets[bucket] as usize - 1]
    }

    pub(super) fn clear(&mut self) {
        self.lists.iter_mut().for_each(Vec::clear);
    }
}

impl Verifier<'_> {
    /// Compares the current state with those that were here before, and may make a checkpoint of it.
    pub(super) fn visit(&mut self) -> Check<Visit> {
        let insn = self.insn;
        let force = self.test_state_freq
            || self.program.aux[insn as usize].checkpoint
            // Keeps the way back to the parent short.
            || self.cur.steps.len() > 40;
        let jumps = self.counts.jumps - self.counts.jumps_then;
        let insns = self.counts.insns - self.counts.insns_then;
        let mut add = force || jumps >= 2 && insns >= 8;
        let bucket = self.explored.bucket(insn, self.cur.top().callsite);
        self.clean(bucket);
        let mut count = 0;
        let mut n = self.explored.of(bucket).len();
        while n > 0 {
            n -= 1;
            let id = self.explored.of(bucket)[n];
            count += 1;
            if self.store[id].state.insn != insn {
                continue;
            }
            let found = if self.store[id].state.branches > 0 {
                let around = self.compare_unfinished(id)?;
                if around.is_none() && !force && jumps < 20 && insns < 100 {
                    add = false;
                }
                around
            } else {
                let around = self.is_incomplete(&self.store[id].state);
                let exact = if around { Exact::RangeWithin } else { Exact::No };
                self.states_equal(id, exact).then_some(around)
            };
            if let Some(around) = found {
                self.store[id].hits += 1;
                if self.program.aux[insn as usize].jump_point {
                    self.step(Default::default(), Default::default());
                }
                self.propagate_precision(id)?;
                if around {
                    self.add_backedge(id);
                }
                return Ok(Visit::Known);
            }
            self.miss(bucket, n, id, add);
        }
        self.counts.states_per_insn = self.counts.states_per_insn.max(count);
        let room = self.env.caps.bpf || count <= MAX_STATES;
        if add && room {
            self.add_checkpoint(bucket);
        }
        Ok(Visit::New)
    }

    /// Compares with a state whose ways on are not finished: `Some` if the path brings nothing new, and whether it went
    /// around a loop to get there.
    fn compare_unfinished(&mut self, id: StateId) -> Check<Option<bool>> {
        let insn = self.insn;
        let old = &self.store[id].state;
        let (top, current) = (old.top(), self.cur.top());
        let other_entry = top.in_async_callback && top.async_entries != current.async_entries;
        if other_entry {
            return Ok(None);
        }
        if is_may_goto(&self.program, insn)
            && old.may_goto_depth != self.cur.may_goto_depth
            && self.states_equal(id, Exact::RangeWithin)
        {
            return Ok(Some(true));
        }
        if self.program.aux[insn as usize].calls_back {
            return Ok(self.states_equal(id, Exact::RangeWithin).then_some(self.profile.has(Rule::CallbackLoops)));
        }
        let old = &self.store[id].state;
        if may_be_looping(old, &self.cur)
            && old.may_goto_depth == self.cur.may_goto_depth
            && old.callback_unrolls == self.cur.callback_unrolls
            && self.states_equal(id, Exact::Yes)
        {
            self.print_line(insn);
            self.log.say(format_args!("infinite loop detected at insn {insn}\n"));
            let depth = self.cur.depth;
            self.log.trace(format_args!("cur state:"));
            self.print_frame(depth);
            self.log.trace(format_args!("old state:"));
            self.print_checkpoint(id, depth);
            return Err(Stop::Rejected(Errno::EINVAL));
        }
        Ok(None)
    }

    /// A checkpoint did not cover the current state: one that seldom does is dropped.
    fn miss(&mut self, bucket: usize, n: usize, id: StateId, counted: bool) {
        let checkpoint = &mut self.store[id];
        checkpoint.misses += u32::from(counted);
        let patience =
            if self.program.aux[self.insn as usize].checkpoint && checkpoint.state.branches > 0 { 64 } else { 3 };
        if checkpoint.misses > checkpoint.hits * patience + patience {
            checkpoint.evicted = true;
            self.explored.list(bucket).remove(n);
            self.counts.explored -= 1;
            self.counts.retired += 1;
            self.free_if_done(id);
        }
    }

    fn add_checkpoint(&mut self, bucket: usize) {
        self.counts.total_states += 1;
        if let Some(Watch::Work(counter)) = &mut self.watch {
            counter.keep(self.insn);
        }
        self.counts.explored += 1;
        self.update_peak();
        self.counts.jumps_then = self.counts.jumps;
        self.counts.insns_then = self.counts.insns;
        forget_precision(&mut self.cur);
        let mut steps = std::mem::take(&mut self.cur.steps);
        steps.shrink_to_fit();
        let mut new = self.cur.clone();
        new.steps = steps;
        new.insn = self.insn;
        new.branches = 1;
        let depth_first = new.depth_first;
        let id = self.store.add(new);
        self.enter_loop(id);
        self.cur.parent = Some(id);
        self.cur.first = self.insn;
        self.cur.depth_first = depth_first + 1;
        self.explored.list(bucket).push(id);
    }

    pub(super) fn update_peak(&mut self) {
        let counts = &mut self.counts;
        counts.peak_states = counts.peak_states.max(counts.explored + counts.retired + counts.backedges);
    }

    /// The path has come to its end: so have, maybe, those that it descends from.
    pub(super) fn finish_path(&mut self) -> Check {
        let mut next = self.cur.parent;
        while let Some(id) = next {
            let state = &mut self.store[id].state;
            state.branches -= 1;
            if state.branches > 0 {
                break;
            }
            next = state.parent;
            self.leave_loop(id)?;
            self.free_if_done(id);
        }
        Ok(())
    }

    fn free_if_done(&mut self, id: StateId) {
        let checkpoint = &self.store[id];
        if checkpoint.evicted && checkpoint.state.branches == 0 && !self.is_incomplete(&checkpoint.state) {
            self.store.remove(id);
            self.counts.retired -= 1;
        }
    }

    /// Takes out of finished checkpoints what nobody will read.
    fn clean(&mut self, bucket: usize) {
        for n in 0..self.explored.of(bucket).len() {
            let id = self.explored.of(bucket)[n];
            let state = &self.store[id].state;
            if state.branches > 0
                || state.insn != self.insn
                || state.cleaned
                || !state.same_callsites(&self.cur)
                || self.is_incomplete(state)
            {
                continue;
            }
            self.clean_state(id);
        }
    }

    fn clean_state(&mut self, id: StateId) {
        let depth = self.store[id].state.depth;
        for n in 0..=depth {
            let state = &self.store[id].state;
            let live = self.program.aux[state.frame_insn(n) as usize].live;
            let frame = state.frame(n);
            let dead_reg = |r: usize| live >> r & 1 == 0;
            let slots = frame.stack.iter().take(64).enumerate();
            let touched = slots.filter(|(_, slot)| slot.bytes != crate::state::Slot::EMPTY.bytes);
            let touched = touched.fold(0, |touched, (n, _)| touched | 1 << n);
            let dead_slots =
                if touched == 0 { 0 } else { touched & !self.liveness.live_slots(state, &self.program, n) };
            let any_reg = (0..10).any(|r| dead_reg(r) && frame.regs[r].ty.kind != Kind::Uninit);
            if !any_reg && dead_slots == 0 {
                continue;
            }
            let frame = self.store[id].state.frame_mut(n);
            for r in (0..10).filter(|r| dead_reg(*r)) {
                frame.regs[r] = Reg::UNINIT;
            }
            for slot in (0..frame.stack.len().min(64)).filter(|slot| dead_slots >> slot & 1 != 0) {
                frame.stack[slot] = crate::state::Slot::EMPTY;
            }
        }
        self.store[id].state.cleaned = true;
    }

    /// A state that is not finished, at the instruction, from which the path has come.
    pub(crate) fn earlier_entry(&self, state: &State, insn: u32) -> Option<StateId> {
        let bucket = self.explored.bucket(insn, state.top().callsite);
        self.explored.of(bucket).iter().rev().copied().find(|id| {
            let old = &self.store[*id].state;
            old.insn == insn && old.branches > 0 && old.same_callsites(state) && old.depth_first < state.depth_first
        })
    }
}

/// Whether the registers are the very same: a quick way to tell that a loop makes progress.
fn may_be_looping(old: &State, current: &State) -> bool {
    old.depth == current.depth
        && (old.shares(current, old.depth)
            || old
                .top()
                .regs
                .iter()
                .zip(&current.top().regs)
                .all(|(a, b)| a.same_content(b) && a.id == b.id && a.ref_id == b.ref_id))
}

/// Precision that was inherited does not count for what follows.
fn forget_precision(state: &mut State) {
    for n in 0..=state.depth {
        let is_precise = |reg: &Reg| reg.precise && reg.is_scalar();
        if state.frame(n).all_regs().any(is_precise) {
            state.frame_mut(n).change_regs(is_precise, |reg| reg.precise = false);
        }
    }
}

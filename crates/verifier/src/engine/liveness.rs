//! Which stack slots may be read later: found as paths are followed, per chain of calls.
//!
//! Each instruction of each function, for each way it was called, has the slots (of its own frame and of its callers')
//! that it may read and that it always writes. From these a slot is live where a read may follow before a write.

use crate::{
    limits::MAX_FRAMES,
    log::{ListedSlots, Log},
    program::Prepared,
    state::State,
};
use std::{collections::HashMap, fmt};

/// A function and the calls that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Chain {
    callsites: [u32; MAX_FRAMES],
    starts: [u32; MAX_FRAMES],
    depth: usize,
}

impl Chain {
    fn of(state: &State, program: &Prepared<'_>, depth: usize) -> Chain {
        let mut chain = Chain { callsites: [0; MAX_FRAMES], starts: [0; MAX_FRAMES], depth };
        for n in 0..=depth {
            chain.starts[n] = program.subprogs[state.frame(n).subprog as usize].start;
            if n < state.depth {
                chain.callsites[n] = state.frame(n + 1).callsite;
            }
        }
        chain.callsites[depth] = chain.starts[depth];
        chain
    }

    fn outer(mut self) -> Chain {
        self.callsites[self.depth] = 0;
        self.starts[self.depth] = 0;
        self.depth -= 1;
        self.callsites[self.depth] = self.starts[self.depth];
        self
    }

    fn start(&self) -> u32 {
        self.starts[self.depth]
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for callsite in &self.callsites[..=self.depth] {
            write!(f, "{separator}{callsite}")?;
            separator = ",";
        }
        Ok(())
    }
}

/// Slots of one frame, as one instruction touches them.
#[derive(Clone, Copy, Debug, Default)]
struct Masks {
    may_read: u64,
    must_write: u64,
    /// Written by it or whatever follows.
    written_on: u64,
    live_before: u64,
}

#[derive(Debug)]
struct Instance {
    chain: Chain,
    frames: [Vec<Masks>; MAX_FRAMES],
    /// Whether the instruction's writes are known.
    written: Vec<bool>,
    updated: bool,
    dropped: bool,
}

impl Instance {
    fn new(chain: Chain, len: usize) -> Instance {
        Instance { chain, frames: Default::default(), written: vec![false; len], updated: false, dropped: false }
    }

    /// The masks of an instruction. There are none if `room` has none: then the check ends.
    fn masks(&mut self, frame: usize, at: usize, room: &mut Room) -> Option<&mut Masks> {
        let masks = &mut self.frames[frame];
        if masks.is_empty() && room.take(self.written.len() * size_of::<Masks>()) {
            masks.resize(self.written.len(), Masks::default());
        }
        masks.get_mut(at)
    }

    fn read(&mut self, frame: usize, at: usize, slots: u64, room: &mut Room) {
        let Some(masks) = self.masks(frame, at, room) else { return };
        let may_read = masks.may_read | slots;
        let news = may_read != masks.may_read && may_read | masks.live_before != masks.live_before;
        masks.may_read = may_read;
        self.updated |= news;
    }

    fn write(&mut self, at: usize, slots: &[u64; MAX_FRAMES], room: &mut Room) {
        let known = self.written[at];
        for (frame, &slots) in slots.iter().enumerate().take(self.chain.depth + 1) {
            if slots == 0 && !known {
                continue;
            }
            let Some(masks) = self.masks(frame, at, room) else { return };
            let old = masks.must_write;
            let new = if known { slots & old } else { slots };
            masks.must_write = new;
            self.updated |= old != new;
            self.dropped |= old & !new != 0;
        }
        self.written[at] = true;
    }
}

/// How much memory is taken, and how much more may be.
#[derive(Debug, Default)]
struct Room {
    taken: usize,
    left: usize,
}

impl Room {
    /// Takes some, or says that there is not so much. That counts as taken all the same, so that the check ends.
    fn take(&mut self, bytes: usize) -> bool {
        self.taken += bytes;
        let there = self.left >= bytes;
        self.left = self.left.saturating_sub(bytes);
        there
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    instances: Vec<Instance>,
    by_chain: HashMap<Chain, usize>,
    /// The instance that was asked for last at each depth: mostly it is asked for again.
    recent: [usize; MAX_FRAMES],
    /// The function that the path is in.
    current: Option<usize>,
    writes: [u64; MAX_FRAMES],
    insn: u32,
    room: Room,
}

impl Liveness {
    pub(super) fn clear(&mut self) {
        *self = Liveness::default();
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.room.taken
    }

    /// How many more it may take.
    pub(crate) fn may_take(&mut self, bytes: usize) {
        self.room.left = bytes;
    }

    fn find(&self, chain: &Chain) -> Option<usize> {
        let recent = self.recent[chain.depth];
        if self.instances.get(recent).is_some_and(|instance| instance.chain == *chain) {
            return Some(recent);
        }
        self.by_chain.get(chain).copied()
    }

    fn instance(&mut self, chain: Chain, program: &Prepared<'_>) -> usize {
        let index = self.find(&chain).unwrap_or_else(|| {
            let subprog = &program.subprogs[program.subprog_of(chain.start()) as usize];
            let len = (subprog.end - subprog.start) as usize;
            self.room.take(len + 2 * size_of::<(Instance, Chain, usize)>());
            self.instances.push(Instance::new(chain, len));
            self.by_chain.insert(chain, self.instances.len() - 1);
            self.instances.len() - 1
        });
        self.recent[chain.depth] = index;
        index
    }

    /// The path is now in another function.
    pub(crate) fn leave(&mut self) {
        self.current = None;
    }

    /// An instruction begins.
    pub(super) fn begin(&mut self, state: &State, program: &Prepared<'_>, insn: u32) {
        if self.current.is_none() {
            let chain = Chain::of(state, program, state.depth);
            self.current = Some(self.instance(chain, program));
        }
        self.writes = [0; MAX_FRAMES];
        self.insn = insn;
    }

    /// The instruction at hand reads slots of a frame.
    pub(crate) fn read(&mut self, frame: usize, slots: u64) {
        let Some(current) = self.current else { return };
        let instance = &mut self.instances[current];
        let at = (self.insn - instance.chain.start()) as usize;
        instance.read(frame, at, slots, &mut self.room);
    }

    /// The instruction at hand writes all of these slots of a frame.
    pub(crate) fn write(&mut self, frame: usize, slots: u64) {
        self.writes[frame] |= slots;
    }

    /// The instruction is done.
    pub(super) fn commit(&mut self) {
        let Some(current) = self.current else { return };
        let instance = &mut self.instances[current];
        let at = (self.insn - instance.chain.start()) as usize;
        instance.write(at, &self.writes, &mut self.room);
    }

    /// Brings what is known of the functions that a state is in up to date.
    pub(crate) fn update(&mut self, state: &State, program: &Prepared<'_>, log: &mut Log) {
        self.current = None;
        for depth in (0..=state.depth).rev() {
            let index = self.instance(Chain::of(state, program, depth), program);
            if self.instances[index].updated {
                self.settle(index, program, log);
                let instance = &mut self.instances[index];
                instance.updated = false;
                instance.dropped = false;
            }
        }
    }

    fn settle(&mut self, index: usize, program: &Prepared<'_>, log: &mut Log) {
        let instance = &mut self.instances[index];
        let start = instance.chain.start();
        if instance.dropped {
            instance.frames.iter_mut().flatten().for_each(|masks| masks.written_on = 0);
        }
        let subprog = &program.subprogs[program.subprog_of(start) as usize];
        let mut rounds = 0;
        loop {
            rounds += 1;
            let mut changed = false;
            for (frame, masks) in instance.frames.iter_mut().enumerate().filter(|(_, masks)| !masks.is_empty()) {
                for &at in &subprog.postorder {
                    let Some((old, new)) = update_insn(masks, program, start, at) else { continue };
                    changed |= (old.live_before, old.written_on) != (new.live_before, new.written_on);
                    let shown = new.may_read | new.must_write != 0 || at == start || program.aux[at as usize].prune;
                    if log.keeps_all() && shown {
                        let place = Place { chain: &instance.chain, frame, at };
                        log_change(log, &place, "live", old.live_before, new.live_before);
                        log_change(log, &place, "written", old.written_on, new.written_on);
                    }
                }
            }
            if !changed {
                break;
            }
        }
        if log.keeps_all() {
            log.detail(format_args!("({}) live stack update done in {rounds} iterations\n", instance.chain));
        }
        if instance.chain.depth > 0 {
            self.tell_caller(index, program);
        }
    }

    /// What a function does to its callers' frames, its call does.
    fn tell_caller(&mut self, index: usize, program: &Prepared<'_>) {
        let chain = self.instances[index].chain;
        let outer = self.instance(chain.outer(), program);
        let at = (chain.callsites[chain.depth - 1] - chain.outer().start()) as usize;
        let mut writes = [0; MAX_FRAMES];
        for (frame, writes) in writes.iter_mut().enumerate().take(chain.depth) {
            let Some(masks) = self.instances[index].frames[frame].first().copied() else { continue };
            *writes = masks.written_on;
            self.instances[outer].read(frame, at, masks.live_before, &mut self.room);
        }
        self.instances[outer].write(at, &writes, &mut self.room);
    }

    /// The slots of frame `frame` that may be read after the state.
    pub(super) fn live_slots(&self, state: &State, program: &Prepared<'_>, frame: usize) -> u64 {
        let live_at = |depth: usize, at: u32| {
            let chain = Chain::of(state, program, depth);
            let masks = self.find(&chain).map(|index| &self.instances[index].frames[frame]);
            let masks = masks.and_then(|masks| masks.get((at - chain.start()) as usize));
            masks.map_or(0, |masks| masks.live_before)
        };
        (frame..state.depth).fold(live_at(state.depth, state.insn), |live, n| {
            let callsite = state.frame(n + 1).callsite;
            let back = program.aux[callsite as usize].calls_back;
            live | live_at(n, if back { callsite } else { callsite + 1 })
        })
    }
}

/// Brings an instruction's masks up to date: what they were, and are. `None` if nothing follows it.
fn update_insn(masks: &mut [Masks], program: &Prepared<'_>, start: u32, at: u32) -> Option<(Masks, Masks)> {
    let mut after = 0;
    let mut written_on = u64::MAX;
    let mut followed = false;
    for to in program.successors(at) {
        let next = &masks[(to - start) as usize];
        after |= next.live_before;
        written_on &= next.written_on;
        followed = true;
    }
    if !followed {
        return None;
    }
    let masks = &mut masks[(at - start) as usize];
    let old = *masks;
    masks.written_on = written_on | masks.must_write;
    masks.live_before = after & !masks.must_write | masks.may_read;
    Some((old, *masks))
}

/// Where masks belong.
struct Place<'a> {
    chain: &'a Chain,
    frame: usize,
    at: u32,
}

fn log_change(log: &mut Log, place: &Place<'_>, name: &str, old: u64, new: u64) {
    if old == new {
        return;
    }
    log.detail(format_args!("({}) frame {} insn {} ", place.chain, place.frame, place.at));
    if new & !old != 0 {
        log.detail(format_args!("+{name} {} ", ListedSlots(new & !old)));
    }
    if old & !new != 0 {
        log.detail(format_args!("-{name} {}", ListedSlots(old & !new)));
    }
    log.detail(format_args!("\n"));
}

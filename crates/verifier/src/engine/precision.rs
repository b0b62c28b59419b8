//! Whose exact value matters: when a value is relied on, the path is followed back to what the value was made from, and
//! every state on the way is told. States whose exact values do not matter cover many more.

use super::loops::Backedge;
use crate::{
    limits::MAX_FRAMES,
    log::{ListedRegs, ListedSlots},
    state::{ENTRY, FP, State, StateId, Step},
    stop::{Check, Stop, reject},
    verifier::Verifier,
};
use alveary_abi::HelperId;
use alveary_isa::{AluOp, AtomicOp, Inst, Operand};

/// r1–r5.
const ARGUMENTS: u32 = 0x3e;

/// Registers and slots that are looked for, per frame.
#[derive(Debug, Default)]
struct Wanted {
    regs: [u32; MAX_FRAMES],
    slots: [u64; MAX_FRAMES],
    frame: usize,
}

impl Wanted {
    fn is_empty(&self) -> bool {
        // Asked for each instruction; mostly something is wanted of the frame at hand.
        self.regs() == 0 && self.regs.iter().all(|regs| *regs == 0) && self.slots.iter().all(|slots| *slots == 0)
    }

    fn regs(&self) -> u32 {
        self.regs[self.frame]
    }

    fn has(&self, reg: u8) -> bool {
        self.regs() >> reg & 1 != 0
    }

    fn add(&mut self, reg: u8) {
        if reg as usize != FP {
            self.regs[self.frame] |= 1 << reg;
        }
    }

    fn remove(&mut self, reg: u8) {
        self.regs[self.frame] &= !(1 << reg);
    }
}

/// Going back cannot go on from here: everything is called precise.
struct GivenUp;

impl Verifier<'_> {
    /// The exact value of a register is relied on. Where that is a pointer (the number of rounds of `bpf_loop` may be
    /// anything), the kernel takes it for a bug of its own.
    pub(crate) fn mark_precise(&mut self, reg: u8) -> Check {
        if self.env.caps.bpf && !self.reg(reg).is_scalar() {
            reject!(self, EFAULT, "verifier bug: backtracking misuse\n");
        }
        let mut wanted = Wanted { frame: self.cur.depth, ..Wanted::default() };
        wanted.add(reg);
        let start = Way::of(&mut self.cur);
        let steps = self.go_back(&start, wanted);
        self.cur.steps = start.steps;
        steps.map(drop)
    }

    /// The same of a number that is spilled to a slot.
    pub(crate) fn mark_slot_precise(&mut self, frame: usize, slot: usize) -> Check {
        let mut wanted = Wanted { frame: self.cur.depth, ..Wanted::default() };
        wanted.slots[frame] |= 1 << slot;
        let start = Way::of(&mut self.cur);
        let steps = self.go_back(&start, wanted);
        self.cur.steps = start.steps;
        steps.map(drop)
    }

    /// The current state is covered by checkpoint `old`: what matters there, matters here.
    pub(super) fn propagate_precision(&mut self, old: StateId) -> Check {
        let wanted = self.wanted_of(old);
        let start = Way::of(&mut self.cur);
        let steps = self.go_back(&start, wanted);
        self.cur.steps = start.steps;
        steps.map(drop)
    }

    /// The same for the end of a path around a loop; whether anything became precise.
    pub(super) fn carry_precision(&mut self, backedge: &mut Backedge) -> Check<bool> {
        let wanted = self.wanted_of(backedge.equal);
        let start = Way::of(&mut backedge.state);
        let changed = self.go_back(&start, wanted);
        backedge.state.steps = start.steps;
        changed
    }

    fn wanted_of(&mut self, old: StateId) -> Wanted {
        let state = &self.store[old].state;
        let mut wanted = Wanted { frame: state.depth, ..Wanted::default() };
        for n in (0..=state.depth).rev() {
            let frame = state.frame(n);
            for (r, reg) in frame.regs.iter().enumerate().take(FP) {
                if reg.is_scalar() && reg.precise {
                    wanted.regs[n] |= 1 << r;
                }
            }
            for (s, slot) in frame.stack.iter().enumerate().take(64) {
                if slot.is_scalar_spill() && slot.reg.precise {
                    wanted.slots[n] |= 1 << s;
                }
            }
        }
        if self.log.keeps_all() {
            for n in (0..MAX_FRAMES).rev() {
                let names: Vec<String> = (0..32)
                    .filter(|r| wanted.regs[n] >> r & 1 != 0)
                    .map(|r| format!("r{r}"))
                    .chain((0..64).filter(|s| wanted.slots[n] >> s & 1 != 0).map(|s| format!("fp{}", -8 * (s + 1))))
                    .collect();
                if !names.is_empty() {
                    self.log.detail(format_args!("frame {n}: propagating {}\n", names.join(",")));
                }
            }
        }
        wanted
    }

    /// Every scalar of every state from `from` on is precise.
    pub(super) fn all_precise(&mut self, from: Option<StateId>) {
        let mut next = from;
        while let Some(id) = next {
            let state = &mut self.store[id].state;
            next = state.parent;
            for n in 0..=state.depth {
                // The frame pointer is no number.
                state.frame_mut(n).change_regs(|reg| reg.is_scalar() && !reg.precise, |reg| reg.precise = true);
            }
        }
    }

    /// Follows a way back through its states; whether anything became precise.
    fn go_back(&mut self, start: &Way, mut wanted: Wanted) -> Check<bool> {
        let mut changed = false;
        if !self.env.caps.bpf {
            return Ok(false);
        }
        if wanted.is_empty() {
            return Ok(changed);
        }
        let mut parent = start.parent;
        let mut first = start.first;
        let mut last = Some(start.insn);
        let mut subsequent: Option<u32> = None;
        let mut skip = true;
        let mut steps: Option<(StateId, Vec<Step>)> = None;
        loop {
            self.log.detail(format_args!(
                "mark_precise: frame{}: last_idx {} first_idx {first} subseq_idx {} \n",
                wanted.frame,
                last.map_or(-1, i64::from),
                subsequent.map_or(-1, i64::from)
            ));
            let Some(from) = last else {
                return self.at_entry(start, steps.map(|s| s.0), &wanted).map(|()| changed);
            };
            let way: &[Step] = steps.as_ref().map_or(&start.steps, |(_, steps)| steps);
            let walked = self.walk_back(way, from, first, &mut subsequent, &mut skip, &mut wanted);
            if let Some((id, steps)) = steps.take() {
                self.store[id].state.steps = steps;
            }
            if walked.is_err() {
                self.log.detail(format_args!(
                    "mark_precise: frame{}: falling back to forcing all scalars precise\n",
                    start.depth
                ));
                self.all_precise(start.parent);
                return Ok(true);
            }
            if wanted.is_empty() {
                return Ok(changed);
            }
            let Some(id) = parent else { break };
            changed |= self.mark_state(id, &mut wanted)?;
            if wanted.is_empty() {
                return Ok(changed);
            }
            let state = &mut self.store[id].state;
            subsequent = Some(first);
            last = state.last;
            first = state.first;
            parent = state.parent;
            steps = Some((id, std::mem::take(&mut state.steps)));
        }
        // What is still wanted came from before the program: nothing is known of it.
        self.all_precise(start.parent);
        Ok(true)
    }

    /// A global function's entry: its arguments are what they are.
    fn at_entry(&mut self, start: &Way, state: Option<StateId>, wanted: &Wanted) -> Check {
        let entry = match state {
            Some(id) => &mut self.store[id].state,
            None => &mut self.cur,
        };
        let frame = entry.frame(0);
        let arguments = entry.depth == 0
            && frame.subprog > 0
            && frame.callsite == ENTRY
            && wanted.slots[wanted.frame] == 0
            && wanted.regs() & !ARGUMENTS == 0;
        if arguments {
            for r in (0..32).filter(|r| wanted.regs() >> r & 1 != 0) {
                let reg = &mut entry.frame_mut(0).regs[r];
                reg.precise |= reg.is_scalar();
            }
            return Ok(());
        }
        self.all_precise(start.parent);
        Ok(())
    }

    /// Walks one state's way back from instruction `from`.
    fn walk_back(
        &mut self,
        way: &[Step],
        from: u32,
        first: u32,
        subsequent: &mut Option<u32>,
        skip: &mut bool,
        wanted: &mut Wanted,
    ) -> Result<(), GivenUp> {
        let mut end = way.len();
        let mut at = from;
        loop {
            if std::mem::take(skip) {
            } else {
                let step = way[..end].last().filter(|step| step.insn == at);
                self.undo(at, *subsequent, step, wanted)?;
            }
            if wanted.is_empty() {
                return Ok(());
            }
            *subsequent = Some(at);
            let at_first = at == first && (end == 0 || end == 1 && way[0].insn == at);
            if at_first {
                return Ok(());
            }
            match way[..end].last().filter(|step| step.insn == at) {
                Some(step) => {
                    end -= 1;
                    let Some(previous) = step.previous else { return Ok(()) };
                    at = previous;
                }
                None => {
                    let Some(previous) = at.checked_sub(1) else { return Err(GivenUp) };
                    at = previous;
                }
            }
        }
    }

    /// What has to be known before an instruction for what is wanted after it.
    fn undo(
        &mut self,
        at: u32,
        subsequent: Option<u32>,
        step: Option<&Step>,
        wanted: &mut Wanted,
    ) -> Result<(), GivenUp> {
        let Some(inst) = self.program.inst(at) else { return Ok(()) };
        if self.log.keeps_all() {
            let line = format!(
                "mark_precise: frame{}: regs={} stack={} before {at}: {}\n",
                wanted.frame,
                ListedRegs(wanted.regs()),
                ListedSlots(wanted.slots[wanted.frame]),
                self.named(at)
            );
            self.log.detail(format_args!("{line}"));
        }
        sync_linked(wanted, step);
        self.undo_instruction(inst, at, subsequent, step, wanted)?;
        sync_linked(wanted, step);
        Ok(())
    }

    fn undo_instruction(
        &mut self,
        inst: Inst,
        at: u32,
        subsequent: Option<u32>,
        step: Option<&Step>,
        wanted: &mut Wanted,
    ) -> Result<(), GivenUp> {
        let slot = step.and_then(|step| step.note.stack);
        match inst {
            Inst::Alu { op: AluOp::Mov, dst, src, .. } => {
                if wanted.has(dst.0) {
                    wanted.remove(dst.0);
                    if let Operand::Reg(src) = src {
                        wanted.add(src.0);
                    }
                }
            }
            Inst::MovSx { dst, src, .. } | Inst::AddrSpaceCast { dst, src, .. } => {
                if wanted.has(dst.0) {
                    wanted.remove(dst.0);
                    wanted.add(src.0);
                }
            }
            Inst::Alu { dst, src: Operand::Reg(src), .. } => {
                if wanted.has(dst.0) {
                    wanted.add(src.0);
                }
            }
            Inst::Alu { .. } | Inst::Neg { .. } | Inst::Swap { .. } => {}
            Inst::Load { dst, .. } | Inst::LoadAcquire { dst, .. } => loaded(wanted, dst.0, slot),
            Inst::Atomic { op, dst, src, .. } => match op {
                AtomicOp::Cmpxchg => loaded(wanted, 0, slot),
                AtomicOp::Xchg
                | AtomicOp::Add { fetch: true }
                | AtomicOp::Or { fetch: true }
                | AtomicOp::And { fetch: true }
                | AtomicOp::Xor { fetch: true } => loaded(wanted, src.0, slot),
                _ => stored(wanted, dst.0, Some(src.0), slot)?,
            },
            Inst::Store { dst, src: Operand::Reg(src), .. } | Inst::StoreRelease { dst, src, .. } => {
                stored(wanted, dst.0, Some(src.0), slot)?;
            }
            Inst::Store { dst, .. } => stored(wanted, dst.0, None, slot)?,
            Inst::CallLocal { .. } => self.undo_call(at, wanted)?,
            Inst::CallHelper { .. } if self.program.aux[at as usize].calls_back && subsequent != Some(at + 1) => {
                if wanted.regs() & !ARGUMENTS != 0 || wanted.slots[wanted.frame] != 0 {
                    return Err(GivenUp);
                }
                wanted.regs[wanted.frame] = 0;
                leave_frame(wanted)?;
            }
            Inst::CallHelper { .. } | Inst::CallKfunc { .. } | Inst::CallX { .. } => {
                wanted.remove(0);
                if wanted.regs() & ARGUMENTS != 0 {
                    return Err(GivenUp);
                }
                // A tail call that did not come back returned from its function.
                let tail = matches!(inst, Inst::CallHelper { id } if id == HelperId::TAIL_CALL.0 as i32);
                if tail && subsequent != Some(at + 1) {
                    enter_frame(wanted)?;
                }
            }
            Inst::Exit => self.undo_exit(subsequent, wanted)?,
            Inst::Jmp { dst, src: Operand::Reg(src), .. } => {
                if wanted.has(dst.0) || wanted.has(src.0) {
                    let note = step.map(|step| step.note).unwrap_or_default();
                    if !note.src_stack {
                        wanted.add(src.0);
                    }
                    if !note.dst_stack {
                        wanted.add(dst.0);
                    }
                }
            }
            Inst::Jmp { .. } | Inst::Ja { .. } | Inst::MayGoto { .. } | Inst::GotoX { .. } => {}
            Inst::LoadImm64 { dst, .. }
            | Inst::MapFd { dst, .. }
            | Inst::MapValueFd { dst, .. }
            | Inst::VarAddr { dst, .. }
            | Inst::FuncAddr { dst, .. }
            | Inst::MapIdx { dst, .. }
            | Inst::MapValueIdx { dst, .. } => wanted.remove(dst.0),
            Inst::LoadAbs { .. } | Inst::LoadInd { .. } => {
                if wanted.has(0) {
                    return Err(GivenUp);
                }
                if subsequent != Some(at + 1) {
                    enter_frame(wanted)?;
                }
            }
        }
        Ok(())
    }

    fn undo_call(&self, at: u32, wanted: &mut Wanted) -> Result<(), GivenUp> {
        let callee = self.program.callee(at).and_then(|start| u32::try_from(start).ok());
        let Some(subprog) = callee.and_then(|start| self.program.subprog_at(start)) else { return Err(GivenUp) };
        if self.program.subprogs[subprog as usize].global {
            if wanted.regs() & ARGUMENTS != 0 {
                return Err(GivenUp);
            }
            wanted.remove(0);
            return Ok(());
        }
        if wanted.regs() & !ARGUMENTS != 0 || wanted.slots[wanted.frame] != 0 {
            return Err(GivenUp);
        }
        let arguments = std::mem::take(&mut wanted.regs[wanted.frame]);
        leave_frame(wanted)?;
        wanted.regs[wanted.frame] |= arguments;
        Ok(())
    }

    fn undo_exit(&self, subsequent: Option<u32>, wanted: &mut Wanted) -> Result<(), GivenUp> {
        let Some(after) = subsequent else { return Err(GivenUp) };
        if self.program.aux[after as usize].calls_back {
            wanted.regs[wanted.frame] &= !ARGUMENTS;
        }
        if wanted.regs() & ARGUMENTS != 0 {
            return Err(GivenUp);
        }
        let called =
            after.checked_sub(1).is_some_and(|call| matches!(self.program.inst(call), Some(Inst::CallLocal { .. })));
        let result = called && wanted.has(0);
        wanted.remove(0);
        enter_frame(wanted)?;
        if result {
            wanted.add(0);
        }
        Ok(())
    }

    /// Tells a checkpoint; what it already knew is no longer wanted. Whether it learnt something.
    fn mark_state(&mut self, id: StateId, wanted: &mut Wanted) -> Check<bool> {
        let mut changed = false;
        for n in (0..=wanted.frame).rev() {
            let state = &mut self.store[id].state;
            if n > state.depth {
                return Err(Stop::Refused("a path that leaves a function it never entered".to_owned()));
            }
            let (regs, slots) = (wanted.regs[n], wanted.slots[n]);
            for r in bits(regs.into()) {
                let reg = &state.frame(n).regs[r];
                if !reg.is_scalar() || reg.precise {
                    wanted.regs[n] &= !(1 << r);
                } else {
                    state.frame_mut(n).regs[r].precise = true;
                    changed = true;
                }
            }
            for s in bits(slots) {
                let slot = state.frame(n).stack.get(s);
                if slot.is_none_or(|slot| !slot.is_scalar_spill() || slot.reg.precise) {
                    wanted.slots[n] &= !(1 << s);
                } else {
                    state.frame_mut(n).stack[s].reg.precise = true;
                    changed = true;
                }
            }
            if self.log.keeps_all() {
                self.log.detail(format_args!(
                    "mark_precise: frame{n}: parent state regs={} stack={}: ",
                    ListedRegs(wanted.regs[n]),
                    ListedSlots(wanted.slots[n])
                ));
                self.print_checkpoint(id, n);
            }
        }
        Ok(changed)
    }
}

/// A state's way from its parent, taken out of it while it is walked.
struct Way {
    steps: Vec<Step>,
    insn: u32,
    first: u32,
    parent: Option<StateId>,
    depth: usize,
}

impl Way {
    fn of(state: &mut State) -> Way {
        Way {
            steps: std::mem::take(&mut state.steps),
            insn: state.insn,
            first: state.first,
            parent: state.parent,
            depth: state.depth,
        }
    }
}

/// The numbers of the bits that are set.
fn bits(set: u64) -> impl Iterator<Item = usize> {
    let lowest = |set: &u64| (*set != 0).then_some(*set);
    std::iter::successors(lowest(&set), move |set| lowest(&(set & (set - 1)))).map(|set| set.trailing_zeros() as usize)
}

fn loaded(wanted: &mut Wanted, reg: u8, slot: Option<(u8, u8)>) {
    if !wanted.has(reg) {
        return;
    }
    wanted.remove(reg);
    if let Some((frame, slot)) = slot {
        wanted.slots[frame as usize] |= 1 << slot;
    }
}

fn stored(wanted: &mut Wanted, dst: u8, src: Option<u8>, slot: Option<(u8, u8)>) -> Result<(), GivenUp> {
    if wanted.has(dst) {
        return Err(GivenUp);
    }
    let Some((frame, slot)) = slot else { return Ok(()) };
    let slots = &mut wanted.slots[frame as usize];
    if *slots >> slot & 1 != 0 {
        *slots &= !(1 << slot);
        if let Some(src) = src {
            wanted.add(src);
        }
    }
    Ok(())
}

fn enter_frame(wanted: &mut Wanted) -> Result<(), GivenUp> {
    if wanted.frame + 1 >= MAX_FRAMES {
        return Err(GivenUp);
    }
    wanted.frame += 1;
    Ok(())
}

fn leave_frame(wanted: &mut Wanted) -> Result<(), GivenUp> {
    wanted.frame = wanted.frame.checked_sub(1).ok_or(GivenUp)?;
    Ok(())
}

/// If one of several linked registers is wanted, all are.
fn sync_linked(wanted: &mut Wanted, step: Option<&Step>) {
    let Some(step) = step.filter(|step| step.linked.len() > 0) else { return };
    let any = step.linked.iter().any(|link| {
        let (frame, index) = (link.frame as usize, link.index);
        if link.is_reg { wanted.regs[frame] >> index & 1 != 0 } else { wanted.slots[frame] >> index & 1 != 0 }
    });
    if !any {
        return;
    }
    for link in step.linked.iter() {
        let (frame, index) = (link.frame as usize, link.index);
        if link.is_reg {
            wanted.regs[frame] |= 1 << index;
        } else {
            wanted.slots[frame] |= 1 << index;
        }
    }
}

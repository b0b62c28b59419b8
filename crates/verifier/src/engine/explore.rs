//! The loop over the instructions of a path, and over the paths.

use super::prune::Visit;
use crate::{
    state::{ENTRY, Frame, Kind, Reg, State, Type},
    stop::{Check, refuse, reject},
    verifier::{Verifier, Watch},
};
use alveary_abi::Rule;
use alveary_isa::{Inst, Operand};

/// A path that waits to be followed.
#[derive(Debug)]
pub(crate) struct Path {
    state: State,
    insn: u32,
    previous: Option<u32>,
    log: usize,
    /// The step that left it.
    left_at: u32,
}

/// The paths that wait; the one that was left last is followed first.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    paths: Vec<Path>,
    /// Bytes that their states hold.
    held: usize,
}

impl Pending {
    /// Adds one; gives how many there are then.
    fn push(&mut self, path: Path) -> u32 {
        self.held += path.state.bytes();
        self.paths.push(path);
        self.paths.len() as u32
    }

    fn pop(&mut self) -> Option<Path> {
        let path = self.paths.pop()?;
        self.held -= path.state.bytes();
        Some(path)
    }

    fn last_mut(&mut self) -> Option<&mut Path> {
        self.paths.last_mut()
    }

    fn clear(&mut self) {
        *self = Pending::default();
    }

    /// Bytes that they take, beside what states share.
    pub(crate) fn bytes(&self) -> usize {
        self.held + self.paths.capacity() * size_of::<Path>()
    }
}

/// Where a path goes after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// To the slot behind it.
    Next,
    /// To `insn`, which was set.
    Jump,
    /// Out of a function, to `insn`.
    Return,
    /// It ends.
    End,
}

impl Verifier<'_> {
    /// Follows every path from the start of a function that nobody calls.
    pub(crate) fn explore_function(&mut self, subprog: u32) -> Check {
        let start = self.program.subprogs[subprog as usize].start;
        self.forget_line();
        self.cur = State::new(Frame::new(ENTRY, 0, subprog), start);
        self.cur.in_sleepable = self.is_sleepable();
        self.log.scratch_all();
        self.insn = start;
        self.previous = None;
        if subprog == 0 {
            self.remark_on_main();
            *self.reg_mut(1) = Reg::pointer(Type::of(Kind::Ctx));
        } else {
            self.enter_global(subprog)?;
        }
        self.liveness.leave();
        self.trail.begin(self.counts.insns, None);
        if let Some(Watch::Work(counter)) = &mut self.watch {
            counter.take_up(None);
        }
        let done = self.explore();
        self.exploring = done.is_err();
        self.pending.clear();
        self.store.clear();
        self.explored.clear();
        self.liveness.clear();
        self.loops.clear();
        if done.is_ok() && !self.log.keeps_all() {
            self.log.reset(0);
        }
        done
    }

    fn explore(&mut self) -> Check {
        let mut print_state = false;
        let mut previous = None;
        loop {
            self.stepped = false;
            self.previous = previous;
            self.log.next_instruction();
            if self.insn >= self.program.len() {
                reject!(self, EFAULT, "invalid insn idx {} insn_cnt {}\n", self.insn, self.program.len());
            }
            self.counts.insns += 1;
            if self.counts.insns > self.profile.limits.insns {
                reject!(self, E2BIG, "BPF program is too large. Processed {} insn\n", self.counts.insns);
            }
            self.check_memory()?;
            self.cur.last = self.previous;
            self.cur.insn = self.insn;
            match &mut self.watch {
                None => {}
                Some(Watch::Replay(replay)) => replay.see(self.counts.insns, &self.cur),
                Some(Watch::Work(counter)) => counter.see(self.insn),
            }
            let aux = &self.program.aux[self.insn as usize];
            let (prune, jump_point) = (aux.prune, aux.jump_point);
            let flow = if prune && self.visit()? == Visit::Known {
                self.print_safe(print_state);
                if let Some(Watch::Work(counter)) = &mut self.watch {
                    counter.merge();
                }
                Flow::End
            } else {
                if jump_point {
                    self.step(Default::default(), Default::default());
                }
                if self.log.on() {
                    self.print_instruction(&mut print_state);
                }
                previous = Some(self.insn);
                if self.stops_before() { Flow::End } else { self.step_over()? }
            };
            match flow {
                Flow::Next => self.insn += 1,
                Flow::Jump => {}
                Flow::Return => print_state = true,
                Flow::End => {
                    self.log.scratch_all();
                    self.finish_path()?;
                    self.liveness.update(&self.cur, &self.program, &mut self.log);
                    let Some(path) = self.pending.pop() else { return Ok(()) };
                    self.trail.begin(self.counts.insns, Some(path.left_at));
                    if let Some(Watch::Work(counter)) = &mut self.watch {
                        counter.take_up(path.previous);
                    }
                    self.cur = path.state;
                    if !self.log.keeps_all() {
                        self.log.reset(path.log);
                    }
                    self.insn = path.insn;
                    previous = path.previous;
                    print_state = true;
                }
            }
        }
    }

    /// Does the instruction at hand. A path that is a processor's mistake ends where it must not go on.
    fn step_over(&mut self) -> Check<Flow> {
        let insn = self.insn;
        self.liveness.begin(&self.cur, &self.program, insn);
        self.record_reached();
        match self.check_instruction() {
            Ok(flow) => {
                if flow == Flow::Next {
                    self.record_result(insn);
                }
                self.liveness.commit();
                Ok(if flow == Flow::Next && self.stops_behind(insn) { Flow::End } else { flow })
            }
            Err(stop) if self.holds_back(insn, &stop) => {
                self.liveness.commit();
                Ok(Flow::End)
            }
            Err(stop) => Err(stop),
        }
    }

    /// Leaves a path for later: the current state, from `insn` on. The caller may change the copy.
    pub(crate) fn push_path(&mut self, insn: u32, previous: u32) -> Check<&mut State> {
        let state = self.cur.clone();
        if let Some(parent) = state.parent {
            self.store[parent].state.branches += 1;
        }
        let log = self.log.position();
        let left_at = self.counts.insns;
        let waiting = self.pending.push(Path { state, insn, previous: Some(previous), log, left_at });
        if waiting > self.profile.limits.jumps {
            reject!(self, E2BIG, "The sequence of {waiting} jumps is too complex.\n");
        }
        match self.pending.last_mut() {
            Some(path) => Ok(&mut path.state),
            None => unreachable!("it was pushed above"),
        }
    }

    /// The path that was left last.
    pub(crate) fn last_path(&mut self) -> Option<&mut State> {
        self.pending.last_mut().map(|path| &mut path.state)
    }

    /// The current state, and that of the path that was left last.
    pub(crate) fn both(&mut self) -> Option<(&mut State, &mut State)> {
        let path = self.pending.last_mut()?;
        Some((&mut self.cur, &mut path.state))
    }

    /// An asynchronous callback: a path with nothing behind it.
    pub(crate) fn push_callback_path(&mut self, frame: Frame, insn: u32, previous: u32) -> Check {
        let mut state = State::new(frame, insn);
        state.in_sleepable = false;
        let log = self.log.position();
        let left_at = self.counts.insns;
        let waiting = self.pending.push(Path { state, insn, previous: Some(previous), log, left_at });
        if waiting > self.profile.limits.jumps {
            reject!(self, E2BIG, "The sequence of {waiting} jumps is too complex for async cb.\n");
        }
        Ok(())
    }

    fn print_safe(&mut self, print_state: bool) {
        let insn = self.insn;
        match (print_state, self.previous) {
            (true, Some(previous)) => {
                let mistaken = self.mistaken();
                self.log.trace(format_args!("\nfrom {previous} to {insn}{mistaken}: safe\n"));
            }
            _ => self.log.trace(format_args!("{insn}: safe\n")),
        }
    }

    fn print_instruction(&mut self, print_state: &mut bool) {
        if self.log.keeps_all() && *print_state {
            let previous = self.previous.map_or(-1, i64::from);
            let mistaken = self.mistaken();
            self.log.trace(format_args!("\nfrom {previous} to {}{mistaken}:", self.insn));
            self.print_frame(self.cur.depth);
            *print_state = false;
        }
        if self.log.scratched() {
            self.print_changes();
        }
        self.print_line(self.insn);
        let text = format!("{}: {}", self.insn, self.named(self.insn));
        self.log.instruction(format_args!("{text}"));
    }

    /// What the log says of a path that is a processor's mistake.
    fn mistaken(&self) -> &'static str {
        if self.cur.speculative { " (speculative execution)" } else { "" }
    }

    fn check_instruction(&mut self) -> Check<Flow> {
        let Some(inst) = self.program.inst(self.insn) else { return self.reject_undefined() };
        match inst {
            Inst::Alu { wide, op, dst, src } => self.check_alu(wide, op, dst.0, src)?,
            Inst::Neg { wide, dst } => self.check_neg(wide, dst.0)?,
            Inst::MovSx { wide, bits, dst, src } => self.check_movsx(wide, bits, dst.0, src.0)?,
            Inst::Swap { kind, bits, dst } => self.check_swap(kind, bits, dst.0)?,
            Inst::Load { width, signed, dst, src, off } => {
                self.check_load(width.bytes() as i64, signed, dst.0, src.0, off)?
            }
            Inst::Store { width, dst, off, src: Operand::Reg(src) } => {
                self.check_store(width.bytes() as i64, dst.0, off, src.0)?
            }
            Inst::Store { width, dst, off, src: Operand::Imm(imm) } => {
                self.check_store_imm(width.bytes() as i64, dst.0, off, imm)?
            }
            Inst::Atomic { width, op, dst, src, off } => {
                self.check_atomic(width.bytes() as i64, op, dst.0, src.0, off)?
            }
            Inst::LoadAcquire { width, dst, src, off } => {
                self.check_load_acquire(width.bytes() as i64, dst.0, src.0, off)?
            }
            Inst::StoreRelease { width, dst, src, off } => {
                self.check_store_release(width.bytes() as i64, dst.0, src.0, off)?
            }
            Inst::LoadAbs { .. } => return self.check_load_packet(None),
            Inst::LoadInd { src, .. } => return self.check_load_packet(Some(src.0)),
            Inst::LoadImm64 { dst, .. }
            | Inst::FuncAddr { dst, .. }
            | Inst::VarAddr { dst, .. }
            | Inst::MapIdx { dst, .. }
            | Inst::MapValueIdx { dst, .. } => {
                self.check_constant(dst.0, inst)?;
                self.insn += 1;
            }
            Inst::MapFd { .. } | Inst::MapValueFd { .. } => refuse!("a map by file descriptor"),
            Inst::AddrSpaceCast { .. } => refuse!("arena pointers"),
            Inst::GotoX { .. } => refuse!("a jump to an address in a register"),
            Inst::CallX { .. } => refuse!("a call of an address in a register"),
            Inst::Ja { off, .. } => {
                self.counts.jumps += 1;
                self.insn = self.target(off);
                return Ok(Flow::Jump);
            }
            Inst::MayGoto { off } => {
                self.counts.jumps += 1;
                return self.check_may_goto(off);
            }
            Inst::Jmp { wide, op, dst, src, off } => {
                self.counts.jumps += 1;
                return self.check_jump(wide, op, dst.0, src, off);
            }
            Inst::CallHelper { .. } | Inst::CallLocal { .. } | Inst::CallKfunc { .. } => {
                self.counts.jumps += 1;
                return self.check_call(inst);
            }
            Inst::Exit => {
                self.counts.jumps += 1;
                return self.check_exit();
            }
        }
        Ok(Flow::Next)
    }

    /// The slot that is `off` behind the next one.
    pub(crate) fn target(&self, off: i32) -> u32 {
        self.insn.wrapping_add(1).wrapping_add_signed(off)
    }

    /// What the kernel says of an instruction that is none.
    fn reject_undefined(&mut self) -> Check<Flow> {
        let slot = self.program.slot(self.insn);
        let class = slot.op & 7;
        let operation = slot.op & 0xf0;
        let by_reg = slot.op & 8 != 0;
        match class {
            4 | 7 => match operation {
                0x80 => reject!(self, EINVAL, "BPF_NEG uses reserved fields\n"),
                0xd0 => reject!(self, EINVAL, "BPF_END uses reserved fields\n"),
                0xb0 => reject!(self, EINVAL, "BPF_MOV uses reserved fields\n"),
                0xe0.. => reject!(self, EINVAL, "invalid BPF_ALU opcode {operation:x}\n"),
                _ => reject!(self, EINVAL, "BPF_ALU uses reserved fields\n"),
            },
            1 => reject!(self, EINVAL, "BPF_LDX uses reserved fields\n"),
            3 if slot.op & 0xe0 == 0xc0 && self.profile.has(Rule::Atomics) => {
                reject!(self, EINVAL, "BPF_ATOMIC uses invalid atomic opcode {:02x}\n", slot.imm)
            }
            3 => reject!(self, EINVAL, "BPF_STX uses reserved fields\n"),
            2 => reject!(self, EINVAL, "BPF_ST uses reserved fields\n"),
            5 | 6 => match operation {
                0x80 => reject!(self, EINVAL, "BPF_CALL uses reserved fields\n"),
                0x90 => reject!(self, EINVAL, "BPF_EXIT uses reserved fields\n"),
                0x00 => reject!(self, EINVAL, "BPF_JA uses reserved fields\n"),
                0xe0 => reject!(self, EINVAL, "invalid may_goto off {} imm {}\n", slot.off, slot.imm),
                0xf0 => reject!(self, EINVAL, "invalid BPF_JMP/JMP32 opcode {operation:x}\n"),
                _ => {
                    if by_reg && slot.src.0 as usize >= crate::state::REGS {
                        reject!(self, EINVAL, "R{} is invalid\n", slot.src.0);
                    }
                    reject!(self, EINVAL, "BPF_JMP/JMP32 uses reserved fields\n")
                }
            },
            _ if slot.op == 0x18 => reject!(self, EINVAL, "BPF_LD_IMM64 uses reserved fields\n"),
            _ if matches!(slot.op & 0xe0, 0x20 | 0x40) => {
                reject!(self, EINVAL, "BPF_LD_[ABS|IND] uses reserved fields\n")
            }
            _ => reject!(self, EINVAL, "invalid BPF_LD mode\n"),
        }
    }
}

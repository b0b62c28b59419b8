//! What a check works on, and what all its parts share: the program, the current state, the checkpoints, the log.

use crate::{
    budget::Budget,
    call::Arguments,
    engine::{Explored, IdMap, Liveness, Loops, Pending, Replay, Trail},
    env::Env,
    facts::Recorder,
    log::{Log, Named, Names},
    program::Prepared,
    state::{Frame, Kind, Note, Reg, State, StateId, Step, Store, Type},
    stop::{Check, reject},
    work::Counter,
};
use alveary_abi::{Profile, flags};
use std::collections::HashMap;

/// Work done, as the last line of the log tells it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) insns: u32,
    pub(crate) jumps: u32,
    /// Both when the last checkpoint was made.
    pub(crate) insns_then: u32,
    pub(crate) jumps_then: u32,
    pub(crate) total_states: u32,
    pub(crate) peak_states: u32,
    pub(crate) states_per_insn: u32,
    /// Checkpoints that states are compared with, and that only live on.
    pub(crate) explored: u32,
    pub(crate) retired: u32,
    pub(crate) backedges: u32,
}

/// Who looks on while a program is checked.
#[derive(Debug)]
pub(crate) enum Watch {
    /// It sees what was known at each step of a path.
    Replay(Replay),
    /// It counts.
    Work(Counter),
}

/// One check.
#[derive(Debug)]
pub(crate) struct Verifier<'a> {
    pub(crate) env: &'a Env<'a>,
    pub(crate) profile: &'a Profile,
    pub(crate) program: Prepared<'a>,
    pub(crate) log: Log,
    pub(crate) counts: Counts,
    pub(crate) strict_alignment: bool,
    pub(crate) test_state_freq: bool,
    /// A sum is masked: states are the same only if all their numbers are.
    pub(crate) compares_all: bool,

    /// The state that the path has reached, before the instruction at `insn`.
    pub(crate) cur: State,
    pub(crate) insn: u32,
    /// The instruction before it on this path.
    pub(crate) previous: Option<u32>,
    /// The last step of `cur` is the instruction at hand.
    pub(crate) stepped: bool,
    /// A path is being followed, so that `insn` means something.
    pub(crate) exploring: bool,
    /// Which steps lie on the path.
    pub(crate) trail: Trail,
    /// Who looks on, if someone does.
    pub(crate) watch: Option<Watch>,

    pub(crate) pending: Pending,
    pub(crate) store: Store,
    pub(crate) explored: Explored,
    pub(crate) liveness: Liveness,
    pub(crate) loops: Loops,
    pub(crate) id_map: IdMap,
    /// The last id that was given.
    pub(crate) ids: u32,

    /// The pointer that each load and store goes through.
    pub(crate) accessed: Vec<Option<Type>>,
    /// The function that each `bpf_loop` calls, as long as the loop can become part of the program.
    pub(crate) inlined_loops: HashMap<u32, Option<u32>>,
    /// What functions take that were asked about: global ones, and static ones for the log.
    pub(crate) arguments: Vec<Option<Arguments>>,
    /// Global functions that are called, and those of them that are checked.
    pub(crate) called: Vec<bool>,
    pub(crate) verified: Vec<bool>,
    /// What is learnt for those who run the program, if someone asks.
    pub(crate) recorder: Option<Recorder>,
    /// How much memory it may take, and whether that was too little.
    pub(crate) budget: Budget,
    pub(crate) exceeded: bool,
    /// Why the program is refused, where the kernel has no message.
    pub(crate) note: Option<String>,
    /// The line whose text was printed last.
    line: Option<usize>,
}

impl<'a> Verifier<'a> {
    pub(crate) fn new(env: &'a Env<'a>, program: Prepared<'a>, budget: Budget) -> Verifier<'a> {
        let len = program.len() as usize;
        let flags = program.program.flags;
        let strict = flags & flags::BPF_F_STRICT_ALIGNMENT != 0 && flags & flags::BPF_F_ANY_ALIGNMENT == 0;
        Verifier {
            env,
            profile: &env.kernel.profile,
            log: Log::new(env.log, !env.caps.bpf),
            counts: Counts::default(),
            strict_alignment: strict,
            test_state_freq: env.caps.bpf && flags & flags::BPF_F_TEST_STATE_FREQ != 0,
            compares_all: false,
            cur: State::new(Frame::new(crate::state::ENTRY, 0, 0), 0),
            insn: 0,
            previous: None,
            stepped: false,
            exploring: false,
            trail: Trail::default(),
            watch: None,
            pending: Pending::default(),
            store: Store::default(),
            explored: Explored::new(len),
            liveness: Liveness::default(),
            loops: Loops::default(),
            id_map: IdMap::default(),
            ids: 0,
            accessed: vec![None; len],
            inlined_loops: HashMap::new(),
            arguments: Vec::new(),
            called: Vec::new(),
            verified: Vec::new(),
            recorder: None,
            budget,
            exceeded: false,
            note: None,
            line: None,
            program,
        }
    }

    pub(crate) fn next_id(&mut self) -> u32 {
        self.ids += 1;
        self.ids
    }

    /// The instruction at a slot, to be printed.
    pub(crate) fn named(&self, at: u32) -> Named<'_> {
        Named { program: &self.program, profile: self.profile, at }
    }

    // Registers.

    pub(crate) fn reg(&self, n: u8) -> &Reg {
        self.cur.reg(n)
    }

    pub(crate) fn reg_mut(&mut self, n: u8) -> &mut Reg {
        self.cur.reg_mut(n)
    }

    /// A register is read: it must have been written.
    pub(crate) fn check_read(&mut self, n: u8) -> Check {
        if n as usize >= crate::state::REGS {
            reject!(self, EINVAL, "R{n} is invalid\n");
        }
        self.log.scratch_reg(n);
        if self.reg(n).ty.kind == Kind::Uninit {
            reject!(self, EACCES, "R{n} !read_ok\n");
        }
        Ok(())
    }

    /// A register is about to be written.
    pub(crate) fn check_write(&mut self, n: u8) -> Check {
        if n as usize >= crate::state::REGS {
            reject!(self, EINVAL, "R{n} is invalid\n");
        }
        self.log.scratch_reg(n);
        if n as usize == crate::state::FP {
            reject!(self, EACCES, "frame pointer is read only\n");
        }
        Ok(())
    }

    /// A register is written with what is not known.
    pub(crate) fn write_unknown(&mut self, n: u8) -> Check {
        self.check_write(n)?;
        self.set_unknown(n);
        Ok(())
    }

    pub(crate) fn set_unknown(&mut self, n: u8) {
        self.reg_mut(n).forget(false);
    }

    /// A scalar register gets an id, by which copies of it learn with it.
    pub(crate) fn link_before_copy(&mut self, n: u8) {
        use crate::state::ADD_CONST;
        let reg = self.reg(n);
        if !reg.is_scalar() {
            return;
        }
        let (added, has_id, constant) = (reg.id & ADD_CONST != 0, reg.id != 0, reg.val.value().is_some());
        if added {
            self.reg_mut(n).unlink();
        }
        if (added || !has_id) && !constant {
            let id = self.next_id();
            self.reg_mut(n).id = id;
        }
    }

    /// Registers that a call does not keep.
    pub(crate) fn clear_caller_saved(&mut self) {
        for n in 0..6 {
            self.log.scratch_reg(n);
            *self.reg_mut(n) = Reg::UNINIT;
        }
    }

    // History.

    /// Remembers how the path came to the instruction at hand, and what precision has to know of it.
    pub(crate) fn step(&mut self, note: Note, linked: crate::state::Linked) {
        if self.stepped {
            if let Some(step) = self.cur.steps.last_mut() {
                step.note.stack = note.stack.or(step.note.stack);
                step.note.src_stack |= note.src_stack;
                step.note.dst_stack |= note.dst_stack;
                step.linked = linked;
            }
            return;
        }
        self.cur.steps.push(Step { insn: self.insn, previous: self.previous, note, linked });
        self.stepped = true;
    }

    // The log.

    /// Prints what changed.
    pub(crate) fn print_changes(&mut self) {
        let names = names(self.env, &self.program);
        self.log.changes(&self.cur, self.insn, names);
    }

    /// Prints a frame of the current state.
    pub(crate) fn print_frame(&mut self, frame: usize) {
        let names = names(self.env, &self.program);
        self.log.frame(&self.cur, frame, names);
    }

    /// Prints a frame of a checkpoint.
    pub(crate) fn print_checkpoint(&mut self, id: StateId, frame: usize) {
        let names = names(self.env, &self.program);
        self.log.frame(&self.store[id].state, frame, names);
    }

    /// Prints the source line of an instruction, unless it was printed last.
    pub(crate) fn print_line(&mut self, at: u32) {
        if !self.log.on() {
            return;
        }
        let program = self.program.program;
        let Some(btf) = program.btf.as_ref() else { return };
        let Some(index) = program.lines.partition_point(|line| line.insn <= at).checked_sub(1) else { return };
        if self.line == Some(index) {
            return;
        }
        let line = &program.lines[index];
        if self.line.map(|n| &program.lines[n]).is_some_and(|l| l.file == line.file && l.line == line.line) {
            return;
        }
        let file = btf.string(line.file).unwrap_or_default();
        let file = file.rsplit('/').next().unwrap_or(file);
        let text = btf.string(line.text).unwrap_or_default().trim_start();
        self.log.trace(format_args!("; {text} @ {file}:{}\n", line.line));
        self.line = Some(index);
    }

    pub(crate) fn forget_line(&mut self) {
        self.line = None;
    }
}

fn names<'a>(env: &'a Env<'_>, program: &'a Prepared<'_>) -> Names<'a> {
    Names { maps: &program.maps, types: env.kernel.btf.as_deref() }
}

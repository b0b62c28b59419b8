//! What is known at one point of one path: frames, references, locks. Cheap to copy: frames are shared until written.

mod frame;
mod reg;
mod stack;
mod store;

pub(crate) use frame::{Byte, ENTRY, FP, Frame, REGS, Slot};
pub(crate) use reg::{ADD_CONST, ADD_CONST_32, ADD_CONST_64, AT_PACKET_END, BEYOND_PACKET_END, Flags, Kind, Reg, Type};
pub(crate) use stack::Stack;
pub(crate) use store::{StateId, Store};

use crate::{budget::Counted, limits::MAX_FRAMES};
use std::rc::Rc;

/// Something that has to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) id: u32,
    /// The instruction that took it.
    pub(crate) insn: u32,
    /// Of a lock: the map whose value holds it.
    pub(crate) lock: Option<u32>,
}

/// An instruction on the way here whose predecessor, stack access or linked registers cannot be told from the code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) insn: u32,
    pub(crate) previous: Option<u32>,
    pub(crate) note: Note,
    pub(crate) linked: Linked,
}

/// What is remembered of an instruction for precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Note {
    /// It accessed this slot of this frame.
    pub(crate) stack: Option<(u8, u8)>,
    /// A comparison whose source, or destination, was a pointer to the stack.
    pub(crate) src_stack: bool,
    pub(crate) dst_stack: bool,
}

/// A register or slot with the same id as others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) frame: u8,
    pub(crate) is_reg: bool,
    pub(crate) index: u8,
}

/// Registers and slots with the same id, as many as the kernel keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Linked {
    len: u8,
    links: [Option<Link>; Linked::MOST],
}

impl Linked {
    const MOST: usize = 6;

    /// Adds one; `false` if there is no room.
    pub(crate) fn push(&mut self, link: Link) -> bool {
        let Some(free) = self.links.get_mut(self.len as usize) else { return false };
        *free = Some(link);
        self.len += 1;
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Link> + '_ {
        self.links.iter().flatten().copied()
    }
}

/// A point of a path.
#[derive(Clone, Debug)]
pub(crate) struct State {
    frames: [Option<Rc<Counted<Frame>>>; MAX_FRAMES],
    /// Index of the innermost frame.
    pub(crate) depth: usize,
    pub(crate) refs: Vec<Reference>,
    /// The innermost lock that is held: its id, and the map that holds it.
    pub(crate) lock: Option<(u32, u32)>,
    pub(crate) in_sleepable: bool,
    /// It is on a way that the processor takes by mistake.
    pub(crate) speculative: bool,
    /// The checkpoint that it goes on from.
    pub(crate) parent: Option<StateId>,
    /// Of a checkpoint: its instruction.
    pub(crate) insn: u32,
    /// First and last instruction of the way from the parent.
    pub(crate) first: u32,
    pub(crate) last: Option<u32>,
    /// Ways on from here that are not finished.
    pub(crate) branches: u32,
    pub(crate) depth_first: u32,
    pub(crate) callback_unrolls: u32,
    pub(crate) may_goto_depth: u32,
    /// What nobody reads was removed.
    pub(crate) cleaned: bool,
    /// The way from the parent, where it is not obvious.
    pub(crate) steps: Vec<Step>,
}

impl State {
    pub(crate) fn new(frame: Frame, first: u32) -> State {
        let mut frames: [Option<Rc<Counted<Frame>>>; MAX_FRAMES] = Default::default();
        frames[0] = Some(Rc::new(Counted::new(frame)));
        State {
            frames,
            depth: 0,
            refs: Vec::new(),
            lock: None,
            in_sleepable: false,
            speculative: false,
            parent: None,
            insn: 0,
            first,
            last: None,
            branches: 1,
            depth_first: 0,
            callback_unrolls: 0,
            may_goto_depth: 0,
            cleaned: false,
            steps: Vec::new(),
        }
    }

    /// The same without the way here: what is known, to be looked at later.
    pub(crate) fn snapshot(&self) -> State {
        State { frames: self.frames.clone(), refs: self.refs.clone(), steps: Vec::new(), ..*self }
    }

    /// Bytes that it holds beside its frames, which others may share.
    pub(crate) fn bytes(&self) -> usize {
        self.refs.capacity() * size_of::<Reference>() + self.steps.capacity() * size_of::<Step>()
    }

    /// Frame `n`, at most [`State::depth`].
    pub(crate) fn frame(&self, n: usize) -> &Frame {
        self.frames[n].as_ref().unwrap_or_else(|| unreachable!("frames up to the depth are there"))
    }

    pub(crate) fn frame_mut(&mut self, n: usize) -> &mut Frame {
        let frame = self.frames[n].as_mut().unwrap_or_else(|| unreachable!("frames up to the depth are there"));
        let own: &mut Counted<Frame> = Rc::make_mut(frame);
        own
    }

    /// Whether two states share what they know of frame `n`.
    pub(crate) fn shares(&self, other: &State, n: usize) -> bool {
        match (&self.frames[n], &other.frames[n]) {
            (Some(a), Some(b)) => Rc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// The innermost frame.
    pub(crate) fn top(&self) -> &Frame {
        self.frame(self.depth)
    }

    pub(crate) fn top_mut(&mut self) -> &mut Frame {
        self.frame_mut(self.depth)
    }

    pub(crate) fn reg(&self, n: u8) -> &Reg {
        &self.top().regs[n as usize]
    }

    pub(crate) fn reg_mut(&mut self, n: u8) -> &mut Reg {
        &mut self.top_mut().regs[n as usize]
    }

    /// Enters a function; the caller has checked that there is room.
    pub(crate) fn push_frame(&mut self, frame: Frame) {
        self.depth += 1;
        self.frames[self.depth] = Some(Rc::new(Counted::new(frame)));
    }

    /// Leaves the innermost function; there is one around it.
    pub(crate) fn pop_frame(&mut self) {
        self.frames[self.depth] = None;
        self.depth -= 1;
    }

    /// The instruction that frame `n` is at: the state's own, or the call that left it.
    pub(crate) fn frame_insn(&self, n: usize) -> u32 {
        if n == self.depth { self.insn } else { self.frame(n + 1).callsite }
    }

    pub(crate) fn same_callsites(&self, other: &State) -> bool {
        self.depth == other.depth && (0..=self.depth).all(|n| self.frame(n).callsite == other.frame(n).callsite)
    }

    /// Changes those registers and spilled registers, of all frames, that `picks` picks.
    pub(crate) fn change_regs(&mut self, picks: impl Fn(&Reg) -> bool, mut change: impl FnMut(&mut Reg)) {
        for n in 0..=self.depth {
            if self.frame(n).all_regs().any(&picks) {
                self.frame_mut(n).change_regs(&picks, &mut change);
            }
        }
    }
}

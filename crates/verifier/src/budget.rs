//! How much memory a check takes: what it holds is counted, so that it ends before that is too much.
//!
//! The kernel bounds how many instructions are processed, not what that takes: a program made for it would ask for
//! gigabytes. Counted is what grows with what is processed, and what a program's size alone asks for; a few sizes are
//! estimates, none is too small.

use crate::{
    program::Aux,
    stop::{Check, Stop},
    verifier::{Counts, Verifier, Watch},
};
use alveary_isa::{Insn, Inst};
use std::{
    cell::Cell,
    ops::{Deref, DerefMut},
};

thread_local! {
    /// What the states of this thread's checks share, in bytes.
    static SHARED: Cell<usize> = const { Cell::new(0) };
}

/// What an allocation takes beyond its content: the counts of who shares it, what the allocator adds, the pointer to it.
const AROUND: usize = 48;

/// A value that states share, counted as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted<T>(T);

impl<T> Counted<T> {
    const SIZE: usize = size_of::<T>() + AROUND;

    pub(crate) fn new(value: T) -> Counted<T> {
        SHARED.set(SHARED.get() + Self::SIZE);
        Counted(value)
    }
}

impl<T: Clone> Clone for Counted<T> {
    fn clone(&self) -> Counted<T> {
        Counted::new(self.0.clone())
    }
}

impl<T> Drop for Counted<T> {
    fn drop(&mut self) {
        SHARED.set(SHARED.get() - Self::SIZE);
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Counted<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// What a check may take, and what it takes that does not change.
#[derive(Debug)]
pub(crate) struct Budget {
    most: usize,
    /// The program's own.
    fixed: usize,
    /// What was shared before the check began.
    before: usize,
}

impl Budget {
    /// For a program of so many slots; none if it is too large from the start.
    pub(crate) fn new(most: usize, slots: usize) -> Option<Budget> {
        let each = size_of::<Insn>() + size_of::<Option<Inst>>() + size_of::<Aux>() + OTHER;
        let fixed = slots * each;
        (fixed <= most).then(|| Budget { most, fixed, before: SHARED.get() })
    }

    /// What states share.
    fn shared(&self) -> usize {
        SHARED.get() - self.before
    }

    /// More is needed for the whole check.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.fixed += bytes;
    }

    /// What is left when so much is taken, beside what states share and the program's own.
    fn left(&self, taken: usize) -> Option<usize> {
        self.most.checked_sub(self.fixed + self.shared() + taken)
    }
}

/// Of each instruction: where its function's order, its checkpoints and its accesses are kept, and what the search for
/// that order takes.
const OTHER: usize = 24;

impl Verifier<'_> {
    /// That the check takes no more than it may.
    pub(crate) fn check_memory(&mut self) -> Check {
        let taken = self.program.bytes()
            + self.inlined_loops.len() * 2 * size_of::<(u32, Option<u32>)>()
            + self.store.bytes()
            + self.pending.bytes()
            + self.loops.bytes()
            + self.liveness.bytes()
            + self.trail.bytes()
            + self.cur.bytes()
            + self.log.bytes();
        match self.budget.left(taken) {
            Some(left) => {
                self.liveness.may_take(left);
                Ok(())
            }
            // It took no more when it ran for the verdict: the rest is what it remembers to explain that.
            None if let Some(Watch::Replay(replay)) = &mut self.watch => {
                replay.forget_half();
                Ok(())
            }
            None => {
                self.exceeded = true;
                Err(Stop::Refused(too_much(self.budget.most, self.counts)))
            }
        }
    }
}

/// Why a program that takes more than `most` bytes is refused.
pub(crate) fn too_much(most: usize, counts: Counts) -> String {
    format!(
        "it takes more than {} MB to follow its ways ({} instructions processed, {} states)",
        most >> 20,
        counts.insns,
        counts.total_states
    )
}

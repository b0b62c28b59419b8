//! Which steps (instructions processed, counted from 1) lie on the path at hand; and, when a check is replayed, what was
//! known at each of them.
//!
//! A check remembers two numbers for each path that it takes up, no more: that is enough to tell the steps of the path
//! that was rejected. Since a check is a pure function, a second run takes the same steps and can record those.

use crate::state::State;
use std::ops::Range;

/// Steps that are recorded at most: the last ones of a path.
const MOST: u32 = 6000;

/// Where each path began, in the order in which they were taken up.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    /// The last step before it, and the step that left the path for later.
    begun: Vec<(u32, Option<u32>)>,
}

impl Trail {
    /// A path is taken up behind step `at`, that step `from` has left.
    pub(crate) fn begin(&mut self, at: u32, from: Option<u32>) {
        self.begun.push((at, from));
    }

    pub(crate) fn bytes(&self) -> usize {
        self.begun.capacity() * size_of::<(u32, Option<u32>)>()
    }

    /// The steps of the path that has come to step `last`.
    pub(crate) fn steps(&self, last: u32) -> Steps {
        let mut ranges = Vec::new();
        let (mut last, mut missing) = (last, MOST);
        let mut cut = false;
        for &(at, from) in self.begun.iter().rev() {
            if at >= last {
                continue;
            }
            let first = (at + 1).max((last + 1).saturating_sub(missing));
            missing -= last + 1 - first;
            ranges.push(first..last + 1);
            cut = first > at + 1 || missing == 0 && from.is_some();
            match from.filter(|_| !cut) {
                Some(from) => last = from,
                None => break,
            }
        }
        ranges.reverse();
        Steps { ranges, cut }
    }
}

/// The steps of a path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps {
    ranges: Vec<Range<u32>>,
    /// There are more before them.
    pub(crate) cut: bool,
}

/// A step: what was known before its instruction.
#[derive(Debug)]
pub(crate) struct Moment {
    pub(crate) insn: u32,
    pub(crate) state: State,
}

/// Sees the steps of a path, while the check runs once more.
#[derive(Debug)]
pub(crate) struct Replay {
    steps: Steps,
    /// The range of them that comes next.
    next: usize,
    pub(crate) moments: Vec<Moment>,
}

impl Replay {
    pub(crate) fn new(steps: Steps) -> Replay {
        Replay { steps, next: 0, moments: Vec::new() }
    }

    /// Forgets the older half of the steps.
    pub(crate) fn forget_half(&mut self) {
        self.moments.drain(..self.moments.len() / 2);
        self.steps.cut = true;
    }

    /// There were steps before those that are remembered.
    pub(crate) fn is_cut(&self) -> bool {
        self.steps.cut
    }

    pub(crate) fn see(&mut self, step: u32, state: &State) {
        let Some(range) = self.steps.ranges.get(self.next) else { return };
        if step + 1 >= range.end {
            self.next += 1;
        }
        if range.contains(&step) {
            self.moments.push(Moment { insn: state.insn, state: state.snapshot() });
        }
    }
}

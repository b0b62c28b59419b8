//! Where a check's work went: how often each instruction was processed, where checkpoints were made, which branches were
//! followed both ways and never met again. Counted only when someone asks; knows no source lines.

use crate::program::Prepared;
use alveary_isa::Inst;
use std::collections::BTreeMap;

/// Where the work went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// How often the instruction at each slot was processed.
    pub processed: Vec<u32>,
    /// How many states were kept there to compare others with.
    pub states: Vec<u32>,
    /// Conditional jumps that were followed both ways, by their slots.
    pub branches: BTreeMap<u32, Branch>,
    /// The functions, in the order of the code.
    pub functions: Vec<Function>,
}

/// A conditional jump that was followed both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Branch {
    /// Ways that were left for later here, and then followed to their ends.
    pub ways: u32,
    /// Those that came to a state that was known, where nothing more had to be followed.
    pub merged: u32,
    /// Instructions processed on them.
    pub processed: u64,
}

/// A function's share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name, empty if it has none.
    pub name: String,
    /// Its first slot.
    pub start: u32,
    /// Instructions processed in it.
    pub processed: u64,
    /// States kept in it.
    pub states: u64,
}

impl Work {
    /// Branches of which no way met what was known.
    pub fn never_merged(&self) -> impl Iterator<Item = (u32, &Branch)> {
        self.branches.iter().filter(|(_, branch)| branch.merged == 0).map(|(slot, branch)| (*slot, branch))
    }
}

/// Counts while a program is checked.
#[derive(Debug)]
pub(crate) struct Counter {
    processed: Vec<u32>,
    states: Vec<u32>,
    branches: BTreeMap<u32, Branch>,
    /// The way that is being followed.
    way: Way,
}

/// A way, from where it was taken up to its end.
#[derive(Debug, Default)]
struct Way {
    /// The instruction that left it for later; none for the first of a function.
    from: Option<u32>,
    processed: u64,
    merged: bool,
}

impl Counter {
    pub(crate) fn new(len: usize) -> Counter {
        Counter { processed: vec![0; len], states: vec![0; len], branches: BTreeMap::new(), way: Way::default() }
    }

    /// Bytes that it may come to take.
    pub(crate) fn bytes(len: usize) -> usize {
        len * (2 * size_of::<u32>() + size_of::<(u32, Branch)>())
    }

    /// An instruction is processed.
    pub(crate) fn see(&mut self, insn: u32) {
        self.processed[insn as usize] += 1;
        self.way.processed += 1;
    }

    /// A checkpoint is made.
    pub(crate) fn keep(&mut self, insn: u32) {
        self.states[insn as usize] += 1;
    }

    /// The way has come to what is known.
    pub(crate) fn merge(&mut self) {
        self.way.merged = true;
    }

    /// The way has come to its end, and the next one is taken up where `from` left it.
    pub(crate) fn take_up(&mut self, from: Option<u32>) {
        let done = std::mem::replace(&mut self.way, Way { from, ..Way::default() });
        let Some(from) = done.from else { return };
        let branch = self.branches.entry(from).or_default();
        branch.ways += 1;
        branch.merged += u32::from(done.merged);
        branch.processed += done.processed;
    }

    /// What was counted of this program.
    pub(crate) fn finish(self, program: &Prepared<'_>) -> Work {
        let Counter { processed, states, mut branches, .. } = self;
        branches.retain(|slot, _| matches!(program.inst(*slot), Some(Inst::Jmp { .. } | Inst::MayGoto { .. })));
        let sum = |counts: &[u32], start: u32, end: u32| -> u64 {
            counts.get(start as usize..end as usize).unwrap_or_default().iter().map(|n| u64::from(*n)).sum()
        };
        let function = |found: &crate::program::Subprog| Function {
            name: found.name.clone(),
            start: found.start,
            processed: sum(&processed, found.start, found.end),
            states: sum(&states, found.start, found.end),
        };
        let functions = program.subprogs.iter().map(function).collect();
        Work { processed, states, branches, functions }
    }
}

//! What is only known of a loop's states when all ways around it are done.
//!
//! A path that comes back into a state of the loop whose ways are not all finished ends there, but whose exact value
//! matters is not known yet. Such ends are kept until the loop is left, then precision is carried along them until
//! nothing changes.

use crate::{
    limits::{MAX_BACKEDGE_ROUNDS, MAX_FRAMES},
    program::Prepared,
    state::{State, StateId},
    stop::Check,
    verifier::Verifier,
};
use std::{collections::HashMap, fmt};

/// A loop as it was entered: the calls that led to it, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Chain {
    callsites: [u32; MAX_FRAMES],
    depth: usize,
    scc: u32,
}

impl Chain {
    /// The outermost loop that a state is in.
    fn of(state: &State, program: &Prepared<'_>) -> Option<Chain> {
        let mut callsites = [0; MAX_FRAMES];
        for n in 0..=state.depth {
            let at = state.frame_insn(n);
            let scc = program.aux[at as usize].scc;
            if scc != 0 {
                return Some(Chain { callsites, depth: n, scc });
            }
            callsites[n] = at;
        }
        None
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for callsite in &self.callsites[..self.depth] {
            write!(f, "{callsite},")?;
        }
        write!(f, "{})", self.scc)
    }
}

/// A path that ended in a state of its own loop.
#[derive(Debug)]
pub(super) struct Backedge {
    pub(super) state: State,
    /// The state that covers it.
    pub(super) equal: StateId,
}

impl Backedge {
    /// Bytes that it takes in a list that has as much room again.
    fn bytes(&self) -> usize {
        2 * size_of::<Backedge>() + self.state.bytes()
    }
}

#[derive(Debug, Default)]
struct Turn {
    /// The state by which the loop was entered; all its ways are done when this one's are.
    entry: Option<StateId>,
    backedges: Vec<Backedge>,
}

/// All loops that were entered.
#[derive(Debug, Default)]
pub(crate) struct Loops {
    turns: HashMap<Chain, Turn>,
    /// Bytes that the ends of paths take.
    held: usize,
}

impl Loops {
    pub(super) fn clear(&mut self) {
        *self = Loops::default();
    }

    /// Bytes that all of it takes, beside what states share.
    pub(crate) fn bytes(&self) -> usize {
        // Tables are filled by seven eighths, at most, and doubled then.
        self.held + self.turns.capacity() * 8 / 7 * (size_of::<(Chain, Turn)>() + 1)
    }
}

impl Verifier<'_> {
    /// A checkpoint was made; it may be the entry of a loop.
    pub(super) fn enter_loop(&mut self, id: StateId) {
        if let Some(chain) = Chain::of(&self.store[id].state, &self.program) {
            let turn = self.loops.turns.entry(chain).or_default();
            if turn.entry.is_none() {
                turn.entry = Some(id);
                self.log.detail(format_args!("SCC enter {chain}\n"));
            }
        }
    }

    /// All ways from a checkpoint are done.
    pub(super) fn leave_loop(&mut self, id: StateId) -> Check {
        let Some(chain) = Chain::of(&self.store[id].state, &self.program) else { return Ok(()) };
        let Some(turn) = self.loops.turns.get_mut(&chain) else { return Ok(()) };
        if turn.entry != Some(id) {
            return Ok(());
        }
        self.log.detail(format_args!("SCC exit {chain}\n"));
        turn.entry = None;
        let mut backedges = std::mem::take(&mut turn.backedges);
        self.counts.backedges -= backedges.len() as u32;
        self.loops.held -= backedges.iter().map(Backedge::bytes).sum::<usize>();
        let mut rounds = 0;
        loop {
            rounds += 1;
            if rounds > MAX_BACKEDGE_ROUNDS {
                for backedge in &backedges {
                    self.all_precise(backedge.state.parent);
                }
                break;
            }
            let mut changed = false;
            for backedge in &mut backedges {
                changed |= self.carry_precision(backedge)?;
            }
            if !changed {
                break;
            }
        }
        Ok(())
    }

    /// The path ends in `equal`, which is in the same loop.
    pub(super) fn add_backedge(&mut self, equal: StateId) {
        let mut state = self.cur.clone();
        state.insn = self.insn;
        let Some(chain) = Chain::of(&self.store[equal].state, &self.program) else { return };
        let backedge = Backedge { state, equal };
        self.loops.held += backedge.bytes();
        self.loops.turns.entry(chain).or_default().backedges.push(backedge);
        self.log.detail(format_args!("SCC backedge {chain}\n"));
        self.counts.backedges += 1;
        self.update_peak();
    }

    /// Whether what a state needs is not known yet.
    pub(super) fn is_incomplete(&self, state: &State) -> bool {
        self.counts.backedges > 0
            && Chain::of(state, &self.program)
                .and_then(|chain| self.loops.turns.get(&chain))
                .is_some_and(|turn| !turn.backedges.is_empty())
    }
}

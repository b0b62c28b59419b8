//! The paths through a program: which are followed, when two states are the same, what of a state matters.
//!
//! | file | holds |
//! |---|---|
//! | `explore` | the loop over instructions, and the paths that wait |
//! | `prune` | checkpoints: compared with, made, dropped |
//! | `equal` | when a state is covered by one that was seen |
//! | `precision` | whose exact value matters, found by going back |
//! | `liveness` | which stack slots are read later |
//! | `loops` | what is only known when all ways around a loop are done |
//! | `trail` | which steps lie on the path at hand, and what a replay sees of them |

mod equal;
mod explore;
mod liveness;
mod loops;
mod precision;
mod prune;
mod trail;

pub(crate) use equal::{IdMap, Widened};
pub(crate) use explore::{Flow, Pending};
pub(crate) use liveness::Liveness;
pub(crate) use loops::Loops;
pub(crate) use prune::Explored;
pub(crate) use trail::{Moment, Replay, Steps, Trail};

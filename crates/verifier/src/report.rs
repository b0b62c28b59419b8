//! What a check gives.

use crate::engine::Steps;
use alveary_abi::Errno;

/// What the kernel would say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It loads.
    Accept,
    /// It does not.
    Reject(Rejection),
    /// It cannot be judged here: the program needs what this verifier does not know.
    Refused {
        /// What it needs.
        reason: String,
        /// The instruction that needs it.
        insn: u32,
    },
}

/// Why a program does not load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The error number.
    pub errno: Errno,
    /// The kernel's message, one or more lines.
    pub message: String,
    /// The instruction, if the message is about one.
    pub insn: Option<u32>,
    /// Why, where the kernel has no message.
    pub note: Option<String>,
}

/// How much work it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the kernel's last log line")]
pub struct Stats {
    pub insns_processed: u32,
    pub max_states_per_insn: u32,
    pub total_states: u32,
    pub peak_states: u32,
}

/// What a check gives.
#[derive(Clone, Debug)]
pub struct Report {
    /// The verdict.
    pub verdict: Verdict,
    /// The log at the level that was asked for.
    pub log: String,
    /// How much work it was.
    pub stats: Stats,
    /// It is refused since it would have taken more memory than [`Env::memory`](crate::Env::memory).
    pub exceeded: bool,
    /// The steps of the path that was rejected.
    pub(crate) steps: Steps,
}

impl Report {
    /// A verdict that took no work.
    #[must_use]
    pub fn of(verdict: Verdict) -> Report {
        Report { verdict, log: String::new(), stats: Stats::default(), exceeded: false, steps: Steps::default() }
    }
}

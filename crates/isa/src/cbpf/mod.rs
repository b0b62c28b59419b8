//! Classic BPF: the filters of `tcpdump -ddd` and `SO_ATTACH_FILTER`. Reads, checks, prints, runs and translates them.
//!
//! Knows the accumulator machine and Linux's ancillary loads; no socket, no capture file.

mod check;
mod op;
mod run;
mod text;
mod translate;

pub use check::{Filter, FilterError};
pub use op::{AluOp, Ancillary, Cmp, Op, Source};
pub use run::{Packet, run};
pub use text::{TextError, parse, print};
pub use translate::{Untranslatable, translate};

/// `struct sock_filter`: one encoded instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SockFilter {
    /// Operation code.
    pub code: u16,
    /// Instructions to skip if the condition holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// Constant.
    pub k: u32,
}

/// `BPF_MAXINSNS`: Linux takes no longer filter.
pub const MAX_INSNS: usize = 4096;

/// `BPF_MEMWORDS`: cells of scratch memory.
pub const MEM_WORDS: usize = 16;

/// `SKF_NET_OFF`: offsets from here (as signed numbers) count from the network header.
pub const SKF_NET_OFF: i32 = -0x10_0000;

/// `SKF_LL_OFF`: offsets from here count from the link-layer header.
pub const SKF_LL_OFF: i32 = -0x20_0000;

/// `SKF_AD_OFF`: absolute loads from here are [`Ancillary`].
pub const SKF_AD_OFF: i32 = -0x1000;

#[cfg(test)]
mod tests;

//! The verifier's log: how much is asked for, and how its buffer grows.

use alveary_abi::Errno;

/// How much the verifier says: bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogLevel(pub u32);

/// Log level: what the verifier knows where paths part, and what it refuses.
pub const LOG_BRANCHES: LogLevel = LogLevel(1);
/// Log level: the state behind each instruction.
pub const LOG_INSNS: LogLevel = LogLevel(2);
/// Log level: how much work it was.
pub const LOG_STATS: LogLevel = LogLevel(4);
/// Log level: keep the beginning of a log that is too long, not its end (Linux 6.4).
pub const LOG_FIXED: LogLevel = LogLevel(8);

impl LogLevel {
    /// Nothing is said.
    pub const NONE: LogLevel = LogLevel(0);

    /// Both.
    #[must_use]
    pub const fn and(self, other: LogLevel) -> LogLevel {
        LogLevel(self.0 | other.0)
    }
}

/// The largest buffer that kernels take (`UINT_MAX >> 8` before Linux 5.2, far more since).
const MOST: usize = (u32::MAX >> 8) as usize;
const FIRST: usize = 1 << 16;

/// Calls `attempt` with a buffer, larger ones as long as the log does not fit, and gives the log with what came last.
/// `attempt` gives, beside its result, the size that the kernel says the log has (0 if it does not).
pub(super) fn with_log<T>(mut attempt: impl FnMut(&mut [u8]) -> (Result<T, Errno>, u32)) -> (Result<T, Errno>, String) {
    let mut size = FIRST;
    loop {
        let mut buffer = vec![0; size];
        let (result, needed) = attempt(&mut buffer);
        let short = matches!(result, Err(Errno::ENOSPC)) && size < MOST;
        if !short {
            let end = buffer.iter().position(|b| *b == 0).unwrap_or(buffer.len());
            return (result, String::from_utf8_lossy(&buffer[..end]).into_owned());
        }
        size = (size * 4).max(needed as usize).min(MOST);
    }
}

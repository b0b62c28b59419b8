//! What programs print: lines of `bpf_trace_printk`, in a bounded buffer that the caller drains. Prints nothing itself.

use std::{collections::VecDeque, fmt, sync::Mutex};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceLine {
    /// The virtual CPU.
    pub cpu: u32,
    /// When, in ns, by the program's clock.
    pub time: u64,
    /// Thread id, as the [`crate::World`] has it.
    pub tid: u32,
    /// Name of the process.
    pub comm: [u8; 16],
    /// What the program printed.
    pub text: Vec<u8>,
}

/// The line as the kernel's `trace_pipe` shows it (flags are those of a packet program: softirq, interrupts off).
impl fmt::Display for TraceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.comm.iter().position(|b| *b == 0).unwrap_or(self.comm.len());
        let comm = String::from_utf8_lossy(&self.comm[..end]);
        let (seconds, micros) = (self.time / 1_000_000_000, self.time / 1000 % 1_000_000);
        let text = String::from_utf8_lossy(&self.text);
        let (cpu, tid) = (self.cpu, self.tid);
        write!(f, "{comm:>16}-{tid:<7} [{cpu:03}] ..s2. {seconds:5}.{micros:06}: bpf_trace_printk: {text}")
    }
}

/// The buffer. The oldest lines go first when it is full.
#[derive(Debug)]
pub struct Trace {
    capacity: usize,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<TraceLine>,
    lost: u64,
}

impl Trace {
    pub(crate) fn new(capacity: usize) -> Trace {
        Trace { capacity, lines: Mutex::default() }
    }

    pub(crate) fn push(&self, line: TraceLine) {
        let mut lines = self.lock();
        if lines.kept.len() >= self.capacity {
            lines.kept.pop_front();
            lines.lost += 1;
        }
        if self.capacity > 0 {
            lines.kept.push_back(line);
        }
    }

    /// Takes what was printed since the last call, oldest first, and the number of lines that were lost in between.
    #[must_use]
    pub fn drain(&self) -> (Vec<TraceLine>, u64) {
        let lines = std::mem::take(&mut *self.lock());
        (lines.kept.into(), lines.lost)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

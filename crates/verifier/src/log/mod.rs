//! The log as the kernel prints it: instructions, states, messages; and the messages of the instruction at hand, which
//! become the reason of a rejection.

mod insn;
mod state;

pub(crate) use insn::Named;
pub(crate) use state::{ListedRegs, ListedSlots, Names};

use crate::state::State;
use std::fmt::{self, Write};

/// What is printed (the kernel's `log_level`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LogLevel(pub u32);

impl LogLevel {
    /// Every path that was left is taken out again.
    pub const PATH: LogLevel = LogLevel(1);
    /// Everything stays, and how precision and liveness are found is told.
    pub const ALL: LogLevel = LogLevel(2);
    /// Figures.
    pub const STATS: LogLevel = LogLevel(4);
}

/// Bytes of text that are kept; what is older is left out, as the kernel does it where its reader has no more room.
const MOST: usize = 16 << 20;

/// The log.
#[derive(Debug)]
pub(crate) struct Log {
    level: LogLevel,
    /// Every number is shown as one whose value matters.
    precise: bool,
    text: String,
    /// Bytes that were left out before the text.
    left_out: usize,
    /// What was said of the instruction at hand.
    said: String,
    /// The length of the text behind the last printed instruction, and of that instruction's line.
    printed: Option<(usize, usize)>,
    /// Registers and slots that changed since the last state was printed.
    scratched_regs: u32,
    scratched_slots: u64,
}

impl Log {
    pub(crate) fn new(level: LogLevel, precise: bool) -> Log {
        Log {
            level,
            precise,
            text: String::new(),
            left_out: 0,
            said: String::new(),
            printed: None,
            scratched_regs: 0,
            scratched_slots: 0,
        }
    }

    /// Instructions and states are printed.
    pub(crate) fn on(&self) -> bool {
        self.level.0 & 3 != 0
    }

    /// Nothing is taken out again.
    pub(crate) fn keeps_all(&self) -> bool {
        self.level.0 & 2 != 0
    }

    pub(crate) fn stats(&self) -> bool {
        self.level.0 & 4 != 0
    }

    /// A message.
    pub(crate) fn say(&mut self, words: fmt::Arguments<'_>) {
        let from = self.said.len();
        let _ = self.said.write_fmt(words);
        if self.on() {
            self.text.push_str(&self.said[from..]);
        }
    }

    /// Something that is printed at these levels only, and is no message.
    pub(crate) fn trace(&mut self, words: fmt::Arguments<'_>) {
        if self.on() {
            let _ = self.text.write_fmt(words);
        }
    }

    /// What is printed when everything is.
    pub(crate) fn detail(&mut self, words: fmt::Arguments<'_>) {
        if self.keeps_all() {
            let _ = self.text.write_fmt(words);
            self.keep_short();
        }
    }

    /// What is printed at any level but none.
    pub(crate) fn figures(&mut self, words: fmt::Arguments<'_>) {
        if self.level.0 != 0 {
            let _ = self.text.write_fmt(words);
        }
    }

    /// A new instruction begins: what was said of the one before does not matter.
    pub(crate) fn next_instruction(&mut self) {
        if !self.said.is_empty() {
            self.said.clear();
        }
        self.keep_short();
    }

    /// Leaves out the older half of what is too long, up to the end of a line.
    fn keep_short(&mut self) {
        if self.text.len() <= MOST {
            return;
        }
        let half = self.text.floor_char_boundary(self.text.len() / 2);
        let end = self.text[half..].find('\n').map_or(self.text.len(), |line| half + line + 1);
        self.text.drain(..end);
        self.left_out += end;
        self.printed = self.printed.and_then(|(behind, length)| Some((behind.checked_sub(end)?, length)));
    }

    /// Bytes of memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.text.capacity() + self.said.capacity()
    }

    pub(crate) fn said(&self) -> &str {
        &self.said
    }

    pub(crate) fn into_text(mut self) -> String {
        if self.left_out > 0 {
            self.text.insert_str(0, &format!("({} bytes of log before this are left out)\n", self.left_out));
        }
        self.text
    }

    /// A place in the text to come back to.
    pub(crate) fn position(&self) -> usize {
        self.left_out + self.text.len()
    }

    /// Takes out what was printed since.
    pub(crate) fn reset(&mut self, position: usize) {
        if position < self.left_out {
            self.left_out = position;
            self.text.clear();
        } else {
            self.text.truncate(position - self.left_out);
        }
    }

    // Changes.

    pub(crate) fn scratch_reg(&mut self, reg: u8) {
        self.scratched_regs |= 1 << reg;
    }

    pub(crate) fn scratch_slot(&mut self, slot: usize) {
        self.scratched_slots |= 1 << (slot & 63);
    }

    pub(crate) fn scratch_all(&mut self) {
        self.scratched_regs = u32::MAX;
        self.scratched_slots = u64::MAX;
    }

    pub(crate) fn scratched(&self) -> bool {
        self.scratched_regs != 0 || self.scratched_slots != 0
    }

    /// Prints what changed in the innermost frame: behind the last instruction, or on a line of its own.
    pub(crate) fn changes(&mut self, state: &State, insn: u32, names: Names<'_>) {
        if !self.on() {
            return;
        }
        match self.printed {
            Some((end, length)) if end == self.text.len() => {
                self.text.pop();
                let _ = write!(self.text, "{:>1$}", ";", alignment(length) + 1);
            }
            _ => self.trace(format_args!("{insn}:")),
        }
        let (regs, slots) = (self.scratched_regs, self.scratched_slots);
        let _ = state::print(&mut self.text, state, state.depth, (regs, slots), (names, self.precise));
        self.scratched_regs = 0;
        self.scratched_slots = 0;
    }

    /// Prints all of a frame.
    pub(crate) fn frame(&mut self, state: &State, frame: usize, names: Names<'_>) {
        if self.on() {
            let _ = state::print(&mut self.text, state, frame, (u32::MAX, u64::MAX), (names, self.precise));
        }
    }

    /// Prints an instruction.
    pub(crate) fn instruction(&mut self, words: fmt::Arguments<'_>) {
        let from = self.text.len();
        let _ = self.text.write_fmt(words);
        self.text.push('\n');
        self.printed = Some((self.text.len(), self.text.len() - from));
    }
}

/// Spaces between an instruction of this length and the state behind it, so that states stand in columns.
fn alignment(length: usize) -> usize {
    (length + 4).max(40).next_multiple_of(8) - length - 1
}

//! The program's stack: frames of 512 bytes that grow down, and what each caller keeps while its callee runs.
//! Frame 0 is the outermost. Knows nothing of instructions.

use crate::op::Op;
use crate::region::Span;
use std::{cell::Cell, mem::offset_of};

/// Bytes of a frame.
pub(crate) const FRAME: usize = 512;
/// Frames that one run may use, its callbacks' included.
const FRAMES_PER_RUN: usize = 8;
/// Frames that an [`crate::Env`] has, for runs within runs.
const FRAMES: usize = 4 * FRAMES_PER_RUN;
/// Times that a `may_goto` of one frame falls through (Linux: `BPF_MAX_LOOPS`).
pub(crate) const LOOPS: u32 = 8 * 1024 * 1024;

/// Frames, and how many are in use.
#[derive(Debug)]
pub(crate) struct Stack {
    words: Box<[Cell<u64>]>,
    saved: [Saved; FRAMES],
    used: Cell<usize>,
    /// How many frames may be in use in the run that began last: what native code asks.
    limit: Cell<usize>,
    /// The end of the outermost frame, for native code.
    top: u64,
}

/// What belongs to a frame beside its memory.
#[derive(Debug)]
pub(crate) struct Saved {
    /// Where the caller goes on.
    pub(crate) back: Cell<*const Op>,
    /// The caller's r6–r9.
    pub(crate) registers: [Cell<u64>; 4],
    /// How often `may_goto` may still fall through.
    pub(crate) loops: Cell<u32>,
}

impl Stack {
    /// Where native code finds how many frames are in use, how many may be, and the end of the outermost one.
    pub(crate) const USED: usize = offset_of!(Stack, used);
    pub(crate) const LIMIT: usize = offset_of!(Stack, limit);
    pub(crate) const TOP: usize = offset_of!(Stack, top);

    pub(crate) fn new() -> Stack {
        let words: Box<[Cell<u64>]> = (0..FRAMES * FRAME / 8).map(|_| Cell::new(0)).collect();
        Stack {
            limit: Cell::new(0),
            top: words.as_ptr_range().end as u64,
            words,
            saved: std::array::from_fn(|_| Saved {
                back: Cell::new(std::ptr::null()),
                registers: Default::default(),
                loops: Cell::new(0),
            }),
            used: Cell::new(0),
        }
    }

    /// How many frames are in use.
    #[inline(always)]
    pub(crate) fn used(&self) -> usize {
        self.used.get()
    }

    /// Takes the next frame into use: zeroes its upper `words`, and says what its frame pointer is.
    /// `base` is the outermost frame of the run that it belongs to; a run has no more than eight.
    #[inline(always)]
    pub(crate) fn push(&self, base: usize, words: u8) -> Option<u64> {
        let frame = self.used.get();
        if frame >= FRAMES || frame >= base + FRAMES_PER_RUN {
            return None;
        }
        let end = self.words.len() - frame * (FRAME / 8);
        self.words[end - usize::from(words).min(FRAME / 8)..end].iter().for_each(|word| word.set(0));
        self.saved[frame].loops.set(LOOPS);
        self.used.set(frame + 1);
        Some(self.end() - (frame * FRAME) as u64)
    }

    /// A run begins whose outermost frame is `base`: how many frames the one before it might use.
    pub(crate) fn begin(&self, base: usize) -> usize {
        self.limit.replace(FRAMES.min(base + FRAMES_PER_RUN))
    }

    /// A run ended; the one before it might use so many frames.
    pub(crate) fn end_of_run(&self, limit: usize) {
        self.limit.set(limit);
    }

    /// Gives frames back until `used` are left.
    #[inline(always)]
    pub(crate) fn truncate(&self, used: usize) {
        self.used.set(used);
    }

    /// What belongs to the frame in use that is the innermost.
    #[inline(always)]
    pub(crate) fn innermost(&self) -> &Saved {
        &self.saved[(self.used.get() - 1) % FRAMES]
    }

    /// The frame pointer of the innermost frame in use.
    #[inline(always)]
    pub(crate) fn frame_pointer(&self) -> u64 {
        self.end() - ((self.used.get() - 1) * FRAME) as u64
    }

    /// The memory of one frame.
    pub(crate) fn frame(&self, frame: usize) -> Span {
        Span { addr: self.end() - ((frame + 1) * FRAME) as u64, len: FRAME as u64, write: true }
    }

    /// The memory of all frames in use.
    pub(crate) fn in_use(&self) -> Span {
        let len = (self.used.get() * FRAME) as u64;
        Span { addr: self.end() - len, len, write: true }
    }

    #[inline(always)]
    fn end(&self) -> u64 {
        self.top
    }
}

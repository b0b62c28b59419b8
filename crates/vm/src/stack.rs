//! The program's stack: frames of 512 bytes that grow down, and what each caller keeps while its callee runs.
//! Frame 0 is the outermost. Knows nothing of instructions.

use crate::op::Op;
use crate::region::Span;
use std::cell::Cell;

/// Bytes of a frame.
pub(crate) const FRAME: usize = 512;
/// Frames that one run may use, its callbacks' included.
const FRAMES_PER_RUN: usize = 8;
/// Frames that an [`crate::Env`] has, for runs within runs.
const FRAMES: usize = 4 * FRAMES_PER_RUN;
/// Times that a `may_goto` of one frame falls through (Linux: `BPF_MAX_LOOPS`).
const LOOPS: u32 = 8 * 1024 * 1024;

/// Frames, and how many are in use.
#[derive(Debug)]
pub(crate) struct Stack {
    words: Box<[Cell<u64>]>,
    saved: [Saved; FRAMES],
    used: Cell<usize>,
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
    pub(crate) fn new() -> Stack {
        Stack {
            words: (0..FRAMES * FRAME / 8).map(|_| Cell::new(0)).collect(),
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
        self.words.as_ptr_range().end as u64
    }
}

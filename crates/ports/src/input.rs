//! A window that slides over a stream of bytes: the one buffer that a capture is read through.
//!
//! Knows no capture format.

use std::io::{self, Read};

/// The longest packet that is read or written, in bytes: libpcap's largest snapshot length.
pub const MAX_PACKET: usize = 256 << 10;

/// The window: the longest packet with its header and generous options. Small enough to stay in a core's own cache.
pub(crate) const WINDOW: usize = MAX_PACKET + (128 << 10);

/// The window and what stands in it.
pub(crate) struct Input {
    source: Box<dyn Read + Send>,
    window: Box<[u8]>,
    /// The bytes that were read and not yet passed: `window[start..end]`.
    start: usize,
    end: usize,
    /// Offset of `window[start]` in the stream.
    offset: u64,
    /// Why reading stopped, if not because the stream ended.
    failure: Option<io::Error>,
    ended: bool,
}

impl Input {
    pub(crate) fn new(source: Box<dyn Read + Send>) -> Self {
        Input {
            source,
            window: vec![0; WINDOW].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
            failure: None,
            ended: false,
        }
    }

    /// Offset in the stream of the byte that comes next.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// What made reading stop before the end of the stream.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// The next bytes of the stream: at least `wanted` (at most [`WINDOW`]), fewer only where it ends or fails.
    #[inline]
    pub(crate) fn peek(&mut self, wanted: usize) -> &[u8] {
        if self.end - self.start < wanted {
            self.refill(wanted);
        }
        &self.window[self.start..self.end]
    }

    /// Bytes that a `peek` showed, after the window moved on by `passed`.
    #[inline]
    pub(crate) fn behind(&self, passed: usize, from: usize, len: usize) -> &[u8] {
        let begin = self.start - passed + from;
        &self.window[begin..begin + len]
    }

    /// Passes bytes that a `peek` has shown.
    #[inline]
    pub(crate) fn pass(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start);
        self.start += count;
        self.offset += count as u64;
    }

    /// Passes `count` bytes whether or not they fit the window; false if the stream ends before.
    pub(crate) fn skip(&mut self, mut count: u64) -> bool {
        loop {
            let here = (self.end - self.start).min(usize::try_from(count).unwrap_or(usize::MAX));
            self.pass(here);
            count -= here as u64;
            if count == 0 {
                return true;
            }
            if self.peek(1).is_empty() {
                return false;
            }
        }
    }

    #[cold]
    fn refill(&mut self, wanted: usize) {
        self.window.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < wanted && !self.ended {
            match self.source.read(&mut self.window[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    self.ended = true;
                }
            }
        }
    }
}

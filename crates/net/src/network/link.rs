//! What a link does to packets that go over it one way: they wait in its queue, take time by its rate, then its delay,
//! and some are lost. Knows no packets' contents.

use super::Port;
use std::collections::VecDeque;

const PER_SECOND: u128 = 1_000_000_000;

/// A link, one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Bits per second, of frames with their Ethernet headers; without a rate they take no time.
    pub rate: Option<u64>,
    /// How long a bit is on its way, in ns.
    pub delay: u64,
    /// How many of a million frames are lost on their way.
    pub loss: u32,
    /// How many frames wait while one is sent; more are dropped.
    pub queue: usize,
}

impl Default for Link {
    /// Without rate, delay and loss; 1000 frames wait.
    fn default() -> Link {
        Link { rate: None, delay: 0, loss: 0, queue: 1000 }
    }
}

/// What a link has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that it has sent, with those that were lost on their way.
    pub sent: u64,
    /// Their bytes, with Ethernet headers.
    pub bytes: u64,
    /// Frames that were lost on their way.
    pub lost: u64,
    /// Frames that found the queue full.
    pub full: u64,
}

/// A link and what is on it.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) to: Port,
    pub(super) link: Link,
    /// How long packets are held back before they come to the queue.
    pub(super) hold: u64,
    pub(super) counts: Counts,
    /// When the last of those that are held back comes to the queue.
    held: u64,
    /// When the link is done with what it was given.
    free: u64,
    /// When each of those that wait begins to be sent.
    waiting: VecDeque<u64>,
    random: u64,
}

/// The time of a frame on a link.
pub(super) struct Crossing {
    /// When it begins to be sent.
    pub(super) begins: u64,
    /// When it is there, unless it is lost.
    pub(super) arrives: Option<u64>,
}

impl Wire {
    pub(super) fn new(to: Port, link: Link, seed: u64) -> Wire {
        Wire {
            to,
            link,
            hold: 0,
            counts: Counts::default(),
            held: 0,
            free: 0,
            waiting: VecDeque::new(),
            random: mixed(seed),
        }
    }

    /// When a packet that leaves now comes to the queue, if it is held back; it does not overtake those that were before.
    pub(super) fn released(&mut self, now: u64) -> Option<u64> {
        if self.hold == 0 && self.held < now {
            return None;
        }
        self.held = self.held.max(now.saturating_add(self.hold));
        Some(self.held)
    }

    /// Takes a frame of that many bytes, unless the queue is full.
    pub(super) fn cross(&mut self, now: u64, bytes: usize) -> Option<Crossing> {
        while self.waiting.front().is_some_and(|begins| *begins <= now) {
            self.waiting.pop_front();
        }
        let begins = self.free.max(now);
        if begins > now {
            if self.waiting.len() >= self.link.queue {
                self.counts.full += 1;
                return None;
            }
            self.waiting.push_back(begins);
        }
        self.free = begins.saturating_add(self.time_of(bytes));
        self.counts.sent += 1;
        self.counts.bytes += bytes as u64;
        let lost = self.draws_loss();
        self.counts.lost += u64::from(lost);
        Some(Crossing { begins, arrives: (!lost).then(|| self.free.saturating_add(self.link.delay)) })
    }

    /// How long frames take to be sent, rounded up.
    fn time_of(&self, bytes: usize) -> u64 {
        let bits = bytes as u128 * 8;
        let time = |rate: u64| (bits * PER_SECOND).div_ceil(u128::from(rate.max(1)));
        self.link.rate.map_or(0, |rate| u64::try_from(time(rate)).unwrap_or(u64::MAX))
    }

    /// A number is drawn for every frame, so that another share loses others besides, not others instead.
    fn draws_loss(&mut self) -> bool {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.random) % 1_000_000 < u64::from(self.link.loss)
    }
}

/// The finalizer of splitmix64.
fn mixed(mut state: u64) -> u64 {
    state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}

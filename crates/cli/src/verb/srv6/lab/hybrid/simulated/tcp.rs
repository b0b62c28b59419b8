//! One TCP connection as a calculation: a sender that always has something to send, and a receiver. Knows neither packets
//! nor clocks nor links.
//!
//! The sender is New Reno: slow start from ten segments and congestion avoidance (RFC 5681, 6928), fast retransmit after
//! three duplicate acknowledgements and fast recovery (RFC 5681, 6582), limited transmit (RFC 3042), retransmission timer
//! (RFC 6298). So it takes what three others overtake for lost, as hosts do without selective acknowledgements. The
//! receiver acknowledges each segment. The connection is there from the beginning.

use std::collections::BTreeMap;

/// Bytes of a segment.
pub(super) const SEGMENT: u64 = 1440;
const FIRST_WINDOW: u64 = 10 * SEGMENT;
const DUPLICATES: u32 = 3;
const SECOND: u64 = 1_000_000_000;
/// Bounds of the retransmission timer.
const LEAST_TIMEOUT: u64 = SECOND / 5;
const MOST_TIMEOUT: u64 = 60 * SECOND;

/// Bytes from one place on, as many as that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) at: u64,
    pub(super) len: u64,
}

/// Who sends. Times are nanoseconds.
#[derive(Debug)]
pub(super) struct Sender {
    /// Bytes that there are to send.
    bytes: u64,
    /// The receiver's window.
    room: u64,
    acknowledged: u64,
    next: u64,
    window: u64,
    threshold: u64,
    duplicates: u32,
    /// What was sent by the time of the last loss.
    recover: u64,
    recovering: bool,
    timer: Timer,
    /// Segments that were sent once more.
    pub(super) again: u64,
}

/// When something is sent once more because nothing is heard.
#[derive(Debug)]
struct Timer {
    /// Smoothed round trip and its variation, once it is known.
    round_trip: Option<(u64, u64)>,
    timeout: u64,
    /// A byte and when it was sent, if that was for the first time.
    timed: Option<(u64, u64)>,
    due: Option<u64>,
}

impl Sender {
    pub(super) fn new(bytes: u64, room: u64) -> Sender {
        let timer = Timer { round_trip: None, timeout: SECOND, timed: None, due: None };
        Sender {
            bytes,
            room,
            acknowledged: 0,
            next: 0,
            window: FIRST_WINDOW,
            threshold: u64::MAX,
            duplicates: 0,
            recover: 0,
            recovering: false,
            timer,
            again: 0,
        }
    }

    /// What can be sent now.
    pub(super) fn send(&mut self, now: u64) -> Vec<Segment> {
        // Each of the first two duplicates says that a segment has left (limited transmit).
        let limited = if self.recovering { 0 } else { u64::from(self.duplicates.min(DUPLICATES - 1)) * SEGMENT };
        let end = self.acknowledged.saturating_add(self.room.min(self.window.saturating_add(limited)));
        let mut sent = Vec::new();
        while self.next < self.bytes {
            let segment = self.segment(self.next);
            if segment.at + segment.len > end {
                break;
            }
            self.next += segment.len;
            self.timer.timed.get_or_insert((self.next, now));
            self.timer.due.get_or_insert(now + self.timer.timeout);
            sent.push(segment);
        }
        sent
    }

    /// The receiver has all bytes before `upto`. Gives what is sent once more.
    pub(super) fn acknowledge(&mut self, now: u64, upto: u64) -> Option<Segment> {
        if upto > self.acknowledged {
            let newly = upto - self.acknowledged;
            self.acknowledged = upto;
            self.next = self.next.max(upto);
            self.timer.heard(now, upto);
            self.timer.due = (self.next > upto).then_some(now + self.timer.timeout);
            return self.progress(newly);
        }
        if upto < self.acknowledged || self.next == upto {
            return None;
        }
        self.duplicates += 1;
        if self.recovering {
            self.window += SEGMENT;
        } else if self.duplicates == DUPLICATES && upto >= self.recover {
            self.threshold = (self.under_way() / 2).max(2 * SEGMENT);
            self.window = self.threshold + u64::from(DUPLICATES) * SEGMENT;
            (self.recover, self.recovering) = (self.next, true);
            return Some(self.once_more());
        }
        None
    }

    /// When [`Sender::expired`] is to be called, unless something is heard before.
    pub(super) fn due(&self) -> Option<u64> {
        self.timer.due
    }

    /// Nothing was heard: what was not acknowledged is sent again, from the first of it on.
    pub(super) fn expired(&mut self, now: u64) {
        self.threshold = (self.under_way() / 2).max(2 * SEGMENT);
        self.window = SEGMENT;
        self.recover = self.recover.max(self.next);
        (self.duplicates, self.recovering) = (0, false);
        self.again += self.under_way().div_ceil(SEGMENT);
        self.next = self.acknowledged;
        self.timer.timeout = (2 * self.timer.timeout).min(MOST_TIMEOUT);
        (self.timer.timed, self.timer.due) = (None, Some(now + self.timer.timeout));
    }

    pub(super) fn is_done(&self) -> bool {
        self.acknowledged == self.bytes
    }

    /// Bytes were acknowledged for the first time.
    fn progress(&mut self, newly: u64) -> Option<Segment> {
        self.duplicates = 0;
        if self.recovering && self.acknowledged < self.recover {
            // What comes next was lost as well; what has left makes room for another one.
            self.window = self.window.saturating_sub(newly).max(SEGMENT) + SEGMENT;
            return Some(self.once_more());
        }
        if self.recovering {
            self.recovering = false;
            self.window = self.threshold.min(self.under_way().max(SEGMENT) + SEGMENT);
        } else if self.window < self.threshold {
            self.window += newly.min(SEGMENT);
        } else {
            self.window += (SEGMENT * SEGMENT / self.window).max(1);
        }
        None
    }

    fn under_way(&self) -> u64 {
        self.next - self.acknowledged
    }

    fn segment(&self, at: u64) -> Segment {
        Segment { at, len: SEGMENT.min(self.bytes - at) }
    }

    fn once_more(&mut self) -> Segment {
        self.again += 1;
        // It is not known which of the two an answer is for (Karn's algorithm).
        self.timer.timed = None;
        self.segment(self.acknowledged)
    }
}

impl Timer {
    fn heard(&mut self, now: u64, upto: u64) {
        let Some((_, sent)) = self.timed.take_if(|(byte, _)| upto >= *byte) else { return };
        let measured = now - sent;
        let (smooth, variation) = match self.round_trip {
            None => (measured, measured / 2),
            Some((smooth, variation)) => ((7 * smooth + measured) / 8, (3 * variation + smooth.abs_diff(measured)) / 4),
        };
        self.round_trip = Some((smooth, variation));
        self.timeout = (smooth + 4 * variation).clamp(LEAST_TIMEOUT, MOST_TIMEOUT);
    }
}

/// Who receives.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// All bytes before this one are there.
    pub(super) upto: u64,
    /// What is there behind it: from, to.
    apart: BTreeMap<u64, u64>,
    /// Segments that came before one that was sent earlier.
    pub(super) overtaking: u64,
}

impl Receiver {
    /// A segment comes; gives what is acknowledged.
    pub(super) fn take(&mut self, segment: Segment) -> u64 {
        let end = segment.at + segment.len;
        if segment.at > self.upto {
            self.overtaking += 1;
            let known = self.apart.entry(segment.at).or_insert(end);
            *known = end.max(*known);
            return self.upto;
        }
        self.upto = self.upto.max(end);
        while let Some(first) = self.apart.first_entry().filter(|first| *first.key() <= self.upto) {
            self.upto = self.upto.max(first.remove());
        }
        self.upto
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn numbers(segments: &[Segment]) -> Vec<u64> {
        segments.iter().map(|segment| segment.at / SEGMENT).collect()
    }

    /// With so many segments on their way, all of which are sent and none acknowledged.
    fn sender(segments: u64) -> Sender {
        let mut sender = Sender::new(1000 * SEGMENT, 1000 * SEGMENT);
        sender.window = segments * SEGMENT;
        assert_eq!(sender.send(0).len() as u64, segments);
        sender
    }

    #[test]
    fn the_window_doubles_each_round_trip_and_then_grows_by_a_segment() {
        let mut sender = sender(10);
        (1..=10).for_each(|number| assert_eq!(sender.acknowledge(50 * MS, number * SEGMENT), None));
        assert_eq!(sender.send(50 * MS).len(), 20);
        sender.threshold = sender.window;
        (11..=30).for_each(|number| assert_eq!(sender.acknowledge(100 * MS, number * SEGMENT), None));
        let more = sender.send(100 * MS).len();
        assert!((20..=21).contains(&more), "{more}");
        assert_eq!(sender.timer.timeout, LEAST_TIMEOUT, "50 ms and little variation");
    }

    #[test]
    fn three_duplicates_have_a_segment_sent_again_and_the_window_halved() {
        let mut sender = sender(20);
        assert_eq!(sender.acknowledge(MS, SEGMENT), None);
        assert_eq!(numbers(&sender.send(MS)), [20, 21]);
        assert_eq!(sender.acknowledge(MS, SEGMENT), None);
        assert_eq!(numbers(&sender.send(MS)), [22], "limited transmit");
        assert_eq!(sender.acknowledge(MS, SEGMENT), None);
        assert_eq!(numbers(&sender.send(MS)), [23]);
        assert_eq!(sender.acknowledge(MS, SEGMENT), Some(Segment { at: SEGMENT, len: SEGMENT }));
        assert_eq!(sender.threshold, 23 * SEGMENT / 2);
        assert!(sender.send(MS).is_empty(), "until half of what is on its way has left");
        // All but one of what was on its way is there: that one is sent again, and recovery goes on.
        let partial = sender.acknowledge(2 * MS, 10 * SEGMENT);
        assert_eq!(partial, Some(Segment { at: 10 * SEGMENT, len: SEGMENT }));
        assert_eq!(sender.acknowledge(3 * MS, 24 * SEGMENT), None);
        assert!(!sender.recovering && sender.window <= sender.threshold);
        assert_eq!(sender.again, 2);
    }

    #[test]
    fn when_nothing_is_heard_it_begins_anew_and_waits_longer() {
        let mut sender = sender(10);
        assert_eq!(sender.due(), Some(SECOND));
        sender.expired(SECOND);
        assert_eq!((sender.due(), numbers(&sender.send(SECOND))), (Some(3 * SECOND), vec![0]));
        assert_eq!(sender.acknowledge(SECOND + MS, 10 * SEGMENT), None, "only the answers were lost");
        assert_eq!(numbers(&sender.send(SECOND + MS)), [10, 11]);
        assert!(!sender.is_done());
    }

    #[test]
    fn a_receiver_puts_segments_in_order() {
        let mut receiver = Receiver::default();
        let mut take = |number: u64| receiver.take(Segment { at: number * SEGMENT, len: SEGMENT }) / SEGMENT;
        assert_eq!([0, 2, 4, 3, 1, 1, 5].map(&mut take), [1, 1, 1, 1, 5, 5, 6]);
        assert_eq!(receiver.overtaking, 3);
    }
}

//! What a link does to packets, as a calculation: who gives it packets and times gets packets and times. Knows no clock.

use std::{collections::VecDeque, time::Duration};

/// How a link is, each way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Bits a second; `None`: as fast as they come.
    pub rate: Option<u64>,
    /// How long a packet's way takes.
    pub delay: Duration,
    /// Which part of the packets is lost, from 0 to 1.
    pub loss: f64,
    /// Bytes that may wait for their turn; what does not fit is dropped.
    pub queue: usize,
}

impl Default for Shape {
    /// Neither rate nor delay nor loss.
    fn default() -> Self {
        Shape { rate: None, delay: Duration::ZERO, loss: 0.0, queue: 256 << 10 }
    }
}

/// One way of a link. Times are nanoseconds of whatever clock its user has.
#[derive(Debug)]
pub struct Pipe<P> {
    shape: Shape,
    /// Held this much longer.
    hold: u64,
    /// Until when what was taken occupies the line.
    busy: u64,
    /// Packets under way, with when they arrive: never one before the one in front.
    under_way: VecDeque<(u64, P)>,
    /// State of the generator that says which are lost.
    random: u64,
}

/// Bits and nanoseconds.
const SECOND: u128 = 1_000_000_000;

impl<P> Pipe<P> {
    /// An empty one; which packets are lost depends on the seed alone.
    #[must_use]
    pub fn new(shape: Shape, seed: u64) -> Pipe<P> {
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Pipe { shape, hold: 0, busy: 0, under_way: VecDeque::new(), random }
    }

    /// Loses this part of the packets from now on.
    pub fn lose(&mut self, part: f64) {
        self.shape.loss = part;
    }

    /// Holds packets this much longer from now on, without letting them overtake each other.
    pub fn hold(&mut self, longer: Duration) {
        self.hold = nanoseconds(longer);
    }

    /// Takes a packet of `len` bytes at `now`; says whether it will arrive.
    pub fn take(&mut self, now: u64, len: usize, packet: P) -> bool {
        if self.lost() {
            return false;
        }
        let start = self.busy.max(now);
        let waiting = start - now;
        if let Some(rate) = self.shape.rate {
            if u128::from(waiting) * u128::from(rate) / 8 / SECOND + len as u128 > self.shape.queue as u128 {
                return false;
            }
            self.busy = start + (len as u128 * 8 * SECOND / u128::from(rate.max(1))) as u64;
        } else {
            self.busy = now;
        }
        let arrives = self.busy + nanoseconds(self.shape.delay) + self.hold;
        let arrives = self.under_way.back().map_or(arrives, |(last, _)| arrives.max(*last));
        self.under_way.push_back((arrives, packet));
        true
    }

    /// When the next packet arrives.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.under_way.front().map(|(time, _)| *time)
    }

    /// A packet that has arrived by `now`.
    pub fn arrived(&mut self, now: u64) -> Option<P> {
        if self.next()? > now {
            return None;
        }
        self.under_way.pop_front().map(|(_, packet)| packet)
    }

    fn lost(&mut self) -> bool {
        if self.shape.loss <= 0.0 {
            return false;
        }
        // Marsaglia's xorshift; its upper 53 bits are a number from 0 to 1.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        ((self.random >> 11) as f64 / (1u64 << 53) as f64) < self.shape.loss
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn all(pipe: &mut Pipe<u32>) -> Vec<(u64, u32)> {
        std::iter::from_fn(|| pipe.next().and_then(|time| Some((time, pipe.arrived(time)?)))).collect()
    }

    #[test]
    fn a_packet_arrives_after_its_bits_and_the_delay() {
        // 1000 bytes at 8 Mbit/s are a millisecond.
        let shape = Shape { rate: Some(8_000_000), delay: Duration::from_millis(5), ..Shape::default() };
        let mut pipe = Pipe::new(shape, 1);
        assert!(pipe.take(0, 1000, 1) && pipe.take(0, 1000, 2) && pipe.take(10 * MS, 500, 3));
        assert_eq!(pipe.arrived(6 * MS - 1), None);
        assert_eq!(all(&mut pipe), [(6 * MS, 1), (7 * MS, 2), (15 * MS + MS / 2, 3)]);
    }

    #[test]
    fn what_does_not_fit_is_dropped() {
        let shape = Shape { rate: Some(8_000_000), queue: 2500, ..Shape::default() };
        let mut pipe = Pipe::new(shape, 1);
        let taken: Vec<bool> = (0..4).map(|number| pipe.take(0, 1000, number)).collect();
        assert_eq!(taken, [true, true, false, false]);
        assert!(pipe.take(MS, 1000, 4), "one has left by then");
        assert_eq!(all(&mut pipe), [(MS, 0), (2 * MS, 1), (3 * MS, 4)]);
    }

    #[test]
    fn what_is_held_less_does_not_overtake() {
        let mut pipe = Pipe::new(Shape::default(), 1);
        pipe.hold(Duration::from_millis(9));
        assert!(pipe.take(0, 100, 1));
        pipe.hold(Duration::ZERO);
        assert!(pipe.take(MS, 100, 2) && pipe.take(20 * MS, 100, 3));
        assert_eq!(all(&mut pipe), [(9 * MS, 1), (9 * MS, 2), (20 * MS, 3)]);
    }

    #[test]
    fn the_part_that_is_said_is_lost() {
        let mut pipe = Pipe::new(Shape { loss: 0.25, ..Shape::default() }, 7);
        let taken = (0..10_000).filter(|number| pipe.take(0, 100, *number)).count();
        assert!((7300..7700).contains(&taken), "{taken} of 10000");
        pipe.lose(1.0);
        assert!(!pipe.take(0, 100, 1));
        pipe.lose(0.0);
        assert!(pipe.take(0, 100, 1));
    }
}

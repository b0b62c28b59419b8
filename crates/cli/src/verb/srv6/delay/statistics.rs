//! What a collector knows: for each path its delays, and which packets did not come.

use super::{histogram::Histogram, packet::Report};
use std::collections::{BTreeMap, BTreeSet};

/// Packets that may come later than one behind them; what is missing longer is lost.
const LATE: u64 = 4096;

/// All paths.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Statistics {
    pub(in super::super) paths: BTreeMap<u32, Path>,
}

/// One path. Delays are nanoseconds.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Path {
    /// There, or there and back.
    pub(in super::super) delay: Histogram,
    /// Two-way: the way there, by two clocks.
    pub(in super::super) there: Histogram,
    pub(in super::super) two_way: bool,
    /// Packets that came after one that was sent later.
    pub(in super::super) overtaken: u64,
    /// Packets that came twice, or far too late to be told from such.
    pub(in super::super) twice: u64,
    pub(in super::super) lost: u64,
    /// The sequence number that comes next; before the first packet there is none.
    next: Option<u64>,
    /// Numbers before that which have not come.
    missing: BTreeSet<u64>,
}

/// Paths that are told apart: who sends others is a stranger.
const MOST_PATHS: usize = 1024;

impl Statistics {
    /// What a packet told.
    pub(in super::super) fn add(&mut self, report: &Report) {
        if self.paths.len() >= MOST_PATHS && !self.paths.contains_key(&report.path) {
            return;
        }
        self.paths.entry(report.path).or_default().add(report);
    }
}

impl Path {
    fn add(&mut self, report: &Report) {
        let sequence = report.sequence;
        let next = self.next.unwrap_or(sequence);
        if sequence < next {
            if !self.missing.remove(&sequence) {
                self.twice += 1;
                return;
            }
            self.overtaken += 1;
        } else {
            let gap = sequence - next;
            // Of a sender that has begun anew, or of a stranger's number, no gap is told.
            if gap <= LATE {
                self.missing.extend(next..sequence);
            }
            self.next = Some(sequence.saturating_add(1));
            let young = self.missing.split_off(&sequence.saturating_sub(LATE));
            let old = std::mem::replace(&mut self.missing, young);
            self.lost += old.len() as u64;
        }
        self.two_way = report.two_way;
        self.delay.add(report.delay());
        if let Some(there) = report.there() {
            self.there.add(there);
        }
    }

    /// Packets that have not come (yet).
    pub(in super::super) fn lost(&self) -> u64 {
        self.lost + self.missing.len() as u64
    }

    /// The part that was lost, from 0 to 1.
    pub(in super::super) fn loss(&self) -> f64 {
        let all = self.lost() + self.delay.count();
        if all == 0 { 0.0 } else { self.lost() as f64 / all as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sequences: &[u64]) -> Path {
        let mut all = Statistics::default();
        for sequence in sequences {
            let (sent, received) = (1000, 1000u64.wrapping_add(*sequence));
            all.add(&Report { path: 7, two_way: false, sequence: *sequence, sent, reflected: 0, received });
        }
        all.paths.remove(&7).unwrap_or_default()
    }

    #[test]
    fn what_did_not_come_is_lost() {
        let path = of(&[5, 6, 9, 10]);
        assert_eq!((path.lost(), path.overtaken, path.twice, path.delay.count()), (2, 0, 0, 4));
        assert!((path.loss() - 1.0 / 3.0).abs() < 1e-9);
        let path = of(&[0, LATE / 2, 3 * LATE / 2, 2 * LATE]);
        assert_eq!(path.lost(), 2 * LATE - 3, "those that are long missing, too");
    }

    #[test]
    fn what_comes_late_is_not_lost() {
        let path = of(&[0, 2, 1, 3, 3]);
        assert_eq!((path.lost(), path.overtaken, path.twice, path.delay.count()), (0, 1, 1, 4));
    }

    #[test]
    fn strange_numbers_cost_nothing() {
        let path = of(&[0, u64::MAX, 1, u64::MAX - 1]);
        assert_eq!((path.lost(), path.delay.count()), (0, 2));
    }
}

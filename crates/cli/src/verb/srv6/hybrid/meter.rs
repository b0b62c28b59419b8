//! What is known of a link by what was sent over it to measure it, and what follows from that for all links. A calculation:
//! whoever calls says what time it is.

use std::{collections::VecDeque, time::Duration};

/// For so long a delay counts: the least of them is the link's.
const WINDOW: Duration = Duration::from_secs(2);
/// Of so many probes it is counted how many came.
const COUNTED: u64 = 64;
/// A link of which nothing is heard for so many probes and its own delay is lost.
const SILENT: u32 = 8;
/// And so many nanoseconds: this machine may be what is slow.
const LEAST_PATIENCE: u64 = 400_000_000;
/// Holds that differ by less stay as they are.
const STEADY: u64 = 500_000;
/// Around a change of the hold it is not clear which probes were held.
const UNCLEAR: u64 = 2;
/// Weights are told to a thousandth, so that little loss counts, too.
pub(in super::super) const SCALE: u32 = 1000;

/// A link. Times are nanoseconds since somewhen.
#[derive(Clone, Debug)]
pub(in super::super) struct Meter {
    interval: Duration,
    /// Delays without what the link was held, and when they were told.
    delays: VecDeque<(u64, i64)>,
    /// The first number that came: before it the other end was not there.
    first: u64,
    /// The highest number that came, and which of those before it did.
    highest: Option<u64>,
    came: u64,
    heard: u64,
    /// Since which number packets are held how long.
    held: (u64, u64),
    round_trip: u64,
}

impl Meter {
    /// A link that is measured that often, from now on.
    pub(in super::super) fn new(interval: Duration, now: u64) -> Meter {
        Meter {
            interval,
            delays: VecDeque::new(),
            first: 0,
            highest: None,
            came: 0,
            heard: now,
            held: (0, 0),
            round_trip: 0,
        }
    }

    /// A probe came back: its number, how long it took there, and there and back.
    pub(in super::super) fn came(&mut self, now: u64, number: u64, there: i64, round_trip: i64) {
        self.heard = now;
        self.round_trip = round_trip.max(0) as u64;
        match self.highest {
            Some(highest) if number <= highest => {
                self.came |= 1u64.checked_shl((highest - number).min(64) as u32).unwrap_or(0);
            }
            Some(highest) => {
                self.came = self.came.checked_shl((number - highest).min(64) as u32).unwrap_or(0) | 1;
                self.highest = Some(number);
            }
            None => (self.first, self.highest, self.came) = (number, Some(number), 1),
        }
        let (since, held) = self.held;
        // Those that were sent before the last change would say something about another hold.
        if number >= since + UNCLEAR || since == 0 {
            self.delays.push_back((now, there.saturating_sub(held as i64)));
        }
        while self.delays.front().is_some_and(|(time, _)| now.saturating_sub(*time) > WINDOW.as_nanos() as u64) {
            self.delays.pop_front();
        }
    }

    /// From this number on packets are held that long.
    pub(in super::super) fn held(&mut self, number: u64, hold: u64) {
        self.held = (number, hold);
    }

    pub(in super::super) fn hold(&self) -> u64 {
        self.held.1
    }

    /// How long the way there takes, less what differs between the two ends' clocks; `None`: it is not known.
    pub(in super::super) fn there(&self) -> Option<i64> {
        self.delays.iter().map(|(_, delay)| *delay).min()
    }

    pub(in super::super) fn round_trip(&self) -> u64 {
        self.round_trip
    }

    /// Whether anything is heard of it.
    pub(in super::super) fn alive(&self, now: u64) -> bool {
        let patience = self.interval.as_nanos() as u64 * u64::from(SILENT) + 2 * self.round_trip;
        now.saturating_sub(self.heard) <= patience.max(LEAST_PATIENCE)
    }

    /// The part of the last probes that did not come.
    pub(in super::super) fn loss(&self) -> f64 {
        let counted = self.highest.map_or(0, |highest| (highest - self.first + 1).min(COUNTED));
        if counted == 0 { 0.0 } else { 1.0 - (f64::from(self.came.count_ones()) / counted as f64).min(1.0) }
    }
}

/// What is to be done with a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Decision {
    /// Its weight, in parts of [`SCALE`]; 0: it gets nothing.
    pub(in super::super) weight: u32,
    /// How long its packets are held.
    pub(in super::super) hold: u64,
}

/// Decides for all links, by their meters and the weights that they should have.
pub(in super::super) fn decide(links: &[(&Meter, u32)], now: u64) -> Vec<Decision> {
    // The difference of two ways by the same two clocks is true whatever the clocks say.
    let slowest = links.iter().filter(|(meter, _)| meter.alive(now)).filter_map(|(meter, _)| meter.there()).max();
    let all_silent = links.iter().all(|(meter, _)| !meter.alive(now));
    let decided = links.iter().map(|(meter, weight)| {
        let part = if all_silent {
            1.0
        } else if meter.alive(now) {
            1.0 - meter.loss()
        } else {
            0.0
        };
        let weight = (f64::from(*weight) * f64::from(SCALE) * part).round() as u32;
        let wanted = match (slowest, meter.there()) {
            (Some(slowest), Some(there)) => (slowest - there).max(0) as u64,
            _ => 0,
        };
        let hold = if wanted.abs_diff(meter.hold()) < STEADY.max(wanted / 20) { meter.hold() } else { wanted };
        Decision { weight, hold }
    });
    decided.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const EACH: u64 = 50;

    fn meter() -> Meter {
        Meter::new(Duration::from_millis(EACH), 0)
    }

    /// Probes with these numbers come, with a delay in ms.
    fn probed(meter: &mut Meter, numbers: impl IntoIterator<Item = u64>, there: i64) -> u64 {
        let mut now = 0;
        for number in numbers {
            now = number * EACH * MS;
            meter.came(now, number, there * MS as i64, 2 * there * MS as i64);
        }
        now
    }

    #[test]
    fn the_faster_link_waits_for_the_slower_one() {
        let (mut fast, mut slow) = (meter(), meter());
        // The far clock is an hour ahead.
        probed(&mut fast, 0..20, 3_600_005);
        let now = probed(&mut slow, 0..20, 3_600_025);
        let [one, other] = decide(&[(&fast, 30), (&slow, 20)], now)[..] else { panic!() };
        assert_eq!((one, other), (Decision { weight: 30_000, hold: 20 * MS }, Decision { weight: 20_000, hold: 0 }));
        // Held, its probes take as long as the others, and it stays held.
        fast.held(20, 20 * MS);
        probed(&mut fast, 20..60, 3_600_025);
        let now = probed(&mut slow, 20..60, 3_600_025);
        assert_eq!(decide(&[(&fast, 30), (&slow, 20)], now)[0].hold, 20 * MS);
    }

    #[test]
    fn a_link_that_loses_gets_less_and_one_that_is_silent_nothing() {
        let (mut good, mut bad) = (meter(), meter());
        let now = probed(&mut good, 0..64, 5);
        probed(&mut bad, (0..64).filter(|number| number % 4 != 1), 5);
        assert_eq!(
            decide(&[(&good, 10), (&bad, 10)], now).iter().map(|d| d.weight).collect::<Vec<_>>(),
            [10_000, 7500]
        );
        // The other end was not there when it began.
        let mut late = meter();
        probed(&mut late, 40..50, 5);
        assert_eq!(late.loss(), 0.0);
        let later = probed(&mut good, 64..84, 5);
        assert_eq!(decide(&[(&good, 10), (&bad, 10)], later)[1].weight, 0);
        // It comes back: little at first, then all.
        probed(&mut bad, 84..88, 5);
        let now = probed(&mut good, 84..88, 5);
        let some = decide(&[(&good, 10), (&bad, 10)], now)[1].weight;
        assert!((1..8000).contains(&some), "{some}");
        probed(&mut bad, 88..160, 5);
        let now = probed(&mut good, 88..160, 5);
        assert_eq!(decide(&[(&good, 10), (&bad, 10)], now)[1].weight, 10_000);
    }

    #[test]
    fn when_nothing_is_heard_all_links_are_tried() {
        let now = 10_000 * MS;
        let decided = decide(&[(&meter(), 3), (&meter(), 2)], now);
        assert_eq!(decided, [Decision { weight: 3000, hold: 0 }, Decision { weight: 2000, hold: 0 }]);
    }
}

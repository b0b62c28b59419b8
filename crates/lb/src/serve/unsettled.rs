//! When the data plane is brought to what is wanted next. Time is told, never asked for.

use std::time::{Duration, Instant};

/// What checks change within this time is one change: each is a round over all VIPs and reals.
const TOGETHER: Duration = Duration::from_millis(50);
/// How long what is due waits for those who have said something already, and were not heard yet.
const HEARD: Duration = Duration::from_secs(1);

/// What is not settled yet.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    /// When something is due by itself: a deadline, a step of a slow start, what could not be done.
    later: Option<Instant>,
    /// When what checks have changed is.
    turned: Option<Instant>,
}

impl Unsettled {
    /// A check has changed something.
    pub(super) fn turned(&mut self, now: Instant) {
        self.turned.get_or_insert(now + TOGETHER);
    }

    /// All is settled, or was tried to be, until then.
    pub(super) fn until(&mut self, next: Option<Instant>) {
        *self = Unsettled { later: next, turned: None };
    }

    /// Whether the data plane does not know of what checks have changed.
    pub(super) fn has_turned(&self) -> bool {
        self.turned.is_some()
    }

    /// When it is to be settled.
    pub(super) fn due(&self) -> Option<Instant> {
        self.later.into_iter().chain(self.turned).min()
    }

    /// Whether it is to be settled now; `others` have said something and wait to be heard.
    pub(super) fn is_due(&self, now: Instant, others: bool) -> bool {
        self.due().is_some_and(|due| due + if others { HEARD } else { Duration::ZERO } <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of these was a round over all VIPs: of 100,000 reals that are all well the last one got its packets hours later.
    #[test]
    fn what_many_checks_say_is_one_change() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let mut unsettled = Unsettled::default();
        // Each says so one millisecond after the other; to settle takes a second, and many wait meanwhile.
        let (mut now, mut rounds) = (0, Vec::new());
        for check in 0..10_000 {
            now = now.max(check);
            if unsettled.is_due(at(now), now > check) {
                unsettled.until(None);
                rounds.push(now);
                now += 1000;
            }
            unsettled.turned(at(now));
        }
        assert!(unsettled.has_turned());
        assert_eq!((rounds[0], rounds.len()), (50, 10));
    }

    #[test]
    fn what_is_due_first_is_due() {
        let now = Instant::now();
        let later = now + Duration::from_secs(5);
        let mut unsettled = Unsettled::default();
        assert_eq!(unsettled.due(), None);
        unsettled.until(Some(later));
        assert!(unsettled.due() == Some(later) && !unsettled.has_turned());
        unsettled.turned(now);
        unsettled.turned(now + TOGETHER / 2);
        assert_eq!(unsettled.due(), Some(now + TOGETHER), "the first one does not wait for others that come");
        assert!(!unsettled.is_due(now, false) && unsettled.is_due(now + TOGETHER, false));
        // Those who have spoken are heard first, but not for ever.
        assert!(!unsettled.is_due(now + TOGETHER, true) && unsettled.is_due(now + TOGETHER + HEARD, true));
        unsettled.until(Some(later));
        assert_eq!(unsettled.due(), Some(later));
    }
}

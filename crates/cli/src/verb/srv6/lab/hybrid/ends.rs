//! Both ends of the links, while something is tried between them.

use super::built::Built;
use crate::{
    failure::Failure,
    verb::srv6::hybrid::{Daemon, Known},
};
use std::{
    panic::resume_unwind,
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Who waits for the ends to know something gives up after that time.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often ends say what they know.
const OFTEN: Duration = Duration::from_millis(20);

/// What the ends know, as of just now.
#[derive(Default)]
pub(super) struct Watch {
    known: Mutex<[Vec<Known>; 2]>,
    changed: Condvar,
    stop: AtomicBool,
}

impl Watch {
    /// What each end knows of its links.
    pub(super) fn known(&self) -> [Vec<Known>; 2] {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until something is so, and both ends have begun; says whether it came to that.
    pub(super) fn until(&self, so: impl Fn(&[Vec<Known>; 2]) -> bool) -> bool {
        let not_yet =
            |known: &mut [Vec<Known>; 2]| !self.stop.load(Relaxed) && (known.iter().any(Vec::is_empty) || !so(known));
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(known, PATIENCE, not_yet);
        let (known, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(known);
        !timeout.timed_out() && !self.stop.load(Relaxed)
    }

    fn say(&self, end: usize, known: Vec<Known>) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)[end] = known;
        self.changed.notify_all();
    }

    /// Whoever waits does so no longer, and the ends end.
    fn end(&self) {
        let _known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.stop.store(true, Relaxed);
        self.changed.notify_all();
    }
}

/// Does something while both ends spread packets over these links.
pub(super) fn between<T>(
    lab: &Built,
    links: &[usize],
    compensated: bool,
    work: impl FnOnce(&Watch) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let watch = &Watch::default();
    thread::scope(|scope| {
        let ends = [0, 1].map(|end| {
            scope.spawn(move || {
                let hold = |number: usize, longer| lab.network.carrier(lab.links[links[number]]).hold(end, longer);
                let done = lab.network.at(lab.ends[end], || -> Result<(), Failure> {
                    let mut daemon = Daemon::new(&Built::config(end, links)?, compensated.then_some(&hold))?;
                    let mut said = Instant::now();
                    while !watch.stop.load(Relaxed) {
                        daemon.turn()?;
                        if said.elapsed() >= OFTEN {
                            said = Instant::now();
                            watch.say(end, daemon.known()?);
                        }
                    }
                    Ok(())
                });
                watch.end();
                links.iter().for_each(|link| lab.network.carrier(lab.links[*link]).hold(end, Duration::ZERO));
                done?
            })
        });
        let done = work(watch);
        watch.end();
        // Why an end has failed says more than what became of the work by that.
        for end in ends {
            end.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        }
        done
    })
}

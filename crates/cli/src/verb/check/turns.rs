//! Several programs judged at a time, and given one after the other, in their order: whoever is done waits until it is
//! nearly its turn, so that no more verdicts, logs and facts are held than there are threads.
//!
//! All of them share the memory that a check may take. Those at work side by side have little of it each. What that is not
//! enough for, or is large from the start, is judged when its turn has come, and has all the rest: so the verdict is the
//! same however many are judged at a time.

use super::judge::{Judged, Task};
use crate::failure::Failure;
use alveary_diag::Diagnostic;
use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// Of the memory that there is, the part that those side by side share; what is judged in its turn has the rest.
const SHARED: usize = 5;
/// Slots of a program from which on it waits for its turn.
const LARGE: usize = 1 << 16;

/// A verdict; none if that has to wait for its turn.
type Done = Option<Result<Judged, Diagnostic>>;

/// How far they are.
#[derive(Default)]
struct Progress {
    /// The next one that nobody has begun.
    next: usize,
    /// The one whose turn it is.
    turn: usize,
    done: BTreeMap<usize, Done>,
    /// Nobody asks for more.
    ended: bool,
}

#[derive(Default)]
struct Turns {
    progress: Mutex<Progress>,
    changed: Condvar,
}

/// Judges the programs of these names of each task, as many side by side as there are `workers`, within so many bytes of
/// memory; `each` gets them in this order.
pub(super) fn all(
    tasks: &[(Task<'_>, Vec<String>)],
    workers: usize,
    memory: usize,
    mut each: impl FnMut(Judged) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let work: Vec<(&Task<'_>, &str)> =
        tasks.iter().flat_map(|(task, names)| names.iter().map(move |name| (task, &**name))).collect();
    let workers = workers.min(work.len());
    let shared = memory / SHARED;
    // All the rest also where nobody works side by side, so that the verdict is the same.
    let rest = memory - shared;
    let turns = Turns::default();
    thread::scope(|scope| {
        if workers > 1 {
            for _ in 0..workers {
                scope.spawn(|| turns.help(&work, workers, shared / workers));
            }
        }
        let done = work.iter().enumerate().try_for_each(|(at, (task, name))| {
            let early = if workers > 1 { turns.take(at) } else { None };
            each(early.unwrap_or_else(|| task.alone(name, rest))?)
        });
        turns.end();
        done
    })
}

impl Turns {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, progress: MutexGuard<'a, Progress>) -> MutexGuard<'a, Progress> {
        self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges one after the other, as one of so many `workers`, within so many bytes of memory.
    fn help(&self, work: &[(&Task<'_>, &str)], workers: usize, memory: usize) {
        let _nobody_waits_in_vain = EndOnPanic(self);
        loop {
            let at = {
                let mut progress = self.progress();
                while !progress.ended && progress.next >= progress.turn + workers {
                    progress = self.wait(progress);
                }
                if progress.ended {
                    return;
                }
                progress.next += 1;
                progress.next - 1
            };
            let Some((task, name)) = work.get(at) else { return };
            let done = (task.slots(name) < LARGE)
                .then(|| task.one(name, memory))
                .filter(|done| !matches!(done, Ok(judged) if judged.exceeded));
            self.progress().done.insert(at, done);
            self.changed.notify_all();
        }
    }

    /// The verdict whose turn has come; none if it waited for that.
    fn take(&self, at: usize) -> Done {
        let mut progress = self.progress();
        loop {
            if progress.ended {
                return None;
            }
            if let Some(done) = progress.done.remove(&at) {
                progress.turn = at + 1;
                self.changed.notify_all();
                return done;
            }
            progress = self.wait(progress);
        }
    }

    fn end(&self) {
        self.progress().ended = true;
        self.changed.notify_all();
    }
}

/// Ends all of it when a thread panics.
struct EndOnPanic<'a>(&'a Turns);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end();
        }
    }
}

//! Engines run in turns: what else the machine does then meets all of them alike.

use std::time::Duration;

/// One kernel on one engine.
pub(crate) trait Runs {
    /// Runs it so many times: what it returned last.
    fn run(&mut self, times: u32) -> Result<u32, String>;

    /// How long it runs so many times, by what the thread has run for: others may have the CPU in between.
    fn time(&mut self, times: u32) -> Result<Duration, String> {
        let start = cpu_time();
        self.run(times)?;
        Ok(cpu_time().saturating_sub(start))
    }
}

/// What this thread has run for so far.
pub(crate) fn cpu_time() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes the time to where it is told.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// How long it is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    pub(crate) count: usize,
    /// What an engine runs for in each.
    pub(crate) batch: Duration,
}

/// Nanoseconds a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    /// In the fastest round.
    pub(crate) least: f64,
    /// In the middle one.
    pub(crate) median: f64,
}

impl Rounds {
    /// Measures all that are there.
    pub(crate) fn measure(self, engines: &mut [Option<Box<dyn Runs>>]) -> Result<Vec<Option<Time>>, String> {
        let mut repeats = vec![];
        for engine in engines.iter_mut() {
            repeats.push(engine.as_mut().map_or(Ok(0), |engine| self.repeats(engine.as_mut()))?);
        }
        let mut times = vec![vec![]; engines.len()];
        for _ in 0..self.count {
            for ((engine, repeats), times) in engines.iter_mut().zip(&repeats).zip(&mut times) {
                if let Some(engine) = engine {
                    times.push(engine.time(*repeats)?.as_nanos() as f64 / f64::from(*repeats));
                }
            }
        }
        Ok(times.into_iter().map(summary).collect())
    }

    /// How often an engine runs to fill a batch.
    fn repeats(self, engine: &mut dyn Runs) -> Result<u32, String> {
        let mut repeats = 1;
        while engine.time(repeats)? < self.batch {
            repeats *= 2;
        }
        Ok(repeats)
    }
}

fn summary(mut times: Vec<f64>) -> Option<Time> {
    times.sort_by(f64::total_cmp);
    Some(Time { least: *times.first()?, median: times[times.len() / 2] })
}

//! Proven programs by the interpreter and as native code, held against each other: what they return, what they leave of
//! packets and contexts, what is in the maps then.
//!
//! Each engine has a runtime of its own, with the same seed and the same draws. What differs by addresses alone differs
//! between interpreters, too, and is counted apart (`pair`). With `--kernel`, what the kernel takes runs there, too.

use super::{Bench, Wanted, pair::Pair};
use std::{
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// How often it is looked whether a program takes long.
const LOOK: Duration = Duration::from_secs(10);
/// And how often said how many have run.
const SAY: Duration = Duration::from_secs(300);

/// What came of many programs.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) programs: u64,
    /// Those that are proven, and ran on both.
    pub(crate) ran: u64,
    /// Runs of these that ended in a trap, by both.
    pub(crate) traps: u64,
    /// Programs whose results depend on where things are.
    pub(crate) addresses: u64,
    /// Programs that were left out, because a run of them takes long.
    pub(crate) long: u64,
    /// Those that ran on the kernel, too.
    pub(crate) kernel: u64,
    pub(crate) findings: Vec<String>,
}

impl Compared {
    fn add(&mut self, other: Compared) {
        self.programs += other.programs;
        self.ran += other.ran;
        self.traps += other.traps;
        self.addresses += other.addresses;
        self.long += other.long;
        self.kernel += other.kernel;
        self.findings.extend(other.findings);
    }

    pub(crate) fn print(&self, time: Duration) {
        let Compared { programs, ran, traps, addresses, long, kernel, findings } = self;
        println!("{programs} programs, {ran} proven and run by the interpreter and as native code, in {time:.0?}");
        println!("{traps} runs trapped, {addresses} programs depend on addresses, {long} take too long");
        println!("{} findings", findings.len());
        if *kernel > 0 {
            println!("{kernel} of them ran on the kernel, too");
        }
        for finding in findings {
            println!("\n{finding}");
        }
    }
}

/// Seeds from the first on, until enough programs ran.
pub(crate) fn hold(wanted: &Wanted) -> Result<Compared, String> {
    let bench = Bench::new(wanted)?;
    let (next, ran) = (AtomicU64::new(wanted.seed), AtomicU64::new(0));
    let at: Vec<AtomicU64> = (0..wanted.threads).map(|_| AtomicU64::new(wanted.seed)).collect();
    thread::scope(|scope| {
        let (working, ended) = channel::<()>();
        let work = |at| {
            let (bench, next, ran, working) = (&bench, &next, &ran, working.clone());
            move || {
                // Given up when this thread ends, however it does.
                let _working = working;
                let mut pair = Pair::new(bench, wanted)?;
                let mut compared = Compared::default();
                while ran.load(Ordering::Relaxed) < wanted.count && compared.findings.len() < wanted.findings {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    AtomicU64::store(at, seed, Ordering::Relaxed);
                    if pair.one(bench, wanted, seed, &mut compared)? {
                        ran.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Ok::<Compared, String>(compared)
            }
        };
        let threads: Vec<_> = at.iter().map(|at| scope.spawn(work(at))).collect();
        drop(working);
        let (at, ran) = (&at, &ran);
        scope.spawn(move || watch(at, ran, &ended));
        let mut sum = Compared::default();
        for thread in threads {
            sum.add(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok(sum)
    })
}

/// Says which programs take long, and how many have run, until all threads have ended. `at`: the seed that each is at.
fn watch(at: &[AtomicU64], ran: &AtomicU64, ended: &Receiver<()>) {
    let seeds = || at.iter().map(|seed| seed.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let start = Instant::now();
    let (mut before, mut said) = (seeds(), Duration::ZERO);
    while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let now = seeds();
        for seed in now.iter().zip(&before).filter(|(now, before)| now == before).map(|(seed, _)| seed) {
            eprintln!("seed {seed} takes long: the same as {LOOK:.0?} before");
        }
        before = now;
        if start.elapsed() - said >= SAY {
            said = start.elapsed();
            eprintln!("{said:.0?}: {} ran, at seed {}", ran.load(Ordering::Relaxed), before.iter().max().unwrap_or(&0));
        }
    }
}

//! Proven programs by the interpreter and as native code, held against each other: what they return, what they leave of
//! packets and contexts, what is in the maps then.
//!
//! Each engine has a runtime of its own, with the same seed and the same draws. What differs by addresses alone differs
//! between two interpreters, too, and is counted apart.

use super::{
    Bench, Wanted,
    machine::{self, Machine},
    text,
};
use alveary_runtime::{Engine, Passes};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

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
    pub(crate) findings: Vec<String>,
}

impl Compared {
    fn add(&mut self, other: Compared) {
        self.programs += other.programs;
        self.ran += other.ran;
        self.traps += other.traps;
        self.addresses += other.addresses;
        self.findings.extend(other.findings);
    }

    pub(crate) fn print(&self, time: Duration) {
        let Compared { programs, ran, traps, addresses, findings } = self;
        println!("{programs} programs, {ran} proven and run by the interpreter and as native code, in {time:.0?}");
        println!("{traps} runs trapped, {addresses} programs depend on addresses, {} findings", findings.len());
        for finding in findings {
            println!("\n{finding}");
        }
    }
}

/// Seeds from the first on, until enough programs ran.
pub(crate) fn hold(wanted: &Wanted) -> Result<Compared, String> {
    let bench = Bench::new(wanted)?;
    let (next, ran) = (AtomicU64::new(wanted.seed), AtomicU64::new(0));
    thread::scope(|scope| {
        let work = |thread: u32| {
            let (bench, next, ran) = (&bench, &next, &ran);
            move || {
                let mut pair = Pair::new(bench, wanted.passes, wanted.seed.wrapping_add(u64::from(thread) << 32))?;
                let mut compared = Compared::default();
                while ran.load(Ordering::Relaxed) < wanted.count && compared.findings.len() < wanted.findings {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if pair.one(bench, seed, wanted.rounds, &mut compared)? {
                        ran.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Ok::<Compared, String>(compared)
            }
        };
        let threads: Vec<_> = (0..wanted.threads).map(|thread| scope.spawn(work(thread))).collect();
        let mut sum = Compared::default();
        for thread in threads {
            sum.add(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok(sum)
    })
}

/// The two engines.
struct Pair {
    interpreted: Machine,
    native: Machine,
    passes: Passes,
}

impl Pair {
    fn new(bench: &Bench, passes: Passes, seed: u64) -> Result<Pair, String> {
        let [interpreted, native] = [Engine::Interp, Engine::Jit].map(|engine| machine(bench, engine, passes, seed));
        Ok(Pair { interpreted: interpreted?, native: native?, passes })
    }

    /// Runs a program on both; whether it is proven.
    fn one(&mut self, bench: &Bench, seed: u64, rounds: usize, compared: &mut Compared) -> Result<bool, String> {
        let mut made = bench.generator.program(seed);
        made.program.name = seed.to_string().into();
        let program = Arc::new(made.program);
        compared.programs += 1;
        if !machine::runs(program.ty) {
            return Ok(false);
        }
        let Some(interpreted) = self.interpreted.see(&program, rounds)? else { return Ok(false) };
        let native = self.native.see(&program, rounds)?.ok_or_else(|| format!("seed {seed} is proven only once"))?;
        compared.ran += 1;
        if interpreted == native {
            compared.traps += interpreted.traps();
            return Ok(true);
        }
        // Anew, nothing is left of programs before this one. All three stay, so that no two have the same addresses.
        let engines =
            [Engine::Interp, Engine::Interp, Engine::Jit].map(|engine| machine(bench, engine, self.passes, seed));
        let [mut one, mut other, mut native_anew] = engines;
        let see = |machine: &mut Result<Machine, String>| {
            let machine = machine.as_mut().map_err(|why| why.clone())?;
            machine.see(&program, 50)?.ok_or_else(|| format!("seed {seed} is proven only once"))
        };
        let (one, other, native_anew) = (see(&mut one)?, see(&mut other)?, see(&mut native_anew)?);
        if one != other {
            compared.addresses += 1;
        } else {
            let (one, native) = if one == native_anew { (interpreted, native) } else { (one, native_anew) };
            compared.findings.push(format!("seed {seed}: {}\n{}", one.difference(&native), text(&program)));
        }
        *self = Pair::new(bench, self.passes, seed)?;
        Ok(true)
    }
}

fn machine(bench: &Bench, engine: Engine, passes: Passes, seed: u64) -> Result<Machine, String> {
    let runtime = machine::runtime(bench.kernel.clone(), seed, engine, passes);
    Machine::new(&runtime, 0, bench.specs(), seed)
}

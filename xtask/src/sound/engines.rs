//! Proven programs by the interpreter and as native code, held against each other: what they return, what they leave of
//! packets and contexts, what is in the maps then.
//!
//! Each engine has a runtime of its own, with the same seed and the same draws. What differs by addresses alone differs
//! between two interpreters, too, and is counted apart. With `--kernel`, what the kernel takes runs there, too.

use super::{
    Bench, Wanted,
    machine::{self, Ended, Machine, Seen},
    running::{Running, Taken},
    text,
};
use alveary_isa::{Inst, encode};
use alveary_runtime::Engine;
use alveary_spec::Program;
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
        self.kernel += other.kernel;
        self.findings.extend(other.findings);
    }

    pub(crate) fn print(&self, time: Duration) {
        let Compared { programs, ran, traps, addresses, kernel, findings } = self;
        println!("{programs} programs, {ran} proven and run by the interpreter and as native code, in {time:.0?}");
        println!("{traps} runs trapped, {addresses} programs depend on addresses, {} findings", findings.len());
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
    thread::scope(|scope| {
        let work = |thread: u32| {
            let (bench, next, ran) = (&bench, &next, &ran);
            move || {
                let mut pair = Pair::new(bench, wanted, wanted.seed.wrapping_add(u64::from(thread) << 32))?;
                let mut compared = Compared::default();
                while ran.load(Ordering::Relaxed) < wanted.count && compared.findings.len() < wanted.findings {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if pair.one(bench, wanted, seed, &mut compared)? {
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

/// The shortest packet that the kernel runs programs on.
const SHORTEST: usize = 15;

/// Rounds of loops by helpers that a run may take: the kernel takes all of them, the engines stop at the same one.
const FEW: u64 = 1 << 10;

/// Instructions that a run takes at most; `may_goto` alone makes programs that take more.
const LONG: u64 = 1 << 16;

/// How many times 50 runs two interpreters have to agree, before a difference is not for addresses: it may show in few runs,
/// those that happen to read the one byte of a pointer that is elsewhere.
const MANY: usize = 40;

/// The two engines, and the kernel if that is asked for.
struct Pair {
    /// Sees which programs take too long.
    scout: Machine,
    interpreted: Machine,
    native: Machine,
    kernel: Option<Running>,
}

impl Pair {
    fn new(bench: &Bench, wanted: &Wanted, seed: u64) -> Result<Pair, String> {
        let machine = |engine| machine(bench, wanted, engine, seed);
        let kernel = || Running::new(bench.specs(), &bench.generator.program(0));
        let kernel = if wanted.kernel { Some(kernel()?) } else { None };
        let scout = machine(Engine::Interp)?.budget(LONG);
        Ok(Pair { scout, interpreted: machine(Engine::Interp)?, native: machine(Engine::Jit)?, kernel })
    }

    /// Runs a program on all; whether it is proven, and taken by the kernel if that is asked.
    fn one(&mut self, bench: &Bench, wanted: &Wanted, seed: u64, compared: &mut Compared) -> Result<bool, String> {
        let mut made = bench.generator.program(seed);
        made.program.name = seed.to_string().into();
        let program = Arc::new(made.program);
        compared.programs += 1;
        if !machine::runs(program.ty)
            || may_go(&program) && matches!(self.scout.run(&program, None, 2), Ok(Ended::Long))
        {
            return Ok(false);
        }
        let taken = match &mut self.kernel {
            None => None,
            Some(kernel) => match kernel.take(&program)? {
                None => return Ok(false),
                taken => taken,
            },
        };
        let Some(interpreted) = self.interpreted.see(&program, wanted.rounds)? else { return Ok(false) };
        let proven_once = || format!("seed {seed} is proven only once");
        let native = self.native.see(&program, wanted.rounds)?.ok_or_else(proven_once)?;
        compared.ran += 1;
        let theirs = self.on_kernel(taken.as_ref(), &interpreted)?;
        compared.kernel += u64::from(theirs.is_some());
        let same = theirs.as_ref().is_none_or(|(ours, theirs)| ours == theirs);
        if interpreted == native && same {
            compared.traps += interpreted.traps();
            return Ok(true);
        }
        // Anew, nothing is left of programs before this one. All three stay, so that no two have the same addresses.
        let anew = |engine| machine(bench, wanted, engine, seed);
        let (mut one, mut other, mut native_anew) = (anew(Engine::Interp)?, anew(Engine::Interp)?, anew(Engine::Jit)?);
        let see = |machine: &mut Machine| machine.see(&program, 50)?.ok_or_else(proven_once);
        let (mut seen, native_anew) = ((see(&mut one)?, see(&mut other)?), see(&mut native_anew)?);
        let begun = seen.0.clone();
        for _ in 1..MANY {
            if seen.0 != seen.1 {
                break;
            }
            seen = (see(&mut one)?, see(&mut other)?);
        }
        let addresses = seen.0 != seen.1;
        let one = begun;
        if addresses {
            compared.addresses += 1;
        } else if interpreted != native {
            let (one, native) = if one == native_anew { (interpreted, native) } else { (one, native_anew) };
            compared.findings.push(finding(seed, &one.difference(&native, "native"), &program));
        } else if let Some((ours, theirs)) = theirs {
            compared.findings.push(finding(seed, &ours.difference(&theirs, "by the kernel"), &program));
        }
        *self = Pair::new(bench, wanted, seed)?;
        Ok(true)
    }

    /// What the interpreter did and what the kernel did, as far as both can be compared.
    fn on_kernel(&mut self, taken: Option<&Taken>, interpreted: &Seen) -> Result<Option<(Seen, Seen)>, String> {
        let (Some(kernel), Some(taken)) = (&mut self.kernel, taken) else { return Ok(None) };
        let theirs = kernel.replay(taken, self.interpreted.script())?;
        Ok(theirs.map(|theirs| (kernel.comparable(interpreted.clone()), theirs)))
    }
}

/// Whether a program has a `may_goto`: it may go round 8 million times.
fn may_go(program: &Program) -> bool {
    let may_goto = encode(&Inst::MayGoto { off: 0 });
    program.insns.iter().any(|insn| may_goto.iter().any(|other| other.op == insn.op))
}

fn finding(seed: u64, difference: &str, program: &Program) -> String {
    format!("seed {seed}: {difference}\n{}", text(program))
}

fn machine(bench: &Bench, wanted: &Wanted, engine: Engine, seed: u64) -> Result<Machine, String> {
    let runtime = machine::runtime(bench.kernel.clone(), seed, engine, wanted.passes);
    let machine = Machine::new(&runtime, 0, bench.specs(), seed)?;
    Ok(if wanted.kernel { machine.shortest(SHORTEST) } else { machine.budget(FEW) })
}

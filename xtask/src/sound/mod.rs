//! `cargo xtask sound`: programs are generated; those that our verifier accepts run checked, over drawn packets and map
//! contents. A trap is a fault of the verifier.
//!
//! With `--engines`, proven programs run trusted, interpreted and native, and must do the same; `--only` and `--without`
//! say which of the passes are made over native code. With `--kernel` besides, so must the running kernel.
//!
//! Built for release unless `--here` is given. With `--kernel`, as root, the running kernel judges them, too.

mod engines;
mod facts;
mod kernel;
mod machine;
mod pair;
mod running;
mod tally;
#[cfg(test)]
mod tests;

use crate::{
    Outcome,
    agree::{DROPPED, trace, verdict::family, without_rights},
    process,
};
use alveary_abi::ProgType;
use alveary_isa::decode;
use alveary_runtime::{Engine, Fault, Pass, Passes};
use alveary_spec::{MapSpec, Program};
use alveary_testing::{Generated, Generator, bpf, map_names, maps};
use alveary_verifier::{Caps, Env, LogLevel, Report, Verdict, check, prove};
use facts::Holder;
use machine::{Ended, Machine, ROUNDS};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};
use tally::{Difference, Tally};

const USAGE: &str = "[--here] [--count N] [--seed N] [-j N] [--rounds N] [--findings N] [--show] [--kernel] [--facts] \
                     [--short] [--engines [--only PASS | --without PASS]]";

/// Types that programs are generated for.
const TYPES: [ProgType; 5] =
    [ProgType::XDP, ProgType::SCHED_CLS, ProgType::SCHED_ACT, ProgType::SOCKET_FILTER, ProgType::CGROUP_SKB];

/// Those that run.
const RUN: &[ProgType] = &[ProgType::XDP, ProgType::SCHED_CLS, ProgType::SCHED_ACT, ProgType::SOCKET_FILTER];

/// Instructions that a verification may take: what is longer is given up, so that there is time for many.
const LIMIT: u32 = 20_000;

/// What is asked for.
#[derive(Clone, Debug)]
struct Wanted {
    /// Accepted programs.
    count: u64,
    seed: u64,
    threads: u32,
    /// How often each runs.
    rounds: usize,
    /// Findings after which it ends.
    findings: usize,
    /// Print the program of the seed and what is said of it.
    show: bool,
    kernel: bool,
    /// Hold what is proven of each instruction against the runs.
    facts: bool,
    /// Hold the engines against each other, nothing else.
    engines: bool,
    /// Three of four programs are short.
    short: bool,
    /// What is made over native code.
    passes: Passes,
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted {
            count: 10_000,
            seed: 1,
            threads: 1,
            rounds: ROUNDS,
            findings: 10,
            show: false,
            kernel: false,
            facts: false,
            engines: false,
            short: false,
            passes: Passes::ALL,
        }
    }
}

/// `cargo xtask sound`.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let Some(at) = arguments.iter().position(|a| a == "--here") else {
        let mut release =
            process::cargo(&["run", "--release", "--quiet", "--package", "xtask", "--", "sound", "--here"]);
        return process::run(release.args(arguments));
    };
    let wanted = parse(arguments.iter().take(at).chain(&arguments[at + 1..]))?;
    if wanted.kernel && !process::is_root() {
        return Err("the kernel verifies nothing for users: run it as root".into());
    }
    if wanted.show {
        return show(&wanted);
    }
    if wanted.kernel && wanted.engines {
        if wanted.threads > 1 {
            return Err("the kernel runs programs on one CPU, and so has one thread".into());
        }
        if !arguments.iter().any(|a| a == DROPPED) {
            let caps = Caps { bpf: true, net_admin: true, ..Caps::NONE };
            return process::run(&mut without_rights("sound", caps, arguments)?);
        }
    }
    let start = Instant::now();
    if wanted.engines {
        let compared = engines::hold(&wanted)?;
        compared.print(start.elapsed());
        let findings = compared.findings.len();
        return if findings == 0 { Ok(()) } else { Err(format!("{findings} findings")) };
    }
    let tally = hold(&wanted)?;
    tally.print(start.elapsed());
    if tally.findings.is_empty() { Ok(()) } else { Err(format!("{} findings", tally.findings.len())) }
}

fn parse<'a>(mut arguments: impl Iterator<Item = &'a String>) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    while let Some(argument) = arguments.next() {
        if let "--only" | "--without" = argument.as_str() {
            let name = arguments.next().map_or("", String::as_str);
            let pass = Pass::named(name).ok_or_else(|| {
                let names: Vec<&str> = Pass::all().map(Pass::name).collect();
                format!("no pass `{name}`; there are {}", names.join(", "))
            })?;
            wanted.passes = if argument == "--only" { Passes::only(pass) } else { wanted.passes.without(pass) };
            continue;
        }
        let mut number = || {
            let text = arguments.next().ok_or_else(|| format!("{argument} needs a value; takes {USAGE}"))?;
            text.parse::<u64>().map_err(|_| format!("{argument} takes a number"))
        };
        match argument.as_str() {
            "--count" => wanted.count = number()?,
            "--seed" => wanted.seed = number()?,
            "-j" => wanted.threads = number()?.clamp(1, 64) as u32,
            "--rounds" => wanted.rounds = number()? as usize,
            "--findings" => wanted.findings = number()?.max(1) as usize,
            "--show" => wanted.show = true,
            "--kernel" => wanted.kernel = true,
            "--facts" => wanted.facts = true,
            "--engines" => wanted.engines = true,
            "--short" => wanted.short = true,
            DROPPED => {}
            other => return Err(format!("no option {other}; takes {USAGE}")),
        }
    }
    Ok(wanted)
}

/// What is the same for every program.
struct Bench {
    generator: Generator,
    runtime: Arc<alveary_runtime::Runtime>,
    kernel: alveary_spec::Kernel,
    maps: BTreeMap<String, MapSpec>,
    theirs: Option<kernel::Kernel>,
}

impl Bench {
    fn new(wanted: &Wanted) -> Result<Bench, String> {
        let cpus = if wanted.kernel { bpf::possible_cpus() } else { 1 };
        let mut kernel = alveary_testing::kernel(cpus.max(wanted.threads));
        if !wanted.kernel || wanted.engines {
            kernel.profile.limits.insns = LIMIT;
        }
        let runtime = machine::runtime(kernel.clone(), wanted.seed, Engine::Interp, Passes::ALL);
        let beside_kernel = wanted.engines && wanted.kernel;
        let types = if wanted.engines { RUN } else { &TYPES };
        let generator = Generator::new(types, |ty, needs| {
            machine::can(&runtime, ty, needs) && (!beside_kernel || running::can(needs))
        });
        let generator = if wanted.engines { generator.careful() } else { generator };
        let generator = if wanted.short { generator.short_too() } else { generator };
        let generator = if beside_kernel { generator.filling_frames() } else { generator };
        let bench = Bench { generator, runtime, kernel, maps: maps(), theirs: None };
        let theirs = if wanted.kernel && !wanted.engines {
            Some(kernel::Kernel::new(&bench.specs(), &bench.generator.program(0))?)
        } else {
            None
        };
        Ok(Bench { theirs, ..bench })
    }

    fn specs(&self) -> Vec<MapSpec> {
        map_names().iter().map(|name| self.maps[name].clone()).collect()
    }

    fn machine(&self, thread: u32, seed: u64) -> Result<Machine, String> {
        Machine::new(&self.runtime, thread, self.specs(), seed.wrapping_add(u64::from(thread) << 32))
    }

    fn check(&self, program: &Program) -> Report {
        check(program, &Env::new(&self.kernel, &self.maps))
    }

    /// Whether the program would run trusted.
    fn proves(&self, program: &Arc<Program>) -> bool {
        prove(program.clone(), &Env::new(&self.kernel, &self.maps)).is_ok()
    }

    /// Who holds the facts of an accepted program.
    fn holder(&self, program: &Arc<Program>) -> Result<Option<Arc<Mutex<Holder>>>, String> {
        match prove(program.clone(), &Env::new(&self.kernel, &self.maps)) {
            Ok(verified) => Ok(Some(Arc::new(Mutex::new(Holder::new(program.clone(), verified.facts().clone()))))),
            Err(report) => match report.verdict {
                // What is not proven although it is accepted has a reason.
                Verdict::Refused { .. } => Ok(None),
                other => Err(format!("accepted, but not proven: {other:?}\n{}", text(program))),
            },
        }
    }

    /// The steps that a run may take, if verification tells.
    fn steps(made: &Generated, report: &Report) -> Option<u64> {
        made.bounded.then_some(u64::from(report.stats.insns_processed))
    }
}

/// Seeds from the first on, until enough programs are accepted.
fn hold(wanted: &Wanted) -> Result<Tally, String> {
    let bench = Bench::new(wanted)?;
    let (next, accepted) = (AtomicU64::new(wanted.seed), AtomicU64::new(0));
    thread::scope(|scope| {
        let work = |thread| {
            let (bench, next, accepted) = (&bench, &next, &accepted);
            move || {
                let mut machine = bench.machine(thread, wanted.seed)?;
                let mut tally = Tally::default();
                while accepted.load(Ordering::Relaxed) < wanted.count && tally.findings.len() < wanted.findings {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if one(bench, &mut machine, seed, wanted, &mut tally)? {
                        accepted.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Ok::<Tally, String>(tally)
            }
        };
        let threads: Vec<_> = (0..wanted.threads).map(|thread| scope.spawn(work(thread))).collect();
        let mut sum = Tally::default();
        for thread in threads {
            sum.add(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok(sum)
    })
}

/// One program; whether it is accepted.
fn one(bench: &Bench, machine: &mut Machine, seed: u64, wanted: &Wanted, tally: &mut Tally) -> Result<bool, String> {
    let mut made = bench.generator.program(seed);
    made.program.name = seed.to_string().into();
    let report = bench.check(&made.program);
    tally.programs += 1;
    let ours = match &report.verdict {
        Verdict::Accept => Ok(()),
        Verdict::Reject(why) => Err(family(why.message.lines().next_back().unwrap_or_default())),
        Verdict::Refused { reason, .. } => {
            *tally.refused.entry(reason.clone()).or_default() += 1;
            return Ok(false);
        }
    };
    if let Some(kernel) = &bench.theirs {
        compare(kernel, &made.program, seed, &ours, tally);
    }
    if let Err(reason) = ours {
        *tally.rejected.entry(reason).or_default() += 1;
        return Ok(false);
    }
    tally.accepted += 1;
    tally.count(&made.program);
    if !machine::runs(made.program.ty) {
        tally.judged_only += 1;
        return Ok(true);
    }
    let program = Arc::new(made.program.clone());
    let holder = if wanted.facts { bench.holder(&program)? } else { None };
    machine.hold(holder.as_ref());
    let ended = machine.run(&program, Bench::steps(&made, &report), wanted.rounds);
    machine.hold(None);
    if let Some(holder) = holder {
        let holder = holder.lock().unwrap_or_else(PoisonError::into_inner);
        tally.facts += holder.held;
        let found = |broken: &String| format!("seed {seed}: {broken}\n{}", text(&made.program));
        tally.findings.extend(holder.broken.as_ref().map(found));
    }
    match ended {
        Ok(Ended::Well(insns)) => tally.insns += insns,
        Ok(Ended::Long) => tally.long += 1,
        // What Linux lets through and no proof does.
        Ok(Ended::Trapped(fault)) if !bench.proves(&fault.program) => {
            *tally.unproven.entry(fault_kind(&fault)).or_default() += 1
        }
        Ok(Ended::Trapped(fault)) => tally.findings.push(finding(bench, machine, &made, seed, &fault)),
        Err(refused) => *tally.refused.entry(refused).or_default() += 1,
    }
    Ok(true)
}

fn compare(kernel: &kernel::Kernel, program: &Program, seed: u64, ours: &Result<(), String>, tally: &mut Tally) {
    let Some(mut theirs) = kernel.accepts(program) else { return };
    let mut refusal = None;
    if ours.is_ok() != theirs {
        refusal = kernel.refuses(program);
        theirs = refusal.is_none();
    }
    tally.kernel[0] += 1;
    tally.kernel[1] += u64::from(theirs);
    match (ours, refusal) {
        (Ok(()), Some(why)) => Difference::add(&mut tally.only_ours, family(&why), seed),
        (Err(reason), None) if theirs => Difference::add(&mut tally.only_theirs, reason.clone(), seed),
        _ => {}
    }
}

/// A trap, and the smallest program that still shows it.
fn finding(bench: &Bench, machine: &mut Machine, made: &Generated, seed: u64, fault: &Fault) -> String {
    let where_from = format!("seed {seed}: program {} trapped: {}", fault.program.name, fault.diagnostic());
    let trapped = |program: &Program, machine: &mut Machine| {
        let report = bench.check(program);
        let program = Arc::new(program.clone());
        let steps = Bench::steps(made, &report);
        report.verdict == Verdict::Accept
            && bench.proves(&program)
            && matches!(machine.run(&program, steps, 200), Ok(Ended::Trapped(_)))
    };
    let smallest = made.shrink(|program| trapped(program, machine));
    format!("{where_from}\n{}", text(&smallest))
}

fn fault_kind(fault: &Fault) -> String {
    family(&fault.diagnostic().message)
}

/// A program as text.
fn text(program: &Program) -> String {
    let mut text = format!("type {:?}, functions {:?}\n", program.ty, program.subprogs);
    let mut at = 0;
    while let Ok(inst) = decode(&program.insns, at) {
        text += &format!("{at:>4}: {inst}\n");
        at += inst.slots();
    }
    text
}

/// Prints one program and what is said of it.
fn show(wanted: &Wanted) -> Outcome {
    let bench = Bench::new(wanted)?;
    let mut machine = bench.machine(0, wanted.seed)?;
    let made = bench.generator.program(wanted.seed);
    print!("{}", text(&made.program));
    let report = bench.check(&made.program);
    println!("we: {:?}", report.verdict);
    if let Some(kernel) = &bench.theirs {
        println!("the kernel: {}", kernel.refuses(&made.program).unwrap_or_else(|| "Accept".to_owned()));
        let env = Env { log: LogLevel::ALL, ..Env::new(&bench.kernel, &bench.maps) };
        trace::print("logs", &kernel.log(&made.program), &check(&made.program, &env).log);
    }
    if report.verdict == Verdict::Accept && machine::runs(made.program.ty) {
        match machine.run(&Arc::new(made.program.clone()), Bench::steps(&made, &report), wanted.rounds)? {
            Ended::Well(insns) => println!("ran {insns} instructions in {} runs", wanted.rounds),
            Ended::Long => println!("ran beyond its budget"),
            Ended::Trapped(fault) => println!("trapped: {}", fault.diagnostic()),
        }
    }
    Ok(())
}

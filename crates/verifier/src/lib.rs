//! The verifier: a pure function of a program and what it is checked for. No OS, no engine, no I/O.
//!
//! It follows Linux's own algorithm, so that its verdicts are Linux's: every path through a program is followed, with
//! what is known of each register and stack slot; a path ends where a state that was seen covers it.
//!
//! | module | holds |
//! |---|---|
//! | `front` | what is checked before any path: functions, control flow, BTF, maps |
//! | `program` | the program, decoded |
//! | `state` | registers, stack, frames |
//! | `scalar` | what is known of a number |
//! | `alu`, `jump`, `memory`, `call` | what each kind of instruction asks for and does |
//! | `loading` | what bpf(2) asks before a program is verified |
//! | `walk` | what stands where in the kernel's structs |
//! | `speculation` | what a processor may do by mistake |
//! | `engine` | paths, checkpoints, precision, liveness, loops |
//! | `facts` | what was learnt of each instruction |
//! | `prove` | from a verdict to a proof |
//! | `depth` | how much stack a chain of calls takes |
//! | `budget` | how much memory a check takes |
//! | `log` | the kernel's log |
//! | `explain` | a rejection in plain words, from a replay of its path |
//! | `work` | where the work went |
//!
//! ```
//! use alveary_abi::Profile;
//! use alveary_spec::Kernel;
//! use alveary_verifier::{Env, Verdict, check};
//! # use alveary_abi::ProgType;
//! # use alveary_isa::{Inst, encode};
//! # let program = alveary_testing::program(ProgType::XDP, encode(&Inst::Exit).to_vec());
//!
//! let kernel = Kernel::of(Profile::linux_6_18());
//! let maps = Default::default();
//! let report = check(&program, &Env::new(&kernel, &maps));
//! let Verdict::Reject(why) = report.verdict else { panic!("r0 was never set") };
//! assert_eq!(why.message, "R0 !read_ok\n");
//! ```

#![forbid(unsafe_code)]

mod alu;
mod budget;
mod call;
mod constant;
mod depth;
mod engine;
mod env;
mod explain;
pub mod facts;
mod front;
mod jump;
mod limits;
mod loading;
mod log;
mod memory;
mod program;
mod prove;
mod report;
pub mod scalar;
mod speculation;
mod state;
mod stop;
mod verifier;
mod walk;
pub mod work;

pub use env::{Caps, Env};
pub use explain::explain;
pub use facts::Facts;
pub use log::LogLevel;
pub use prove::{Verified, explain_unproven, prove};
pub use report::{Rejection, Report, Stats, Verdict};
pub use work::Work;

use alveary_abi::{ProgSet, ProgType as P};
use alveary_spec::Program;
use budget::Budget;
use facts::Recorder;
use program::Prepared;
use stop::{Check, Stop, refuse};
use verifier::{Counts, Verifier, Watch};
use work::Counter;

/// Program types whose target is looked up in the kernel's types: not judged here.
const BY_BTF: ProgSet = ProgSet::of(&[P::TRACING, P::LSM, P::EXT, P::STRUCT_OPS, P::NETFILTER]);

/// What the kernel would say of a program.
#[must_use]
pub fn check(program: &Program, env: &Env<'_>) -> Report {
    let mut verifier = match prepare(program, env) {
        Ok(verifier) => verifier,
        Err(report) => return *report,
    };
    let done = run(&mut verifier);
    report(verifier, done)
}

/// What the kernel would say of a program, and, if it would load it, what was learnt of each instruction.
#[must_use]
pub fn check_with_facts(program: &Program, env: &Env<'_>) -> (Report, Option<Facts>) {
    let mut verifier = match prepare(program, env) {
        Ok(verifier) => verifier,
        Err(report) => return (*report, None),
    };
    verifier.budget.reserve(Facts::bytes(&verifier.program));
    let done = verifier.check_memory().and_then(|()| {
        verifier.recorder = Some(Recorder::new(program.insns.len()));
        run(&mut verifier)
    });
    let recorder = verifier.recorder.take().filter(|_| done.is_ok());
    let facts = recorder.map(|recorder| Facts::of(&verifier.program, recorder));
    (report(verifier, done), facts)
}

/// What the kernel would say of a program, and where the work went that it took to know.
#[must_use]
pub fn check_with_work(program: &Program, env: &Env<'_>) -> (Report, Work) {
    let mut verifier = match prepare(program, env) {
        Ok(verifier) => verifier,
        Err(report) => return (*report, Work::default()),
    };
    verifier.budget.reserve(Counter::bytes(program.insns.len()));
    let done = verifier.check_memory().and_then(|()| {
        verifier.watch = Some(Watch::Work(Counter::new(program.insns.len())));
        run(&mut verifier)
    });
    let work = match verifier.watch.take() {
        Some(Watch::Work(mut counter)) => {
            // What is cut off by a rejection has not come to its end.
            if done.is_ok() {
                counter.take_up(None);
            }
            counter.finish(&verifier.program)
        }
        _ => Work::default(),
    };
    (report(verifier, done), work)
}

/// What is to be run; or why it cannot be.
fn prepare<'a>(program: &'a Program, env: &'a Env<'a>) -> Result<Verifier<'a>, Box<Report>> {
    let refused = |reason| Report::of(Verdict::Refused { reason, insn: 0 });
    let profile = &env.kernel.profile;
    let Some(budget) = Budget::new(env.memory, Prepared::slots(program, profile)) else {
        let reason = budget::too_much(env.memory, Counts::default());
        return Err(Box::new(Report { exceeded: true, ..refused(reason) }));
    };
    match Prepared::new(program, env.maps, profile, env.caps) {
        Some(prepared) => Ok(Verifier::new(env, prepared, budget)),
        None => Err(Box::new(refused("a map that is not defined".to_owned()))),
    }
}

fn run(v: &mut Verifier<'_>) -> Check {
    let program = v.program.program;
    loading::check(v)?;
    if BY_BTF.has(program.ty) {
        refuse!("programs whose target is a kernel function or type");
    }
    let row = v.profile.prog_type(program.ty);
    if program.ty >= P::FIRST_OWN && row.is_none_or(|row| row.ctx.is_none()) {
        refuse!("programs of a type whose context is not described");
    }
    front::check(v)?;
    let count = v.program.subprogs.len();
    v.called = vec![false; count];
    v.verified = vec![false; count];
    v.explore_function(0)?;
    // What a verified function calls is verified too.
    while let Some(next) = (1..count).find(|n| v.program.subprogs[*n].global && v.called[*n] && !v.verified[*n]) {
        v.explore_function(next as u32)?;
        let name = v.program.subprogs[next].name.clone();
        v.log.trace(format_args!("Func#{next} ('{name}') is safe for any args that match its prototype\n"));
        v.verified[next] = true;
    }
    depth::check(v)?;
    v.check_tail_arrays()
}

fn report(mut v: Verifier<'_>, done: Check) -> Report {
    let counts = v.counts;
    let mut steps = Default::default();
    let verdict = match done {
        Ok(()) => Verdict::Accept,
        Err(Stop::Rejected(errno)) => {
            let insn = v.exploring.then_some(v.insn);
            if v.exploring {
                steps = v.trail.steps(counts.insns);
            }
            Verdict::Reject(Rejection { errno, message: v.log.said().to_owned(), insn, note: v.note.take() })
        }
        Err(Stop::Refused(reason)) => Verdict::Refused { reason, insn: v.insn },
    };
    if v.log.stats() {
        let depths: Vec<String> = v.program.subprogs.iter().map(|s| s.stack_depth.to_string()).collect();
        v.log.figures(format_args!("stack depth {}\n", depths.join("+")));
    }
    v.log.figures(format_args!(
        "processed {} insns (limit {}) max_states_per_insn {} total_states {} peak_states {} mark_read 0\n",
        counts.insns, v.profile.limits.insns, counts.states_per_insn, counts.total_states, counts.peak_states
    ));
    let stats = Stats {
        insns_processed: counts.insns,
        max_states_per_insn: counts.states_per_insn,
        total_states: counts.total_states,
        peak_states: counts.peak_states,
    };
    Report { verdict, log: v.log.into_text(), stats, exceeded: v.exceeded, steps }
}

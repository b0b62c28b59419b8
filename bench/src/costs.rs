//! What a run costs before the program does anything, and what compiling takes.

use crate::{
    alone::{Alone, Batched},
    arena, compile, engines, helpers,
    ours::Ours,
    packet,
    rounds::{Rounds, Runs, cpu_time},
    set::{EMPTY, FIRST, Kernel},
};
use alveary_runtime::{Engine, Passes};
use std::time::Duration;

/// Programs that are compiled: many instructions, few.
const COMPILED: [&str; 2] = ["big10", "alu"];
/// How often each is.
const LOADS: usize = 15;
/// Runs of which one is found to be hot, and compiled: the thousandth or its neighbour.
const WARM: u32 = 998;
const AROUND: usize = 6;

/// Prints them.
pub(crate) fn measure(rounds: Rounds) -> Result<(), String> {
    let columns = engines::columns(false);
    let times = engines::measure(&columns, FIRST.name, &EMPTY, "v3", rounds)?;
    for (column, time) in columns.iter().zip(times) {
        if let Some(time) = time {
            println!("an empty run, {}: {:.2} ns (median {:.2})", column.name, time.least, time.median);
        }
    }
    entry(rounds)?;
    helpers::measure(rounds)?;
    for name in COMPILED {
        let kernel = FIRST.kernels.iter().find(|kernel| kernel.name == name).ok_or("no such kernel")?;
        let mut least = Duration::MAX;
        let mut insns = 0;
        for _ in 0..LOADS {
            let (time, count) = compiling(kernel)?;
            (least, insns) = (least.min(time), count);
        }
        let micros = least.as_secs_f64() * 1e6;
        println!("compiling {name}: {micros:.0} µs, {:.2} µs for each of {insns} instructions", micros / insns as f64);
    }
    println!();
    arena::measure(rounds)
}

/// What it takes to enter native code, without the user-space kernel around it.
fn entry(rounds: Rounds) -> Result<(), String> {
    let bytes = compile::plain(FIRST.name, &EMPTY, "v3")?;
    let alone = || Alone::link(&bytes, Some(Passes::default()), packet::plain());
    let mut runs: [Option<Box<dyn Runs>>; 2] = [Some(Box::new(alone()?)), Some(Box::new(Batched(alone()?)))];
    for (name, time) in ["one by one", "in batches"].into_iter().zip(rounds.measure(&mut runs)?) {
        if let Some(time) = time {
            println!("an empty run on the engine alone, {name}: {:.2} ns (median {:.2})", time.least, time.median);
        }
    }
    Ok(())
}

/// What CPU time the run takes that finds the program hot. Its packet is too short for it to do anything.
fn compiling(kernel: &Kernel) -> Result<(Duration, usize), String> {
    let object = compile::xdp(FIRST.name, kernel, "v3")?;
    let mut ours = Ours::load(&object, Engine::Auto, &packet::plain()[..14])?;
    ours.run(WARM)?;
    let mut most = Duration::ZERO;
    for _ in 0..AROUND {
        let start = cpu_time();
        ours.run(1)?;
        most = most.max(cpu_time().saturating_sub(start));
    }
    Ok((most, ours.insns()))
}

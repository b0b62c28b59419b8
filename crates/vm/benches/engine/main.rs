//! The engine alone, without a verifier and what it knows, against native code: twelve kernels in C, compiled by clang
//! for eBPF and for this machine, run in turns over the same packet. `cargo xtask bench --peers` measures programs as
//! they are loaded.
//!
//! `cargo bench -p alveary-vm --bench engine [-- NAME…]`. Without clang-19 it says so and measures nothing.

mod arena;
mod compile;
mod entry;
mod owner;
mod packet;

use alveary_vm::{Env, Exit, Image, Jit, Region};
use compile::{Kernel, Native};
use owner::Owner;
use std::time::{Duration, Instant};

/// Batches of each engine; the fastest counts.
const BATCHES: usize = 25;
/// A batch takes at least this long.
const BATCH: Duration = Duration::from_millis(2);

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let kernels = compile::KERNELS
        .iter()
        .filter(|k| wanted.is_empty() || k.name == "empty" || wanted.iter().any(|w| w == k.name));
    let mut packet = packet::packet();
    let mut rows = vec![];
    for kernel in kernels {
        match measure(kernel, &mut packet) {
            Ok(times) => rows.push((kernel.name, times)),
            Err(why) => return println!("{}: {why}; nothing is measured", kernel.name),
        }
    }
    print(&rows);
    if let Err(why) = entry::measure().and_then(|()| arena::measure(&wanted, &packet)) {
        println!("{why}; nothing more is measured");
    }
}

/// What is measured: clang's native code first, which the others are compared with.
const ENGINES: [&str; 4] = ["clang", "jit", "trusted", "checked"];

/// Nanoseconds a run.
type Times = [f64; ENGINES.len()];

fn measure(kernel: &Kernel, packet: &mut [u8]) -> Result<Times, String> {
    let native = Native::compile(kernel)?;
    let (code, owner) = (kernel.code()?, Owner::new(&native));
    let jit = Jit::new(1 << 30).map_err(|error| error.to_string())?;
    // SAFETY: the kernels stay inside the packet that they are given, and call the two map helpers as they should.
    let trusted = unsafe { Image::trusted(&code, &owner) }.map_err(|error| error.to_string())?;
    // SAFETY: as above.
    let compiled = unsafe { Image::native(&code, &owner, &jit) }.map_err(|error| error.to_string())?;
    let checked = Image::checked(&code, &owner).map_err(|error| error.to_string())?;
    let env = Env::new();
    let (addr, len) = (packet.as_mut_ptr() as u64, packet.len() as u64);
    let regions = [(addr, len), native.map_memory()];
    for (at, (addr, len)) in regions.into_iter().enumerate() {
        // SAFETY: the packet and the map outlive `env`, and nobody else uses them while a program runs.
        unsafe { env.set_region(at, Region { addr, len, write: true, slots: None }) };
    }
    let run = |image: &Image| match image.run(&env, 0, [addr, len, 0, 0, 0], Some(&owner)) {
        Ok(Exit::Return(value)) => value,
        other => panic!("{}: {other:?}", kernel.name),
    };
    let engines: [&dyn Fn() -> u64; ENGINES.len()] =
        [&|| native.run(addr, len), &|| run(&compiled), &|| run(&trusted), &|| run(&checked)];
    let results = engines.map(|engine| (0..3).map(|_| engine()).last());
    if results.iter().any(|result| *result != results[0]) {
        return Err(format!("the engines disagree: {results:x?}"));
    }
    let repeats = engines.map(repeats);
    let mut best = [f64::INFINITY; ENGINES.len()];
    for _ in 0..BATCHES {
        for ((engine, &repeats), best) in engines.iter().zip(&repeats).zip(&mut best) {
            *best = best.min(batch(*engine, repeats).as_secs_f64() * 1e9 / f64::from(repeats));
        }
    }
    Ok(best)
}

fn batch(engine: &dyn Fn() -> u64, repeats: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..repeats {
        std::hint::black_box(engine());
    }
    start.elapsed()
}

/// How often an engine runs to fill a batch.
fn repeats(engine: &dyn Fn() -> u64) -> u32 {
    let mut repeats = 1;
    while batch(engine, repeats) < BATCH {
        repeats *= 2;
    }
    repeats
}

/// Nanoseconds a run, less those of the program that does nothing, and how many times those of clang's code they are.
fn print(rows: &[(&str, Times)]) {
    let empty = rows.iter().find(|row| row.0 == "empty").map_or([0.0; ENGINES.len()], |row| row.1);
    println!("{:8} {}", "bench", ENGINES.map(|engine| format!("{engine:>10} {:>6}", "×")).join(" "));
    println!("{:8} {}", "empty", empty.map(|time| format!("{time:>10.1} {:>6}", "")).join(" "));
    let mut logs = [0.0; ENGINES.len()];
    let kernels = rows.iter().filter(|row| row.0 != "empty");
    for (name, times) in kernels.clone() {
        let times: Times = std::array::from_fn(|engine| times[engine] - empty[engine]);
        let ratios = times.map(|time| time / times[0]);
        let cells: Vec<String> =
            times.iter().zip(ratios).map(|(time, ratio)| format!("{time:>10.1} {ratio:>6.2}")).collect();
        println!("{name:8} {}", cells.join(" "));
        logs.iter_mut().zip(ratios).for_each(|(log, ratio)| *log += ratio.ln());
    }
    let means = logs.map(|log: f64| (log / kernels.clone().count() as f64).exp());
    println!("{:8} {}", "geomean", means.map(|mean| format!("{:>10} {mean:>6.2}", "")).join(" "));
}

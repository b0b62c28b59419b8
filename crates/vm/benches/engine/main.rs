//! The interpreter against native code: twelve kernels in C (`bench.c`), compiled by clang for eBPF and for this
//! machine, run in turns over the same packet.
//!
//! `cargo bench -p alveary-vm --bench engine [-- NAME…]`. Without clang-19 it says so and measures nothing.

mod compile;
mod owner;
mod packet;

use alveary_vm::{Env, Exit, Image, Region};
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
}

/// Nanoseconds a run: native, trusted, checked.
type Times = [f64; 3];

fn measure(kernel: &Kernel, packet: &mut [u8]) -> Result<Times, String> {
    let native = Native::compile(kernel)?;
    let (code, owner) = (kernel.code()?, Owner::new(&native));
    // SAFETY: bench.c's kernels stay inside the packet that they are given, and call the two map helpers as they should.
    let trusted = unsafe { Image::trusted(&code, &owner) }.map_err(|error| error.to_string())?;
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
    let engines: [&dyn Fn() -> u64; 3] = [&|| native.run(addr, len), &|| run(&trusted), &|| run(&checked)];
    let results = engines.map(|engine| (0..3).map(|_| engine()).last());
    if results.iter().any(|result| *result != results[0]) {
        return Err(format!("the engines disagree: {results:x?}"));
    }
    let repeats = engines.map(repeats);
    let mut best = [f64::INFINITY; 3];
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

fn print(rows: &[(&str, Times)]) {
    let empty = rows.iter().find(|row| row.0 == "empty").map_or([0.0; 3], |row| row.1);
    println!("{:8} {:>10} {:>10} {:>7} {:>10} {:>7}", "bench", "clang ns", "trusted ns", "×", "checked ns", "×");
    let mut logs = [0.0; 2];
    let mut count = 0.0;
    for (name, times) in rows {
        let [native, trusted, checked] = [0, 1, 2].map(|engine| times[engine] - empty[engine]);
        if *name == "empty" {
            println!("{name:8} {:>10.1} {:>10.1} {:>7} {:>10.1} {:>7}", times[0], times[1], "", times[2], "");
            continue;
        }
        let ratios = [trusted / native, checked / native];
        println!("{name:8} {native:>10.1} {trusted:>10.1} {:>7.1} {checked:>10.1} {:>7.1}", ratios[0], ratios[1]);
        count += 1.0;
        logs[0] += ratios[0].ln();
        logs[1] += ratios[1].ln();
    }
    let [trusted, checked] = logs.map(|sum: f64| (sum / count).exp());
    println!("{:8} {:>10} {:>10} {trusted:>7.1} {:>10} {checked:>7.1}", "geomean", "", "", "");
}

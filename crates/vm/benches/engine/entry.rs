//! What it costs to enter native code that does nothing: alone, and in batches.

use super::compile::{KERNELS, Native};
use super::owner::Owner;
use alveary_vm::{Env, Exit, Image, Jit, Trap};
use std::hint::black_box;
use std::time::Instant;

/// Batches, and runs in each: short ones, which others on the machine leave alone.
const BATCHES: u32 = 400;
const RUNS: u64 = 1 << 13;

/// Prints the least of many batches.
pub(crate) fn measure() -> Result<(), String> {
    let empty = KERNELS.iter().find(|kernel| kernel.name == "empty").ok_or("no such kernel")?;
    let native = Native::compile(empty)?;
    let (code, owner) = (empty.code()?, Owner::new(&native));
    let jit = Jit::new(1 << 30).map_err(|error| error.to_string())?;
    // SAFETY: the program accesses nothing.
    let image = unsafe { Image::native(&code, &owner, &jit) }.map_err(|error| error.to_string())?;
    let env = Env::new();
    let value = |end: Result<Exit, Trap>| match end {
        Ok(Exit::Return(value)) => value,
        _ => u64::MAX,
    };
    let alone =
        least(|| (0..RUNS).map(|n| value(image.run(&env, 0, [n, 0, 0, 0, 0], None))).fold(0, u64::wrapping_add));
    let batched = least(|| {
        image.batch(&env, None, |batch| (0..RUNS).map(|n| value(batch.run([n, 0, 0, 0, 0]))).fold(0, u64::wrapping_add))
    });
    let args: Vec<[u64; 5]> = (0..RUNS).map(|n| [n, 0, 0, 0, 0]).collect();
    let mut results = vec![0; args.len()];
    let each = least(|| {
        let ended = image.batch(&env, None, |batch| batch.run_each(&args, &mut results));
        ended.map_or_else(|(run, _)| run as u64, |()| results[0])
    });
    println!("entry    {alone:.2} ns alone, {batched:.2} ns in batches, {each:.2} ns in a loop around the program");
    Ok(())
}

fn least(mut runs: impl FnMut() -> u64) -> f64 {
    let pass = |_| {
        let start = Instant::now();
        black_box(runs());
        start.elapsed().as_secs_f64() * 1e9 / RUNS as f64
    };
    (0..BATCHES).map(pass).fold(f64::INFINITY, f64::min)
}

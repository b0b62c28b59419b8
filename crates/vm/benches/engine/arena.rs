//! What confinement costs: the kernels without maps as they are, and in an arena, in turns.

use super::compile::{KERNELS, Native};
use super::owner::Owner;
use super::{BATCHES, batch, repeats};
use alveary_isa::{Inst, decode};
use alveary_vm::arena::{Arena, Program};
use alveary_vm::{Code, Env, Exit, Image, Jit};
use std::cell::RefCell;

/// Bytes of the arena: the addresses of a packet of 1,494 bytes do not come near its end.
const SIZE: u64 = 1 << 20;
/// Where the packet is in it.
const PACKET: u64 = 0x1000;

/// Prints a line for each kernel (of `wanted`, or all), and the geometric mean.
pub(crate) fn measure(wanted: &[String], packet: &[u8]) -> Result<(), String> {
    let (mut logs, mut count) = (0.0, 0);
    println!("{:8} {:>10} {:>10} {:>6}", "arena", "trusted", "arena", "×");
    for kernel in &KERNELS {
        let code = kernel.code()?;
        if calls_helpers(&code) || !wanted.is_empty() && !wanted.iter().any(|name| name == kernel.name) {
            continue;
        }
        let native = Native::compile(kernel)?;
        let owner = Owner::new(&native);
        let jit = Jit::new(1 << 30).map_err(|error| error.to_string())?;
        // SAFETY: bench.c's kernels stay inside the packet that they are given.
        let image = unsafe { Image::native(&code, &owner, &jit) }.map_err(|error| error.to_string())?;
        let program =
            Program::new(&code.insns, SIZE, &jit).most_slots(1 << 16).compile().map_err(|error| error.to_string())?;
        let mut arena = Arena::new(SIZE).map_err(|error| error.to_string())?;
        arena.memory().write(PACKET, packet).ok_or("the packet does not fit")?;
        let (arena, env, mut own) = (RefCell::new(arena), Env::new(), packet.to_vec());
        let (addr, len) = (own.as_mut_ptr() as u64, own.len() as u64);
        let trusted = || match image.run(&env, 0, [addr, len, 0, 0, 0], None) {
            Ok(Exit::Return(value)) => value,
            other => panic!("{}: {other:?}", kernel.name),
        };
        let confined = || match program.run(&mut arena.borrow_mut(), [PACKET, len, 0, 0, 0], u64::MAX) {
            Ok(value) => value,
            Err(trap) => panic!("{}: {trap:?}", kernel.name),
        };
        if trusted() != confined() {
            return Err(format!("{}: the arena changes the result", kernel.name));
        }
        let engines: [&dyn Fn() -> u64; 2] = [&trusted, &confined];
        let repeats = engines.map(repeats);
        let mut best = [f64::INFINITY; 2];
        for _ in 0..BATCHES {
            for ((engine, &repeats), best) in engines.iter().zip(&repeats).zip(&mut best) {
                *best = best.min(batch(*engine, repeats).as_secs_f64() * 1e9 / f64::from(repeats));
            }
        }
        let ratio = best[1] / best[0];
        println!("{:8} {:>10.1} {:>10.1} {ratio:>6.2}", kernel.name, best[0], best[1]);
        if kernel.name != "empty" {
            logs += ratio.ln();
            count += 1;
        }
    }
    println!("{:8} {:>10} {:>10} {:>6.2}", "geomean", "", "", (logs / f64::from(count)).exp());
    Ok(())
}

fn calls_helpers(code: &Code) -> bool {
    (0..code.insns.len()).any(|slot| matches!(decode(&code.insns, slot), Ok(Inst::CallHelper { .. })))
}

//! What engine, helpers and lowered instructions see of the running CPU.

use crate::TrapKind;
use std::cell::Cell;

/// A helper's body: the running [`Env`], and r1–r5.
///
/// What it gives back is r0. It may call [`Env::callback`]; it stops the program by [`Env::stop`].
pub type HelperFn = unsafe extern "C" fn(env: *const Env, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64) -> u64;

/// The running CPU. The hidden register `r12` holds its address.
///
/// All cells, never `&mut`: helpers re-enter the engine (callbacks, timers).
#[repr(C)]
#[derive(Debug)]
pub struct Env {
    /// Number of the virtual CPU.
    pub cpu: Cell<u64>,
    /// Time in ns, where time is virtual.
    pub now: Cell<u64>,
    /// State of the random number generator.
    pub rng: Cell<u64>,
    /// The owner (the runtime's virtual CPU).
    pub host: Cell<*const ()>,
    /// The context of this run.
    pub ctx: Cell<*mut u8>,
    /// State of the program type's family.
    pub state: Cell<*const ()>,
    /// Instructions that may still be run (checked mode counts down).
    pub fuel: Cell<u64>,
    /// Tail calls of this run so far.
    pub tail_calls: Cell<u32>,
    /// Where a tail call goes: the owner's word for a program.
    pub next: Cell<*const ()>,
    trap: Cell<Option<TrapKind>>,
}

impl Env {
    /// Stops the program when the helper that calls this returns.
    pub fn stop(&self, why: TrapKind) {
        self.trap.set(Some(why));
    }
}

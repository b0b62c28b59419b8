//! Helpers whose bodies are closures: what an embedder adds when the runtime is built. The engine calls plain functions,
//! so a program numbers the closures that it calls, and one function for each number finds the closure in the program.

use super::{Bind, Cx, arguments};
use crate::{Args, Family, Vcpu};
use alveary_abi::Helper;
use alveary_vm::{Env, HelperFn};
use std::{
    any::TypeId,
    fmt,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// How many closures one program may call.
pub(crate) const MOST: usize = ENTRIES.len();

/// What a closure is once its family is forgotten.
type Call = dyn Fn(&Vcpu, &Args<'_>) -> i64 + Send + Sync;

/// A closure bound to its row.
pub(crate) struct Closure {
    bind: Bind,
    call: Box<Call>,
}

impl Closure {
    /// Binds `body` to `row`.
    pub(crate) fn new<F: Family>(
        row: &'static Helper,
        body: impl Fn(&Cx<'_, F>, &Args<'_>) -> i64 + Send + Sync + 'static,
    ) -> Closure {
        let args = arguments(row.protos, F::TYPES);
        Closure {
            bind: Bind { row, args, body: ENTRIES[0], family: TypeId::of::<F>() },
            call: Box::new(move |cpu, args| body(&Cx { cpu, row, family: PhantomData }, args)),
        }
    }

    /// Its row, and whose helper it is. The body is not yet the one of a program.
    pub(crate) fn bind(&self) -> &Bind {
        &self.bind
    }

    /// The bind by which the engine enters the program's closure `number`, if it is below [`MOST`].
    pub(crate) fn numbered(&self, number: usize) -> Option<Bind> {
        Some(Bind { body: *ENTRIES.get(number)?, ..self.bind })
    }
}

impl fmt::Debug for Closure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bind.fmt(f)
    }
}

/// What engines call for closure `N` of the running program.
unsafe extern "C" fn enter<const N: usize>(env: *const Env, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64) -> u64 {
    // SAFETY: engines pass the Env of a running virtual CPU, whose batch set `host` to it for the time of the run.
    let cpu = unsafe { &*(*env).host.get().cast::<Vcpu>() };
    let closure = &cpu.prog().closures[N];
    // SAFETY: the program was linked with this function for the row of its closure N alone; the arguments were held
    // against that row as for every body.
    let args = unsafe { Args::new([r1, r2, r3, r4, r5], closure.bind.args) };
    // No panic may pass through native code, nor out of a C function.
    match catch_unwind(AssertUnwindSafe(|| (closure.call)(cpu, &args))) {
        Ok(value) => value as u64,
        Err(panic) => {
            cpu.panicked(panic, closure.bind.row.id);
            0
        }
    }
}

macro_rules! entries {
    ($($n:literal)*) => { &[$(enter::<$n>),*] };
}

const ENTRIES: &[HelperFn] =
    entries![0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31];

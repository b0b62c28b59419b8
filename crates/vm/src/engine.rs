//! The interpreter: what runs, on what, and how it stops. The instructions are in `handlers`, what they do rarely is in
//! `slow`. Knows no symbols and no slots of the object; whether code is well-formed was settled by `predecode`.
//!
//! Every operation is a function that ends by calling the next one. With optimisation the compiler makes jumps of
//! these calls (`build.rs` says where that is hoped for); elsewhere, and near the end of the budget, every function
//! returns to a loop instead. No program can make the native stack grow where the compiler made no jump of some call
//! (`depth`).

mod depth;
mod handlers;
mod slow;
#[cfg(test)]
mod tests;

pub(crate) use handlers::handler_at;

use crate::env::Fault;
use crate::fuel::Fuel;
use crate::op::Op;
use crate::predecode::{Entry, Ops, instructions_before};
use crate::{Checks, Env, Exit, TrapKind};
use alveary_isa::Reg;
use depth::Floor;
use handlers::handler;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// An operation: where it stands, the registers, the fuel account, what is running.
///
/// It gives back null when the run stopped ([`Run::stop`]), else where to go on ([`Run::account`] has the account).
pub(crate) type Handler = for<'a> unsafe fn(*const Op, *mut u64, i64, &Run<'a>) -> *const Op;

/// What the operations are compiled for.
pub(crate) trait Mode {
    /// Accesses, helper calls and the budget are checked.
    const CHECKED: bool;
    /// Operations return instead of calling the next one.
    const RETURNS: bool = !cfg!(threaded);
    /// The budget is asked before every instruction.
    const STEPPING: bool = false;
    /// Operations call the next one, and the call is kept from becoming a jump: what a compiler may do at any time.
    const STACKS: bool = false;
}

/// No checks: the code is proven.
pub(crate) struct Trusted;
/// Checked, with more budget left than any straight line can use.
pub(crate) struct Checked;
/// Checked, near the end of the budget, which is asked before every instruction.
struct Stepping;

impl Mode for Trusted {
    const CHECKED: bool = false;
}
impl Mode for Checked {
    const CHECKED: bool = true;
}
impl Mode for Stepping {
    const CHECKED: bool = true;
    const RETURNS: bool = true;
    const STEPPING: bool = true;
}

/// One activation of the engine.
pub(crate) struct Run<'a> {
    pub(crate) ops: &'a Ops,
    pub(crate) env: &'a Env,
    pub(crate) checks: Option<&'a dyn Checks>,
    /// Outermost frame of the run.
    pub(crate) base: usize,
    /// Outermost frame of this activation.
    floor: usize,
    /// Whether fuel is counted.
    counts: bool,
    fuel: Fuel,
    /// The fuel account while no operation has it.
    account: Cell<i64>,
    stop: Cell<Stop>,
    /// A helper asked for a return from the function that called it.
    leaving: Cell<bool>,
    /// How deep operations may stand on each other.
    depth: Floor,
}

/// How the operations ended.
#[derive(Clone, Copy)]
enum Stop {
    Exit(Exit),
    /// The budget has become low: go on stepping from here.
    Low(*const Op),
    Fault(Fault),
}

/// Runs the function at `entry` to its end, in a run whose outermost frame is `base`.
///
/// `ops` must have been made for `M`. In trusted mode `work` grows by how many instructions it ran: at least, of runs that do
/// not return.
pub(crate) fn enter<M: Mode>(
    ops: &Ops,
    env: &Env,
    checks: Option<&dyn Checks>,
    base: usize,
    entry: Entry,
    args: [u64; 5],
    work: Option<&AtomicU64>,
) -> Result<Exit, Fault> {
    let start = entry.start as usize;
    let floor = env.stack.used();
    let Some(frame_pointer) = env.stack.push(base, entry.words) else {
        return Err(Fault::At(start, TrapKind::Depth));
    };
    let mut registers = [0; 16];
    registers[1..6].copy_from_slice(&args);
    registers[usize::from(Reg::FP.0)] = frame_pointer;
    registers[usize::from(Reg::ENV.0)] = std::ptr::from_ref(env) as u64;
    let fuel = Fuel::open(&env.fuel, ops.count());
    let before = i64::from(instructions_before(&ops.constants, start));
    let begun = fuel.account(&env.fuel, before);
    let account = Cell::new(begun);
    let stop = Cell::new(Stop::Exit(Exit::Tail));
    let (counts, leaving, depth) = (M::CHECKED, Cell::new(false), Floor::here());
    let run = Run { ops, env, checks, base, floor, counts, fuel, account, stop, leaving, depth };
    let registers = registers.as_mut_ptr();
    if M::CHECKED && checks.is_some_and(Checks::watches) {
        run.stop.set(Stop::Low(&ops.ops[start]));
    } else {
        // SAFETY: the function's first op, with the registers and the frame that a call of it begins with.
        unsafe { run.go::<M>(&ops.ops[start], registers) };
    }
    if let Stop::Low(pc) = run.stop.get() {
        // SAFETY: the operations stopped between two instructions.
        unsafe { run.step(pc, registers) };
    }
    env.stack.truncate(floor);
    if M::CHECKED && env.hot.holds_stack() {
        env.hot.reset();
    }
    if let Some(work) = work {
        let ran = u64::try_from(begun - before - run.account.get()).unwrap_or(0);
        work.fetch_add(ran, Ordering::Relaxed);
    }
    match run.stop.get() {
        Stop::Exit(exit) => Ok(exit),
        Stop::Fault(fault) => Err(fault),
        Stop::Low(_) => unreachable!("a stepping run does not ask to be stepped"),
    }
}

impl Run<'_> {
    /// Runs from `pc` until it stops.
    ///
    /// # Safety
    /// `pc` must be an instruction of `self.ops`, made for `M`, of the function that the innermost frame belongs to,
    /// and `registers` 16 registers with the frame pointer in r10 and the environment in r12. In trusted mode what
    /// [`crate::Image::trusted`] asks for must hold.
    unsafe fn go<M: Mode>(&self, mut pc: *const Op, registers: *mut u64) {
        if M::CHECKED && self.account.get() < 0 {
            return self.stop.set(Stop::Low(pc));
        }
        while !pc.is_null() {
            // SAFETY: the caller's promise for the first; operations give back nothing else.
            pc = unsafe { ((*pc).handler)(pc, registers, self.account.get(), self) };
        }
    }

    /// As [`Run::go`] in checked mode, asking for fuel before every instruction, and telling those who watch.
    ///
    /// # Safety
    /// As [`Run::go`].
    unsafe fn step(&self, mut pc: *const Op, registers: *mut u64) {
        let watching = self.checks.filter(|checks| checks.watches());
        while !pc.is_null() {
            if let Some(checks) = watching {
                // SAFETY: there are 16 registers, and nothing changes them meanwhile.
                checks.step(self.env, self.slot(pc) as u32, unsafe { &*registers.cast::<[u64; 11]>() });
            }
            let account = self.account.get();
            if self.fuel.left(account, self.before(pc)) <= 0 {
                return self.fault(pc, account, TrapKind::Budget);
            }
            // SAFETY: as in `go`.
            pc = unsafe { handler::<Stepping>((*pc).code)(pc, registers, account, self) };
        }
    }

    /// The slot of an op.
    fn slot(&self, pc: *const Op) -> usize {
        (pc as usize - self.ops.ops.as_ptr() as usize) / size_of::<Op>()
    }

    /// How many instructions stand before an op.
    fn before(&self, pc: *const Op) -> i64 {
        i64::from(instructions_before(&self.ops.constants, self.slot(pc)))
    }

    /// Stops at `pc`, whose instruction counts as run unless there was no fuel for it.
    fn fault(&self, pc: *const Op, account: i64, kind: TrapKind) {
        if self.counts {
            let ran = i64::from(kind != TrapKind::Budget);
            self.fuel.save(account, &self.env.fuel, self.before(pc) + ran);
        }
        self.stop.set(Stop::Fault(Fault::At(self.slot(pc), kind)));
    }
}

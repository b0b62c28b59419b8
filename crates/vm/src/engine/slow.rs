//! What operations do rarely, or what takes long anyway: accesses beside the shortcut, helpers, atomics, faults.

use super::handlers::{Registers, enter, exit, go, next};
use super::{Exit, Fault, Mode, Run, Stop};
use crate::TrapKind;
use crate::env::Request;
use crate::memory::{self, ATOMIC_OPS};
use crate::op::{Op, Opcode};
use crate::predecode::{Helper, function_index, instructions_before};
use alveary_isa::{Reg, Width};

/// An integer that is loaded or stored.
pub(super) trait Access: Copy {
    const WIDTH: Width;
    /// From a value to what the register gets. An unsigned load takes it as it is: memory gives no more than its
    /// width, but an owner gives a pointer for a context field of 32 bits.
    fn extend(value: u64) -> u64 {
        value
    }
}

macro_rules! access {
    ($($type:ty: $width:ident $(from $signed:ty)?),*) => {
        $(impl Access for $type {
            const WIDTH: Width = Width::$width;
            $(fn extend(value: u64) -> u64 {
                value as $signed as i64 as u64
            })?
        })*
    };
}
access!(u8: B1, u16: B2, u32: B4, u64: B8, i8: B1 from i8, i16: B2 from i16, i32: B4 from i32);

/// Stops because the budget is low.
#[cold]
#[inline(never)]
pub(super) fn low(pc: *const Op, account: i64, run: &Run<'_>) -> *const Op {
    run.account.set(account);
    run.stop.set(Stop::Low(pc));
    std::ptr::null()
}

/// Stops at a call for which there is no frame.
#[cold]
#[inline(never)]
pub(super) fn too_deep(pc: *const Op, account: i64, run: &Run<'_>) -> *const Op {
    stop(pc, account, run, TrapKind::Depth)
}

/// Stops: the operation gives back null.
#[cold]
#[inline(never)]
fn stop(pc: *const Op, account: i64, run: &Run<'_>, kind: TrapKind) -> *const Op {
    run.fault(pc, account, kind);
    std::ptr::null()
}

/// No instruction.
///
/// # Safety
/// As [`Run::go`].
pub(super) unsafe fn bad(pc: *const Op, _: *mut u64, account: i64, run: &Run<'_>) -> *const Op {
    stop(pc, account, run, TrapKind::BadInsn)
}

/// Makes an operation of a function that does the work and says whether to go on. That the work is a call of its own
/// is not for taste: where a function gives addresses of its locals away, as a call with a `Result` does, the
/// compiler may not make a jump of the call at its end.
macro_rules! operation {
    ($(#[$doc:meta])* $name:ident, $($type:ident)?, $work:expr) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// As [`Run::go`], at such an operation.
        #[cold]
        #[inline(never)]
        pub(super) unsafe fn $name<M: Mode $(, $type: Access)?>(
            pc: *const Op,
            registers: *mut u64,
            account: i64,
            run: &Run<'_>,
        ) -> *const Op {
            // SAFETY: `pc` is an instruction.
            if $work(run, unsafe { &*pc }, Registers(registers), account) {
                // SAFETY: it has a next op.
                unsafe { next::<M>(pc.add(1), registers, account, run) }
            } else {
                std::ptr::null()
            }
        }
    };
}

operation!(
    /// A load that the shortcut does not cover: from a region that is remembered now, or from the owner.
    load, T, Run::load::<T>
);
operation!(
    /// A store that the shortcut does not cover.
    store, T, Run::store::<T>
);
operation!(
    /// A store of a constant that the shortcut does not cover.
    store_constant, T, Run::store_constant::<T>
);
operation!(
    /// Atomic read-modify-write.
    atomic, , Run::atomic::<M>
);
operation!(
    /// Load-acquire.
    load_acquire, , Run::load_acquire::<M>
);
operation!(
    /// Store-release.
    store_release, , Run::store_release::<M>
);

/// The work of operations. Each gives back whether the program goes on.
impl Run<'_> {
    #[inline(never)]
    fn load<T: Access>(&self, op: &Op, r: Registers, account: i64) -> bool {
        let addr = r.get(op.src).wrapping_add(op.off as i64 as u64);
        let value = if self.may_access(op.src, addr, T::WIDTH, false) {
            // SAFETY: the bytes lie in a region or a frame in use.
            Ok(unsafe { memory::read_width(addr, T::WIDTH) })
        } else {
            match self.checks {
                Some(checks) => checks.load(self.env, addr, T::WIDTH),
                None => Err(TrapKind::Load { addr, width: T::WIDTH }),
            }
        };
        self.finish(op, account, value.map(|value| r.set(op.dst, T::extend(value))))
    }

    #[inline(never)]
    fn store<T: Access>(&self, op: &Op, r: Registers, account: i64) -> bool {
        self.store_value::<T>(op, r, account, r.get(op.src))
    }

    #[inline(never)]
    fn store_constant<T: Access>(&self, op: &Op, r: Registers, account: i64) -> bool {
        self.store_value::<T>(op, r, account, op.imm)
    }

    fn store_value<T: Access>(&self, op: &Op, r: Registers, account: i64, value: u64) -> bool {
        let addr = r.get(op.dst).wrapping_add(op.off as i64 as u64);
        let stored = if self.may_access(op.dst, addr, T::WIDTH, true) {
            // SAFETY: the bytes lie in a writable region or a frame in use.
            unsafe { memory::write_width(addr, T::WIDTH, value) };
            Ok(())
        } else {
            match self.checks {
                Some(checks) => checks.store(self.env, addr, T::WIDTH, value),
                None => Err(TrapKind::Store { addr, width: T::WIDTH }),
            }
        };
        self.finish(op, account, stored)
    }

    #[inline(never)]
    fn atomic<M: Mode>(&self, op: &Op, r: Registers, account: i64) -> bool {
        let width = if op.code == Opcode::Atomic32 { Width::B4 } else { Width::B8 };
        let addr = r.get(op.dst).wrapping_add(op.off as i64 as u64);
        let allowed = self.may_access_atomically::<M>(op.dst, addr, width, true);
        let done = allowed.map(|()| {
            let what = ATOMIC_OPS[op.imm as usize % ATOMIC_OPS.len()];
            let (src, expected) = (r.get(op.src), r.get(Reg::R0.0));
            // SAFETY: aligned, and allowed, as was just found; in trusted mode, proven.
            let old = unsafe {
                match width {
                    Width::B4 => memory::atomic32(what, addr, src, expected),
                    _ => memory::atomic64(what, addr, src, expected),
                }
            };
            match memory::result_of(what) {
                memory::OldValue::Nowhere => {}
                memory::OldValue::Source => r.set(op.src, old),
                memory::OldValue::R0 => r.set(Reg::R0.0, old),
            }
        });
        self.finish(op, account, done)
    }

    #[inline(never)]
    fn load_acquire<M: Mode>(&self, op: &Op, r: Registers, account: i64) -> bool {
        let addr = r.get(op.src).wrapping_add(op.off as i64 as u64);
        let width = memory::width(op.imm);
        let allowed = self.may_access_atomically::<M>(op.src, addr, width, false);
        // SAFETY: aligned, and allowed, as was just found; in trusted mode, proven.
        self.finish(op, account, allowed.map(|()| r.set(op.dst, unsafe { memory::load_acquire(addr, width) })))
    }

    #[inline(never)]
    fn store_release<M: Mode>(&self, op: &Op, r: Registers, account: i64) -> bool {
        let addr = r.get(op.dst).wrapping_add(op.off as i64 as u64);
        let width = memory::width(op.imm);
        let allowed = self.may_access_atomically::<M>(op.dst, addr, width, true);
        // SAFETY: aligned, and allowed, as was just found; in trusted mode, proven.
        self.finish(op, account, allowed.map(|()| unsafe { memory::store_release(addr, width, r.get(op.src)) }))
    }

    fn finish(&self, op: &Op, account: i64, result: Result<(), TrapKind>) -> bool {
        match result {
            Ok(()) => true,
            Err(kind) => {
                self.fault(op, account, kind);
                false
            }
        }
    }

    /// Whether the regions or the frames in use cover an access; remembers for `base` what does.
    fn may_access(&self, base: u8, addr: u64, width: Width, write: bool) -> bool {
        let env = self.env;
        let Some(span) = env.span(addr, width.bytes() as u64).filter(|span| span.write || !write) else {
            return false;
        };
        env.hot.learn(base, span, span == env.stack.in_use());
        true
    }

    /// Whether an atomic access is allowed: aligned in both modes, because memory that is not cannot be accessed
    /// atomically on every machine; in checked mode covered, too.
    fn may_access_atomically<M: Mode>(&self, base: u8, addr: u64, width: Width, write: bool) -> Result<(), TrapKind> {
        if !memory::is_aligned(addr, width) {
            return Err(TrapKind::Misaligned { addr, width });
        }
        match (!M::CHECKED || self.may_access(base, addr, width, write), write) {
            (true, _) => Ok(()),
            (false, true) => Err(TrapKind::Store { addr, width }),
            (false, false) => Err(TrapKind::Load { addr, width }),
        }
    }

    /// Calls a helper, in checked mode by way of the owner. If it asked for nothing, r0 and the account are set.
    #[inline(never)]
    fn help<M: Mode>(&self, helper: &Helper, op: &Op, r: Registers, account: i64) -> bool {
        let env = self.env;
        let args = [1, 2, 3, 4, 5].map(|number| r.get(number));
        let result = if M::CHECKED {
            let Some(checks) = self.checks else {
                return self.finish(op, account, Err(TrapKind::BadCall { target: u64::from(helper.tag) }));
            };
            self.fuel.save(account, &env.fuel, op.high());
            let result = checks.call(env, helper.tag, helper.body, args);
            self.account.set(self.fuel.account(&env.fuel, op.high()));
            result
        } else {
            self.account.set(account);
            let [r1, r2, r3, r4, r5] = args;
            // SAFETY: the proof covers the arguments of every call; `Link` promises the rest.
            Ok(unsafe { (helper.body)(env, r1, r2, r3, r4, r5) })
        };
        if env.asked.get() {
            return self.obey(op, r);
        }
        self.finish(op, self.account.get(), result.map(|value| r.set(Reg::R0.0, value)))
    }

    /// Does what a helper asked for. Whether the program goes on, which it does by returning from the function: see
    /// `leaving`.
    #[cold]
    fn obey(&self, op: &Op, r: Registers) -> bool {
        let kind = match self.env.take_request() {
            Request::Leave(value) => {
                r.set(Reg::R0.0, value);
                self.leaving.set(true);
                return true;
            }
            Request::Tail if self.env.stack.used() == self.base + 1 => {
                self.stop.set(Stop::Exit(Exit::Tail));
                return false;
            }
            Request::Unwind(trap) => {
                self.stop.set(Stop::Fault(Fault::Elsewhere(trap)));
                return false;
            }
            Request::Tail => TrapKind::TailCall,
            Request::Stop(kind) => kind,
            Request::None => return true,
        };
        self.finish(op, self.account.get(), Err(kind))
    }

    /// The function that a word names: how far its first op is, the words to zero, and how many instructions stand
    /// before it.
    fn function(&self, pc: *const Op, word: u64) -> Option<(isize, u8, i64)> {
        let entry = self.ops.funcs.get(function_index(word)?)?;
        let start = entry.start as usize;
        let bytes = (start as isize - self.slot(pc) as isize) * size_of::<Op>() as isize;
        Some((bytes, entry.words, i64::from(instructions_before(&self.ops.constants, start))))
    }

    #[cold]
    fn bad_call(&self, op: &Op, r: Registers, account: i64) -> *const Op {
        stop(op, account, self, TrapKind::BadCall { target: r.get(op.dst) })
    }
}

/// Calls a helper by its index.
///
/// # Safety
/// As [`Run::go`].
pub(super) unsafe fn call_helper<M: Mode>(
    pc: *const Op,
    registers: *mut u64,
    account: i64,
    run: &Run<'_>,
) -> *const Op {
    // SAFETY: `pc` is an instruction; `predecode` refused numbers that `helpers` does not have.
    let helper = unsafe { run.ops.helpers.get_unchecked((*pc).off as usize) };
    // SAFETY: the caller's promise.
    unsafe { call::<M>(helper, pc, registers, account, run) }
}

/// Calls the function or the helper that a register names.
///
/// # Safety
/// As [`Run::go`].
pub(super) unsafe fn call_register<M: Mode>(
    pc: *const Op,
    registers: *mut u64,
    account: i64,
    run: &Run<'_>,
) -> *const Op {
    // SAFETY: `pc` is an instruction.
    let (op, r) = (unsafe { &*pc }, Registers(registers));
    let target = r.get(op.dst);
    if let Some((bytes, words, before)) = run.function(pc, target) {
        // SAFETY: a function begins there.
        return unsafe { enter::<M>(pc, bytes, words, registers, account, before - op.high(), run) };
    }
    match run.ops.helpers.iter().find(|helper| u64::from(helper.tag) == target) {
        // SAFETY: the caller's promise.
        Some(helper) => unsafe { call::<M>(helper, pc, registers, account, run) },
        None => run.bad_call(op, r, account),
    }
}

/// # Safety
/// As [`Run::go`], at a call.
#[inline(always)]
unsafe fn call<M: Mode>(helper: &Helper, pc: *const Op, registers: *mut u64, account: i64, run: &Run<'_>) -> *const Op {
    // SAFETY: `pc` is an instruction.
    if !run.help::<M>(helper, unsafe { &*pc }, Registers(registers), account) {
        return std::ptr::null();
    }
    if run.leaving.replace(false) {
        // SAFETY: a call holds how many instructions stand before the one after it, as an exit does.
        return unsafe { exit::<M>(pc, registers, run.account.get(), run) };
    }
    // SAFETY: a call has a next op.
    unsafe { go::<M>(pc.add(1), registers, run.account.get(), run) }
}

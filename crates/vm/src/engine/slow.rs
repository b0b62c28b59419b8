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
    /// The load extends the sign.
    const SIGNED: bool;
    /// From a zero-extended value to what the register gets.
    fn extend(value: u64) -> u64;
    /// The same for a value of the owner's: an unsigned load takes it as it is.
    fn extend_owned(value: u64) -> u64 {
        if Self::SIGNED { Self::extend(value) } else { value }
    }
}

macro_rules! access {
    ($($type:ty: $width:ident),*) => {
        $(impl Access for $type {
            const WIDTH: Width = Width::$width;
            #[allow(unused_comparisons, reason = "the macro is for unsigned types too")]
            const SIGNED: bool = <$type>::MIN < 0;
            fn extend(value: u64) -> u64 {
                value as $type as i64 as u64
            }
        })*
    };
}
access!(u8: B1, u16: B2, u32: B4, u64: B8, i8: B1, i16: B2, i32: B4);

/// Stops because the budget is low.
#[cold]
#[inline(never)]
pub(super) fn low(pc: *const Op, account: i64, run: &Run<'_>) -> *const Op {
    run.account.set(account);
    run.stop.set(Stop::Low(pc));
    std::ptr::null()
}

#[cold]
#[inline(never)]
pub(super) fn too_deep(pc: *const Op, account: i64, run: &Run<'_>) -> *const Op {
    // The account has the jump to the callee in it already.
    // SAFETY: `pc` is a call.
    let account = account - unsafe { (*pc).high() };
    stop(pc, account, run, TrapKind::Depth)
}

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

/// A load that the shortcut does not cover: from a region that is remembered now, or from the owner.
///
/// # Safety
/// As [`Run::go`], at a load of `T`.
#[cold]
#[inline(never)]
pub(super) unsafe fn load<M: Mode, T: Access>(
    pc: *const Op,
    registers: *mut u64,
    account: i64,
    run: &Run<'_>,
) -> *const Op {
    // SAFETY: `pc` is an instruction.
    let (op, r) = (unsafe { &*pc }, Registers(registers));
    let addr = r.get(op.src).wrapping_add(op.off as i64 as u64);
    let value = if run.may_access(op.src, addr, T::WIDTH, false) {
        // SAFETY: the bytes lie in a region or a frame in use.
        Ok(T::extend(unsafe { memory::read_width(addr, T::WIDTH) }))
    } else {
        match run.checks {
            Some(checks) => checks.load(run.env, addr, T::WIDTH).map(T::extend_owned),
            None => Err(TrapKind::Load { addr, width: T::WIDTH }),
        }
    };
    match value {
        Ok(value) => {
            r.set(op.dst, value);
            // SAFETY: a load has a next op.
            unsafe { next::<M>(pc.add(1), registers, account, run) }
        }
        Err(kind) => stop(pc, account, run, kind),
    }
}

/// A store that the shortcut does not cover.
///
/// # Safety
/// As [`Run::go`], at a store of `T`.
#[cold]
#[inline(never)]
pub(super) unsafe fn store<M: Mode, T: Access>(
    pc: *const Op,
    registers: *mut u64,
    account: i64,
    run: &Run<'_>,
    value: u64,
) -> *const Op {
    // SAFETY: `pc` is an instruction.
    let (op, r) = (unsafe { &*pc }, Registers(registers));
    let addr = r.get(op.dst).wrapping_add(op.off as i64 as u64);
    let stored = if run.may_access(op.dst, addr, T::WIDTH, true) {
        // SAFETY: the bytes lie in a writable region or a frame in use.
        unsafe { memory::write_width(addr, T::WIDTH, value) };
        Ok(())
    } else {
        match run.checks {
            Some(checks) => checks.store(run.env, addr, T::WIDTH, value),
            None => Err(TrapKind::Store { addr, width: T::WIDTH }),
        }
    };
    match stored {
        // SAFETY: a store has a next op.
        Ok(()) => unsafe { next::<M>(pc.add(1), registers, account, run) },
        Err(kind) => stop(pc, account, run, kind),
    }
}

impl Run<'_> {
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
}

/// Atomic read-modify-write.
///
/// # Safety
/// As [`Run::go`].
pub(super) unsafe fn atomic<M: Mode>(pc: *const Op, registers: *mut u64, account: i64, run: &Run<'_>) -> *const Op {
    // SAFETY: `pc` is an instruction.
    let (op, r) = (unsafe { &*pc }, Registers(registers));
    let width = if op.code == Opcode::Atomic32 { Width::B4 } else { Width::B8 };
    let addr = r.get(op.dst).wrapping_add(op.off as i64 as u64);
    if let Err(kind) = run.may_access_atomically::<M>(op.dst, addr, width, true) {
        return stop(pc, account, run, kind);
    }
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
    // SAFETY: it has a next op.
    unsafe { next::<M>(pc.add(1), registers, account, run) }
}

/// Load-acquire.
///
/// # Safety
/// As [`Run::go`].
pub(super) unsafe fn load_acquire<M: Mode>(
    pc: *const Op,
    registers: *mut u64,
    account: i64,
    run: &Run<'_>,
) -> *const Op {
    // SAFETY: `pc` is an instruction.
    let (op, r) = (unsafe { &*pc }, Registers(registers));
    let addr = r.get(op.src).wrapping_add(op.off as i64 as u64);
    let width = memory::width(op.imm);
    if let Err(kind) = run.may_access_atomically::<M>(op.src, addr, width, false) {
        return stop(pc, account, run, kind);
    }
    // SAFETY: aligned, and allowed, as was just found; in trusted mode, proven.
    r.set(op.dst, unsafe { memory::load_acquire(addr, width) });
    // SAFETY: it has a next op.
    unsafe { next::<M>(pc.add(1), registers, account, run) }
}

/// Store-release.
///
/// # Safety
/// As [`Run::go`].
pub(super) unsafe fn store_release<M: Mode>(
    pc: *const Op,
    registers: *mut u64,
    account: i64,
    run: &Run<'_>,
) -> *const Op {
    // SAFETY: `pc` is an instruction.
    let (op, r) = (unsafe { &*pc }, Registers(registers));
    let addr = r.get(op.dst).wrapping_add(op.off as i64 as u64);
    let width = memory::width(op.imm);
    if let Err(kind) = run.may_access_atomically::<M>(op.dst, addr, width, true) {
        return stop(pc, account, run, kind);
    }
    // SAFETY: aligned, and allowed, as was just found; in trusted mode, proven.
    unsafe { memory::store_release(addr, width, r.get(op.src)) };
    // SAFETY: it has a next op.
    unsafe { next::<M>(pc.add(1), registers, account, run) }
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
    let op = unsafe { &*pc };
    let target = Registers(registers).get(op.dst);
    if let Some(entry) = function_index(target).and_then(|index| run.ops.funcs.get(index)) {
        let start = entry.start as usize;
        let bytes = (start as isize - run.slot(pc) as isize) * size_of::<Op>() as isize;
        let account = account + i64::from(instructions_before(&run.ops.constants, start)) - op.high();
        // SAFETY: a function begins there.
        return unsafe { enter::<M>(pc, bytes, entry.words, registers, account, run) };
    }
    match run.ops.helpers.iter().find(|helper| u64::from(helper.tag) == target) {
        // SAFETY: the caller's promise.
        Some(helper) => unsafe { call::<M>(helper, pc, registers, account, run) },
        None => stop(pc, account, run, TrapKind::BadCall { target }),
    }
}

/// # Safety
/// As [`Run::go`], at a call.
#[inline(always)]
unsafe fn call<M: Mode>(
    helper: &Helper,
    pc: *const Op,
    registers: *mut u64,
    mut account: i64,
    run: &Run<'_>,
) -> *const Op {
    let (env, r) = (run.env, Registers(registers));
    // SAFETY: `pc` is an instruction.
    let before_next = unsafe { (*pc).high() };
    let args = [1, 2, 3, 4, 5].map(|number| r.get(number));
    let result = if M::CHECKED {
        let Some(checks) = run.checks else {
            return stop(pc, account, run, TrapKind::BadCall { target: u64::from(helper.tag) });
        };
        run.fuel.save(account, &env.fuel, before_next);
        let result = checks.call(env, helper.tag, helper.body, args);
        account = run.fuel.account(&env.fuel, before_next);
        result
    } else {
        let [r1, r2, r3, r4, r5] = args;
        // SAFETY: the proof covers the arguments of every call; `Link` promises the rest.
        Ok(unsafe { (helper.body)(env, r1, r2, r3, r4, r5) })
    };
    if env.request.get() != Request::None {
        // SAFETY: the caller's promise.
        return unsafe { obey::<M>(pc, registers, account, run) };
    }
    match result {
        Ok(value) => {
            r.set(Reg::R0.0, value);
            // SAFETY: a call has a next op.
            unsafe { go::<M>(pc.add(1), registers, account, run) }
        }
        Err(kind) => stop(pc, account, run, kind),
    }
}

/// Does what a helper asked for.
///
/// # Safety
/// As [`Run::go`], at a call.
#[cold]
#[inline(never)]
unsafe fn obey<M: Mode>(pc: *const Op, registers: *mut u64, account: i64, run: &Run<'_>) -> *const Op {
    match run.env.request.replace(Request::None) {
        Request::Stop(kind) => return stop(pc, account, run, kind),
        Request::Unwind(trap) => run.stop.set(Stop::Fault(Fault::Elsewhere(trap))),
        Request::Tail if run.env.stack.used() != run.base + 1 => return stop(pc, account, run, TrapKind::TailCall),
        Request::Tail => run.stop.set(Stop::Exit(Exit::Tail)),
        Request::Leave(value) => {
            Registers(registers).set(Reg::R0.0, value);
            // SAFETY: a call holds how many instructions stand before the one after it, as an exit does.
            return unsafe { exit::<M>(pc, registers, account, run) };
        }
        Request::None => {}
    }
    std::ptr::null()
}

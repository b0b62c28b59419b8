//! One function for each operation code, short enough to be a few machine instructions. What needs more tail-calls
//! into `slow`, so that nothing here has to keep anything across a call.

use super::depth::STRAIGHT;
use super::{Exit, Handler, Mode, Run, Stop, slow};
use crate::arith::{alu32, alu64, cmp32, cmp64};
use crate::memory;
use crate::op::{Op, Opcode, op_table};
use alveary_isa::{AluOp, CmpOp, Reg};

/// The registers of the machine, by number.
#[derive(Clone, Copy)]
pub(super) struct Registers(pub(super) *mut u64);

impl Registers {
    #[inline(always)]
    pub(super) fn get(self, number: u8) -> u64 {
        // SAFETY: the pointer is to 16 registers, and `number` comes from a `Reg` or an `Op`: it is below 13.
        unsafe { *self.0.add(usize::from(number)) }
    }

    #[inline(always)]
    pub(super) fn set(self, number: u8, value: u64) {
        // SAFETY: as in `get`.
        unsafe { *self.0.add(usize::from(number)) = value }
    }
}

/// Goes on at `pc`.
///
/// # Safety
/// As [`Run::go`].
#[inline(always)]
pub(super) unsafe fn next<M: Mode>(pc: *const Op, registers: *mut u64, account: i64, run: &Run<'_>) -> *const Op {
    if M::RETURNS {
        run.account.set(account);
        return pc;
    }
    // SAFETY: the caller's promise.
    let end = unsafe { ((*pc).handler)(pc, registers, account, run) };
    if M::STACKS { std::hint::black_box(end) } else { end }
}

/// Goes on at `pc` after a jump, which changed the account.
///
/// # Safety
/// As [`Run::go`].
#[inline(always)]
pub(super) unsafe fn go<M: Mode>(pc: *const Op, registers: *mut u64, account: i64, run: &Run<'_>) -> *const Op {
    if M::CHECKED && !M::STEPPING && account < 0 {
        return slow::low(pc, account, run);
    }
    if !M::RETURNS && run.depth.is_reached() {
        run.account.set(account);
        return pc;
    }
    // SAFETY: the caller's promise.
    unsafe { next::<M>(pc, registers, account, run) }
}

/// The account after the jump of `op`. In trusted mode nobody is stopped by it; it says how much work a run was.
#[inline(always)]
fn charge(account: i64, op: &Op) -> i64 {
    account.wrapping_add(op.high())
}

/// The function of an operation code before which `before` instructions stand.
pub(crate) fn handler_at<M: Mode>(code: Opcode, before: i32) -> Handler {
    if !M::RETURNS && before % STRAIGHT == STRAIGHT - 1 { landing::<M> } else { handler::<M>(code) }
}

/// Any operation, after a look at the native stack: straight lines come by here, however long they are.
unsafe fn landing<M: Mode>(pc: *const Op, registers: *mut u64, account: i64, run: &Run<'_>) -> *const Op {
    if run.depth.is_reached() {
        run.account.set(account);
        return pc;
    }
    // SAFETY: the caller's promise.
    let end = unsafe { handler::<M>((*pc).code)(pc, registers, account, run) };
    if M::STACKS { std::hint::black_box(end) } else { end }
}

/// The function of an operation code.
pub(super) fn handler<M: Mode>(code: Opcode) -> Handler {
    // An operation that cannot stop: its body works on the registers `r`, by `op`, and goes on with the next op.
    macro_rules! plain {
        (|$r:ident, $op:ident| $body:expr) => {
            |pc, registers, account, run| {
                // SAFETY: `pc` is an instruction.
                let ($op, $r) = (unsafe { &*pc }, Registers(registers));
                $body;
                // SAFETY: no function ends in an op that goes on: `predecode` refuses it.
                unsafe { next::<M>(pc.add(1), registers, account, run) }
            }
        };
    }
    macro_rules! unary {
        ($from:ident, $compute:expr) => {
            plain!(|r, op| r.set(op.dst, $compute(r.get(op.$from))))
        };
    }
    macro_rules! branch {
        (|$r:ident, $op:ident| $condition:expr) => {
            |pc, registers, account, run| {
                // SAFETY: `pc` is an instruction.
                let ($op, $r) = (unsafe { &*pc }, Registers(registers));
                if $condition {
                    // SAFETY: `predecode` wrote the distance to an instruction of the same function.
                    unsafe { go::<M>(pc.byte_offset($op.off as isize), registers, charge(account, $op), run) }
                } else {
                    // SAFETY: as in `plain`.
                    unsafe { next::<M>(pc.add(1), registers, account, run) }
                }
            }
        };
    }
    macro_rules! load {
        ($type:ty) => {
            |pc, registers, account, run| {
                // SAFETY: `pc` is an instruction.
                let (op, r) = (unsafe { &*pc }, Registers(registers));
                let addr = r.get(op.src).wrapping_add(op.off as i64 as u64);
                if M::CHECKED && !run.env.hot.readable(op.src, addr, size_of::<$type>() as u64) {
                    // SAFETY: this is that operation.
                    return unsafe { slow::load::<M, $type>(pc, registers, account, run) };
                }
                // SAFETY: proven in trusted mode; else inside memory that the owner gave for reading.
                r.set(op.dst, unsafe { memory::read::<$type>(addr) } as i64 as u64);
                // SAFETY: as in `plain`.
                unsafe { next::<M>(pc.add(1), registers, account, run) }
            }
        };
    }
    macro_rules! store {
        ($type:ty, $slow:ident, |$r:ident, $op:ident| $value:expr) => {
            |pc, registers, account, run| {
                // SAFETY: `pc` is an instruction.
                let ($op, $r) = (unsafe { &*pc }, Registers(registers));
                let addr = $r.get($op.dst).wrapping_add($op.off as i64 as u64);
                if M::CHECKED && !run.env.hot.writable($op.dst, addr, size_of::<$type>() as u64) {
                    // SAFETY: this is that operation.
                    return unsafe { slow::$slow::<M, $type>(pc, registers, account, run) };
                }
                // SAFETY: proven in trusted mode; else inside memory that the owner gave for writing.
                unsafe { memory::write(addr, $value as $type) };
                // SAFETY: as in `plain`.
                unsafe { next::<M>(pc.add(1), registers, account, run) }
            }
        };
    }
    macro_rules! frame_load {
        ($type:ty) => {
            plain!(|r, op| {
                let addr = r.get(Reg::FP.0).wrapping_add(op.off as i64 as u64);
                // SAFETY: r10 is the innermost frame's end, nothing can write it, and `predecode` found the offset to
                // lie in that frame.
                r.set(op.dst, unsafe { memory::read::<$type>(addr) } as i64 as u64)
            })
        };
    }
    macro_rules! frame_store {
        ($type:ty, |$r:ident, $op:ident| $value:expr) => {
            plain!(|$r, $op| {
                let addr = $r.get(Reg::FP.0).wrapping_add($op.off as i64 as u64);
                // SAFETY: as in `frame_load`.
                unsafe { memory::write(addr, $value as $type) }
            })
        };
    }
    macro_rules! arms {
        (
            alu { $($alu:ident $ar:ident $ai:ident $ar32:ident $ai32:ident;)* }
            cmp { $($cmp:ident $cr:ident $ci:ident $cr32:ident $ci32:ident;)* }
        ) => {
            match code {
                Opcode::Bad => slow::bad,
                $(
                    Opcode::$ar => plain!(|r, op| r.set(op.dst, alu64(AluOp::$alu, r.get(op.dst), r.get(op.src)))),
                    Opcode::$ai => plain!(|r, op| r.set(op.dst, alu64(AluOp::$alu, r.get(op.dst), op.imm))),
                    Opcode::$ar32 => plain!(|r, op| r.set(op.dst, alu32(AluOp::$alu, r.get(op.dst), r.get(op.src)))),
                    Opcode::$ai32 => plain!(|r, op| r.set(op.dst, alu32(AluOp::$alu, r.get(op.dst), op.imm))),
                )*
                $(
                    Opcode::$cr => branch!(|r, op| cmp64(CmpOp::$cmp, r.get(op.dst), r.get(op.src))),
                    Opcode::$ci => branch!(|r, op| cmp64(CmpOp::$cmp, r.get(op.dst), op.low() as i32 as i64 as u64)),
                    Opcode::$cr32 => branch!(|r, op| cmp32(CmpOp::$cmp, r.get(op.dst), r.get(op.src))),
                    Opcode::$ci32 => branch!(|r, op| cmp32(CmpOp::$cmp, r.get(op.dst), u64::from(op.low()))),
                )*
                Opcode::Constant => |pc, registers, account, run| {
                    // SAFETY: `pc` is an instruction.
                    let op = unsafe { &*pc };
                    Registers(registers).set(op.dst, op.imm);
                    // SAFETY: its second slot is an op, and no function ends in it.
                    unsafe { next::<M>(pc.add(2), registers, account, run) }
                },
                Opcode::Neg64 => unary!(dst, u64::wrapping_neg),
                Opcode::Neg32 => unary!(dst, |x| u64::from((x as u32).wrapping_neg())),
                Opcode::Sx8To64 => unary!(src, |x| x as i8 as i64 as u64),
                Opcode::Sx16To64 => unary!(src, |x| x as i16 as i64 as u64),
                Opcode::Sx32To64 => unary!(src, |x| x as i32 as i64 as u64),
                Opcode::Sx8To32 => unary!(src, |x| u64::from(x as i8 as i32 as u32)),
                Opcode::Sx16To32 => unary!(src, |x| u64::from(x as i16 as i32 as u32)),
                Opcode::Swap16 => unary!(dst, |x| u64::from((x as u16).swap_bytes())),
                Opcode::Swap32 => unary!(dst, |x| u64::from((x as u32).swap_bytes())),
                Opcode::Swap64 => unary!(dst, u64::swap_bytes),
                Opcode::Low16 => unary!(dst, |x| u64::from(x as u16)),
                Opcode::Nop => plain!(|_r, _op| ()),
                Opcode::LoadU8 => load!(u8),
                Opcode::LoadU16 => load!(u16),
                Opcode::LoadU32 => load!(u32),
                Opcode::LoadU64 => load!(u64),
                Opcode::LoadS8 => load!(i8),
                Opcode::LoadS16 => load!(i16),
                Opcode::LoadS32 => load!(i32),
                Opcode::Store8 => store!(u8, store, |r, op| r.get(op.src)),
                Opcode::Store16 => store!(u16, store, |r, op| r.get(op.src)),
                Opcode::Store32 => store!(u32, store, |r, op| r.get(op.src)),
                Opcode::Store64 => store!(u64, store, |r, op| r.get(op.src)),
                Opcode::StoreImm8 => store!(u8, store_constant, |r, op| op.imm),
                Opcode::StoreImm16 => store!(u16, store_constant, |r, op| op.imm),
                Opcode::StoreImm32 => store!(u32, store_constant, |r, op| op.imm),
                Opcode::StoreImm64 => store!(u64, store_constant, |r, op| op.imm),
                Opcode::FrameLoadU8 => frame_load!(u8),
                Opcode::FrameLoadU16 => frame_load!(u16),
                Opcode::FrameLoadU32 => frame_load!(u32),
                Opcode::FrameLoadU64 => frame_load!(u64),
                Opcode::FrameLoadS8 => frame_load!(i8),
                Opcode::FrameLoadS16 => frame_load!(i16),
                Opcode::FrameLoadS32 => frame_load!(i32),
                Opcode::FrameStore8 => frame_store!(u8, |r, op| r.get(op.src)),
                Opcode::FrameStore16 => frame_store!(u16, |r, op| r.get(op.src)),
                Opcode::FrameStore32 => frame_store!(u32, |r, op| r.get(op.src)),
                Opcode::FrameStore64 => frame_store!(u64, |r, op| r.get(op.src)),
                Opcode::FrameStoreImm8 => frame_store!(u8, |r, op| op.imm),
                Opcode::FrameStoreImm16 => frame_store!(u16, |r, op| op.imm),
                Opcode::FrameStoreImm32 => frame_store!(u32, |r, op| op.imm),
                Opcode::FrameStoreImm64 => frame_store!(u64, |r, op| op.imm),
                Opcode::Atomic32 | Opcode::Atomic64 => slow::atomic::<M>,
                Opcode::LoadAcquire => slow::load_acquire::<M>,
                Opcode::StoreRelease => slow::store_release::<M>,
                Opcode::Ja => branch!(|_r, op| true),
                Opcode::MayGoto => may_goto::<M>,
                Opcode::CallHelper => slow::call_helper::<M>,
                Opcode::CallLocal => call_local::<M>,
                Opcode::CallX => slow::call_register::<M>,
                Opcode::Exit => exit::<M>,
            }
        };
    }
    op_table!(arms)
}

unsafe fn may_goto<M: Mode>(pc: *const Op, registers: *mut u64, account: i64, run: &Run<'_>) -> *const Op {
    // SAFETY: `pc` is an instruction.
    let op = unsafe { &*pc };
    let loops = &run.env.stack.innermost().loops;
    match loops.get() {
        // SAFETY: `predecode` wrote the distance to an instruction of the same function.
        0 => unsafe { go::<M>(pc.byte_offset(op.off as isize), registers, account + op.high(), run) },
        left => {
            loops.set(left - 1);
            // SAFETY: it has a next op.
            unsafe { next::<M>(pc.add(1), registers, account, run) }
        }
    }
}

unsafe fn call_local<M: Mode>(pc: *const Op, registers: *mut u64, account: i64, run: &Run<'_>) -> *const Op {
    // SAFETY: `pc` is an instruction.
    let op = unsafe { &*pc };
    // SAFETY: `predecode` wrote the distance to a function, and how many words of its frame are zeroed.
    unsafe { enter::<M>(pc, op.off as isize, op.dst, registers, account, op.high(), run) }
}

/// Calls the function that begins `bytes` from `pc`, a jump that adds `jump` to the account.
///
/// # Safety
/// As [`Run::go`]; and it must begin there, with `words` of its frame to be zeroed.
#[inline(always)]
pub(super) unsafe fn enter<M: Mode>(
    pc: *const Op,
    bytes: isize,
    words: u8,
    registers: *mut u64,
    account: i64,
    jump: i64,
    run: &Run<'_>,
) -> *const Op {
    let r = Registers(registers);
    let Some(frame_pointer) = run.env.stack.push(run.base, words) else {
        return slow::too_deep(pc, account, run);
    };
    let saved = run.env.stack.innermost();
    for (number, register) in (6..10).zip(&saved.registers) {
        register.set(r.get(number));
    }
    saved.back.set(pc);
    r.set(Reg::FP.0, frame_pointer);
    // SAFETY: the caller's promise.
    unsafe { go::<M>(pc.byte_offset(bytes), registers, account + jump, run) }
}

/// Returns from a function, or from the program.
///
/// # Safety
/// As [`Run::go`]; the op at `pc` must hold how many instructions stand before the one after it.
pub(super) unsafe fn exit<M: Mode>(pc: *const Op, registers: *mut u64, account: i64, run: &Run<'_>) -> *const Op {
    // SAFETY: `pc` is an instruction.
    let (op, r) = (unsafe { &*pc }, Registers(registers));
    let stack = &run.env.stack;
    let used = stack.used();
    if used == run.floor + 1 {
        if M::CHECKED {
            run.fuel.save(account, &run.env.fuel, op.high());
        } else {
            run.account.set(account - op.high());
        }
        run.stop.set(Stop::Exit(Exit::Return(r.get(Reg::R0.0))));
        return std::ptr::null();
    }
    let saved = stack.innermost();
    for (number, register) in (6..10).zip(&saved.registers) {
        r.set(number, register.get());
    }
    let back = saved.back.get();
    stack.truncate(used - 1);
    r.set(Reg::FP.0, stack.frame_pointer());
    if M::CHECKED && run.env.hot.holds_stack() {
        run.env.hot.reset();
    }
    // SAFETY: `back` was written by the call that took this frame into use: an op, after which its function goes on.
    unsafe { go::<M>(back.add(1), registers, account + i64::from((*back).low()) - op.high(), run) }
}

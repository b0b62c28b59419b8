//! The interpreter: one loop over [`Op`]s, compiled once for each mode. Knows no symbols and no slots of the object;
//! whether code is well-formed was settled by `predecode`.

use crate::arith::{alu32, alu64, cmp32, cmp64};
use crate::env::Request;
use crate::fuel::Fuel;
use crate::memory::{self, ATOMIC_OPS};
use crate::op::{Op, Opcode, op_table};
use crate::predecode::{Entry, Helper, Ops, function_index, instructions_before};
use crate::stack::FRAME;
use crate::{Checks, Env, Exit, Trap, TrapKind};
use alveary_isa::{AluOp, CmpOp, Reg, Width};

/// What the loop is compiled for.
pub(crate) trait Mode {
    /// Accesses, helper calls and the budget are checked.
    const CHECKED: bool;
    /// The budget is asked before every instruction.
    const STEPPING: bool = false;
}

/// No checks: the code is proven.
pub(crate) struct Trusted;
/// Checked, with more budget left than any straight line can use.
pub(crate) struct Checked;
/// Checked, near the end of the budget.
struct Stepping;

impl Mode for Trusted {
    const CHECKED: bool = false;
}
impl Mode for Checked {
    const CHECKED: bool = true;
}
impl Mode for Stepping {
    const CHECKED: bool = true;
    const STEPPING: bool = true;
}

/// What one activation of the loop runs, and on what.
pub(crate) struct Activation<'a> {
    pub(crate) ops: &'a Ops,
    pub(crate) env: &'a Env,
    pub(crate) checks: Option<&'a dyn Checks>,
    /// Outermost frame of the run.
    pub(crate) base: usize,
}

/// Why the loop stopped early.
pub(crate) enum Fault {
    /// At this slot.
    At(usize, TrapKind),
    /// Somewhere else, in a run or a callback that ended before.
    Elsewhere(Trap),
}

impl Fault {
    pub(crate) fn trap(self, origin: impl FnOnce(usize) -> u32) -> Trap {
        match self {
            Fault::At(slot, kind) => Trap { insn: origin(slot), kind },
            Fault::Elsewhere(trap) => trap,
        }
    }
}

/// The machine's state between two instructions.
struct Machine {
    registers: Registers,
    pc: *const Op,
    fuel: Fuel,
}

/// r0–r10, the hidden ones, and no more: `predecode` writes only register numbers below 13.
struct Registers([u64; 16]);

impl Registers {
    #[inline(always)]
    fn get(&self, number: u8) -> u64 {
        // SAFETY: `number` comes from a `Reg` or from an `Op`: it is below 13.
        unsafe { *self.0.get_unchecked(usize::from(number)) }
    }

    #[inline(always)]
    fn set(&mut self, number: u8, value: u64) {
        // SAFETY: as in `get`.
        unsafe { *self.0.get_unchecked_mut(usize::from(number)) = value }
    }
}

/// How the loop ended.
enum Stop {
    Exit(Exit),
    /// The budget has become low: go on stepping.
    Low,
    Fault(Fault),
}

/// Runs the function at `entry` to its end.
pub(crate) fn enter<M: Mode>(activation: &Activation<'_>, entry: Entry, args: [u64; 5]) -> Result<Exit, Fault> {
    let Activation { ops, env, base, .. } = *activation;
    let start = entry.start as usize;
    let frames = env.stack.used();
    let Some(frame_pointer) = env.stack.push(base, entry.words) else {
        return Err(Fault::At(start, TrapKind::Depth));
    };
    let mut registers = Registers([0; 16]);
    registers.0[1..6].copy_from_slice(&args);
    registers.set(Reg::FP.0, frame_pointer);
    registers.set(Reg::ENV.0, std::ptr::from_ref(env) as u64);
    let total = ops.ops.len() - ops.constants.len();
    let before = i64::from(instructions_before(&ops.constants, start));
    let mut machine = Machine { registers, pc: &ops.ops[start], fuel: Fuel::open(&env.fuel, total, before) };
    // SAFETY: `machine` stands at a function's first op of `ops`, with the registers that a run begins with.
    let mut stop = unsafe { run::<M>(activation, &mut machine, frames) };
    if let Stop::Low = stop {
        // SAFETY: the loop left the machine between two instructions of `ops`.
        stop = unsafe { run::<Stepping>(activation, &mut machine, frames) };
    }
    env.stack.truncate(frames);
    if M::CHECKED && env.hot.holds_stack() {
        env.hot.reset();
    }
    match stop {
        Stop::Exit(exit) => Ok(exit),
        Stop::Fault(fault) => Err(fault),
        Stop::Low => unreachable!("a stepping loop does not ask to be changed over"),
    }
}

/// The loop. Activations' own frames begin at `floor`.
///
/// # Safety
/// `machine.pc` must point to an instruction of `activation.ops` whose function the innermost frame belongs to, with
/// the frame pointer in r10. In trusted mode what [`crate::Image::trusted`] asks for must hold.
#[allow(clippy::cognitive_complexity, reason = "one arm for each operation code; each is short")]
unsafe fn run<M: Mode>(activation: &Activation<'_>, machine: &mut Machine, floor: usize) -> Stop {
    let Activation { ops, env, base, .. } = *activation;
    let registers = &mut machine.registers;
    let mut fuel = machine.fuel;
    let mut pc = machine.pc;
    let first = ops.ops.as_ptr();

    macro_rules! get {
        ($number:expr) => {
            registers.get($number)
        };
    }
    macro_rules! set {
        ($number:expr, $value:expr) => {
            registers.set($number, $value)
        };
    }
    macro_rules! slot {
        () => {
            // SAFETY: `pc` points into `ops.ops`, as `first` does.
            unsafe { pc.offset_from_unsigned(first) }
        };
    }
    macro_rules! fault {
        ($kind:expr) => {{
            let kind: TrapKind = $kind;
            if M::CHECKED {
                let ran = i64::from(kind != TrapKind::Budget);
                fuel.save(&env.fuel, i64::from(instructions_before(&ops.constants, slot!())) + ran);
            }
            return Stop::Fault(Fault::At(slot!(), kind));
        }};
    }
    macro_rules! check {
        ($result:expr) => {
            match $result {
                Ok(value) => value,
                Err(kind) => fault!(kind),
            }
        };
    }
    // Goes on with the next op.
    macro_rules! next {
        () => {{
            // SAFETY: no function ends in an op that goes on: `predecode` refuses it.
            pc = unsafe { pc.add(1) };
            continue;
        }};
    }
    // Goes on `$bytes` further, where the account changes by `$account`.
    macro_rules! go {
        ($bytes:expr, $account:expr) => {{
            // SAFETY: `predecode` wrote the distance to an op of the same allocation.
            pc = unsafe { pc.byte_offset($bytes as isize) };
            if M::CHECKED {
                fuel.account += $account;
                if !M::STEPPING && fuel.account < 0 {
                    machine.pc = pc;
                    machine.fuel = fuel;
                    return Stop::Low;
                }
            }
            continue;
        }};
    }
    macro_rules! address {
        ($base:expr, $op:expr) => {
            get!($base).wrapping_add($op.off as i64 as u64)
        };
    }
    macro_rules! load {
        ($op:expr, $type:ty, $width:expr) => {{
            let addr = address!($op.src, $op);
            let value = if !M::CHECKED || env.hot.readable($op.src, addr, size_of::<$type>() as u64) {
                // SAFETY: proven in trusted mode; else inside memory that the owner gave for reading.
                let value = unsafe { memory::read::<$type>(addr) };
                value as i64 as u64
            } else {
                let value = check!(load_elsewhere(activation, $op.src, addr, $width));
                value as $type as i64 as u64
            };
            set!($op.dst, value);
            next!()
        }};
    }
    macro_rules! store {
        ($op:expr, $type:ty, $width:expr, $value:expr) => {{
            let addr = address!($op.dst, $op);
            if !M::CHECKED || env.hot.writable($op.dst, addr, size_of::<$type>() as u64) {
                // SAFETY: proven in trusted mode; else inside memory that the owner gave for writing.
                unsafe { memory::write(addr, $value as $type) };
            } else {
                check!(store_elsewhere(activation, $op.dst, addr, $width, $value));
            }
            next!()
        }};
    }
    macro_rules! frame_load {
        ($op:expr, $type:ty) => {{
            // SAFETY: r10 is the innermost frame's end, nothing can write it, and `predecode` found the offset to lie
            // in that frame.
            let value = unsafe { memory::read::<$type>(address!(Reg::FP.0, $op)) };
            set!($op.dst, value as i64 as u64);
            next!()
        }};
    }
    macro_rules! frame_store {
        ($op:expr, $type:ty, $value:expr) => {{
            // SAFETY: as in `frame_load`.
            unsafe { memory::write(address!(Reg::FP.0, $op), $value as $type) };
            next!()
        }};
    }
    macro_rules! unary {
        ($op:expr, $from:expr, $compute:expr) => {{
            set!($op.dst, $compute(get!($from)));
            next!()
        }};
    }
    macro_rules! leave {
        ($high:expr) => {{
            let used = env.stack.used();
            if used == floor + 1 {
                if M::CHECKED {
                    fuel.save(&env.fuel, $high);
                }
                return Stop::Exit(Exit::Return(get!(Reg::R0.0)));
            }
            let saved = env.stack.innermost();
            for (number, register) in (6..10).zip(&saved.registers) {
                set!(number as u8, register.get());
            }
            set!(Reg::FP.0, get!(Reg::FP.0).wrapping_add(FRAME as u64));
            pc = saved.back.get();
            env.stack.truncate(used - 1);
            if M::CHECKED && env.hot.holds_stack() {
                env.hot.reset();
            }
            // SAFETY: `back` was written by the call that took this frame into use: an op that has a next one.
            let call = unsafe { &*pc };
            // SAFETY: as above.
            pc = unsafe { pc.add(1) };
            go!(0, i64::from(call.low()) - $high)
        }};
    }
    macro_rules! enter {
        ($bytes:expr, $words:expr, $account:expr) => {{
            let Some(frame_pointer) = env.stack.push(base, $words) else { fault!(TrapKind::Depth) };
            let saved = env.stack.innermost();
            for (number, register) in (6..10).zip(&saved.registers) {
                register.set(get!(number as u8));
            }
            saved.back.set(pc);
            set!(Reg::FP.0, frame_pointer);
            go!($bytes, $account)
        }};
    }
    macro_rules! call_helper {
        ($helper:expr, $high:expr) => {{
            let helper: Helper = $helper;
            let args = [1, 2, 3, 4, 5].map(|number| get!(number));
            let result: Result<u64, TrapKind>;
            if M::CHECKED {
                fuel.save(&env.fuel, $high);
                let Some(checks) = activation.checks else {
                    fault!(TrapKind::BadCall { target: u64::from(helper.tag) })
                };
                result = checks.call(env, helper.tag, helper.body, args);
                fuel.restore(&env.fuel, $high);
            } else {
                let [r1, r2, r3, r4, r5] = args;
                // SAFETY: the proof covers the arguments of every call; `Link` promises the rest.
                result = Ok(unsafe { (helper.body)(env, r1, r2, r3, r4, r5) });
            }
            match env.request.get() {
                Request::None => {}
                Request::Stop(kind) => {
                    env.request.set(Request::None);
                    fault!(kind)
                }
                Request::Unwind(trap) => {
                    env.request.set(Request::None);
                    return Stop::Fault(Fault::Elsewhere(trap));
                }
                Request::Leave(value) => {
                    env.request.set(Request::None);
                    set!(Reg::R0.0, value);
                    leave!($high)
                }
                Request::Tail => {
                    env.request.set(Request::None);
                    if env.stack.used() != base + 1 {
                        fault!(TrapKind::TailCall)
                    }
                    return Stop::Exit(Exit::Tail);
                }
            }
            set!(Reg::R0.0, check!(result));
            go!(size_of::<Op>(), 0)
        }};
    }

    loop {
        // SAFETY: `pc` points to an instruction of `ops.ops`: so it did at the start, and every way below keeps it.
        let op = unsafe { &*pc };
        if M::STEPPING && fuel.left(i64::from(instructions_before(&ops.constants, slot!()))) <= 0 {
            fault!(TrapKind::Budget)
        }
        macro_rules! arms {
            (
                alu { $($alu:ident $ar:ident $ai:ident $ar32:ident $ai32:ident;)* }
                cmp { $($cmp:ident $cr:ident $ci:ident $cr32:ident $ci32:ident;)* }
            ) => {
                match op.code {
                    Opcode::Bad => fault!(TrapKind::BadInsn),
                    $(
                        Opcode::$ar => unary!(op, op.dst, |dst| alu64(AluOp::$alu, dst, get!(op.src))),
                        Opcode::$ai => unary!(op, op.dst, |dst| alu64(AluOp::$alu, dst, op.imm)),
                        Opcode::$ar32 => unary!(op, op.dst, |dst| alu32(AluOp::$alu, dst, get!(op.src))),
                        Opcode::$ai32 => unary!(op, op.dst, |dst| alu32(AluOp::$alu, dst, op.imm)),
                    )*
                    $(
                        Opcode::$cr => {
                            if cmp64(CmpOp::$cmp, get!(op.dst), get!(op.src)) { go!(op.off, op.high()) }
                            next!()
                        }
                        Opcode::$ci => {
                            if cmp64(CmpOp::$cmp, get!(op.dst), op.low() as i32 as i64 as u64) { go!(op.off, op.high()) }
                            next!()
                        }
                        Opcode::$cr32 => {
                            if cmp32(CmpOp::$cmp, get!(op.dst), get!(op.src)) { go!(op.off, op.high()) }
                            next!()
                        }
                        Opcode::$ci32 => {
                            if cmp32(CmpOp::$cmp, get!(op.dst), u64::from(op.low())) { go!(op.off, op.high()) }
                            next!()
                        }
                    )*
                    Opcode::Constant => {
                        set!(op.dst, op.imm);
                        // SAFETY: its second slot is an op, and no function ends in it.
                        pc = unsafe { pc.add(2) };
                        continue;
                    }
                    Opcode::Neg64 => unary!(op, op.dst, u64::wrapping_neg),
                    Opcode::Neg32 => unary!(op, op.dst, |x| u64::from((x as u32).wrapping_neg())),
                    Opcode::Sx8To64 => unary!(op, op.src, |x| x as i8 as i64 as u64),
                    Opcode::Sx16To64 => unary!(op, op.src, |x| x as i16 as i64 as u64),
                    Opcode::Sx32To64 => unary!(op, op.src, |x| x as i32 as i64 as u64),
                    Opcode::Sx8To32 => unary!(op, op.src, |x| u64::from(x as i8 as i32 as u32)),
                    Opcode::Sx16To32 => unary!(op, op.src, |x| u64::from(x as i16 as i32 as u32)),
                    Opcode::Swap16 => unary!(op, op.dst, |x| u64::from((x as u16).swap_bytes())),
                    Opcode::Swap32 => unary!(op, op.dst, |x| u64::from((x as u32).swap_bytes())),
                    Opcode::Swap64 => unary!(op, op.dst, u64::swap_bytes),
                    Opcode::Low16 => unary!(op, op.dst, |x| u64::from(x as u16)),
                    Opcode::Nop => next!(),
                    Opcode::LoadU8 => load!(op, u8, Width::B1),
                    Opcode::LoadU16 => load!(op, u16, Width::B2),
                    Opcode::LoadU32 => load!(op, u32, Width::B4),
                    Opcode::LoadU64 => load!(op, u64, Width::B8),
                    Opcode::LoadS8 => load!(op, i8, Width::B1),
                    Opcode::LoadS16 => load!(op, i16, Width::B2),
                    Opcode::LoadS32 => load!(op, i32, Width::B4),
                    Opcode::Store8 => store!(op, u8, Width::B1, get!(op.src)),
                    Opcode::Store16 => store!(op, u16, Width::B2, get!(op.src)),
                    Opcode::Store32 => store!(op, u32, Width::B4, get!(op.src)),
                    Opcode::Store64 => store!(op, u64, Width::B8, get!(op.src)),
                    Opcode::StoreImm8 => store!(op, u8, Width::B1, op.imm),
                    Opcode::StoreImm16 => store!(op, u16, Width::B2, op.imm),
                    Opcode::StoreImm32 => store!(op, u32, Width::B4, op.imm),
                    Opcode::StoreImm64 => store!(op, u64, Width::B8, op.imm),
                    Opcode::FrameLoadU8 => frame_load!(op, u8),
                    Opcode::FrameLoadU16 => frame_load!(op, u16),
                    Opcode::FrameLoadU32 => frame_load!(op, u32),
                    Opcode::FrameLoadU64 => frame_load!(op, u64),
                    Opcode::FrameLoadS8 => frame_load!(op, i8),
                    Opcode::FrameLoadS16 => frame_load!(op, i16),
                    Opcode::FrameLoadS32 => frame_load!(op, i32),
                    Opcode::FrameStore8 => frame_store!(op, u8, get!(op.src)),
                    Opcode::FrameStore16 => frame_store!(op, u16, get!(op.src)),
                    Opcode::FrameStore32 => frame_store!(op, u32, get!(op.src)),
                    Opcode::FrameStore64 => frame_store!(op, u64, get!(op.src)),
                    Opcode::FrameStoreImm8 => frame_store!(op, u8, op.imm),
                    Opcode::FrameStoreImm16 => frame_store!(op, u16, op.imm),
                    Opcode::FrameStoreImm32 => frame_store!(op, u32, op.imm),
                    Opcode::FrameStoreImm64 => frame_store!(op, u64, op.imm),
                    Opcode::Atomic32 | Opcode::Atomic64 => {
                        let width = if op.code == Opcode::Atomic32 { Width::B4 } else { Width::B8 };
                        let addr = address!(op.dst, op);
                        let what = ATOMIC_OPS[op.imm as usize % ATOMIC_OPS.len()];
                        check!(may_access_atomically::<M>(activation, op.dst, addr, width, true));
                        let (src, expected) = (get!(op.src), get!(Reg::R0.0));
                        // SAFETY: aligned, and allowed, as was just found; in trusted mode, proven.
                        let old = unsafe {
                            match width {
                                Width::B4 => memory::atomic32(what, addr, src, expected),
                                _ => memory::atomic64(what, addr, src, expected),
                            }
                        };
                        match op.imm {
                            0..4 => {}
                            9 => set!(Reg::R0.0, old),
                            _ => set!(op.src, old),
                        }
                        next!()
                    }
                    Opcode::LoadAcquire => {
                        let addr = address!(op.src, op);
                        let width = memory::width(op.imm).unwrap_or(Width::B8);
                        check!(may_access_atomically::<M>(activation, op.src, addr, width, false));
                        // SAFETY: aligned, and allowed, as was just found; in trusted mode, proven.
                        set!(op.dst, unsafe { memory::load_acquire(addr, width) });
                        next!()
                    }
                    Opcode::StoreRelease => {
                        let addr = address!(op.dst, op);
                        let width = memory::width(op.imm).unwrap_or(Width::B8);
                        check!(may_access_atomically::<M>(activation, op.dst, addr, width, true));
                        // SAFETY: aligned, and allowed, as was just found; in trusted mode, proven.
                        unsafe { memory::store_release(addr, width, get!(op.src)) };
                        next!()
                    }
                    Opcode::Ja => go!(op.off, op.high()),
                    Opcode::MayGoto => {
                        let loops = &env.stack.innermost().loops;
                        match loops.get() {
                            0 => go!(op.off, op.high()),
                            left => loops.set(left - 1),
                        }
                        next!()
                    }
                    Opcode::CallHelper => {
                        // SAFETY: `predecode` refused numbers that `helpers` does not have.
                        call_helper!(*unsafe { ops.helpers.get_unchecked(op.off as usize) }, op.high())
                    }
                    Opcode::CallLocal => enter!(op.off, op.dst, op.high()),
                    Opcode::CallX => {
                        let target = get!(op.dst);
                        if let Some(entry) = function_index(target).and_then(|index| ops.funcs.get(index)) {
                            let bytes = (entry.start as isize - slot!() as isize) * size_of::<Op>() as isize;
                            let before = i64::from(instructions_before(&ops.constants, entry.start as usize));
                            enter!(bytes, entry.words, before - op.high())
                        }
                        match ops.helpers.iter().find(|helper| u64::from(helper.tag) == target) {
                            Some(helper) => call_helper!(*helper, op.high()),
                            None => fault!(TrapKind::BadCall { target }),
                        }
                    }
                    Opcode::Exit => leave!(op.high()),
                }
            };
        }
        op_table!(arms)
    }
}

/// A load that the shortcut does not cover: from a region that is remembered now, or from the owner.
#[cold]
#[inline(never)]
fn load_elsewhere(activation: &Activation<'_>, base: u8, addr: u64, width: Width) -> Result<u64, TrapKind> {
    let Activation { env, checks, .. } = *activation;
    if may_access(env, base, addr, width, false) {
        // SAFETY: the bytes lie in a region or a frame in use.
        return Ok(unsafe { memory::read_width(addr, width) });
    }
    match checks {
        Some(checks) => checks.load(env, addr, width),
        None => Err(TrapKind::Load { addr, width }),
    }
}

/// A store that the shortcut does not cover.
#[cold]
#[inline(never)]
fn store_elsewhere(activation: &Activation<'_>, base: u8, addr: u64, width: Width, value: u64) -> Result<(), TrapKind> {
    let Activation { env, checks, .. } = *activation;
    if may_access(env, base, addr, width, true) {
        // SAFETY: the bytes lie in a writable region or a frame in use.
        unsafe { memory::write_width(addr, width, value) };
        return Ok(());
    }
    match checks {
        Some(checks) => checks.store(env, addr, width, value),
        None => Err(TrapKind::Store { addr, width }),
    }
}

/// Whether the regions or the frames in use cover an access; remembers for `base` what does.
fn may_access(env: &Env, base: u8, addr: u64, width: Width, write: bool) -> bool {
    let Some(span) = env.span(addr, width.bytes() as u64).filter(|span| span.write || !write) else {
        return false;
    };
    env.hot.learn(base, span, span == env.stack.in_use());
    true
}

/// Whether an atomic access is allowed: aligned in both modes, because memory that is not cannot be accessed
/// atomically on every machine; in checked mode covered, too.
#[inline(always)]
fn may_access_atomically<M: Mode>(
    activation: &Activation<'_>,
    base: u8,
    addr: u64,
    width: Width,
    write: bool,
) -> Result<(), TrapKind> {
    if !memory::is_aligned(addr, width) {
        return Err(TrapKind::Misaligned { addr, width });
    }
    let (env, len) = (activation.env, width.bytes() as u64);
    let covered = !M::CHECKED
        || if write { env.hot.writable(base, addr, len) } else { env.hot.readable(base, addr, len) }
        || may_access(env, base, addr, width, write);
    match (covered, write) {
        (true, _) => Ok(()),
        (false, true) => Err(TrapKind::Store { addr, width }),
        (false, false) => Err(TrapKind::Load { addr, width }),
    }
}

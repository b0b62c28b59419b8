//! Where a body is bound to a row: the one place that knows how the engine calls a helper.

mod closure;

pub(crate) use closure::{Closure, MOST as MOST_CLOSURES};

use crate::{Args, Bytes, Family, LEGACY_LOAD, LoadedMap, Prog, Vcpu, World};
use alveary_abi::{Arg, Helper, HelperId, ProgSet, ProgType, Proto, Tables};
use alveary_vm::{Env, HelperFn, TrapKind};
use std::{any::TypeId, borrow::Cow, fmt, marker::PhantomData};

/// A helper's body beside its row. [`crate::helpers!`] writes these.
pub trait Body: 'static {
    /// Whose context and state it uses.
    type Family: Family;
    /// Its row.
    const ROW: &'static Helper;
    /// Runs it; what it gives back is `r0`.
    fn call(cx: &Cx<'_, Self::Family>, args: &Args<'_>) -> i64;
}

/// A body bound to its row: number, name and prototype are not said again.
#[derive(Clone, Copy)]
pub struct Bind {
    pub(crate) row: &'static Helper,
    pub(crate) args: &'static [Arg; 5],
    pub(crate) body: HelperFn,
    pub(crate) family: TypeId,
}

impl Bind {
    /// Binds `B`.
    #[must_use]
    pub const fn of<B: Body>() -> Bind {
        Bind {
            row: B::ROW,
            args: arguments(B::ROW.protos, B::Family::TYPES),
            body: enter::<B>,
            family: TypeId::of::<B::Family>(),
        }
    }

    /// The helper's row.
    #[must_use]
    pub fn row(&self) -> &'static Helper {
        self.row
    }
}

impl fmt::Debug for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bind({})", self.row.name)
    }
}

/// What the body reads its arguments by: the row's prototype for its family. Call sites whose own prototype differs
/// are refused at load.
const fn arguments(protos: &'static [Proto], types: &[ProgType]) -> &'static [Arg; 5] {
    const NONE: &[Arg; 5] = &[Arg::None; 5];
    let types = ProgSet::of(types);
    let mut i = 0;
    while i < protos.len() {
        if types.0 == 0 || protos[i].scope.progs.0 & types.0 != 0 {
            return &protos[i].args;
        }
        i += 1;
    }
    NONE
}

/// What engines call.
unsafe extern "C" fn enter<B: Body>(env: *const Env, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64) -> u64 {
    // SAFETY: engines pass the Env of a running virtual CPU, whose batch set `host` to it for the time of the run.
    let cpu = unsafe { &*(*env).host.get().cast::<Vcpu>() };
    // SAFETY: in checked mode `Judge::call` held the arguments against the row, in trusted mode the proof did; load
    // refused call sites whose prototype has other arguments than these.
    let args = unsafe { Args::new([r1, r2, r3, r4, r5], const { arguments(B::ROW.protos, B::Family::TYPES) }) };
    B::call(&Cx { cpu, row: B::ROW, family: PhantomData }, &args) as u64
}

/// The running virtual CPU, as a helper's body sees it.
pub struct Cx<'a, F> {
    cpu: &'a Vcpu,
    /// Of the helper whose body this is.
    row: &'static Helper,
    family: PhantomData<F>,
}

impl<'a, F: Family> Cx<'a, F> {
    /// The context of this run.
    #[must_use]
    pub fn ctx(&self) -> &'a F::Ctx {
        // SAFETY: load binds a body of family F to programs of family F only, and their batch runs on an `F::Ctx`
        // that it borrows for the run. (The family of common helpers has `()`: any address will do.)
        unsafe { &*self.cpu.env.ctx.get().cast::<F::Ctx>() }
    }

    /// The family's state.
    #[must_use]
    pub fn state(&self) -> &'a F::State {
        // SAFETY: as for `ctx`; the state is kept by the runtime.
        unsafe { &*self.cpu.env.state.get().cast::<F::State>() }
    }

    /// Number of the virtual CPU.
    #[must_use]
    pub fn cpu(&self) -> u32 {
        self.cpu.number()
    }

    /// The virtual CPU.
    pub(crate) fn vcpu(&self) -> &'a Vcpu {
        self.cpu
    }

    /// What programs see of the world.
    #[must_use]
    pub fn world(&self) -> &'a World {
        self.cpu.runtime().world()
    }

    /// The program that runs.
    #[must_use]
    pub fn prog(&self) -> &'a Prog {
        self.cpu.prog()
    }

    /// A random number.
    #[must_use]
    pub fn random(&self) -> u32 {
        self.cpu.random()
    }

    /// Calls a function of the program. `None` if it was stopped: the body then returns at once, whatever it returns.
    ///
    /// A proven program calls back only what the verifier has followed: to a helper whose row names no callback, it is
    /// stopped.
    #[must_use]
    pub fn callback(&self, function: u64, args: [u64; 5]) -> Option<u64> {
        let named =
            self.row.protos.iter().any(|proto| proto.args.iter().any(|arg| matches!(arg, Arg::Callback { .. })));
        if self.prog().is_trusted() && !named {
            self.stop(TrapKind::Helper(self.row.id.0));
            return None;
        }
        self.cpu.callback(function, args)
    }

    /// Stops the program when the body returns.
    pub fn stop(&self, why: TrapKind) {
        self.cpu.env.stop(why);
    }

    /// Ends the program, successfully, when the body returns: its `r0` is `value`. In a function of the program, ends
    /// that function.
    ///
    /// The functions of a proven program end where the verifier has seen them end, which a legacy packet load is: by
    /// any other helper, the program is stopped.
    pub fn leave(&self, value: u64) {
        let expected = std::ptr::eq(self.row, &LEGACY_LOAD) || !self.cpu.env.in_subprogram();
        if self.prog().is_trusted() && !expected {
            self.stop(TrapKind::Helper(self.row.id.0));
        } else {
            self.cpu.env.leave(value);
        }
    }

    /// Bytes at an address that nothing vouches for; `None` if the program may not read there.
    #[must_use]
    pub fn peek(&self, addr: u64, len: usize) -> Option<Bytes> {
        self.cpu.peek(addr, len)
    }

    /// The word that names a map, for a callback that takes one.
    #[must_use]
    pub fn map_word(&self, map: &LoadedMap) -> u64 {
        std::ptr::from_ref(map) as u64
    }
}

/// Linux's row for a helper.
///
/// # Panics
/// If there is none; in a constant, that is an error of the compiler.
#[must_use]
pub const fn linux(id: HelperId) -> &'static Helper {
    const TABLES: &Tables = &Tables::linux();
    if let Cow::Borrowed(rows) = &TABLES.helpers {
        let mut i = 0;
        while i < rows.len() {
            if rows[i].id.0 == id.0 {
                return rows[i];
            }
            i += 1;
        }
    }
    panic!("Linux has no such helper")
}

/// Binds bodies to rows: `helpers![Family; GET_PRANDOM_U32 => body, own ROW => body]` is a `&'static [Bind]`.
///
/// A name alone is that of a constant of [`crate::abi::HelperId`] and stands for Linux's row; `own` a row of one's own.
/// A body is a `fn(&Cx<'_, Family>, &Args<'_>) -> i64`.
#[macro_export]
macro_rules! helpers {
    (@row own $row:path) => { &$row };
    (@row $name:ident) => { $crate::linux($crate::abi::HelperId::$name) };
    ($family:ty; $($($row:ident)+ => $body:expr),* $(,)?) => {
        const { &[$({
            struct Bound;
            impl $crate::Body for Bound {
                type Family = $family;
                const ROW: &'static $crate::abi::Helper = $crate::helpers!(@row $($row)+);
                fn call(cx: &$crate::Cx<'_, $family>, args: &$crate::Args<'_>) -> i64 {
                    $body(cx, args)
                }
            }
            $crate::Bind::of::<Bound>()
        }),*] as &'static [$crate::Bind] }
    };
}

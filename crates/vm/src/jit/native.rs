//! Native code as it is entered, and what it calls when something rare happens: a helper's request, a trap.
//!
//! Every function takes the [`Env`] and as many of r1–r5 as it or the functions that it calls read, and gives back r0
//! and whether it stopped. A caller that hands over more registers than are read does no harm: they are arguments
//! that nobody looks at, in registers that the calling convention lets every function overwrite.

use super::{Room, pages::Pages};
use crate::env::{Fault, Request};
use crate::memory::width;
use crate::{Env, Exit, TrapKind};

/// What a native function gives back.
#[repr(C)]
pub(super) struct Returned {
    value: u64,
    /// 0, or 1 when it stopped: `Env::stop` says how.
    stopped: u64,
}

impl Returned {
    const STOPPED: Returned = Returned { value: 0, stopped: 1 };
}

type Function = unsafe extern "C" fn(*const Env, u64, u64, u64, u64, u64) -> Returned;

/// Compiled code.
#[derive(Debug)]
pub(crate) struct Native {
    pages: Pages,
    /// Where each function begins in them.
    starts: Vec<usize>,
    /// The first slot of each function.
    slots: Vec<u32>,
    _room: Room,
}

impl Native {
    /// `starts` must be those of functions in `pages`, compiled from the ones at `slots`.
    pub(super) fn new(pages: Pages, starts: Vec<usize>, slots: Vec<u32>, room: Room) -> Native {
        Native { pages, starts, slots, _room: room }
    }

    /// How many functions there are.
    pub(crate) fn functions(&self) -> usize {
        self.slots.len()
    }

    /// Runs function `index` to its end. `index` must be below the number of functions.
    ///
    /// # Safety
    /// What [`crate::Image::trusted`] asks for must hold of the code.
    pub(crate) unsafe fn enter(&self, env: &Env, index: usize, args: [u64; 5]) -> Result<Exit, Fault> {
        let frames = env.stack.used();
        let start = self.pages.start().wrapping_add(self.starts[index]);
        // SAFETY: a function of this type begins there (see the head of this file).
        let function = unsafe { std::mem::transmute::<*mut u8, Function>(start) };
        let [r1, r2, r3, r4, r5] = args;
        // SAFETY: the caller's promise covers what the code does; `self` keeps its memory until it returns.
        let returned = unsafe { function(env, r1, r2, r3, r4, r5) };
        env.stack.truncate(frames);
        match returned.stopped {
            0 => Ok(Exit::Return(returned.value)),
            _ => env.stop.get(),
        }
    }
}

/// Stops at `slot`.
fn stop(env: &Env, slot: u64, kind: TrapKind) -> Returned {
    env.stop.set(Err(Fault::At(slot as usize, kind)));
    Returned::STOPPED
}

/// After a helper that asked for something: the calling function returns what this returns.
pub(super) extern "C" fn obey(env: &Env, slot: u64) -> Returned {
    let kind = match env.take_request() {
        Request::Leave(value) => return Returned { value, stopped: 0 },
        Request::Tail if !env.in_subprogram() => {
            env.stop.set(Ok(Exit::Tail));
            return Returned::STOPPED;
        }
        Request::Unwind(trap) => {
            env.stop.set(Err(Fault::Elsewhere(trap)));
            return Returned::STOPPED;
        }
        Request::Tail => TrapKind::TailCall,
        Request::Stop(kind) => kind,
        Request::None => TrapKind::BadInsn,
    };
    stop(env, slot, kind)
}

/// For a function that there is no frame for.
pub(super) extern "C" fn too_deep(env: &Env, slot: u64) -> Returned {
    stop(env, slot, TrapKind::Depth)
}

/// For a register that names nothing that can be called.
pub(super) extern "C" fn bad_call(env: &Env, slot: u64, target: u64) -> Returned {
    stop(env, slot, TrapKind::BadCall { target })
}

/// For an atomic access at an address that is not a multiple of its width.
pub(super) extern "C" fn misaligned(env: &Env, slot: u64, addr: u64, bytes: u64) -> Returned {
    stop(env, slot, TrapKind::Misaligned { addr, width: width(bytes) })
}

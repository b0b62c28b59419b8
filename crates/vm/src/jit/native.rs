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
pub(crate) struct Returned {
    value: u64,
    /// 0, or 1 when it stopped: `Env::stop` says how.
    stopped: u64,
}

impl Returned {
    const STOPPED: Returned = Returned { value: 0, stopped: 1 };

    /// r0 of what cannot stop.
    #[inline(always)]
    pub(crate) fn unstopped(&self) -> u64 {
        self.value
    }

    /// r0; nothing when it stopped.
    #[inline(always)]
    pub(crate) fn value(&self) -> Option<u64> {
        (self.stopped == 0).then_some(self.value)
    }
}

/// Where a native function begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NativeFn(unsafe extern "C" fn(*const Env, u64, u64, u64, u64, u64) -> Returned);

impl NativeFn {
    /// # Safety
    /// What [`crate::Image::trusted`] asks for must hold of the code, whose memory must be there.
    #[inline(always)]
    pub(crate) unsafe fn call(self, env: &Env, [r1, r2, r3, r4, r5]: [u64; 5]) -> Returned {
        // SAFETY: the caller's promise covers what the code does.
        unsafe { (self.0)(env, r1, r2, r3, r4, r5) }
    }
}

/// Where a native function begins that runs a program for one list of arguments after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ManyFn(unsafe extern "C" fn(*const Env, *const [u64; 5], *mut u64, *const [u64; 5]));

impl ManyFn {
    /// As many runs as there are arguments and room for results of.
    ///
    /// # Safety
    /// What [`crate::Image::trusted`] asks for must hold of the code with all of these arguments; its memory must be there.
    #[inline(always)]
    pub(crate) unsafe fn call(self, env: &Env, args: &[[u64; 5]], results: &mut [u64]) {
        let args = &args[..args.len().min(results.len())];
        let range = args.as_ptr_range();
        if !args.is_empty() {
            // SAFETY: the caller's promise covers what the code does; it reads these arguments, of which there is one at
            // least, and writes as many results.
            unsafe { (self.0)(env, range.start, results.as_mut_ptr(), range.end) }
        }
    }
}

/// A native function, for those who give names to addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeFunction {
    /// Where it begins.
    pub address: u64,
    /// Its bytes.
    pub size: usize,
    /// Its first slot.
    pub slot: u32,
}

/// Compiled code.
#[derive(Debug)]
pub(crate) struct Native {
    entry: NativeFn,
    pages: Pages,
    /// Where each function begins in them.
    starts: Vec<usize>,
    /// Bytes of all of them.
    bytes: usize,
    /// The first slot of each function.
    slots: Vec<u32>,
    /// The first function neither takes a frame of the [`Env`] nor asks it for anything.
    alone: bool,
    _room: Room,
}

impl Native {
    /// `starts` must be those of functions in `pages`, compiled from the ones at `slots`; `alone`: the first one neither
    /// calls helpers nor stops.
    pub(super) fn new(
        pages: Pages,
        bytes: usize,
        starts: Vec<usize>,
        slots: Vec<u32>,
        alone: bool,
        room: Room,
    ) -> Native {
        Native { entry: function(&pages, starts[0]), pages, starts, bytes, slots, alone, _room: room }
    }

    /// Where functions are: address, bytes, first slot.
    pub(crate) fn places(&self) -> impl Iterator<Item = NativeFunction> {
        let ends = self.starts.iter().skip(1).copied().chain([self.bytes]);
        let base = self.pages.start() as u64;
        let places = self.starts.iter().zip(ends).zip(&self.slots);
        places.map(move |((&start, end), &slot)| NativeFunction {
            address: base + start as u64,
            size: end - start,
            slot,
        })
    }

    /// Where its machine code is.
    pub(crate) fn start(&self) -> u64 {
        self.pages.start() as u64
    }

    /// The machine code of all functions, from the address of the first on.
    pub(crate) fn code(&self) -> &[u8] {
        // SAFETY: so many bytes were copied there, can be read, and are never written again while this value lives.
        unsafe { std::slice::from_raw_parts(self.pages.start(), self.bytes) }
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
        // SAFETY: the caller's promise; `self` keeps its memory until it returns.
        let returned = unsafe { self.function(index).call(env, args) };
        env.stack.truncate(frames);
        match returned.value() {
            Some(value) => Ok(Exit::Return(value)),
            None => env.stop.get(),
        }
    }

    /// The first function, if nobody in it looks at what else is running.
    #[inline(always)]
    pub(crate) fn alone(&self) -> Option<NativeFn> {
        self.alone.then_some(self.entry)
    }

    /// The first function, while this value lives.
    #[inline(always)]
    pub(crate) fn entry(&self) -> NativeFn {
        self.entry
    }

    /// The first function of code that [`super::Jit::compile_many`] made, while this value lives.
    ///
    /// # Safety
    /// It must be such code.
    pub(crate) unsafe fn many(&self) -> ManyFn {
        let start = self.pages.start().wrapping_add(self.starts[0]);
        // SAFETY: a function of this type begins there (`many`).
        ManyFn(unsafe {
            std::mem::transmute::<*mut u8, unsafe extern "C" fn(*const Env, *const [u64; 5], *mut u64, *const [u64; 5])>(
                start,
            )
        })
    }

    fn function(&self, index: usize) -> NativeFn {
        function(&self.pages, self.starts[index])
    }
}

fn function(pages: &Pages, start: usize) -> NativeFn {
    let start = pages.start().wrapping_add(start);
    // SAFETY: a function of this type begins there (see the head of this file).
    NativeFn(unsafe {
        std::mem::transmute::<*mut u8, unsafe extern "C" fn(*const Env, u64, u64, u64, u64, u64) -> Returned>(start)
    })
}

/// What native code asks of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// After a helper that asked for something.
    Obey,
    /// There is no frame for a function.
    TooDeep,
    OutOfFuel,
    /// A register names nothing that can be called.
    BadCall,
    /// An atomic access is not aligned.
    Misaligned,
}

impl Service {
    /// The one of this number.
    pub(super) fn numbered(number: u32) -> Option<Service> {
        use Service::*;
        [Obey, TooDeep, OutOfFuel, BadCall, Misaligned].into_iter().find(|service| *service as u32 == number)
    }

    /// The function that native code calls.
    // Never a part of its callers: the compiler may give each of them a copy of the function, with an address of its own.
    #[inline(never)]
    pub(super) fn address(self) -> u64 {
        let function = match self {
            Service::Obey => obey as *const (),
            Service::TooDeep => too_deep as *const (),
            Service::OutOfFuel => out_of_fuel as *const (),
            Service::BadCall => bad_call as *const (),
            Service::Misaligned => misaligned as *const (),
        };
        function as u64
    }
}

/// Stops at `slot`.
fn stop(env: &Env, slot: u64, kind: TrapKind) -> Returned {
    env.stop.set(Err(Fault::At(slot as usize, kind)));
    Returned::STOPPED
}

/// After a helper that asked for something: the calling function returns what this returns.
extern "C" fn obey(env: &Env, slot: u64) -> Returned {
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
extern "C" fn too_deep(env: &Env, slot: u64) -> Returned {
    stop(env, slot, TrapKind::Depth)
}

/// For code whose fuel is used up.
extern "C" fn out_of_fuel(env: &Env, slot: u64) -> Returned {
    stop(env, slot, TrapKind::Budget)
}

/// For a register that names nothing that can be called.
extern "C" fn bad_call(env: &Env, slot: u64, target: u64) -> Returned {
    stop(env, slot, TrapKind::BadCall { target })
}

/// For an atomic access at an address that is not a multiple of its width.
extern "C" fn misaligned(env: &Env, slot: u64, addr: u64, bytes: u64) -> Returned {
    stop(env, slot, TrapKind::Misaligned { addr, width: width(bytes) })
}

//! The engine's owner in the benchmark: the map helpers are those that the native code calls, too.

use crate::compile::Native;
use alveary_isa::Width;
use alveary_vm::{Checks, Env, HelperFn, Link, TrapKind};

/// Links and judges one kernel.
pub(crate) struct Owner([HelperFn; 2]);

impl Owner {
    pub(crate) fn new(native: &Native) -> Owner {
        Owner(native.helpers)
    }
}

// SAFETY: the bodies need pointers to a key and a value, which `call` below looks at.
unsafe impl Link for Owner {
    fn map(&self, _: u16) -> u64 {
        1
    }

    fn map_value(&self, _: u16, _: u32) -> u64 {
        0
    }

    fn memory(&self, _: u16, _: u64) -> u64 {
        0
    }

    fn helper(&self, call: u16) -> HelperFn {
        self.0[usize::from(call)]
    }
}

impl Checks for Owner {
    fn load(&self, _: &Env, addr: u64, width: Width) -> Result<u64, TrapKind> {
        Err(TrapKind::Load { addr, width })
    }

    fn store(&self, _: &Env, addr: u64, width: Width, _: u64) -> Result<(), TrapKind> {
        Err(TrapKind::Store { addr, width })
    }

    fn call(&self, env: &Env, tag: u32, body: HelperFn, args: [u64; 5]) -> Result<u64, TrapKind> {
        let [r1, r2, r3, r4, r5] = args;
        for (arg, len) in [(1, 4), (2, 8)].into_iter().take(tag as usize) {
            if !env.covers(args[arg], len, false) {
                return Err(TrapKind::BadArg { tag, arg: arg as u8, value: args[arg] });
            }
        }
        // SAFETY: key and value were just found to be readable.
        Ok(unsafe { body(env, r1, r2, r3, r4, r5) })
    }
}

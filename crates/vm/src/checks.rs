//! How the owner judges, in checked mode, what an engine cannot judge by itself.

use crate::{Env, HelperFn, TrapKind};
use alveary_isa::Width;

/// What a checked run asks its owner: accesses outside every [`crate::Region`] (context fields), and helper calls.
pub trait Checks {
    /// A load that no region covers: the value, zero-extended. It may be wider than the load: the 32-bit fields
    /// `data` and `data_end` of packet contexts hold pointers. Only loads that extend the sign cut it.
    ///
    /// # Errors
    /// [`TrapKind::Load`] if it is none of the owner's business either.
    fn load(&self, env: &Env, addr: u64, width: Width) -> Result<u64, TrapKind>;
    /// A store that no region covers.
    ///
    /// # Errors
    /// [`TrapKind::Store`] if it is none of the owner's business either.
    fn store(&self, env: &Env, addr: u64, width: Width, value: u64) -> Result<(), TrapKind>;
    /// Judges the arguments, calls `body` if they are in order, gives back r0.
    ///
    /// # Errors
    /// [`TrapKind::BadArg`] for an argument that the helper's row does not allow.
    fn call(&self, env: &Env, tag: u32, body: HelperFn, args: [u64; 5]) -> Result<u64, TrapKind>;
    /// Whether [`Checks::step`] is to be called. Asked when a function of the program is entered from outside.
    fn watches(&self) -> bool {
        false
    }
    /// An instruction is about to be run: the one at `slot` of the code, with these r0–r10.
    fn step(&self, _env: &Env, _slot: u32, _registers: &[u64; 11]) {}
}

//! Where an arena's program accesses memory: whatever number it takes for an address, the access is in the arena or in
//! the slack at its ends. Knows nothing of what is in the arena.

use super::lift::{Lifter, PLAIN};
use crate::Env;
use crate::stack::FRAME;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, Value};
use std::mem::offset_of;

/// Memory at each end of an arena that is the program's, too: an instruction's offset, and the width of an access, are
/// added after the address was masked.
pub(crate) const SLACK: usize = 1 << 16;
const _: () = assert!(SLACK > i16::MAX as usize + 1 + 16);

/// Where the arena begins, in the environment.
const ARENA: i32 = offset_of!(Env, arena) as i32;

/// The end of the outermost stack frame, in the environment: it is loaded, since loops would compute again what is made of
/// a constant.
pub(super) const FRAMES: i32 = offset_of!(Env, frames) as i32;

/// The end of the outermost stack frame in an arena of `size` bytes. It is less than that, so that masking leaves it as it
/// is.
pub(crate) const fn stack_top(size: u64) -> u64 {
    size - FRAME as u64
}

impl Lifter<'_> {
    /// At the start of a function.
    pub(super) fn find_arena(&mut self) {
        if self.plan.rules.arena.is_some() {
            self.arena = Some(self.to.ins().load(I64, PLAIN, self.env, ARENA));
        }
    }

    /// What a number is as an address: outside of arenas itself.
    pub(super) fn host(&mut self, addr: Value) -> Value {
        let (Some(arena), Some(mask)) = (self.arena, self.plan.rules.arena) else { return addr };
        let inside = self.to.ins().band_imm_u(addr, mask as i64);
        self.to.ins().iadd(arena, inside)
    }
}

//! How deep operations may stand on the native stack.
//!
//! That a call at a function's end becomes a jump is an optimisation, which sanitizers, coverage or another compiler may
//! leave out anywhere. So every jump that is taken, every call and every return asks how far the native stack has
//! grown, and so does one instruction in [`STRAIGHT`]: what has grown too far returns to the loop in `Run::go`.
//! Where all calls are jumps, the answer is always no.

/// Bytes of native stack that operations may use before they return to the loop.
const SPAN: usize = 32 << 10;

/// Most instructions of a straight line before one asks.
pub(crate) const STRAIGHT: i32 = 2048;

/// The address that the native stack of an activation shall not grow below.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor(usize);

impl Floor {
    /// That of an activation that begins here.
    #[inline(always)]
    pub(crate) fn here() -> Floor {
        Floor(stack_pointer().saturating_sub(SPAN))
    }

    /// Whether the native stack has grown below it.
    #[inline(always)]
    pub(crate) fn is_reached(self) -> bool {
        stack_pointer() < self.0
    }
}

/// The native stack pointer; where operations return to the loop after every instruction, it does not matter.
#[inline(always)]
fn stack_pointer() -> usize {
    #[cfg(threaded)]
    {
        let pointer: usize;
        // SAFETY: copies a register.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            std::arch::asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags))
        };
        // SAFETY: copies a register.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            std::arch::asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags))
        };
        pointer
    }
    #[cfg(not(threaded))]
    usize::MAX
}

//! The shortcut of checked mode: for each base register, the memory that was last reached through it.
//! Knows nothing of regions: whoever changes them must forget what is here.

use crate::region::Span;
use std::cell::Cell;

/// Registers that an access can be based on, with the hidden ones, rounded up so that an index can be masked.
const REGISTERS: usize = 16;

/// What each register last reached. A register usually walks one buffer, so this is right nearly always.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Hot {
    read: [Window; REGISTERS],
    write: [Window; REGISTERS],
    home: Span,
    holds_stack: Cell<bool>,
}

/// Memory of at least 8 bytes: `room` is its length less 8, so that one comparison suffices for all widths.
#[derive(Debug)]
#[repr(C)]
struct Window {
    addr: Cell<u64>,
    room: Cell<u64>,
}

impl Window {
    fn set(&self, span: Span) {
        self.addr.set(span.addr);
        self.room.set(span.len - 8);
    }

    /// Whether `len` (1 to 8) bytes at `addr` are inside. No sum here can wrap: `room` is at most 2⁶⁴ - 9.
    #[inline(always)]
    fn covers(&self, addr: u64, len: u64) -> bool {
        addr.wrapping_sub(self.addr.get()) <= self.room.get() + (8 - len)
    }
}

impl Hot {
    /// `home` must stay allowed for as long as anything runs; it fills the windows that are not in use.
    pub(crate) fn new(home: Span) -> Hot {
        let window = |_| Window { addr: Cell::new(home.addr), room: Cell::new(home.len - 8) };
        Hot {
            read: std::array::from_fn(window),
            write: std::array::from_fn(window),
            home,
            holds_stack: Cell::new(false),
        }
    }

    /// Forgets everything.
    pub(crate) fn reset(&self) {
        self.read.iter().chain(&self.write).for_each(|window| window.set(self.home));
        self.holds_stack.set(false);
    }

    /// Whether something was learnt that holds for the frames in use only.
    #[inline(always)]
    pub(crate) fn holds_stack(&self) -> bool {
        self.holds_stack.get()
    }

    #[inline(always)]
    pub(crate) fn readable(&self, base: u8, addr: u64, len: u64) -> bool {
        self.read[usize::from(base) % REGISTERS].covers(addr, len)
    }

    #[inline(always)]
    pub(crate) fn writable(&self, base: u8, addr: u64, len: u64) -> bool {
        self.write[usize::from(base) % REGISTERS].covers(addr, len)
    }

    /// Remembers that `base` reached `span`.
    pub(crate) fn learn(&self, base: u8, span: Span, of_stack: bool) {
        if span.len < 8 {
            return;
        }
        self.read[usize::from(base) % REGISTERS].set(span);
        if span.write {
            self.write[usize::from(base) % REGISTERS].set(span);
        }
        if of_stack {
            self.holds_stack.set(true);
        }
    }
}

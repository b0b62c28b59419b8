//! The program type "memory": a program over plain memory, whose address is in r1 and whose size is in r2.

use alveary::{
    abi::{ProgType, ProgTypeRow, Version},
    runtime::{Backing, Bind, Family},
};
use alveary_vm::Region;

/// Its number.
pub(crate) const TYPE: ProgType = ProgType::FIRST_OWN;

/// What is known of it.
pub(crate) const ROW: ProgTypeRow = ProgTypeRow {
    ty: TYPE,
    name: "memory",
    doc: "Works on plain memory: r1 is its address, r2 its size.",
    ctx: None,
    attach: &[],
    direct_packet_write: true,
    ret: &[],
    verdicts: &[],
    since: Version(0, 0),
};

/// Programs over plain memory.
pub(crate) enum Memory {}

/// The memory of one run.
pub(crate) struct Span {
    addr: u64,
    len: u64,
}

impl Span {
    /// # Safety
    /// The bytes stay readable and writable for as long as this value is used to run programs, and nobody else uses
    /// them meanwhile but through raw pointers.
    pub(crate) unsafe fn new(memory: *mut std::ffi::c_void, len: usize) -> Span {
        Span { addr: memory as u64, len: len as u64 }
    }
}

// SAFETY: there are no backings; the region is what `Span::new` was promised.
unsafe impl Family for Memory {
    type Ctx = Span;
    type State = ();
    const NAME: &'static str = "memory";
    const TYPES: &'static [ProgType] = &[TYPE];

    fn backings() -> &'static [Backing] {
        &[]
    }

    fn helpers() -> &'static [Bind] {
        &[]
    }

    fn regions(span: &Span, add: &mut dyn FnMut(Region)) {
        add(Region { addr: span.addr, len: span.len, write: true, slots: None });
    }

    fn registers(span: &Span) -> Option<[u64; 5]> {
        Some([span.addr, span.len, 0, 0, 0])
    }
}

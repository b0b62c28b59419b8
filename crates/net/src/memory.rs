//! Packet memory: one block, used again for every packet. All bytes are cells, since programs write to them while
//! helpers read. Knows no headers and no contexts.

use std::{
    cell::{Cell, RefCell},
    fmt, ptr,
};

/// A block of bytes at a fixed address, until it grows. What it was before stays allocated until [`Memory::settle`]:
/// some other run of the same packet, of which the one that grew it knows nothing, may be in the middle of it.
pub(crate) struct Memory {
    bytes: RefCell<Box<[Cell<u8>]>>,
    outgrown: RefCell<Vec<Box<[Cell<u8>]>>>,
    /// Something was written since [`Memory::settle`], but for what programs write themselves.
    written: Cell<bool>,
}

impl Memory {
    pub(crate) fn new(len: usize) -> Memory {
        Memory { bytes: RefCell::new(zeroes(len)), outgrown: RefCell::default(), written: Cell::new(false) }
    }

    /// Address of the first byte.
    pub(crate) fn address(&self) -> u64 {
        self.bytes.borrow().as_ptr() as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.borrow().len()
    }

    /// Replaces the block by a larger one, in which the old bytes stand at `at`.
    pub(crate) fn grow(&self, len: usize, at: usize) {
        self.written.set(true);
        let new = zeroes(len);
        let old = self.bytes.replace(Box::default());
        new[at..at + old.len()].iter().zip(&old).for_each(|(to, from)| to.set(from.get()));
        self.bytes.replace(new);
        self.outgrown.borrow_mut().push(old);
    }

    /// No run is in the middle of this memory, as the exclusive borrow proves: outgrown blocks go.
    pub(crate) fn settle(&mut self) {
        self.outgrown.get_mut().clear();
        self.written.set(false);
    }

    /// Bytes of a packet that is new here.
    pub(crate) fn receive(&mut self, at: usize, from: &[u8]) {
        let to = &mut self.bytes.get_mut()[at..at + from.len()];
        // SAFETY: a cell of a byte is laid out as the byte, and the borrow is exclusive.
        let to = unsafe { std::slice::from_raw_parts_mut(to.as_mut_ptr().cast::<u8>(), to.len()) };
        to.copy_from_slice(from);
    }

    pub(crate) fn is_written(&self) -> bool {
        self.written.get()
    }

    pub(crate) fn put(&self, at: usize, from: &[u8]) {
        self.written.set(true);
        let to = &self.bytes.borrow()[at..at + from.len()];
        // SAFETY: as many bytes, behind cells, which may be written to; nothing else is at hand that reads them meanwhile.
        unsafe { ptr::copy(from.as_ptr(), cells(to), from.len()) };
    }

    pub(crate) fn get(&self, at: usize, to: &mut [u8]) {
        let from = &self.bytes.borrow()[at..at + to.len()];
        // SAFETY: as many bytes; `to` is borrowed exclusively, and nobody writes to the cells meanwhile.
        unsafe { ptr::copy_nonoverlapping(cells(from), to.as_mut_ptr(), to.len()) };
    }

    pub(crate) fn fill(&self, at: usize, len: usize) {
        self.written.set(true);
        self.bytes.borrow()[at..at + len].iter().for_each(|b| b.set(0));
    }

    /// Moves bytes inside the block; the places may overlap.
    pub(crate) fn shift(&self, from: usize, to: usize, len: usize) {
        self.written.set(true);
        let bytes = self.bytes.borrow();
        let (source, target) = (&bytes[from..from + len], &bytes[to..to + len]);
        // SAFETY: both are `len` bytes behind cells; `copy` takes such as overlap.
        unsafe { ptr::copy(cells(source), cells(target), len) };
    }

    /// Whether `other` stands at `at`. Asked once a packet: it must compare words, which an iteration over cells does not.
    pub(crate) fn equals(&self, at: usize, other: &[u8]) -> bool {
        let bytes = &self.bytes.borrow()[at..at + other.len()];
        // SAFETY: a cell of a byte is laid out as the byte. Nobody writes while the reference lives: the memory is not
        // shared between threads, and no program runs inside this comparison.
        let bytes = unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast::<u8>(), bytes.len()) };
        bytes == other
    }
}

/// Where the bytes are: a cell of a byte is laid out as the byte. Iterations over cells copy byte by byte.
fn cells(cells: &[Cell<u8>]) -> *mut u8 {
    cells.as_ptr().cast_mut().cast()
}

fn zeroes(len: usize) -> Box<[Cell<u8>]> {
    vec![Cell::new(0); len].into_boxed_slice()
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} bytes)", self.len())
    }
}

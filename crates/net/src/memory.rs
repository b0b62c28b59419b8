//! Packet memory: one block, used again for every packet. All bytes are cells, since programs write to them while
//! helpers read. Knows no headers and no contexts.

use std::{
    cell::{Cell, RefCell},
    fmt,
};

/// A block of bytes at a fixed address, until it grows. What it was before stays allocated until [`Memory::settle`]:
/// some other run of the same packet, of which the one that grew it knows nothing, may be in the middle of it.
pub(crate) struct Memory {
    bytes: RefCell<Box<[Cell<u8>]>>,
    outgrown: RefCell<Vec<Box<[Cell<u8>]>>>,
}

impl Memory {
    pub(crate) fn new(len: usize) -> Memory {
        Memory { bytes: RefCell::new(zeroes(len)), outgrown: RefCell::default() }
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
        let new = zeroes(len);
        let old = self.bytes.replace(Box::default());
        new[at..at + old.len()].iter().zip(&old).for_each(|(to, from)| to.set(from.get()));
        self.bytes.replace(new);
        self.outgrown.borrow_mut().push(old);
    }

    /// No run is in the middle of this memory, as the exclusive borrow proves: outgrown blocks go.
    pub(crate) fn settle(&mut self) {
        self.outgrown.get_mut().clear();
    }

    pub(crate) fn put(&self, at: usize, from: &[u8]) {
        self.bytes.borrow()[at..at + from.len()].iter().zip(from).for_each(|(to, from)| to.set(*from));
    }

    pub(crate) fn get(&self, at: usize, to: &mut [u8]) {
        self.bytes.borrow()[at..at + to.len()].iter().zip(to).for_each(|(from, to)| *to = from.get());
    }

    pub(crate) fn fill(&self, at: usize, len: usize) {
        self.bytes.borrow()[at..at + len].iter().for_each(|b| b.set(0));
    }

    /// Moves bytes inside the block; the places may overlap.
    pub(crate) fn shift(&self, from: usize, to: usize, len: usize) {
        let bytes = self.bytes.borrow();
        let (source, target) = (&bytes[from..from + len], &bytes[to..to + len]);
        let one = |(from, to): (&Cell<u8>, &Cell<u8>)| to.set(from.get());
        if to <= from {
            source.iter().zip(target).for_each(one);
        } else {
            source.iter().zip(target).rev().for_each(one);
        }
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

fn zeroes(len: usize) -> Box<[Cell<u8>]> {
    vec![Cell::new(0); len].into_boxed_slice()
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} bytes)", self.len())
    }
}

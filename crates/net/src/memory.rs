//! Packet memory: one block, used again for every packet, or a packet's own block for as long as it is lent. All bytes are
//! cells, since programs write to them while helpers read. Knows no headers and no contexts.

use std::{
    cell::{Cell, RefCell},
    fmt,
    mem::ManuallyDrop,
    ptr,
};

/// Bytes of a block.
type Block = Vec<Cell<u8>>;

/// A block of bytes at a fixed address, until it grows. What it was before stays allocated until [`Memory::settle`]:
/// some other run of the same packet, of which the one that grew it knows nothing, may be in the middle of it.
pub(crate) struct Memory {
    bytes: RefCell<Block>,
    outgrown: RefCell<Vec<Block>>,
    /// The memory's own block, while a packet's is in its place.
    own: RefCell<Option<Block>>,
}

impl Memory {
    pub(crate) fn new(len: usize) -> Memory {
        Memory { bytes: RefCell::new(zeroes(len)), outgrown: RefCell::default(), own: RefCell::default() }
    }

    /// Address of the first byte.
    pub(crate) fn address(&self) -> u64 {
        self.bytes.borrow().as_ptr() as u64
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.borrow().len()
    }

    /// Replaces the block by a larger one, in which `bytes` bytes from `from` on stand at `to`.
    pub(crate) fn grow(&self, len: usize, from: usize, bytes: usize, to: usize) {
        // Of the own block nobody knows anything while a packet's is in its place.
        let own = self.own.take().filter(|own| own.len() >= len);
        let new = own.unwrap_or_else(|| zeroes(len));
        let old = self.bytes.take();
        let (source, target) = (&old[from..from + bytes], &new[to..to + bytes]);
        // SAFETY: as many bytes of either, behind cells; they are two allocations.
        unsafe { ptr::copy_nonoverlapping(cells(source), cells(target), bytes) };
        self.bytes.replace(new);
        self.outgrown.borrow_mut().push(old);
    }

    /// No run is in the middle of this memory, as the exclusive borrow proves: outgrown blocks go, and a packet's that
    /// nobody asked for again.
    #[inline]
    pub(crate) fn settle(&mut self) {
        if !self.outgrown.get_mut().is_empty() {
            self.outgrown.get_mut().clear();
        }
        if let Some(own) = self.own.get_mut().take() {
            *self.bytes.get_mut() = own;
        }
    }

    /// Has a packet's bytes for its block, where they are, until [`Memory::give_back`]; there are none in `packet` until
    /// then.
    #[inline]
    pub(crate) fn lend(&mut self, packet: &mut Vec<u8>) {
        self.settle();
        let block = from_bytes(std::mem::take(packet));
        *self.own.get_mut() = Some(std::mem::replace(self.bytes.get_mut(), block));
    }

    /// Gives back what was lent: of the block as it is now, `len` bytes from `at` on.
    #[inline]
    pub(crate) fn give_back(&mut self, packet: &mut Vec<u8>, at: usize, len: usize) {
        let Some(own) = self.own.get_mut().take() else { return self.give_grown(packet, at, len) };
        *packet = into_bytes(std::mem::replace(self.bytes.get_mut(), own));
        packet.truncate(at + len);
        if at > 0 {
            packet.drain(..at);
        }
    }

    /// The same of a block that has grown: then what was lent is the first that it outgrew.
    fn give_grown(&mut self, packet: &mut Vec<u8>, at: usize, len: usize) {
        let outgrown = self.outgrown.get_mut();
        if !outgrown.is_empty() {
            *packet = into_bytes(outgrown.swap_remove(0));
        }
        packet.resize(len, 0);
        self.get(at, packet);
    }

    /// Bytes of a packet that is new here.
    pub(crate) fn receive(&mut self, at: usize, from: &[u8]) {
        let to = &mut self.bytes.get_mut()[at..at + from.len()];
        // SAFETY: a cell of a byte is laid out as the byte, and the borrow is exclusive.
        let to = unsafe { std::slice::from_raw_parts_mut(to.as_mut_ptr().cast::<u8>(), to.len()) };
        to.copy_from_slice(from);
    }

    pub(crate) fn put(&self, at: usize, from: &[u8]) {
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
        self.bytes.borrow()[at..at + len].iter().for_each(|b| b.set(0));
    }

    /// Moves bytes inside the block; the places may overlap.
    pub(crate) fn shift(&self, from: usize, to: usize, len: usize) {
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

fn zeroes(len: usize) -> Block {
    from_bytes(vec![0; len])
}

fn from_bytes(bytes: Vec<u8>) -> Block {
    let mut bytes = ManuallyDrop::new(bytes);
    // SAFETY: a cell of a byte is laid out as the byte, so it is the same allocation; nobody has it twice.
    unsafe { Vec::from_raw_parts(bytes.as_mut_ptr().cast(), bytes.len(), bytes.capacity()) }
}

fn into_bytes(block: Block) -> Vec<u8> {
    let mut block = ManuallyDrop::new(block);
    // SAFETY: as in `from_bytes`.
    unsafe { Vec::from_raw_parts(block.as_mut_ptr().cast(), block.len(), block.capacity()) }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_is_changed_where_it_is() {
        let mut memory = Memory::new(64);
        let mut packet = vec![1, 2, 3, 4];
        let at = packet.as_ptr() as u64;
        memory.lend(&mut packet);
        assert_eq!((memory.address(), memory.len(), packet.len()), (at, 4, 0));
        memory.put(2, &[7]);
        memory.give_back(&mut packet, 1, 3);
        assert_eq!(packet, [2, 7, 4]);
        assert_eq!(memory.len(), 64, "the own block is back");
    }

    #[test]
    fn what_grows_is_given_back_as_it_is_then() {
        // With room in the own block, and without.
        for own in [64, 4] {
            let mut memory = Memory::new(own);
            let mut packet = vec![1, 2, 3, 4];
            memory.lend(&mut packet);
            memory.grow(16, 1, 3, 8);
            memory.put(7, &[9]);
            memory.give_back(&mut packet, 7, 4);
            assert_eq!(packet, [9, 2, 3, 4]);
            // One that nobody asks for again does no harm.
            memory.lend(&mut packet);
            memory.settle();
            assert!(memory.len() >= 16.max(own));
        }
    }
}

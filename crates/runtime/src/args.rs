//! What a helper's body gets: arguments that were held against the row, so that it can be safe Rust.
//!
//! An accessor panics if the row says something else about its argument: a body is written against one row, and a
//! disagreement is a bug in the body that its first call shows.

use crate::{Bytes, LoadedMap, memory};
use alveary_abi::{Arg, MemAccess, MemSize};
use std::marker::PhantomData;

/// The arguments of one call, proven or checked to be what the row says.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    values: [u64; 5],
    row: &'static [Arg; 5],
    call: PhantomData<&'a ()>,
}

impl<'a> Args<'a> {
    /// # Safety
    /// Each value is what `row` says, and stays so for `'a`.
    pub(crate) unsafe fn new(values: [u64; 5], row: &'static [Arg; 5]) -> Args<'a> {
        Args { values, row, call: PhantomData }
    }

    /// Argument `i` as the number that it is.
    #[must_use]
    pub fn scalar(&self, i: usize) -> u64 {
        self.values[i]
    }

    /// Argument `i`, a map.
    #[must_use]
    pub fn map(&self, i: usize) -> &'a LoadedMap {
        assert!(matches!(self.row[i], Arg::Map), "argument {i} is no map");
        // SAFETY: the row says map, so the word is the address of one of the running program's maps, which the
        // program keeps, or of a map that one of these holds or held during this batch, which the domain keeps.
        unsafe { &*(self.values[i] as *const LoadedMap) }
    }

    /// The map that argument `i` is a key or value of: the one in the map argument before it.
    fn the_map(&self, i: usize) -> &'a LoadedMap {
        let at = self.row[..i].iter().rposition(|arg| matches!(arg, Arg::Map));
        self.map(at.unwrap_or_else(|| panic!("no map comes before argument {i}")))
    }

    /// Argument `i`, a key of the map in the map argument.
    #[must_use]
    pub fn key(&self, i: usize) -> Bytes {
        assert!(matches!(self.row[i], Arg::MapKey), "argument {i} is no key");
        let size = self.the_map(i).spec.def.key_size as usize;
        // SAFETY: the row says key, so as many bytes may be read.
        unsafe { Bytes::copy(self.values[i], size) }
    }

    /// Argument `i`, memory: a value of the map in the map argument, memory with a size, an object that only
    /// helpers may touch. `None` if it is NULL.
    #[must_use]
    pub fn mem(&self, i: usize) -> Option<Mem<'a>> {
        let addr = self.values[i];
        let (len, write) = match self.row[i] {
            Arg::MapValue { access, .. } => {
                let map = self.the_map(i);
                (map.value_size(), access != MemAccess::Read && map.fills_values())
            }
            Arg::Mem { access, size, .. } => (
                match size {
                    MemSize::Fixed(n) => n as usize,
                    MemSize::Arg(n) => self.values[usize::from(n)] as usize,
                },
                access != MemAccess::Read,
            ),
            Arg::SpinLock => (4, true),
            ref other => panic!("argument {i} is no memory but {other:?}"),
        };
        (addr != 0).then_some(Mem { addr, len, write, call: PhantomData })
    }

    /// Argument `i` as bytes, copied out; empty if it is NULL.
    #[must_use]
    pub fn bytes(&self, i: usize) -> Bytes {
        // SAFETY: reading no bytes is always sound.
        self.mem(i).map_or_else(|| unsafe { Bytes::copy(0, 0) }, |m| m.bytes())
    }

    /// Argument `i`, a function of the program, for [`crate::Cx::callback`].
    #[must_use]
    pub fn function(&self, i: usize) -> u64 {
        assert!(matches!(self.row[i], Arg::Callback { .. }), "argument {i} is no function");
        self.values[i]
    }
}

/// A program's memory during one call. It is copied, never borrowed: other virtual CPUs may write to it.
#[derive(Clone, Copy)]
pub struct Mem<'a> {
    addr: u64,
    len: usize,
    write: bool,
    call: PhantomData<&'a ()>,
}

impl Mem<'_> {
    /// Its address, as the program knows it.
    #[must_use]
    pub fn addr(&self) -> u64 {
        self.addr
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of it, copied out.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        // SAFETY: as many bytes were held against the row.
        unsafe { Bytes::copy(self.addr, self.len) }
    }

    /// Copies `bytes` in from `at` on.
    ///
    /// # Panics
    /// If they do not fit, or the row says that the helper only reads.
    pub fn put(&self, at: usize, bytes: &[u8]) {
        assert!(self.write && at <= self.len && bytes.len() <= self.len - at, "a helper writes behind its argument");
        // SAFETY: inside the memory (just tested), which the row says may be written.
        unsafe { memory::write(self.addr + at as u64, bytes) };
    }

    /// Fills it with zeroes.
    pub fn clear(&self) {
        const ZEROES: [u8; 64] = [0; 64];
        for done in (0..self.len).step_by(ZEROES.len()) {
            self.put(done, &ZEROES[..(self.len - done).min(ZEROES.len())]);
        }
    }

    /// The 32-bit word at its start, shared with other virtual CPUs.
    ///
    /// # Panics
    /// If it is no word: shorter than four bytes or not aligned, or only read.
    #[must_use]
    pub fn word(&self) -> &std::sync::atomic::AtomicU32 {
        assert!(self.write && self.len >= 4 && self.addr.is_multiple_of(4), "no word");
        // SAFETY: four aligned bytes that may be written; programs and helpers access them by atomics.
        unsafe { std::sync::atomic::AtomicU32::from_ptr(self.addr as *mut u32) }
    }
}

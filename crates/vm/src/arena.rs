//! Programs that nobody has verified, at native speed: for embedders with plain memory and no maps.
//!
//! A program runs in an [`Arena`]: memory of its own, whose addresses are numbers from 0. Whatever it computes and takes
//! for an address, the bits that lead out of the arena are not looked at; it calls nothing but what it was given, its
//! calls nest eight deep, and it stops when its fuel is used up. So it cannot read, write or call anything else, and comes
//! to an end. It never faults: what is behind the end of the arena is its beginning, or memory that nobody uses.
//!
//! What its numbers mean is not held against anything: a program that goes astray harms itself.
//!
//! ```
//! use alveary_vm::{Jit, arena::{Arena, Program}};
//! use alveary_isa::asm::assemble;
//!
//! // Adds up the bytes before the one that is zero; `tell` gets the sum.
//! let text = "r6 = 0\nagain: r2 = *(u8 *)(r1 + 0)\nif r2 == 0 goto out\nr6 += r2\nr1 += 1\ngoto again\n\
//!             out: r1 = r6\ncall 1\nexit\n";
//! let (assembly, errors) = assemble(text, &|_| None);
//! assert!(errors.is_empty());
//! let Ok(jit) = Jit::new(1 << 20) else { return };
//! let mut arena = Arena::new(1 << 16).expect("memory");
//! let program = Program::new(&assembly.into_raw().expect("one section"), 1 << 16, &jit)
//!     .helper(1, |_memory, [sum, ..]| Ok(sum * 2))
//!     .compile()
//!     .expect("well-formed");
//! arena.memory().write(0x100, &[1, 2, 3, 0]).expect("inside");
//! assert_eq!(program.run(&mut arena, [0x100, 0, 0, 0, 0], 1_000), Ok(12));
//! ```

mod program;

pub use program::{Program, Unfinished};

use crate::Env;
use crate::jit::SLACK;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use rustix::param::page_size;
use std::marker::PhantomData;
use std::{ffi::c_void, fmt, io, ptr};

/// The least and the most bytes of an arena.
const SIZES: (u64, u64) = (1 << 16, 1 << 32);
/// Bytes at an arena's end that hold the stack frames of programs.
const STACKS: u64 = 8 << 10;

/// Memory that programs are confined to. It is zero at first, and stays as a run leaves it.
pub struct Arena {
    mapping: Mapping,
    size: u64,
    pub(crate) env: Box<Env>,
}

/// The memory of an arena, by the numbers that programs use for it.
#[derive(Debug)]
pub struct Memory<'a> {
    base: *mut u8,
    size: u64,
    arena: PhantomData<&'a mut ()>,
}

impl Arena {
    /// An arena of `size` bytes: a power of two, from 64 KiB to 4 GiB. Memory is taken when it is first written to.
    ///
    /// # Errors
    /// It has another size; or the system refuses.
    pub fn new(size: u64) -> io::Result<Arena> {
        if !size.is_power_of_two() || !(SIZES.0..=SIZES.1).contains(&size) {
            let why = format!("an arena of {size} bytes: expected a power of two from 64 KiB to 4 GiB");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        Ok(Arena { mapping: Mapping::new(size)?, size, env: Box::new(Env::new()) })
    }

    /// Its bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes from 0 on that are the embedder's to fill: behind them are the stack frames of programs that are compiled for
    /// this size. Of others [`Program::room`] says it.
    #[must_use]
    pub fn room(&self) -> u64 {
        self.size - STACKS
    }

    /// Its memory.
    pub fn memory(&mut self) -> Memory<'_> {
        Memory { base: self.mapping.start(), size: self.size, arena: PhantomData }
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Memory<'_> {
    /// Copies bytes out of the arena. `None`: they are not all inside.
    #[must_use]
    pub fn read(&self, at: u64, into: &mut [u8]) -> Option<()> {
        let from = self.place(at, into.len())?;
        // SAFETY: `place` says that the bytes are the arena's; nothing runs in it, or what runs waits for its helper.
        unsafe { ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
        Some(())
    }

    /// Copies bytes into the arena. `None`: they do not all fit.
    #[must_use]
    pub fn write(&mut self, at: u64, bytes: &[u8]) -> Option<()> {
        let to = self.place(at, bytes.len())?;
        // SAFETY: as in `read`.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        Some(())
    }

    fn place(&self, at: u64, len: usize) -> Option<*mut u8> {
        let end = at.checked_add(len as u64)?;
        (end <= self.size).then(|| self.base.wrapping_add(at as usize))
    }
}

/// The arena between slack and guard pages; unmapped when dropped.
struct Mapping {
    base: *mut c_void,
    len: usize,
    page: usize,
}

// SAFETY: the memory is reached through the arena that owns it alone.
unsafe impl Send for Mapping {}
// SAFETY: a shared reference gives out an address, nothing else.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(size: u64) -> io::Result<Mapping> {
        let page = page_size();
        let inner = size as usize + 2 * SLACK;
        let len = inner + 2 * page;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping, wherever the system likes.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), flags)? };
        let mapping = Mapping { base, len, page };
        let first = base.cast::<u8>().wrapping_add(page).cast();
        // SAFETY: the inner pages of the mapping above, which nobody knows yet.
        unsafe { mprotect(first, inner, MprotectFlags::READ | MprotectFlags::WRITE)? };
        Ok(mapping)
    }

    /// Where the arena begins.
    fn start(&self) -> *mut u8 {
        self.base.cast::<u8>().wrapping_add(self.page + SLACK)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, which is this value's own. An error leaves it mapped, which harms nobody.
        let _ = unsafe { munmap(self.base, self.len) };
    }
}

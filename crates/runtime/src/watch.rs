//! Watching a checked run: each instruction before it runs, with what stands in the registers and in memory.

use crate::{Bytes, Prog, Vcpu, trust::FAMILY_REGIONS};
use alveary_vm::Region;
use std::fmt;

/// Who watches.
pub type Watcher = dyn FnMut(&Watched<'_>) + Send;

/// An instruction that is about to run.
pub struct Watched<'a> {
    cpu: &'a Vcpu,
    prog: &'a Prog,
    insn: u32,
    registers: &'a [u64; 11],
}

impl<'a> Watched<'a> {
    pub(crate) fn new(cpu: &'a Vcpu, prog: &'a Prog, insn: u32, registers: &'a [u64; 11]) -> Watched<'a> {
        Watched { cpu, prog, insn, registers }
    }

    /// The program.
    #[must_use]
    pub fn prog(&self) -> &'a Prog {
        self.prog
    }

    /// Slot of the program. What stands for one instruction of it may be several: then each is told.
    #[must_use]
    pub fn insn(&self) -> u32 {
        self.insn
    }

    /// r0–r10 before it.
    #[must_use]
    pub fn registers(&self) -> &'a [u64; 11] {
        self.registers
    }

    /// Number of the virtual CPU.
    #[must_use]
    pub fn cpu(&self) -> u32 {
        self.cpu.number()
    }

    /// The memory that the program's family gives it: the packet, with its metadata.
    pub fn memory(&self) -> impl Iterator<Item = Region> + '_ {
        (0..FAMILY_REGIONS).filter_map(|number| self.cpu.env.region(number)).filter(|region| region.len > 0)
    }

    /// Bytes that the program may read.
    #[must_use]
    pub fn peek(&self, addr: u64, len: usize) -> Option<Bytes> {
        self.cpu.peek(addr, len)
    }
}

impl fmt::Debug for Watched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("insn", &self.insn).field("registers", &self.registers).finish_non_exhaustive()
    }
}

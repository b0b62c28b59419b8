//! The running kernel's word on a generated program.

use crate::agree::verdict::message;
use alveary_isa::{Insn, Reg};
use alveary_linux::{
    btf,
    map::{self, MapFrom},
    prog::{self, ProgFrom},
    sys,
};
use alveary_spec::{MapSpec, Program};
use alveary_testing::{Generated, bpf::Prog};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// `ld_imm64`, and what its source says of a map and of an address in its value: by descriptor, by index.
const LD_IMM64: u8 = 0x18;
const BY_FD: [Reg; 2] = [Reg(1), Reg(2)];
const BY_INDEX: [Reg; 2] = [Reg(5), Reg(6)];

/// The maps and types of generated programs in the kernel.
pub(crate) struct Kernel {
    maps: Vec<sys::Map>,
    types: OwnedFd,
}

impl Kernel {
    /// `specs`: the maps, in the order of programs' indices; `any`: a program, with the types of all.
    pub(crate) fn new(specs: &[MapSpec], any: &Generated) -> Result<Kernel, String> {
        let from = MapFrom { object: "sound", ..MapFrom::default() };
        let maps = specs.iter().map(|spec| map::create(spec, &from).map(|made| made.map).map_err(|e| e.to_string()));
        let types = any.program.btf.as_ref().ok_or("a program without types")?;
        let types = btf::load(types, None).map_err(|e| e.to_string())?.fd;
        Ok(Kernel { maps: maps.collect::<Result<_, _>>()?, types })
    }

    /// Whether the kernel takes the program; `None` if it has no verdict.
    pub(crate) fn accepts(&self, program: &Program) -> Option<bool> {
        let insns = named(program, &self.maps);
        // What it lacks at times (memory for code) is there a moment later.
        (0..3).find_map(|_| Prog::verdict(program, &insns, self.types.as_fd()).ok())
    }

    /// Loads it, by which nothing is left open: why it is not taken, if it is not.
    pub(crate) fn refuses(&self, program: &Program) -> Option<String> {
        self.load(program, sys::LOG_STATS).err().map(|log| message(&log))
    }

    /// What is said of it instruction by instruction.
    pub(crate) fn log(&self, program: &Program) -> String {
        self.load(program, sys::LOG_INSNS.and(sys::LOG_STATS)).unwrap_or_else(|log| log)
    }

    fn load(&self, program: &Program, log: sys::LogLevel) -> Result<String, String> {
        let maps: Vec<_> = self.maps.iter().map(AsFd::as_fd).collect();
        let from = ProgFrom { maps: &maps, btf: Some(self.types.as_fd()), log, ..ProgFrom::default() };
        prog::load(program, &from).map(|loaded| loaded.log).map_err(|refused| refused.log.clone())
    }
}

/// A program's instructions with maps by their descriptors.
pub(super) fn named(program: &Program, maps: &[sys::Map]) -> Vec<Insn> {
    let named = |insn: &Insn| match BY_INDEX.iter().position(|src| insn.op == LD_IMM64 && insn.src == *src) {
        Some(kind) => Insn { src: BY_FD[kind], imm: maps[insn.imm as usize].as_fd().as_raw_fd(), ..*insn },
        None => *insn,
    };
    program.insns.iter().map(named).collect()
}

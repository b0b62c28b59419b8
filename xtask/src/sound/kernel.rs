//! The running kernel's word on a generated program.

use crate::agree::verdict::message;
use alveary_linux::{
    btf,
    map::{self, MapFrom},
    prog::{self, ProgFrom},
    sys::{self, LogLevel},
};
use alveary_spec::{MapSpec, Program};
use alveary_testing::Generated;
use std::os::fd::{AsFd, OwnedFd};

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

    /// Whether the kernel takes the program.
    pub(crate) fn accepts(&self, program: &Program) -> bool {
        self.load(program, LogLevel::default()).is_ok()
    }

    /// Why it does not.
    pub(crate) fn message(&self, program: &Program) -> String {
        self.load(program, sys::LOG_STATS).err().map(|log| message(&log)).unwrap_or_default()
    }

    fn load(&self, program: &Program, log: LogLevel) -> Result<(), String> {
        let maps: Vec<_> = self.maps.iter().map(AsFd::as_fd).collect();
        let from = ProgFrom { maps: &maps, btf: Some(self.types.as_fd()), log, ..ProgFrom::default() };
        prog::load(program, &from).map(drop).map_err(|refused| refused.log.clone())
    }
}

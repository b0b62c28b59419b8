//! The running kernel: bpf(2) by hand, as much as maps, loading a program and BPF_PROG_TEST_RUN need.

use alveary_abi::{Errno, MapDef, MapType, ProgType};
use alveary_isa::{Endian, Insn};
use alveary_spec::Program;
use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// Commands of bpf(2).
mod command {
    pub(super) const MAP_CREATE: i32 = 0;
    pub(super) const LOOKUP: i32 = 1;
    pub(super) const UPDATE: i32 = 2;
    pub(super) const DELETE: i32 = 3;
    pub(super) const NEXT_KEY: i32 = 4;
    pub(super) const PROG_LOAD: i32 = 5;
    pub(super) const TEST_RUN: i32 = 10;
    pub(super) const TAKE: i32 = 21;
    pub(super) const FREEZE: i32 = 22;
}

/// Whether bpf(2) may be used here; if not, a line says that `test` is skipped.
#[must_use]
pub fn permitted(test: &str) -> bool {
    let map = Map::create(&crate::def(MapType::ARRAY, 4, 4, 1), None);
    if let Err(e) = &map {
        eprintln!("SKIP {test}: bpf(2) is not permitted here: {e}");
    }
    map.is_ok()
}

/// Number of possible CPUs: how many values a per-CPU map of the kernel has.
#[must_use]
pub fn possible_cpus() -> u32 {
    let list = fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    list.trim().rsplit(['-', ',']).next().and_then(|last| last.parse::<u32>().ok()).map_or(1, |last| last + 1)
}

/// `union bpf_attr`, as words at offsets.
struct Attr([u8; 120]);

impl Attr {
    fn new() -> Attr {
        Attr([0; 120])
    }

    fn word(mut self, at: usize, value: u32) -> Attr {
        self.0[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn long(mut self, at: usize, value: u64) -> Attr {
        self.0[at..at + 8].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn call(&mut self, command: i32) -> io::Result<i32> {
        // SAFETY: the attribute is as long as it says, and every pointer in it is to a buffer that the caller keeps and
        // that is as long as the attribute, or the map's definition, says.
        let r = unsafe { libc::syscall(libc::SYS_bpf, command, self.0.as_mut_ptr(), self.0.len()) };
        if r < 0 { Err(io::Error::last_os_error()) } else { Ok(r as i32) }
    }
}

fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the kernel just gave us this descriptor.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn errno(e: &io::Error) -> Errno {
    Errno(e.raw_os_error().unwrap_or(0))
}

/// A map of the kernel. Keys and values are as long as its definition says: per-CPU maps have values for all CPUs.
#[derive(Debug)]
pub struct Map {
    fd: OwnedFd,
}

impl Map {
    /// Makes one; `inner` is the template of maps that hold maps.
    ///
    /// # Errors
    /// The kernel's.
    pub fn create(def: &MapDef, inner: Option<&Map>) -> Result<Map, Errno> {
        let mut attr = Attr::new()
            .word(0, def.ty.0)
            .word(4, def.key_size)
            .word(8, def.value_size)
            .word(12, def.max_entries)
            .word(16, def.flags)
            .word(20, inner.map_or(0, |map| map.fd() as u32))
            .long(64, def.extra);
        attr.call(command::MAP_CREATE).map(|fd| Map { fd: owned(fd) }).map_err(|e| errno(&e))
    }

    /// Its descriptor: what instructions name it by, and the value by which it goes into a map of maps.
    #[must_use]
    pub fn fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    fn element(&self, command: i32, key: Option<&[u8]>, value: u64, flags: u64) -> Result<(), Errno> {
        let key = key.filter(|key| !key.is_empty()).map_or(0, |key| key.as_ptr() as u64);
        let mut attr = Attr::new().word(0, self.fd() as u32).long(8, key).long(16, value).long(24, flags);
        attr.call(command).map(drop).map_err(|e| errno(&e))
    }

    /// `BPF_MAP_LOOKUP_ELEM`.
    ///
    /// # Errors
    /// The kernel's; so for all that follow.
    pub fn read(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        self.element(command::LOOKUP, Some(key), out.as_mut_ptr() as u64, 0)
    }

    /// `BPF_MAP_UPDATE_ELEM`.
    pub fn write(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.element(command::UPDATE, Some(key), value.as_ptr() as u64, flags)
    }

    /// `BPF_MAP_DELETE_ELEM`.
    pub fn remove(&self, key: &[u8]) -> Result<(), Errno> {
        self.element(command::DELETE, Some(key), 0, 0)
    }

    /// `BPF_MAP_GET_NEXT_KEY`.
    pub fn next_key(&self, after: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        self.element(command::NEXT_KEY, after, out.as_mut_ptr() as u64, 0)
    }

    /// `BPF_MAP_LOOKUP_AND_DELETE_ELEM`.
    pub fn take(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        self.element(command::TAKE, Some(key), out.as_mut_ptr() as u64, 0)
    }

    /// `BPF_MAP_FREEZE`.
    pub fn freeze(&self) -> Result<(), Errno> {
        self.element(command::FREEZE, None, 0, 0)
    }
}

/// A program of the kernel.
#[derive(Debug)]
pub struct Prog {
    fd: OwnedFd,
}

impl AsFd for Prog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Prog {
    /// Loads one whose maps are named by descriptor.
    ///
    /// # Errors
    /// The kernel's, with the verifier's log.
    pub fn load(ty: ProgType, insns: &[Insn]) -> io::Result<Prog> {
        let code: Vec<u8> = insns.iter().flat_map(|i| i.to_bytes(Endian::HOST)).collect();
        let mut log = vec![0u8; 1 << 16];
        let r = Attr::new()
            .word(0, ty.0)
            .word(4, insns.len() as u32)
            .long(8, code.as_ptr() as u64)
            .long(16, c"GPL".as_ptr() as u64)
            .word(24, 1)
            .word(28, log.len() as u32)
            .long(32, log.as_mut_ptr() as u64)
            .call(command::PROG_LOAD);
        let text = || String::from_utf8_lossy(&log).trim_end_matches('\0').to_string();
        r.map(|fd| Prog { fd: owned(fd) }).map_err(|e| io::Error::new(e.kind(), format!("{e}: {}", text())))
    }

    /// What the verifier prints of a program at `level` (2: the registers after each instruction), and whether it
    /// accepts it; `flags` are those of `BPF_PROG_LOAD`.
    #[must_use]
    pub fn verifier_log(ty: ProgType, insns: &[Insn], level: u32, flags: u32) -> (bool, String) {
        let code: Vec<u8> = insns.iter().flat_map(|i| i.to_bytes(Endian::HOST)).collect();
        let mut log = vec![0u8; 1 << 20];
        let loaded = Attr::new()
            .word(0, ty.0)
            .word(4, insns.len() as u32)
            .long(8, code.as_ptr() as u64)
            .long(16, c"GPL".as_ptr() as u64)
            .word(24, level)
            .word(28, log.len() as u32)
            .long(32, log.as_mut_ptr() as u64)
            .word(44, flags)
            .call(command::PROG_LOAD)
            .map(owned);
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
        (loaded.is_ok(), String::from_utf8_lossy(&log[..end]).into_owned())
    }

    /// Whether the verifier accepts a program whose maps are named by descriptor, with loaded types of its functions.
    /// Nothing is compiled for that: there is so little room for the log that the kernel goes no further, and what is
    /// said first tells.
    ///
    /// # Errors
    /// If the kernel came to no verdict: it lacks memory, say.
    pub fn verdict(program: &Program, insns: &[Insn], types: BorrowedFd<'_>) -> io::Result<bool> {
        // The time and such; the beginning of what is said is kept, not its end.
        const LEVEL: u32 = 4 | 8;
        const END: &[u8] = b"verification time";
        let code: Vec<u8> = insns.iter().flat_map(|i| i.to_bytes(Endian::HOST)).collect();
        let funcs: Vec<u8> = program.funcs.iter().flat_map(|f| [f.insn, f.ty.0]).flat_map(u32::to_ne_bytes).collect();
        let mut log = [0u8; END.len() + 1];
        let loaded = Attr::new()
            .word(0, program.ty.0)
            .word(4, insns.len() as u32)
            .long(8, code.as_ptr() as u64)
            .long(16, c"GPL".as_ptr() as u64)
            .word(24, LEVEL)
            .word(28, log.len() as u32)
            .long(32, log.as_mut_ptr() as u64)
            .word(72, types.as_raw_fd() as u32)
            .word(76, 8)
            .long(80, funcs.as_ptr() as u64)
            .word(88, program.funcs.len() as u32)
            .call(command::PROG_LOAD)
            .map(owned);
        match loaded {
            Ok(_) => Ok(true),
            Err(_) if log.starts_with(END) => Ok(true),
            Err(e) if matches!(errno(&e), Errno::ENOMEM | Errno::EAGAIN | Errno::EINTR | Errno::EPERM) => Err(e),
            Err(_) => Ok(false),
        }
    }

    /// Runs it on a packet, with a context unless that is empty: what it returned, and the packet after it.
    ///
    /// # Errors
    /// The kernel's: some packets are none to it.
    pub fn test_run(&self, packet: &[u8], context: &[u8]) -> io::Result<(u32, Vec<u8>)> {
        let mut out = vec![0u8; 1 << 15];
        let mut context_out = vec![0u8; context.len()];
        let mut attr = Attr::new()
            .word(0, self.fd.as_raw_fd() as u32)
            .word(8, packet.len() as u32)
            .word(12, out.len() as u32)
            .long(16, packet.as_ptr() as u64)
            .long(24, out.as_mut_ptr() as u64)
            .word(32, 1);
        if !context.is_empty() {
            attr = attr
                .word(40, context.len() as u32)
                .word(44, context_out.len() as u32)
                .long(48, context.as_ptr() as u64)
                .long(56, context_out.as_mut_ptr() as u64);
        }
        attr.call(command::TEST_RUN)?;
        let word = |at: usize| u32::from_ne_bytes([attr.0[at], attr.0[at + 1], attr.0[at + 2], attr.0[at + 3]]);
        out.truncate(word(12) as usize);
        Ok((word(4), out))
    }
}

//! The kernel as oracle: bpf(2) by hand, as much as loading a program and BPF_PROG_TEST_RUN need.

use alveary_abi::{MapType, ProgType};
use alveary_isa::{Endian, Insn};
use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

const MAP_CREATE: i32 = 0;
const MAP_UPDATE: i32 = 2;
const PROG_LOAD: i32 = 5;
const PROG_TEST_RUN: i32 = 10;

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
        // SAFETY: the attribute has the kernel's size, and every pointer in it is to a buffer that the caller keeps.
        let r = unsafe { libc::syscall(libc::SYS_bpf, command, self.0.as_mut_ptr(), self.0.len()) };
        if r < 0 { Err(io::Error::last_os_error()) } else { Ok(r as i32) }
    }
}

fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the kernel just gave us this descriptor.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Makes a map with 4-byte keys and values.
pub(crate) fn map(ty: MapType) -> io::Result<OwnedFd> {
    Attr::new().word(0, ty.0).word(4, 4).word(8, 4).word(12, 4).call(MAP_CREATE).map(owned)
}

/// Sets an entry of a map with 4-byte keys and values.
pub(crate) fn update(map: &OwnedFd, key: u32, value: u32) -> io::Result<()> {
    let fd = map.as_raw_fd() as u32;
    let (key, value) = (&raw const key as u64, &raw const value as u64);
    Attr::new().word(0, fd).long(8, key).long(16, value).call(MAP_UPDATE).map(drop)
}

/// Loads a program; the verifier's log is the error.
pub(crate) fn load(ty: ProgType, insns: &[Insn]) -> io::Result<OwnedFd> {
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
        .call(PROG_LOAD);
    let text = || String::from_utf8_lossy(&log).trim_end_matches('\0').to_string();
    r.map(owned).map_err(|e| io::Error::new(e.kind(), format!("{e}: {}", text())))
}

/// Runs a program on a packet: what it returned, and the packet after it.
pub(crate) fn test_run(prog: &OwnedFd, packet: &[u8], context: &[u8]) -> io::Result<(u32, Vec<u8>)> {
    let mut out = vec![0u8; 1 << 15];
    let mut context_out = vec![0u8; context.len()];
    let mut attr = Attr::new()
        .word(0, prog.as_raw_fd() as u32)
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
    attr.call(PROG_TEST_RUN)?;
    let word = |at: usize| u32::from_ne_bytes([attr.0[at], attr.0[at + 1], attr.0[at + 2], attr.0[at + 3]]);
    out.truncate(word(12) as usize);
    Ok((word(4), out))
}

/// Whether bpf(2) may be used here.
pub(crate) fn permitted() -> bool {
    map(MapType::ARRAY).is_ok()
}

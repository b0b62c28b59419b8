//! The remaining commands: iterators, raw tracepoints, tokens, statistics, other processes' descriptors, programs'
//! streams, maps bound to programs.

use super::{
    Command, Error, Result,
    attr::{
        BindMapAttr, EnableStatsAttr, IterCreateAttr, RawTracepointAttr, StreamReadAttr, TaskFdAttr, TokenCreateAttr,
    },
    call::{address_mut, call, call_fd, text},
    error::OfCommand,
};
use alveary_abi::Errno;
use std::{
    ffi::CStr,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

/// `BPF_ITER_CREATE`: a file from which the iterator's output is read.
///
/// # Errors
/// The kernel's.
pub fn iter_create(link: BorrowedFd<'_>) -> Result<OwnedFd> {
    let mut attr = IterCreateAttr { link_fd: link.as_raw_fd() as u32, flags: 0 };
    // SAFETY: there is no address.
    unsafe { call_fd(Command::IterCreate, &mut attr) }.of(Command::IterCreate)
}

/// `BPF_RAW_TRACEPOINT_OPEN`: attaches to a raw tracepoint of this name; of none: to what a tracing or LSM program was
/// loaded for.
///
/// # Errors
/// `ENOENT` if there is no such tracepoint; else the kernel's.
pub fn raw_tracepoint_open(name: Option<&CStr>, prog: BorrowedFd<'_>, cookie: u64) -> Result<OwnedFd> {
    let name = name.map_or(0, |name| name.as_ptr() as u64);
    let mut attr = RawTracepointAttr { name, prog_fd: prog.as_raw_fd() as u32, cookie, ..Default::default() };
    // SAFETY: the name ends in a zero.
    unsafe { call_fd(Command::RawTracepointOpen, &mut attr) }.of(Command::RawTracepointOpen)
}

/// `BPF_TOKEN_CREATE`: a token with what a BPF file system delegates.
///
/// # Errors
/// The kernel's.
pub fn token_create(bpffs: BorrowedFd<'_>) -> Result<OwnedFd> {
    let mut attr = TokenCreateAttr { flags: 0, bpffs_fd: bpffs.as_raw_fd() as u32 };
    // SAFETY: there is no address.
    unsafe { call_fd(Command::TokenCreate, &mut attr) }.of(Command::TokenCreate)
}

/// `BPF_ENABLE_STATS`: has programs' runs counted and timed as long as the descriptor is open.
///
/// # Errors
/// The kernel's.
pub fn enable_stats() -> Result<OwnedFd> {
    // The one kind that there is: BPF_STATS_RUN_TIME.
    let mut attr = EnableStatsAttr { r#type: 0 };
    // SAFETY: there is no address.
    unsafe { call_fd(Command::EnableStats, &mut attr) }.of(Command::EnableStats)
}

/// `BPF_PROG_BIND_MAP`: keeps a map as long as the program lives.
///
/// # Errors
/// The kernel's.
pub fn prog_bind_map(prog: BorrowedFd<'_>, map: BorrowedFd<'_>) -> Result<()> {
    let mut attr = BindMapAttr { prog_fd: prog.as_raw_fd() as u32, map_fd: map.as_raw_fd() as u32, flags: 0 };
    // SAFETY: there is no address.
    unsafe { call(Command::ProgBindMap, &mut attr) }.map(drop).of(Command::ProgBindMap)
}

/// What a perf event descriptor of some process runs a program on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum FdType {
    RawTracepoint,
    Tracepoint,
    Kprobe,
    Kretprobe,
    Uprobe,
    Uretprobe,
    /// A number that this version does not know.
    Unknown(u32),
}

/// A program that hangs on a descriptor of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFd {
    /// Id of the program.
    pub prog: u32,
    /// What runs it.
    pub ty: FdType,
    /// Name of the tracepoint, symbol or file; empty if it is an address.
    pub name: String,
    /// Offset from the symbol, or in the file.
    pub offset: u64,
    /// Address of the probe.
    pub address: u64,
}

/// `BPF_TASK_FD_QUERY`: what a descriptor of a process runs.
///
/// # Errors
/// `ENOTSUPP` if it runs no program; `ENOENT` if there is no such process or descriptor.
pub fn task_fd_query(pid: u32, fd: u32) -> Result<TaskFd> {
    let mut room = 256;
    loop {
        let mut name = vec![0u8; room];
        let mut attr =
            TaskFdAttr { pid, fd, buf_len: name.len() as u32, buf: address_mut(&mut name), ..Default::default() };
        // SAFETY: `buf` is as long as `buf_len` says.
        let done = unsafe { call(Command::TaskFdQuery, &mut attr) };
        match done {
            Err(Errno::ENOSPC) if room < 1 << 16 => room = attr.buf_len as usize + 1,
            Err(errno) => return Err(Error::new(Command::TaskFdQuery, errno)),
            Ok(_) => {
                return Ok(TaskFd {
                    prog: attr.prog_id,
                    ty: fd_type(attr.fd_type),
                    name: text(&name),
                    offset: attr.probe_offset,
                    address: attr.probe_addr,
                });
            }
        }
    }
}

fn fd_type(number: u32) -> FdType {
    const TYPES: [FdType; 6] = [
        FdType::RawTracepoint,
        FdType::Tracepoint,
        FdType::Kprobe,
        FdType::Kretprobe,
        FdType::Uprobe,
        FdType::Uretprobe,
    ];
    TYPES.get(number as usize).copied().unwrap_or(FdType::Unknown(number))
}

/// What a program writes to (`bpf_stream_printk`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Stream {
    Stdout = 1,
    Stderr = 2,
}

/// `BPF_PROG_STREAM_READ_BY_FD`: takes what a program has written since (Linux 6.17); 0 bytes
/// if that is nothing.
///
/// # Errors
/// The kernel's.
pub fn stream_read(prog: BorrowedFd<'_>, stream: Stream, buffer: &mut [u8]) -> Result<usize> {
    let mut attr = StreamReadAttr {
        stream_buf: address_mut(buffer),
        stream_buf_len: buffer.len() as u32,
        stream_id: stream as u32,
        prog_fd: prog.as_raw_fd() as u32,
        ..Default::default()
    };
    // SAFETY: the buffer is as long as `stream_buf_len` says.
    let read = unsafe { call(Command::ProgStreamReadByFd, &mut attr) };
    read.map(|bytes| bytes as usize).of(Command::ProgStreamReadByFd)
}

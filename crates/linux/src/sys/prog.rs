//! Loading programs.

use super::{
    About, Command, Error, LogLevel, Result,
    attr::{ProgLoadAttr, layout},
    call::{address, address_mut, call_fd, object_name, raw},
    log::with_log,
};
use alveary_abi::{AttachType, Errno, ProgType, flags::BPF_F_TOKEN_FD};
use alveary_btf::{FuncInfo, LineInfo, TypeId};
use alveary_isa::{Endian, Insn};
use std::{
    ffi::CStr,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

/// What a program is loaded from (`BPF_PROG_LOAD`).
#[derive(Clone, Copy, Debug)]
pub struct ProgLoad<'a> {
    /// `enum bpf_prog_type`.
    pub ty: ProgType,
    /// The expected attach type.
    pub expected: Option<AttachType>,
    /// `BPF_F_SLEEPABLE` …
    pub flags: u32,
    /// Its name; what the kernel does not take of it is left out.
    pub name: &'a str,
    /// Its instructions, maps by descriptor or by index into `fds`.
    pub insns: &'a [Insn],
    /// Its licence.
    pub license: &'a CStr,
    /// `LINUX_VERSION_CODE`, which kprobe programs had to give before Linux 5.0.
    pub kernel_version: u32,
    /// Its types, which `funcs`, `lines` and maps' keys refer to.
    pub btf: Option<BorrowedFd<'a>>,
    /// BTF of its functions.
    pub funcs: &'a [FuncInfo],
    /// Its source lines.
    pub lines: &'a [LineInfo],
    /// The function, hook or struct of the kernel that it is for.
    pub attach_btf_id: TypeId,
    /// Where `attach_btf_id` stands, if not in the kernel's own BTF: the program to be replaced or traced, or a module's BTF.
    pub attach_to: Option<BorrowedFd<'a>>,
    /// What instructions name by index: maps, and (by their `off`) the BTF of modules whose functions they call. The
    /// first is never a module's.
    pub fds: &'a [BorrowedFd<'a>],
    /// The device whose driver translates it, or which it is bound to.
    pub ifindex: u32,
    /// A BPF token; sets `BPF_F_TOKEN_FD`.
    pub token: Option<BorrowedFd<'a>>,
    /// What the verifier shall say, even if it accepts the program. If it refuses, it says why in any case.
    pub log: LogLevel,
}

impl ProgLoad<'_> {
    /// A program of this type without anything said about it.
    #[must_use]
    pub fn new(ty: ProgType, insns: &[Insn]) -> ProgLoad<'_> {
        ProgLoad {
            ty,
            expected: None,
            flags: 0,
            name: "",
            insns,
            license: c"",
            kernel_version: 0,
            btf: None,
            funcs: &[],
            lines: &[],
            attach_btf_id: TypeId::VOID,
            attach_to: None,
            fds: &[],
            ifindex: 0,
            token: None,
            log: LogLevel::NONE,
        }
    }
}

/// A program that the kernel has accepted.
#[derive(Debug)]
pub struct Loaded {
    /// Its descriptor.
    pub fd: OwnedFd,
    /// What the verifier said; empty if it was not asked to.
    pub log: String,
}

layout! { pub(super) FuncRecord at "bpf_func_info" {
    insn_off: u32,
    type_id: u32,
} }

layout! { pub(super) LineRecord at "bpf_line_info" {
    insn_off: u32,
    file_name_off: u32,
    line_off: u32,
    line_col: u32,
} }

/// The kernel's verifier stops when a signal comes, and says to try again.
const ATTEMPTS: usize = 5;

impl ProgLoad<'_> {
    /// Loads the program. It is first loaded without a log, which is fast, and if it is refused once more with one.
    ///
    /// # Errors
    /// The kernel's, with the verifier's log.
    pub fn load(&self) -> Result<Loaded> {
        let mut code = Vec::with_capacity(self.insns.len() * Insn::SIZE);
        for insn in self.insns {
            code.extend_from_slice(&insn.to_bytes(Endian::HOST));
        }
        let funcs: Vec<FuncRecord> =
            self.funcs.iter().map(|f| FuncRecord { insn_off: f.insn, type_id: f.ty.0 }).collect();
        let lines: Vec<LineRecord> = self.lines.iter().map(LineRecord::of).collect();
        let fds: Vec<i32> = self.fds.iter().map(|fd| fd.as_raw_fd()).collect();
        let attr = ProgLoadAttr {
            prog_type: self.ty.0,
            insn_cnt: self.insns.len() as u32,
            insns: address(&code),
            license: self.license.as_ptr() as u64,
            kern_version: self.kernel_version,
            prog_flags: self.flags | if self.token.is_some() { BPF_F_TOKEN_FD } else { 0 },
            prog_name: object_name(self.name),
            prog_ifindex: self.ifindex,
            expected_attach_type: self.expected.map_or(0, |at| at.0),
            prog_btf_fd: raw(self.btf),
            func_info_rec_size: if funcs.is_empty() { 0 } else { size_of::<FuncRecord>() as u32 },
            func_info: address(&funcs),
            func_info_cnt: funcs.len() as u32,
            line_info_rec_size: if lines.is_empty() { 0 } else { size_of::<LineRecord>() as u32 },
            line_info: address(&lines),
            line_info_cnt: lines.len() as u32,
            attach_btf_id: self.attach_btf_id.0,
            attach_btf_obj_fd: raw(self.attach_to),
            fd_array: address(&fds),
            prog_token_fd: raw(self.token) as i32,
            ..ProgLoadAttr::default()
        };
        if self.log == LogLevel::NONE
            && let Ok(fd) = attempt(attr)
        {
            return Ok(Loaded { fd, log: String::new() });
        }
        let level = if self.log == LogLevel::NONE { super::LOG_BRANCHES } else { self.log };
        let (result, log) = with_log(|buffer| {
            let mut attr = ProgLoadAttr { log_level: level.0, log_size: buffer.len() as u32, ..attr };
            attr.log_buf = address_mut(buffer);
            attempt_into(&mut attr)
        });
        match result {
            Ok(fd) => Ok(Loaded { fd, log }),
            Err(errno) => {
                let about = About::Prog(self.ty, self.expected);
                Err(Error::new(Command::ProgLoad, errno).about(about).named(self.name).with_log(log))
            }
        }
    }
}

fn attempt(mut attr: ProgLoadAttr) -> std::result::Result<OwnedFd, Errno> {
    attempt_into(&mut attr).0
}

/// Loads once, and says how long the log is.
fn attempt_into(attr: &mut ProgLoadAttr) -> (std::result::Result<OwnedFd, Errno>, u32) {
    let mut left = ATTEMPTS;
    loop {
        // SAFETY: all addresses are those of buffers which `ProgLoad::load` keeps, with the lengths beside them; the
        // licence ends in a zero. Indices into `fds` beyond its end make the kernel read a number elsewhere in our memory
        // and take it for a descriptor: it writes nothing there.
        let result = unsafe { call_fd(Command::ProgLoad, attr) };
        left -= 1;
        if !matches!(result, Err(Errno::EAGAIN)) || left == 0 {
            return (result, attr.log_true_size);
        }
    }
}

impl LineRecord {
    fn of(line: &LineInfo) -> LineRecord {
        LineRecord {
            insn_off: line.insn,
            file_name_off: line.file,
            line_off: line.text,
            line_col: line.line << 10 | line.column & 0x3ff,
        }
    }

    pub(super) fn info(&self) -> LineInfo {
        LineInfo {
            insn: self.insn_off,
            file: self.file_name_off,
            text: self.line_off,
            line: self.line_col >> 10,
            column: self.line_col & 0x3ff,
        }
    }
}

//! `BPF_BTF_LOAD`.

use super::{
    Command, Error, LogLevel, Result,
    attr::BtfLoadAttr,
    call::{address, address_mut, call_fd, raw},
    log::with_log,
};
use std::os::fd::{BorrowedFd, OwnedFd};

/// `BPF_F_TOKEN_FD` of this command, which takes no other flag.
const TOKEN: u32 = alveary_abi::flags::BPF_F_TOKEN_FD;

/// Types for programs and maps to refer to.
#[derive(Clone, Copy, Debug)]
pub struct BtfLoad<'a> {
    /// A BTF section.
    pub bytes: &'a [u8],
    /// A BPF token; sets `BPF_F_TOKEN_FD`.
    pub token: Option<BorrowedFd<'a>>,
}

impl BtfLoad<'_> {
    /// Loads the types: without a log, and if they are refused once more with one.
    ///
    /// # Errors
    /// The kernel's, with its log.
    pub fn load(&self) -> Result<OwnedFd> {
        let attr = BtfLoadAttr {
            btf: address(self.bytes),
            btf_size: self.bytes.len() as u32,
            btf_flags: if self.token.is_some() { TOKEN } else { 0 },
            btf_token_fd: raw(self.token) as i32,
            ..BtfLoadAttr::default()
        };
        // SAFETY: `btf` is as long as `btf_size` says.
        if let Ok(fd) = unsafe { call_fd(Command::BtfLoad, &mut attr.clone()) } {
            return Ok(fd);
        }
        let (result, log) = with_log(|buffer| {
            let level = LogLevel(super::LOG_BRANCHES.0 | super::LOG_INSNS.0 | super::LOG_STATS.0).0;
            let mut attr = BtfLoadAttr { btf_log_level: level, btf_log_size: buffer.len() as u32, ..attr };
            attr.btf_log_buf = address_mut(buffer);
            // SAFETY: as above, and the log's buffer is as long as `btf_log_size` says.
            let result = unsafe { call_fd(Command::BtfLoad, &mut attr) };
            (result, attr.btf_log_true_size)
        });
        result.map_err(|errno| Error::new(Command::BtfLoad, errno).with_log(log))
    }
}

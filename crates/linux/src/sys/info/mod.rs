//! What the kernel tells about an object (`BPF_OBJ_GET_INFO_BY_FD`).

pub(super) mod link;
pub(super) mod prog;
pub(super) mod simple;

pub use link::{LinkDetail, LinkInfo, LinkType, PerfDetail, link_info};
pub use prog::{ProgInfo, ProgParts, prog_info};
pub use simple::{BtfInfo, MapInfo, TokenInfo, btf_info, map_info, map_info_bytes, token_info};

use super::{Command, Result, attr::InfoAttr, call::call, error::OfCommand};
use std::os::fd::{AsRawFd, BorrowedFd};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Fills `info`; gives how many bytes of it the kernel knows.
///
/// # Safety
/// Every address in `info` must be that of a buffer as long as the count beside it says.
unsafe fn get<T: FromBytes + IntoBytes + Immutable>(fd: BorrowedFd<'_>, info: &mut T) -> Result<u32> {
    let mut attr = InfoAttr {
        bpf_fd: fd.as_raw_fd() as u32,
        info_len: size_of::<T>() as u32,
        info: std::ptr::from_mut(info) as u64,
    };
    // SAFETY: `info` is as long as `info_len` says and takes any bytes; the caller answers for the addresses in it.
    unsafe { call(Command::ObjGetInfoByFd, &mut attr) }.of(Command::ObjGetInfoByFd)?;
    Ok(attr.info_len)
}

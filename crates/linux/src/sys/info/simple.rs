//! Maps, BTF, tokens.

use super::get;
use crate::sys::{
    Result,
    attr::{ObjName, layout},
    call::{address_mut, text},
};
use alveary_abi::MapType;
use alveary_btf::TypeId;
use std::os::fd::BorrowedFd;
use zerocopy::IntoBytes;

layout! { pub(in crate::sys) RawMap at "bpf_map_info" {
    r#type: u32,
    id: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    name: ObjName,
    ifindex: u32,
    btf_vmlinux_value_type_id: u32,
    netns_dev: u64,
    netns_ino: u64,
    btf_id: u32,
    btf_key_type_id: u32,
    btf_value_type_id: u32,
    btf_vmlinux_id: u32,
    map_extra: u64,
    hash: u64,
    hash_size: u32,
    _end: u32,
} }

/// A map, as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub struct MapInfo {
    pub ty: MapType,
    pub id: u32,
    pub key_size: u32,
    pub value_size: u32,
    pub max_entries: u32,
    pub map_flags: u32,
    pub map_extra: u64,
    /// Its name: at most 15 bytes.
    pub name: String,
    pub ifindex: u32,
    pub netns_dev: u64,
    pub netns_ino: u64,
    /// Id of its BTF; 0 is none.
    pub btf_id: u32,
    pub btf_key_type: TypeId,
    pub btf_value_type: TypeId,
    /// Of a `struct_ops` map: the type in the kernel's BTF, and which BTF that is.
    pub btf_vmlinux_value_type: TypeId,
    pub btf_vmlinux_id: u32,
}

/// What the kernel tells about a map.
///
/// # Errors
/// `EINVAL` if the descriptor is no map's.
pub fn map_info(fd: BorrowedFd<'_>) -> Result<MapInfo> {
    let mut raw = RawMap::default();
    // SAFETY: no address is given.
    unsafe { get(fd, &mut raw)? };
    Ok(MapInfo {
        ty: MapType(raw.r#type),
        id: raw.id,
        key_size: raw.key_size,
        value_size: raw.value_size,
        max_entries: raw.max_entries,
        map_flags: raw.map_flags,
        map_extra: raw.map_extra,
        name: text(&raw.name),
        ifindex: raw.ifindex,
        netns_dev: raw.netns_dev,
        netns_ino: raw.netns_ino,
        btf_id: raw.btf_id,
        btf_key_type: TypeId(raw.btf_key_type_id),
        btf_value_type: TypeId(raw.btf_value_type_id),
        btf_vmlinux_value_type: TypeId(raw.btf_vmlinux_value_type_id),
        btf_vmlinux_id: raw.btf_vmlinux_id,
    })
}

/// The kernel's own description of a map (`struct bpf_map_info`), as much of it as this kernel has and we know.
///
/// # Errors
/// As [`map_info`].
pub fn map_info_bytes(fd: BorrowedFd<'_>) -> Result<Vec<u8>> {
    let mut raw = RawMap::default();
    // SAFETY: no address is given.
    let known = unsafe { get(fd, &mut raw)? };
    Ok(raw.as_bytes().iter().copied().take(known as usize).collect())
}

layout! { pub(in crate::sys) RawBtf at "bpf_btf_info" {
    btf: u64,
    btf_size: u32,
    id: u32,
    name: u64,
    name_len: u32,
    kernel_btf: u32,
} }

/// A set of types, as the kernel describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BtfInfo {
    /// Its id.
    pub id: u32,
    /// Its size in bytes.
    pub size: u32,
    /// The types; empty unless they were asked for.
    pub bytes: Vec<u8>,
    /// `vmlinux`, or a module's name; empty for those that were loaded.
    pub name: String,
    /// It is the kernel's or a module's.
    pub kernel: bool,
}

/// What the kernel tells about a set of types; its bytes too if they are wanted.
///
/// # Errors
/// `EINVAL` if the descriptor is no BTF's.
pub fn btf_info(fd: BorrowedFd<'_>, bytes: bool) -> Result<BtfInfo> {
    // A module's name has at most 55 bytes.
    let mut name = [0u8; 64];
    let (name_at, name_len) = (address_mut(&mut name), name.len() as u32);
    let mut raw = RawBtf { name: name_at, name_len, ..RawBtf::default() };
    // SAFETY: `name` is as long as `name_len` says.
    unsafe { get(fd, &mut raw)? };
    let mut content = vec![0u8; if bytes { raw.btf_size as usize } else { 0 }];
    if bytes {
        let mut again = RawBtf { btf: address_mut(&mut content), btf_size: content.len() as u32, ..RawBtf::default() };
        // SAFETY: `btf` is as long as `btf_size` says.
        unsafe { get(fd, &mut again)? };
    }
    Ok(BtfInfo { id: raw.id, size: raw.btf_size, bytes: content, name: text(&name), kernel: raw.kernel_btf != 0 })
}

layout! { pub(in crate::sys) RawToken at "bpf_token_info" {
    allowed_cmds: u64,
    allowed_maps: u64,
    allowed_progs: u64,
    allowed_attachs: u64,
} }

/// What a BPF token allows: bit n is number n of the enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct TokenInfo {
    pub commands: u64,
    pub maps: u64,
    pub progs: u64,
    pub attach_types: u64,
}

/// What the kernel tells about a token (Linux 6.17).
///
/// # Errors
/// `EINVAL` if the descriptor is no token's.
pub fn token_info(fd: BorrowedFd<'_>) -> Result<TokenInfo> {
    let mut raw = RawToken::default();
    // SAFETY: no address is given.
    unsafe { get(fd, &mut raw)? };
    let RawToken { allowed_cmds, allowed_maps, allowed_progs, allowed_attachs } = raw;
    Ok(TokenInfo { commands: allowed_cmds, maps: allowed_maps, progs: allowed_progs, attach_types: allowed_attachs })
}

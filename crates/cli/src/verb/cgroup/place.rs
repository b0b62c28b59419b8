//! Where programs of cgroups are attached, by the kernel's names and by the short ones that bpftool takes as well.

use crate::{bpftool::words::Words, failure::Failure};
use alveary_abi::{AttachType, Profile};
use std::{fs::File, path::Path};

/// Every place, in the order in which bpftool shows them.
pub(super) const PLACES: [AttachType; 29] = [
    AttachType::CGROUP_INET_INGRESS,
    AttachType::CGROUP_INET_EGRESS,
    AttachType::CGROUP_INET_SOCK_CREATE,
    AttachType::CGROUP_INET_SOCK_RELEASE,
    AttachType::CGROUP_INET4_BIND,
    AttachType::CGROUP_INET6_BIND,
    AttachType::CGROUP_INET4_POST_BIND,
    AttachType::CGROUP_INET6_POST_BIND,
    AttachType::CGROUP_INET4_CONNECT,
    AttachType::CGROUP_INET6_CONNECT,
    AttachType::CGROUP_UNIX_CONNECT,
    AttachType::CGROUP_INET4_GETPEERNAME,
    AttachType::CGROUP_INET6_GETPEERNAME,
    AttachType::CGROUP_UNIX_GETPEERNAME,
    AttachType::CGROUP_INET4_GETSOCKNAME,
    AttachType::CGROUP_INET6_GETSOCKNAME,
    AttachType::CGROUP_UNIX_GETSOCKNAME,
    AttachType::CGROUP_UDP4_SENDMSG,
    AttachType::CGROUP_UDP6_SENDMSG,
    AttachType::CGROUP_UNIX_SENDMSG,
    AttachType::CGROUP_UDP4_RECVMSG,
    AttachType::CGROUP_UDP6_RECVMSG,
    AttachType::CGROUP_UNIX_RECVMSG,
    AttachType::CGROUP_SOCK_OPS,
    AttachType::CGROUP_DEVICE,
    AttachType::CGROUP_SYSCTL,
    AttachType::CGROUP_GETSOCKOPT,
    AttachType::CGROUP_SETSOCKOPT,
    AttachType::LSM_CGROUP,
];

/// The short names, which may be abbreviated.
const SHORT: [(&str, AttachType); 23] = [
    ("ingress", AttachType::CGROUP_INET_INGRESS),
    ("egress", AttachType::CGROUP_INET_EGRESS),
    ("sock_create", AttachType::CGROUP_INET_SOCK_CREATE),
    ("sock_ops", AttachType::CGROUP_SOCK_OPS),
    ("device", AttachType::CGROUP_DEVICE),
    ("bind4", AttachType::CGROUP_INET4_BIND),
    ("bind6", AttachType::CGROUP_INET6_BIND),
    ("connect4", AttachType::CGROUP_INET4_CONNECT),
    ("connect6", AttachType::CGROUP_INET6_CONNECT),
    ("post_bind4", AttachType::CGROUP_INET4_POST_BIND),
    ("post_bind6", AttachType::CGROUP_INET6_POST_BIND),
    ("sendmsg4", AttachType::CGROUP_UDP4_SENDMSG),
    ("sendmsg6", AttachType::CGROUP_UDP6_SENDMSG),
    ("sysctl", AttachType::CGROUP_SYSCTL),
    ("recvmsg4", AttachType::CGROUP_UDP4_RECVMSG),
    ("recvmsg6", AttachType::CGROUP_UDP6_RECVMSG),
    ("getsockopt", AttachType::CGROUP_GETSOCKOPT),
    ("setsockopt", AttachType::CGROUP_SETSOCKOPT),
    ("getpeername4", AttachType::CGROUP_INET4_GETPEERNAME),
    ("getpeername6", AttachType::CGROUP_INET6_GETPEERNAME),
    ("getsockname4", AttachType::CGROUP_INET4_GETSOCKNAME),
    ("getsockname6", AttachType::CGROUP_INET6_GETSOCKNAME),
    ("sock_release", AttachType::CGROUP_INET_SOCK_RELEASE),
];

/// The place that the next word names.
pub(super) fn take(words: &mut Words<'_>) -> Result<AttachType, Failure> {
    let profile = Profile::linux_6_18();
    let long = words.peek().and_then(|word| profile.attach_type_named(word)).map(|row| row.ty);
    if let Some(ty) = long.filter(|ty| PLACES.contains(ty)) {
        words.take();
        return Ok(ty);
    }
    let short = SHORT.into_iter().find(|(name, _)| words.is(name));
    short
        .map(|(_, ty)| ty)
        .ok_or_else(|| words.unexpected("where on a cgroup: `cgroup_inet_egress`, `cgroup_device` …"))
}

/// Opens a cgroup.
pub(super) fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|why| Failure::file("open", path, &why))
}

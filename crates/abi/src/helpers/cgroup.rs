//! Control groups: sysctl values and the return value of the system call.

use super::notation::{CTX, SIZE, fill, helper, of, read, takes, update};
use crate::{Arg::Any, AttachType as A, Helper, ProgType as P};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(101, "sysctl_get_name", (5, 2))
        .doc("Copies the name of the sysctl, with its path or with BPF_F_SYSCTL_BASE_NAME without; gives its length.")
        .protos(&[takes(&[CTX, update(2), SIZE, Any]).by(of(&[P::CGROUP_SYSCTL]))]),
    helper(102, "sysctl_get_current_value", (5, 2))
        .doc("Copies the value that the sysctl has; gives its length.")
        .protos(&[takes(&[CTX, fill(2), SIZE]).by(of(&[P::CGROUP_SYSCTL]))]),
    helper(103, "sysctl_get_new_value", (5, 2))
        .doc("Copies the value that is about to be written; gives its length.")
        .protos(&[takes(&[CTX, fill(2), SIZE]).by(of(&[P::CGROUP_SYSCTL]))]),
    helper(104, "sysctl_set_new_value", (5, 2))
        .doc("Replaces the value that is about to be written.")
        .protos(&[takes(&[CTX, read(2), SIZE]).by(of(&[P::CGROUP_SYSCTL]))]),
    helper(186, "get_retval", (5, 18))
        .doc("The value that the system call is going to return, as the programs before this one left it.")
        .protos(&[
            takes(&[]).by(of(&[P::CGROUP_SOCK_ADDR, P::LSM])).at(WITH_RETURN_VALUE),
            takes(&[]).by(of(&[P::CGROUP_SOCK, P::CGROUP_SOCKOPT])),
            takes(&[]).by(of(&[P::CGROUP_DEVICE, P::CGROUP_SYSCTL])).since(6, 16),
        ]),
    helper(187, "set_retval", (5, 18))
        .doc("Sets the value that the system call is going to return.")
        .protos(&[
            takes(&[Any]).by(of(&[P::CGROUP_SOCK_ADDR, P::LSM])).at(WITH_RETURN_VALUE),
            takes(&[Any]).by(of(&[P::CGROUP_SOCK, P::CGROUP_SOCKOPT])),
            takes(&[Any]).by(of(&[P::CGROUP_DEVICE, P::CGROUP_SYSCTL])).since(6, 16),
        ]),
];

const WITH_RETURN_VALUE: &[A] = &[
    A::CGROUP_INET4_BIND,
    A::CGROUP_INET6_BIND,
    A::CGROUP_INET4_CONNECT,
    A::CGROUP_INET6_CONNECT,
    A::CGROUP_UDP4_SENDMSG,
    A::CGROUP_UDP6_SENDMSG,
    A::LSM_CGROUP,
    A::CGROUP_UNIX_CONNECT,
    A::CGROUP_UNIX_SENDMSG,
];

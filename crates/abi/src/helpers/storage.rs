//! Values that belong to a kernel object (socket, inode, task, control group) and go with it.

use super::notation::{CGROUP, CTX, SOCK_COMMON, TC, TRACE, VALUE_OR_NULL, helper, object_or_null, of, takes};
use crate::{
    Arg::{Any, Map},
    AttachType as A, Helper, ProgSet, ProgType as P, Ret, Right,
};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(81, "get_local_storage", (4, 19))
        .doc("Gives the value of the control group that the program runs for. It is never NULL.")
        .protos(&[
            takes(&[Map, Any]).gives(Ret::MapValue).by(of(&[P::LSM])).at(&[A::LSM_CGROUP]),
            takes(&[Map, Any]).gives(Ret::MapValue).by(CGROUP.or(of(&[P::CGROUP_SKB, P::SOCK_OPS]))),
        ]),
    helper(107, "sk_storage_get", (5, 2))
        .doc("Finds the value of a socket; with BPF_SK_STORAGE_GET_F_CREATE it is made from the given one if there \
              is none.")
        .protos(&[
            takes(&[Map, SOCK_COMMON, VALUE_OR_NULL, Any]).gives(Ret::MapValueOrNull).by(HOLD_SOCKETS),
            takes(&[Map, CTX, VALUE_OR_NULL, Any]).gives(Ret::MapValueOrNull).by(of(&[P::CGROUP_SOCK])),
            takes(&[Map, object_or_null("sock_common"), VALUE_OR_NULL, Any]).gives(Ret::MapValueOrNull)
                .by(of(&[P::TRACING, P::SYSCALL])).since(5, 11),
        ]),
    helper(108, "sk_storage_delete", (5, 2))
        .doc("Removes the value of a socket.")
        .protos(&[
            takes(&[Map, SOCK_COMMON]).by(HOLD_SOCKETS),
            takes(&[Map, object_or_null("sock_common")]).by(of(&[P::TRACING, P::SYSCALL])).since(5, 11),
        ]),
    helper(145, "inode_storage_get", (5, 10))
        .doc("Finds the value of an inode; with BPF_LOCAL_STORAGE_GET_F_CREATE it is made from the given one if \
              there is none.")
        .protos(&[
            takes(&[Map, object_or_null("inode"), VALUE_OR_NULL, Any]).gives(Ret::MapValueOrNull).by(of(&[P::LSM])),
        ]),
    helper(146, "inode_storage_delete", (5, 10))
        .doc("Removes the value of an inode.")
        .protos(&[takes(&[Map, object_or_null("inode")]).by(of(&[P::LSM]))]),
    helper(156, "task_storage_get", (5, 11))
        .doc("Finds the value of a task; with BPF_LOCAL_STORAGE_GET_F_CREATE it is made from the given one if there \
              is none.")
        .protos(&[
            takes(&[Map, object_or_null("task_struct"), VALUE_OR_NULL, Any]).gives(Ret::MapValueOrNull).by(TRACE),
            takes(&[Map, object_or_null("task_struct"), VALUE_OR_NULL, Any]).gives(Ret::MapValueOrNull).since(6, 16),
        ]),
    helper(157, "task_storage_delete", (5, 11))
        .doc("Removes the value of a task.")
        .protos(&[
            takes(&[Map, object_or_null("task_struct")]).by(TRACE),
            takes(&[Map, object_or_null("task_struct")]).since(6, 16),
        ]),
    helper(210, "cgrp_storage_get", (6, 2))
        .right(Right::Bpf)
        .doc("Finds the value of a control group; with BPF_LOCAL_STORAGE_GET_F_CREATE it is made from the given one \
              if there is none.")
        .protos(&[takes(&[Map, object_or_null("cgroup"), VALUE_OR_NULL, Any]).gives(Ret::MapValueOrNull)]),
    helper(211, "cgrp_storage_delete", (6, 2))
        .right(Right::Bpf)
        .doc("Removes the value of a control group.")
        .protos(&[takes(&[Map, object_or_null("cgroup")])]),
];

/// Those that come by sockets whose storage they may use.
const HOLD_SOCKETS: ProgSet =
    TC.or(of(&[P::CGROUP_SKB, P::SOCK_OPS, P::SK_MSG, P::CGROUP_SOCK_ADDR, P::CGROUP_SOCKOPT, P::STRUCT_OPS, P::LSM]));

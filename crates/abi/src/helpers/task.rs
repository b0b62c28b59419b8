//! The task that is running, and other tasks.

use super::notation::{CGROUP, SIZE, SIZE_OR_ZERO, TASK_CONTEXT, TRACE, calls, fill, helper, object, takes};
use crate::{
    Arg::{self, Any, CallbackCtx, Map},
    CallbackArg as Called, Helper, Ret, Right,
};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(14, "get_current_pid_tgid", (4, 2))
        .doc("Thread group id of the current task in the upper 32 bits, thread id in the lower.")
        .protos(&[
            takes(&[]).by(TASK_CONTEXT),
            takes(&[]).since(6, 10),
        ]),
    helper(15, "get_current_uid_gid", (4, 2))
        .doc("Group id of the current task in the upper 32 bits, user id in the lower.")
        .protos(&[
            takes(&[]).by(TASK_CONTEXT),
            takes(&[]).since(6, 16),
        ]),
    helper(16, "get_current_comm", (4, 2))
        .right(Right::Perfmon)
        .doc("Copies the name of the current task, with a NUL at its end.")
        .protos(&[
            takes(&[fill(1), SIZE]).by(TRACE.or(CGROUP)),
            takes(&[fill(1), SIZE]).since(6, 16),
        ]),
    helper(35, "get_current_task", (4, 8))
        .right(Right::Perfmon)
        .doc("Address of the current task as a number, for probe_read_kernel.")
        .protos(&[takes(&[]).gpl()]),
    helper(37, "current_task_under_cgroup", (4, 9))
        .doc("1 if the current task is inside the control group at an index of a cgroup_array, 0 if not.")
        .protos(&[
            takes(&[Map, Any]).by(TRACE),
            takes(&[Map, Any]).by(CGROUP).since(6, 12),
            takes(&[Map, Any]).since(6, 16),
        ]),
    helper(80, "get_current_cgroup_id", (4, 18))
        .right(Right::Bpf)
        .doc("Id of the control group (version 2) of the current task.")
        .protos(&[
            takes(&[]).by(TASK_CONTEXT),
            takes(&[]).since(6, 4),
        ]),
    helper(109, "send_signal", (5, 3))
        .right(Right::Perfmon)
        .doc("Sends a signal to the process of the current task.")
        .protos(&[
            takes(&[Any]).by(TRACE),
            takes(&[Any]).since(6, 16),
        ]),
    helper(117, "send_signal_thread", (5, 6))
        .right(Right::Perfmon)
        .doc("Sends a signal to the current thread.")
        .protos(&[
            takes(&[Any]).by(TRACE),
            takes(&[Any]).since(6, 16),
        ]),
    helper(120, "get_ns_current_pid_tgid", (5, 7))
        .doc("Thread group and thread id of the current task as its pid namespace, given by device and inode, knows \
              them.")
        .protos(&[
            takes(&[Any, Any, fill(3), SIZE]).by(TRACE),
            takes(&[Any, Any, fill(3), SIZE]).since(6, 10),
        ]),
    helper(123, "get_current_ancestor_cgroup_id", (5, 7))
        .right(Right::Bpf)
        .doc("Id of the control group above the one of the current task, at a level counted from the root.")
        .protos(&[
            takes(&[Any]).by(TASK_CONTEXT),
            takes(&[Any]).since(6, 4),
        ]),
    helper(141, "get_task_stack", (5, 9))
        .right(Right::Perfmon)
        .doc("Copies the call stack of a task; gives its size in bytes.")
        .protos(&[
            takes(&[object("task_struct"), fill(2), SIZE_OR_ZERO, Any]).by(TRACE),
            takes(&[object("task_struct"), fill(2), SIZE_OR_ZERO, Any]).since(6, 16),
        ]),
    helper(158, "get_current_task_btf", (5, 11))
        .right(Right::Perfmon)
        .doc("The current task, typed by BTF.")
        .protos(&[takes(&[]).gives(Ret::Btf("task_struct")).gpl()]),
    helper(175, "task_pt_regs", (5, 15))
        .right(Right::Perfmon)
        .doc("The registers that a task had when it entered the kernel.")
        .protos(&[takes(&[object("task_struct")]).gives(Ret::Btf("pt_regs")).gpl()]),
    helper(180, "find_vma", (5, 17))
        .right(Right::Perfmon)
        .doc("Calls a function with the memory area of a task that holds an address.")
        .protos(&[
            takes(&[object("task_struct"), Any, ON_AREA, CallbackCtx, Any]).by(TRACE),
            takes(&[object("task_struct"), Any, ON_AREA, CallbackCtx, Any]).since(6, 16),
        ]),
];

const ON_AREA: Arg = calls(&[Called::Btf("task_struct"), Called::Btf("vm_area_struct"), Called::CallbackCtx]);

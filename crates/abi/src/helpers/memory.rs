//! Memory that nobody vouches for: kernel and user addresses that are read and written with faults caught.

use super::notation::{SIZE, SIZE_OR_ZERO, TRACE, fill, helper, object, read, takes};
use crate::{Arg::Any, Helper, Right};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(4, "probe_read", (4, 1))
        .doc("Copies from an address that may be anything, kernel or user; a fault gives -EFAULT. The variants by \
              address space took its place.")
        .protos(&[takes(&[fill(1), SIZE_OR_ZERO, Any]).raw_address().gpl().by(TRACE)]),
    helper(36, "probe_write_user", (4, 8))
        .doc("Writes to an address of the current task. It logs a warning, being made for debugging.")
        .protos(&[takes(&[Any, read(2), SIZE]).raw_address().gpl().by(TRACE)]),
    helper(45, "probe_read_str", (4, 11))
        .doc("Copies a NUL-terminated string from an address that may be anything; gives its length with the NUL.")
        .protos(&[takes(&[fill(1), SIZE_OR_ZERO, Any]).raw_address().gpl().by(TRACE)]),
    helper(112, "probe_read_user", (5, 5))
        .right(Right::Perfmon)
        .doc("Copies from an address of user space; a fault gives -EFAULT.")
        .protos(&[takes(&[fill(1), SIZE_OR_ZERO, Any]).raw_address().gpl()]),
    helper(113, "probe_read_kernel", (5, 5))
        .right(Right::Perfmon)
        .doc("Copies from an address of the kernel; a fault gives -EFAULT.")
        .protos(&[takes(&[fill(1), SIZE_OR_ZERO, Any]).raw_address().gpl()]),
    helper(114, "probe_read_user_str", (5, 5))
        .right(Right::Perfmon)
        .doc("Copies a NUL-terminated string from an address of user space; gives its length with the NUL.")
        .protos(&[takes(&[fill(1), SIZE_OR_ZERO, Any]).raw_address().gpl()]),
    helper(115, "probe_read_kernel_str", (5, 5))
        .right(Right::Perfmon)
        .doc("Copies a NUL-terminated string from an address of the kernel; gives its length with the NUL.")
        .protos(&[takes(&[fill(1), SIZE_OR_ZERO, Any]).raw_address().gpl()]),
    helper(148, "copy_from_user", (5, 10))
        .right(Right::Perfmon)
        .doc("Copies from an address of user space, waiting for pages that are not in memory.")
        .protos(&[
            takes(&[fill(1), SIZE_OR_ZERO, Any]).raw_address().sleeps().by(TRACE),
            takes(&[fill(1), SIZE_OR_ZERO, Any]).raw_address().sleeps().since(6, 16),
        ]),
    helper(191, "copy_from_user_task", (5, 18))
        .right(Right::Perfmon)
        .doc("Copies from an address of another task, waiting for pages that are not in memory.")
        .protos(&[
            takes(&[fill(1), SIZE_OR_ZERO, Any, object("task_struct"), Any]).raw_address().sleeps().gpl().by(TRACE),
            takes(&[fill(1), SIZE_OR_ZERO, Any, object("task_struct"), Any]).raw_address().sleeps().gpl().since(6, 16),
        ]),
];

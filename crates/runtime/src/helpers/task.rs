//! The process that a program finds itself in: the [`crate::World`]'s.

use super::Cx;
use crate::{Args, Bind};
use alveary_abi::negative::EINVAL;

pub(super) const ALL: &[Bind] = crate::helpers![super::AnyFamily;
    GET_CURRENT_PID_TGID => get_current_pid_tgid,
    GET_CURRENT_UID_GID => get_current_uid_gid,
    GET_CURRENT_COMM => get_current_comm,
];

fn get_current_pid_tgid(cx: &Cx<'_>, _: &Args<'_>) -> i64 {
    let world = cx.world();
    (u64::from(world.pid) << 32 | u64::from(world.tid)) as i64
}

fn get_current_uid_gid(cx: &Cx<'_>, _: &Args<'_>) -> i64 {
    let world = cx.world();
    (u64::from(world.gid) << 32 | u64::from(world.uid)) as i64
}

fn get_current_comm(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    let Some(out) = args.mem(0) else { return EINVAL };
    out.clear();
    let comm = cx.world().comm;
    let len = comm.len().min(out.len().saturating_sub(1));
    out.put(0, &comm[..len]);
    0
}

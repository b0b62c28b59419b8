//! What a packet without socket, route and cgroup has to say of them.

use super::Skb;
use alveary_abi::negative::EINVAL;
use alveary_runtime::{Args, Cx};

/// `overflowuid`: the owner of no socket.
const NOBODY: i64 = 65534;
/// Types from here on cannot be had by asking (`PACKET_OTHERHOST` is the last that can).
const OTHERHOST: u32 = 3;

/// No realm, no class, no cgroup, no socket.
pub(super) fn zero(_: &Cx<'_, Skb>, _: &Args<'_>) -> i64 {
    0
}

pub(super) fn nobody(_: &Cx<'_, Skb>, _: &Args<'_>) -> i64 {
    NOBODY
}

pub(super) fn change_type(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let (ty, new) = (&cx.ctx().fields.pkt_type, args.scalar(1) as u32);
    if ty.get() > OTHERHOST || new > OTHERHOST {
        return EINVAL;
    }
    ty.set(new);
    0
}

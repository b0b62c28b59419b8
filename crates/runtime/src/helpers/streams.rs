//! Events: ring buffers, and perf buffers for contexts that have no packet.

use super::{Cx, elements::result};
use crate::{Args, Bind};
use alveary_abi::flags::BPF_F_CURRENT_CPU;
use alveary_abi::negative::{EINVAL, ENOENT};

pub(super) const ALL: &[Bind] = crate::helpers![super::AnyFamily;
    PERF_EVENT_OUTPUT => perf_event_output,
    RINGBUF_OUTPUT => ringbuf_output,
    RINGBUF_RESERVE => ringbuf_reserve,
    RINGBUF_SUBMIT => ringbuf_submit,
    RINGBUF_DISCARD => ringbuf_discard,
    RINGBUF_QUERY => ringbuf_query,
];

fn perf_event_output(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    perf_output(cx.cpu(), args, &[&args.bytes(3)])
}

/// The end of `bpf_perf_event_output`, for families whose bodies append packet bytes: sends `parts`, one behind the
/// other, to the map in argument 1 by the index in the flags, argument 2.
#[must_use]
pub fn perf_output(cpu: u32, args: &Args<'_>, parts: &[&[u8]]) -> i64 {
    let flags = args.scalar(2);
    let index = if flags & BPF_F_CURRENT_CPU == BPF_F_CURRENT_CPU { u64::from(cpu) } else { flags & BPF_F_CURRENT_CPU };
    let Some(streams) = args.map(1).map.streams() else { return ENOENT };
    result(streams.output(cpu, index, parts, 0))
}

fn ringbuf_output(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    let Some(streams) = args.map(0).map.streams() else { return EINVAL };
    result(streams.output(cx.cpu(), 0, &[&args.bytes(1)], args.scalar(3)))
}

fn ringbuf_reserve(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    let map = args.map(0);
    if cx.vcpu().held.is_full() {
        return 0;
    }
    let value = map.map.streams().and_then(|s| s.reserve(args.scalar(1), args.scalar(2)));
    value.map_or(0, |value| {
        cx.vcpu().reserve(map, value);
        value.addr as i64
    })
}

fn ringbuf_submit(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    cx.vcpu().commit(args.scalar(0), false, args.scalar(1));
    0
}

fn ringbuf_discard(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    cx.vcpu().commit(args.scalar(0), true, args.scalar(1));
    0
}

fn ringbuf_query(_: &Cx<'_>, args: &Args<'_>) -> i64 {
    args.map(0).map.streams().map_or(0, |s| s.query(args.scalar(1)) as i64)
}

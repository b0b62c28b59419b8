//! The helpers of XDP programs (net/core/filter.c). What they refuse, and with which error, is Linux's.

use super::{ETH_HLEN, FRAME, Xdp, redirect};
use alveary_abi::negative::{EACCES, EFAULT, EINVAL};
use alveary_runtime::{Args, Bind, Cx, helpers};

pub(super) const ALL: &[Bind] = helpers![Xdp;
    XDP_ADJUST_HEAD => adjust_head,
    XDP_ADJUST_META => adjust_meta,
    XDP_ADJUST_TAIL => adjust_tail,
    XDP_LOAD_BYTES => load_bytes,
    XDP_STORE_BYTES => store_bytes,
    XDP_GET_BUFF_LEN => get_buff_len,
    PERF_EVENT_OUTPUT => event_output,
    REDIRECT => redirect::redirect,
    REDIRECT_MAP => redirect::redirect_map,
];

/// Longest metadata; its length is a multiple of 4 (`xdp_metalen_invalid`).
const MAX_META: usize = 255;

/// A place moved by a program's 32-bit offset, if it is a place.
fn moved(place: usize, by: u64) -> Option<usize> {
    place.checked_add_signed(by as i32 as isize)
}

fn adjust_head(cx: &Cx<'_, Xdp>, args: &Args<'_>) -> i64 {
    if cx.ctx().move_start(args.scalar(1) as i32) { 0 } else { EINVAL }
}

fn adjust_meta(cx: &Cx<'_, Xdp>, args: &Args<'_>) -> i64 {
    let ctx = cx.ctx();
    match moved(ctx.meta_start(), args.scalar(1)) {
        Some(meta) if meta >= FRAME && meta <= ctx.start() => {
            let len = ctx.start() - meta;
            if len > MAX_META || !len.is_multiple_of(4) {
                return EACCES;
            }
            ctx.place(meta, ctx.start(), ctx.end());
            0
        }
        _ => EINVAL,
    }
}

fn adjust_tail(cx: &Cx<'_, Xdp>, args: &Args<'_>) -> i64 {
    let ctx = cx.ctx();
    match moved(ctx.end(), args.scalar(1)) {
        Some(end) if end <= ctx.room.get() && end >= ctx.start() + ETH_HLEN => {
            ctx.memory.fill(ctx.end(), end.saturating_sub(ctx.end()));
            ctx.place(ctx.meta_start(), ctx.start(), end);
            0
        }
        _ => EINVAL,
    }
}

/// The place of `len` bytes at `offset` of the packet.
fn pointer(cx: &Cx<'_, Xdp>, offset: u64, len: usize) -> Result<usize, i64> {
    let (ctx, offset) = (cx.ctx(), offset as u32 as usize);
    if offset > 0xffff || len > 0xffff {
        return Err(EFAULT);
    }
    if offset + len > ctx.len() { Err(EINVAL) } else { Ok(ctx.start() + offset) }
}

fn load_bytes(cx: &Cx<'_, Xdp>, args: &Args<'_>) -> i64 {
    let Some(to) = args.mem(2) else { return EFAULT };
    match pointer(cx, args.scalar(1), to.len()) {
        Ok(at) => {
            let mut bytes = vec![0; to.len()];
            cx.ctx().memory.get(at, &mut bytes);
            to.put(0, &bytes);
            0
        }
        Err(e) => e,
    }
}

fn store_bytes(cx: &Cx<'_, Xdp>, args: &Args<'_>) -> i64 {
    let from = args.bytes(2);
    match pointer(cx, args.scalar(1), from.len()) {
        Ok(at) => {
            cx.ctx().memory.put(at, &from);
            0
        }
        Err(e) => e,
    }
}

fn get_buff_len(cx: &Cx<'_, Xdp>, _: &Args<'_>) -> i64 {
    cx.ctx().len() as i64
}

fn event_output(cx: &Cx<'_, Xdp>, args: &Args<'_>) -> i64 {
    let ctx = cx.ctx();
    crate::event_output(args, cx.cpu(), ctx.len(), |len, out| ctx.append(ctx.start(), len, out))
}

//! Reading and writing a packet's bytes.

use super::{SkBuff, Skb};
use alveary_abi::flags::{BPF_F_INVALIDATE_HASH, BPF_F_RECOMPUTE_CSUM};
use alveary_abi::negative::{EFAULT, EINVAL, ENOMEM};
use alveary_runtime::{Args, Cx, Mem};

const MAX_OFFSET: u64 = i32::MAX as u64;

/// Copies bytes out, or zeroes if they are not there.
fn copy(ctx: &SkBuff, to: Option<Mem<'_>>, place: impl FnOnce(u64) -> Option<usize>) -> i64 {
    let Some(to) = to else { return EFAULT };
    match place(to.len() as u64) {
        Some(at) => {
            // Piece by piece: most are a header, and no memory is asked for.
            let mut piece = [0; 64];
            for done in (0..to.len()).step_by(piece.len()) {
                let piece = &mut piece[..(to.len() - done).min(64)];
                ctx.memory.get(at + done, piece);
                to.put(done, piece);
            }
            0
        }
        None => {
            to.clear();
            EFAULT
        }
    }
}

pub(super) fn load_bytes(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let offset = args.scalar(1) as u32 as u64;
    copy(cx.ctx(), args.mem(2), |len| cx.ctx().at(offset, len).filter(|_| offset <= MAX_OFFSET))
}

pub(super) fn load_bytes_relative(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    const FROM_MAC: u32 = 0;
    const FROM_NET: u32 = 1;
    let ctx = cx.ctx();
    let offset = args.scalar(1) as u32 as usize;
    let start = match args.scalar(4) as u32 {
        FROM_MAC => Some(ctx.headers.get().mac),
        FROM_NET => Some(ctx.headers.get().net),
        _ => None,
    };
    copy(ctx, args.mem(2), |len| {
        let at = start.filter(|_| offset <= 0xffff)? + offset;
        (at as u64 + len <= ctx.end() as u64).then_some(at)
    })
}

pub(super) fn store_bytes(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let (ctx, offset, flags) = (cx.ctx(), args.scalar(1) as u32 as u64, args.scalar(4));
    if flags & !(BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH) != 0 {
        return EINVAL;
    }
    let from = args.bytes(2);
    let Some(at) = ctx.at(offset, from.len() as u64).filter(|_| offset <= MAX_OFFSET) else { return EFAULT };
    // There is no sum of the whole packet to recompute.
    ctx.memory.put(at, &from);
    if flags & BPF_F_INVALIDATE_HASH != 0 {
        ctx.clear_hash();
    }
    0
}

/// All bytes are there and may be written: only a packet that is too short is refused.
pub(super) fn pull_data(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    if args.scalar(1) as u32 as usize > cx.ctx().len() { ENOMEM } else { 0 }
}

pub(super) fn event_output(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let ctx = cx.ctx();
    crate::event_output(args, cx.cpu(), ctx.len(), |len, out| ctx.append(ctx.start(), len, out))
}

/// `BPF_ABS` and `BPF_IND`: a number in network order at an offset, some negative ones meaning a header's start.
pub(super) fn legacy_load(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    const NET: i64 = -0x10_0000;
    const LINK: i64 = -0x20_0000;
    let (ctx, offset) = (cx.ctx(), i64::from(args.scalar(1) as i32));
    let len = args.scalar(2).min(4);
    let headers = ctx.headers.get();
    let place = match offset {
        0.. => ctx.at(offset as u64, len),
        NET.. => Some(headers.net + (offset - NET) as usize),
        LINK..NET => Some(headers.mac + (offset - LINK) as usize),
        _ => None,
    };
    match place.filter(|at| at + len as usize <= ctx.end()) {
        Some(at) => {
            let mut bytes = [0; 4];
            ctx.memory.get(at, &mut bytes[4 - len as usize..]);
            u32::from_be_bytes(bytes).into()
        }
        None => {
            cx.leave(0);
            0
        }
    }
}

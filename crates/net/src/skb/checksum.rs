//! Checksums in headers, kept right while the program changes what they cover.

use super::{Checksum, SkBuff, Skb};
use alveary_abi::flags::{
    BPF_CSUM_LEVEL_DEC, BPF_CSUM_LEVEL_INC, BPF_CSUM_LEVEL_QUERY, BPF_CSUM_LEVEL_RESET, BPF_F_HDR_FIELD_MASK,
    BPF_F_IPV6, BPF_F_MARK_ENFORCE, BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR,
};
use alveary_abi::negative::{EACCES, EFAULT, EINVAL, ENOTSUPP};
use alveary_runtime::{
    Args, Cx,
    csum::{add, fold, sub},
};

/// The place of a checksum field.
fn field(ctx: &SkBuff, offset: u32) -> Option<usize> {
    let aligned = offset <= 0xffff && offset.is_multiple_of(2);
    ctx.at(offset.into(), 2).filter(|_| aligned)
}

fn get(ctx: &SkBuff, at: usize) -> u16 {
    let mut bytes = [0; 2];
    ctx.memory.get(at, &mut bytes);
    u16::from_ne_bytes(bytes)
}

/// The field after `from` became `to`, both of `flags & BPF_F_HDR_FIELD_MASK` bytes; with 0, `to` is a difference.
fn replaced(old: u16, from: u64, to: u64, size: u64) -> Option<u16> {
    let sum = !u32::from(old);
    match size {
        0 if from != 0 => None,
        0 => Some(fold(add(to as u32, sum))),
        2 => Some(fold(add(sub(sum, (from as u16).into()), (to as u16).into()))),
        4 => Some(fold(add(sub(sum, from as u32), to as u32))),
        _ => None,
    }
}

/// `csum_replace2`, whose arithmetic has 16 bits.
fn replaced16(old: u16, from: u16, to: u16) -> u16 {
    let add16 = |a: u16, b: u16| {
        let (sum, carry) = a.overflowing_add(b);
        sum + u16::from(carry)
    };
    !add16(add16(!old, !from), to)
}

pub(super) fn l3_replace(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let (ctx, from, to, flags) = (cx.ctx(), args.scalar(2), args.scalar(3), args.scalar(4));
    if flags & !BPF_F_HDR_FIELD_MASK != 0 {
        return EINVAL;
    }
    let Some(at) = field(ctx, args.scalar(1) as u32) else { return EFAULT };
    let old = get(ctx, at);
    let new = if flags == 2 { Some(replaced16(old, from as u16, to as u16)) } else { replaced(old, from, to, flags) };
    match new {
        Some(new) => {
            ctx.memory.put(at, &new.to_ne_bytes());
            0
        }
        None => EINVAL,
    }
}

/// A pseudo header matters only where hardware sums the rest, which it does not do here.
pub(super) fn l4_replace(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let (ctx, from, to, flags) = (cx.ctx(), args.scalar(2), args.scalar(3), args.scalar(4));
    if flags & !(BPF_F_HDR_FIELD_MASK | BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0 | BPF_F_MARK_ENFORCE | BPF_F_IPV6) != 0
    {
        return EINVAL;
    }
    let Some(at) = field(ctx, args.scalar(1) as u32) else { return EFAULT };
    let old = get(ctx, at);
    let zero_means_none = flags & BPF_F_MARK_MANGLED_0 != 0;
    if zero_means_none && flags & BPF_F_MARK_ENFORCE == 0 && old == 0 {
        return 0;
    }
    match replaced(old, from, to, flags & BPF_F_HDR_FIELD_MASK) {
        Some(new) => {
            let new = if zero_means_none && new == 0 { 0xffff } else { new };
            ctx.memory.put(at, &new.to_ne_bytes());
            0
        }
        None => EINVAL,
    }
}

/// There is no sum of the whole packet (`CHECKSUM_COMPLETE`).
pub(super) fn update(_: &Cx<'_, Skb>, _: &Args<'_>) -> i64 {
    ENOTSUPP
}

pub(super) fn level(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    /// `SKB_MAX_CSUM_LEVEL`.
    const MAX: u8 = 3;
    let state = &cx.ctx().checksum;
    let new = match (args.scalar(1), state.get()) {
        (BPF_CSUM_LEVEL_QUERY, Checksum::Unnecessary(level)) => return level.into(),
        (BPF_CSUM_LEVEL_QUERY, Checksum::None) => return EACCES,
        (BPF_CSUM_LEVEL_INC, Checksum::Unnecessary(level)) => Checksum::Unnecessary((level + 1).min(MAX)),
        (BPF_CSUM_LEVEL_INC, Checksum::None) => Checksum::Unnecessary(0),
        (BPF_CSUM_LEVEL_DEC, Checksum::Unnecessary(level)) => {
            level.checked_sub(1).map_or(Checksum::None, Checksum::Unnecessary)
        }
        (BPF_CSUM_LEVEL_DEC | BPF_CSUM_LEVEL_RESET, _) => Checksum::None,
        _ => return EINVAL,
    };
    state.set(new);
    0
}
